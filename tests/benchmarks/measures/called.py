"""From a webhook to the provider being asked to ring by a policy: while little else comes, and in a storm of alerts."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from tests.benchmarks.alerts import Lot
from tests.benchmarks.configuration import Configured
from tests.benchmarks.contestants import PythonServer, alertmanager, sevrouter
from tests.benchmarks.figures import compared, percentile
from tests.benchmarks.measures.latency import latencies
from tests.benchmarks.sender import open_sender

if TYPE_CHECKING:
    from pathlib import Path

    from tests.benchmarks.contestants import Contestant
    from tests.benchmarks.effort import Effort
    from tests.benchmarks.figures import Figure
    from tests.benchmarks.peers import Peers
    from tests.benchmarks.sender import Sender

# POSTs a second of one new major incident each.
_RATE = 10
# Alerts a POST of the storm, and how many POSTs are under way at once.
_SIZE, _CONNECTIONS = 1_000, 8


async def measure_called(folder: Path, effort: Effort, peers: Peers) -> list[Figure]:
    """Measure idle, and then in a storm; one contestant after the other."""
    idle: dict[str, list[float]] = {}
    storm: dict[str, list[float]] = {}
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(PythonServer("provider", directory=folder))
        sender = await stack.enter_async_context(open_sender(folder / "calls"))
        rain = await stack.enter_async_context(open_sender(folder / "storm"))
        contestants = [
            sevrouter(folder, Configured(provider=provider.url, policies=True)),
            *alertmanager(peers.alertmanager, folder, provider=provider.url),
        ]
        for contestant in contestants:
            async with contestant.process:
                calm = _lot("calm", effort.called)
                idle[contestant.name] = await latencies(sender, provider, contestant, calm, rate=_RATE)
                storm[contestant.name] = await _in_a_storm(sender, rain, provider, contestant, effort)
    count = max(1, effort.storm // _SIZE) * _SIZE
    return [
        figure
        for what, runs in (("idle", idle), (f"in a storm of {count:,} alerts", storm))
        for percent in (50, 99)
        for figure in compared(
            f"webhook in to provider asked by a policy, {what}, p{percent}",
            "ms",
            {name: percentile(run, percent) * 1_000 for name, run in runs.items()},
        )
    ]


async def _in_a_storm(
    sender: Sender, rain: Sender, provider: PythonServer, contestant: Contestant, effort: Effort
) -> list[float]:
    drops = Lot(name="storm", posts=max(1, effort.storm // _SIZE), size=_SIZE, services=500, severity="warning")
    requests = contestant.requests(drops)
    raining = asyncio.create_task(rain.send(requests, contestant.process.port, connections=_CONNECTIONS))
    try:
        return await latencies(sender, provider, contestant, _lot("worst", effort.called), rate=_RATE)
    finally:
        await raining


def _lot(name: str, posts: int) -> Lot:
    return Lot(name=name, posts=posts, size=1, services=posts, severity="critical", percent=30)
