"""Alerts a second over 16 connections: new ones, ones whose value changed, ones that are sent again as they were."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.benchmarks.alerts import Lot
from tests.benchmarks.contestants import alertmanager, floor, sevrouter
from tests.benchmarks.figures import compared, median
from tests.benchmarks.sender import open_sender

if TYPE_CHECKING:
    from pathlib import Path

    from tests.benchmarks.contestants import Contestant
    from tests.benchmarks.effort import Effort
    from tests.benchmarks.figures import Figure
    from tests.benchmarks.sender import Sender, Sent

# What follows from a run (deliveries, a checkpoint) may end within this, in seconds, before another one is measured.
_PAUSE = 0.1


async def measure_intake(folder: Path, effort: Effort, *, binary: Path | None) -> list[Figure]:
    """Measure all sizes, one after the other."""
    contestants = [sevrouter(folder), floor(folder), *alertmanager(binary, folder)]
    async with AsyncExitStack() as stack:
        sender = await stack.enter_async_context(open_sender(folder))
        for contestant in contestants:
            await stack.enter_async_context(contestant.process)
        for contestant in contestants:
            await _run(sender, contestant, Lot(name="warm-up", posts=50, size=10), longest=effort.longest_run)
        figures: list[Figure] = []
        for size in effort.posts:
            figures += await _size(sender, contestants, size, effort)
        return figures


async def _size(sender: Sender, contestants: list[Contestant], size: int, effort: Effort) -> list[Figure]:
    rates: dict[str, dict[str, list[float]]] = {}
    for number in range(effort.rounds):
        lot = Lot(name=f"{size}-{number}", posts=effort.posts[size], size=size)
        # A run may be cut short; what a contestant does not know cannot change.
        known = dict.fromkeys((contestant.name for contestant in contestants), lot.posts)
        for kind, percent in (("new", 1), ("changed", 2), ("unchanged", 2)):
            for contestant in contestants:
                its_lot = replace(lot, percent=percent, posts=known[contestant.name])
                sent = await _run(sender, contestant, its_lot, longest=effort.longest_run)
                known[contestant.name] = sent.answered
                rates.setdefault(kind, {}).setdefault(contestant.name, []).append(sent.answered * size / sent.seconds)
    return [
        figure
        for kind, by_name in rates.items()
        for figure in compared(
            f"{kind}, {size:,} a POST", "alerts/s", {name: median(each) for name, each in by_name.items()}
        )
    ]


async def _run(sender: Sender, contestant: Contestant, lot: Lot, *, longest: float) -> Sent:
    sent = await sender.send(contestant.requests(lot), contestant.process.port, longest=longest)
    await asyncio.sleep(_PAUSE)
    return sent
