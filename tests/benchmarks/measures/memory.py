"""What an open incident costs in memory: the resident memory that very many of one alert each add."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.benchmarks.configuration import Configured
from tests.benchmarks.contestants import alertmanager, sevrouter
from tests.benchmarks.field import open_field
from tests.benchmarks.figures import compared
from tests.benchmarks.measures.open_incidents import fill
from tests.benchmarks.observed import resident_mib
from tests.benchmarks.rates import warm_up

if TYPE_CHECKING:
    from pathlib import Path

    from tests.benchmarks.contestants import Contestant
    from tests.benchmarks.effort import Effort
    from tests.benchmarks.figures import Figure
    from tests.benchmarks.peers import Peers

# Seconds after which what was only needed for a request is given back, as far as it ever is.
_SETTLE = 1.0


async def measure_memory(folder: Path, effort: Effort, peers: Peers) -> list[Figure]:
    """Fill each contestant in turn; an alert of its own group is the nearest that Alertmanager has to an incident."""
    count = effort.incidents_in_memory
    contestants = [sevrouter(folder, Configured(asking=False)), *alertmanager(peers.alertmanager, folder)]
    kilobytes = {each.name: await _by_incident(folder, each, count) for each in contestants}
    return compared(f"resident memory for each of {count:,} open incidents", "KiB", kilobytes)


async def _by_incident(folder: Path, contestant: Contestant, count: int) -> float:
    async with open_field(folder, [contestant]) as sender:
        await warm_up(sender, [contestant])
        before = await _resident(contestant)
        await fill(sender, contestant, count)
        return (await _resident(contestant) - before) * 1_024 / count


async def _resident(contestant: Contestant) -> float:
    await asyncio.sleep(_SETTLE)
    return resident_mib(contestant.process.pid)
