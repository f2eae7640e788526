"""From a webhook to the provider being asked, one new incident a POST, at a steady rate."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from tests.benchmarks.alerts import Lot
from tests.benchmarks.contestants import PythonServer, alertmanager, sevrouter
from tests.benchmarks.figures import compared, median, percentile
from tests.benchmarks.sender import open_sender

if TYPE_CHECKING:
    from pathlib import Path

    from tests.benchmarks.contestants import Contestant
    from tests.benchmarks.effort import Effort
    from tests.benchmarks.figures import Figure
    from tests.benchmarks.sender import Sender

# Seconds. A contestant that falls behind is given this long to ask the provider all the same.
_ALL_ARRIVED_WITHIN = 60.0
_POLL = 0.1
_PAUSE = 0.5


async def measure_latency(folder: Path, effort: Effort, *, binary: Path | None) -> list[Figure]:
    """Measure all rates, one after the other."""
    async with AsyncExitStack() as stack:
        sender = await stack.enter_async_context(open_sender(folder))
        provider = await stack.enter_async_context(PythonServer("provider", directory=folder))
        contestants = [sevrouter(folder, provider=provider.url), *alertmanager(binary, folder, provider=provider.url)]
        for contestant in contestants:
            await stack.enter_async_context(contestant.process)
            await _latencies(sender, provider, contestant, _lot("warm-up", 100), rate=100)
        figures: list[Figure] = []
        for rate, seconds in effort.paced_seconds.items():
            lots = [_lot(f"{rate}-{number}", round(rate * seconds)) for number in range(effort.rounds)]
            runs: dict[str, list[list[float]]] = {contestant.name: [] for contestant in contestants}
            for lot in lots:
                for contestant in contestants:
                    runs[contestant.name].append(await _latencies(sender, provider, contestant, lot, rate=rate))
            for percent in (50, 99):
                values = {
                    name: median(percentile(run, percent) for run in its_runs) * 1_000
                    for name, its_runs in runs.items()
                }
                figures += compared(f"webhook in to provider asked, {rate:,}/s, p{percent}", "ms", values)
        return figures


def _lot(name: str, count: int) -> Lot:
    # Each alert is an incident of its own, bad enough for a call.
    return Lot(name=name, posts=count, size=1, services=count, severity="critical", percent=16)


async def _latencies(
    sender: Sender, provider: PythonServer, contestant: Contestant, lot: Lot, *, rate: float
) -> list[float]:
    """Send a lot, and return the seconds from each POST until the provider was asked about its alert."""
    sent = await sender.send(contestant.requests(lot), contestant.process.port, rate=rate)

    async def all_arrived() -> bool:
        await asyncio.sleep(_POLL)
        async with provider.session.get(f"{provider.url}/count") as answer:
            return bool(await answer.json() >= lot.posts)

    what = f"was not asked about all {lot.posts} incidents by {contestant.name}"
    await provider.poll(all_arrived, what, within=_ALL_ARRIVED_WITHIN)
    async with provider.session.get(f"{provider.url}/arrivals") as answer:
        arrivals: dict[str, float] = await answer.json()
    await asyncio.sleep(_PAUSE)
    return [arrivals[lot.instance(number)] - offered for number, offered in enumerate(sent.offered)]
