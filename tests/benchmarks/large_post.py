"""One POST of very many alerts: how long it takes, how much memory, and how health checks fare meanwhile."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from tests.benchmarks.alerts import Lot
from tests.benchmarks.contestants import alertmanager, floor, sevrouter
from tests.benchmarks.figures import compared
from tests.benchmarks.observed import resident_mib
from tests.benchmarks.sender import open_sender

if TYPE_CHECKING:
    from pathlib import Path

    from tests.benchmarks.contestants import Contestant
    from tests.benchmarks.effort import Effort
    from tests.benchmarks.figures import Figure
    from tests.benchmarks.sender import Sender
    from tests.real.process import RealProcess

# Seconds between two health checks.
_BEAT = 0.01


async def measure_large_post(folder: Path, effort: Effort, *, binary: Path | None) -> list[Figure]:
    """Measure each contestant once, in a fresh process."""
    lot = Lot(name="large", posts=1, size=effort.large_post)
    seconds: dict[str, float] = {}
    memory: dict[str, float] = {}
    health: dict[str, float] = {}
    async with open_sender(folder) as sender:
        for contestant in (sevrouter(folder), floor(folder), *alertmanager(binary, folder)):
            async with contestant.process as process:
                name = contestant.name
                seconds[name], health[name] = await _post(sender, contestant, lot)
                memory[name] = resident_mib(process.pid, peak=True)
    what = f"a POST of {lot.size:,} alerts"
    return [
        *compared(f"{what}, answered after", "s", seconds),
        *compared(f"{what}, peak memory", "MiB", memory),
        *compared(f"{what}, slowest health check", "ms", health),
    ]


async def _post(sender: Sender, contestant: Contestant, lot: Lot) -> tuple[float, float]:
    sending = asyncio.create_task(sender.send(contestant.requests(lot), contestant.process.port))
    slowest = 0.0
    while not sending.done():
        slowest = max(slowest, await _health_check(contestant.process))
        await asyncio.sleep(_BEAT)
    return (await sending).seconds, slowest * 1_000


async def _health_check(process: RealProcess) -> float:
    started = time.monotonic()
    async with process.session.get(f"{process.url}/-/healthy") as answer:
        await answer.read()
    return time.monotonic() - started
