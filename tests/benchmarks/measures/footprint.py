"""What it costs to have the daemon around: its start, its memory and its processor time while nothing happens."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from tests.benchmarks.contestants import alertmanager, sevrouter
from tests.benchmarks.figures import compared, median
from tests.benchmarks.observed import processor_seconds, resident_mib

if TYPE_CHECKING:
    from pathlib import Path

    from tests.benchmarks.contestants import Contestant
    from tests.benchmarks.effort import Effort
    from tests.benchmarks.figures import Figure
    from tests.benchmarks.peers import Peers

# Seconds after its start in which a daemon may come to rest.
_SETTLE = 1.0


async def measure_footprint(folder: Path, effort: Effort, peers: Peers) -> list[Figure]:
    """Start each contestant several times in turn on empty folders, and watch the last one idle."""
    starts: dict[str, list[float]] = {}
    for number in range(effort.starts):
        for contestant in _contestants(folder / f"start-{number}", peers):
            starts.setdefault(contestant.name, []).append(await start_seconds(contestant))
    memory: dict[str, float] = {}
    processor: dict[str, float] = {}
    for contestant in _contestants(folder / "idle", peers):
        async with contestant.process as process:
            await asyncio.sleep(_SETTLE)
            before = processor_seconds(process.pid)
            await asyncio.sleep(effort.idle_seconds)
            processor[contestant.name] = processor_seconds(process.pid) - before
            memory[contestant.name] = resident_mib(process.pid)
    return [
        *compared("start to ready", "s", {name: median(times) for name, times in starts.items()}),
        *compared("resident memory, idle", "MiB", memory),
        *compared(f"processor time, idle for {effort.idle_seconds:g} s", "s", processor),
    ]


def _contestants(folder: Path, peers: Peers) -> list[Contestant]:
    return [sevrouter(folder), *alertmanager(peers.alertmanager, folder)]


async def start_seconds(contestant: Contestant) -> float:
    """Start a contestant and say how long it took to be ready; end it."""
    started = time.monotonic()
    async with contestant.process:
        return time.monotonic() - started
