"""What it costs to watch: very many open incidents, each of which is bad by what a query says, and few queries."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from sevrouter.engine.asking import PROBE
from tests.benchmarks.alerts import Lot, webhooks
from tests.benchmarks.configuration import Configured
from tests.benchmarks.contestants import sevrouter
from tests.benchmarks.field import open_field
from tests.benchmarks.figures import Figure
from tests.benchmarks.observed import processor_seconds
from tests.standins.prometheus import Prometheus

if TYPE_CHECKING:
    from pathlib import Path

    from tests.benchmarks.effort import Effort, Watching
    from tests.benchmarks.peers import Peers
    from tests.benchmarks.sender import Sender

# Seconds within which everything must have been read for the first time.
_FIRST_WITHIN = 60.0


class DearError(Exception):
    """Watching costs more than it may: what is promised of it does not hold."""


async def measure_watched(folder: Path, effort: Effort, _peers: Peers) -> list[Figure]:
    """Open the incidents, let all be read once, and then look on for some intervals. Raises DearError."""
    watching = effort.watching
    async with Prometheus() as prometheus:

        async def is_read() -> bool:
            return len(set(_queries(prometheus))) == watching.queries

        configured = Configured(asking=False, prometheus=prometheus.url, every=watching.every)
        contestant = sevrouter(folder, configured)
        async with open_field(folder, [contestant]) as sender:
            port, pid = contestant.process.port, contestant.process.pid
            await _open(sender, port, watching)
            await contestant.process.poll(is_read, "has not read everything", within=_FIRST_WITHIN)
            # All is read at the same moments, which are multiples of the interval: they are counted from between two.
            await asyncio.sleep((watching.every / 2 - time.time()) % watching.every)
            asked, used = len(_queries(prometheus)), processor_seconds(pid)
            await asyncio.sleep(watching.every * watching.intervals)
            asked, used = len(_queries(prometheus)) - asked, processor_seconds(pid) - used
    figures = _figures(watching, asked / watching.intervals, used / (watching.every * watching.intervals))
    judge(watching, *figures)
    return figures


async def _open(sender: Sender, port: int, watching: Watching) -> None:
    """Open the incidents, those that ask alike by one POST."""
    size = watching.incidents // watching.queries
    lots = [Lot(name=f"watched-{number}", posts=1, size=size, apart=True) for number in range(watching.queries)]
    await sender.send([request for lot in lots for request in webhooks(lot)], port, connections=4)


def _queries(prometheus: Prometheus) -> list[str]:
    return [query for each in prometheus.asked if (query := each["query"]) != PROBE]


def _figures(watching: Watching, queries: float, share: float) -> list[Figure]:
    title = f"{watching.incidents:,} incidents, {watching.queries} queries, every {watching.every:g} s"
    return [
        Figure(f"{title}: asked", queries, "queries an interval"),
        Figure(f"{title}: processor time", 100 * share, "% of a core"),
    ]


def judge(watching: Watching, queries: Figure, processor: Figure) -> None:
    """Raise DearError where more is asked, or used, than is promised."""
    if queries.value > watching.queries:
        raise DearError(f"{queries.name}: {queries.value:g}, more than one for each that differs")
    if processor.value > watching.most_percent:
        raise DearError(f"{processor.name}: {processor.value:.1f} %, more than {watching.most_percent:g} %")
