"""From a webhook to the provider being asked, one new incident a POST, at a steady rate."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from tests.benchmarks.alerts import Lot
from tests.benchmarks.configuration import Configured
from tests.benchmarks.contestants import PythonServer, alertmanager, sevrouter
from tests.benchmarks.effort import Pace
from tests.benchmarks.field import open_field
from tests.benchmarks.figures import compared, median, percentile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.benchmarks.contestants import Contestant
    from tests.benchmarks.effort import Effort
    from tests.benchmarks.figures import Figure
    from tests.benchmarks.peers import Peers
    from tests.benchmarks.sender import Sender

# Seconds. A contestant that falls behind is given this long to ask the provider all the same.
_ALL_ARRIVED_WITHIN = 60.0
_POLL = 0.1
_PAUSE = 0.5
_WARM_UP = Pace(100, 1, 1.0)


async def measure_latency(folder: Path, effort: Effort, peers: Peers) -> list[Figure]:
    """Measure all paces, one after the other."""
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(PythonServer("provider", directory=folder))
        contestants = [
            sevrouter(folder, Configured(provider=provider.url)),
            *alertmanager(peers.alertmanager, folder, provider=provider.url),
        ]
        sender = await stack.enter_async_context(open_field(folder, contestants))
        for contestant in contestants:
            await latencies(sender, provider, contestant, _lot(_WARM_UP, 0), rate=_WARM_UP.posts)
        return [
            figure
            for pace in effort.paces
            for figure in await _pace(sender, provider, contestants, pace, rounds=effort.rounds)
        ]


async def _pace(
    sender: Sender, provider: PythonServer, contestants: Sequence[Contestant], pace: Pace, *, rounds: int
) -> list[Figure]:
    runs: dict[str, list[list[float]]] = {}
    for number in range(1, rounds + 1):
        for contestant in contestants:
            run = await latencies(sender, provider, contestant, _lot(pace, number), rate=pace.posts)
            runs.setdefault(contestant.name, []).append(run)
    what = f"webhook in to provider asked, {pace.posts * pace.size:,} alerts/s, {pace.size:,} a POST"
    return [
        figure
        for percent in (50, 99)
        for figure in compared(
            f"{what}, p{percent}",
            "ms",
            {name: median(percentile(run, percent) for run in its_runs) * 1_000 for name, its_runs in runs.items()},
        )
    ]


def _lot(pace: Pace, number: int) -> Lot:
    # Each POST is an incident of its own, bad enough for a call.
    count = round(pace.posts * pace.seconds)
    name = f"{pace.posts}-{pace.size}-{number}"
    return Lot(name=name, posts=count, size=pace.size, services=count, severity="critical", percent=16)


async def latencies(
    sender: Sender, provider: PythonServer, contestant: Contestant, lot: Lot, *, rate: float
) -> list[float]:
    """Send a lot, and return the seconds from each POST until the provider was first asked about an alert of it."""
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
    return [_first(arrivals, lot, post) - offered for post, offered in enumerate(sent.offered)]


def _first(arrivals: dict[str, float], lot: Lot, post: int) -> float:
    # Whom the provider is asked about, of a POST's alerts, is the contestant's choice.
    known = (arrivals.get(lot.instance(number)) for number in lot.numbers(post))
    return min(arrival for arrival in known if arrival is not None)
