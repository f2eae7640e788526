"""POSTs of very many alerts, one and several at once: how long, how much memory, how health checks fare meanwhile."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.benchmarks.alerts import Lot
from tests.benchmarks.contestants import alertmanager, floor, sevrouter
from tests.benchmarks.field import open_field
from tests.benchmarks.figures import compared
from tests.benchmarks.observed import resident_mib

if TYPE_CHECKING:
    from pathlib import Path

    from tests.benchmarks.contestants import Contestant
    from tests.benchmarks.effort import Effort
    from tests.benchmarks.figures import Figure
    from tests.benchmarks.peers import Peers
    from tests.benchmarks.sender import Sender
    from tests.real.process import RealProcess

# Seconds between two health checks.
_BEAT = 0.01


@dataclass(frozen=True, slots=True)
class _Taken:
    """Until all was answered, the peak of memory, and the longest that a health check took."""

    seconds: float
    mib: float
    health: float


async def measure_large_post(folder: Path, effort: Effort, peers: Peers) -> list[Figure]:
    """Measure one sender, and then several at once."""
    figures: list[Figure] = []
    for senders in (1, effort.large_senders):
        what = f"{effort.large_post:,} alerts in a POST"
        if senders > 1:
            what += f", {senders} senders at once"
        figures += await _at_once(folder / str(senders), effort.large_post, senders, peers, what=what)
    return figures


async def _at_once(folder: Path, size: int, senders: int, peers: Peers, *, what: str) -> list[Figure]:
    """Measure each contestant once, in a fresh process: of memory, the peak of a process's life is known."""
    # Each sender has alerts of its own: as many clusters, and not copies of what the first one brings.
    lot = Lot(name="large", posts=senders, size=size)
    taken = {
        contestant.name: await _take(folder, contestant, lot)
        for contestant in (sevrouter(folder), floor(folder), *alertmanager(peers.alertmanager, folder))
    }
    return [
        *compared(f"{what}: answered after", "s", {name: each.seconds for name, each in taken.items()}),
        *compared(f"{what}: peak memory", "MiB", {name: each.mib for name, each in taken.items()}),
        *compared(f"{what}: slowest health check", "ms", {name: each.health * 1_000 for name, each in taken.items()}),
    ]


async def _take(folder: Path, contestant: Contestant, lot: Lot) -> _Taken:
    requests = contestant.requests(lot)
    async with open_field(folder, [contestant]) as sender:
        seconds, health = await _post(sender, contestant, requests)
        return _Taken(seconds, resident_mib(contestant.process.pid, peak=True), health)


async def _post(sender: Sender, contestant: Contestant, requests: list[bytes]) -> tuple[float, float]:
    sending = asyncio.create_task(sender.send(requests, contestant.process.port))
    slowest = 0.0
    while not sending.done():
        slowest = max(slowest, await _health_check(contestant.process))
        await asyncio.sleep(_BEAT)
    return (await sending).seconds, slowest


async def _health_check(process: RealProcess) -> float:
    started = time.monotonic()
    async with process.session.get(f"{process.url}/-/healthy") as answer:
        await answer.read()
    return time.monotonic() - started
