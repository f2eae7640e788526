"""How long a start takes with a long history in the database, beside one on an empty database."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.benchmarks.alerts import Lot
from tests.benchmarks.configuration import Configured
from tests.benchmarks.contestants import sevrouter
from tests.benchmarks.field import open_field
from tests.benchmarks.figures import Figure, compared, median
from tests.benchmarks.measures.footprint import start_seconds
from tests.benchmarks.multiplied import multiply
from tests.real.metrics import Metrics

if TYPE_CHECKING:
    from pathlib import Path

    from tests.benchmarks.contestants import Contestant
    from tests.benchmarks.effort import Effort
    from tests.benchmarks.peers import Peers

# What is multiplied: incidents of so many alerts each, opened, changed and resolved by a real daemon.
_INCIDENTS, _SIZE = 5, 50
_RESOLVED_WITHIN = 30.0  # seconds


async def measure_history(folder: Path, effort: Effort, _peers: Peers) -> list[Figure]:
    """Have a daemon write a short history, multiply it in the database, and start that beside an empty one."""
    times = effort.history // (_INCIDENTS * _SIZE)
    long = sevrouter(folder, Configured(asking=False, resolve_after="1s"), name="long")
    await _write(folder, long)
    database = folder / "long" / "sevrouter.db"
    await asyncio.to_thread(multiply, database, times)
    starts: dict[str, list[float]] = {}
    for number in range(effort.starts):
        for contestant in (long, sevrouter(folder, name=f"empty {number}")):
            name = "long" if contestant is long else "empty database"
            starts.setdefault(name, []).append(await start_seconds(contestant))
    what = f"a history of {times * _INCIDENTS * _SIZE:,} alerts"
    return [
        *compared(f"start to ready, {what}", "s", {name: median(each) for name, each in starts.items()}),
        Figure(f"the database of {what}", database.stat().st_size / 2**20, "MiB"),
    ]


async def _write(folder: Path, contestant: Contestant) -> None:
    lots = [
        Lot(name="history", posts=_INCIDENTS, size=_SIZE, percent=percent, resolved=resolved)
        for percent, resolved in ((1, False), (2, False), (2, True))
    ]
    async with open_field(folder, [contestant]) as sender:
        for lot in lots:
            await sender.send(contestant.requests(lot), contestant.process.port)
        await _resolved(contestant)


async def _resolved(contestant: Contestant) -> None:
    """Wait until none of its incidents is open."""
    process = contestant.process

    async def none_open() -> bool:
        async with process.session.get(f"{process.url}/metrics") as answer:
            metrics = Metrics(await answer.text())
        return metrics.total("sevrouter_incidents", state="resolved") == _INCIDENTS

    await process.poll(none_open, "did not resolve its incidents", within=_RESOLVED_WITHIN)
