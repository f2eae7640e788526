"""How long a sender waits for its answer at a steady rate of changed alerts."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.benchmarks.alerts import Lot
from tests.benchmarks.contestants import alertmanager, floor, sevrouter
from tests.benchmarks.databases import on_postgres, open_postgres
from tests.benchmarks.field import open_field
from tests.benchmarks.figures import compared, median, percentile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.benchmarks.contestants import Contestant
    from tests.benchmarks.effort import Effort, Pace
    from tests.benchmarks.figures import Figure
    from tests.benchmarks.peers import Peers
    from tests.benchmarks.sender import Sender


async def measure_steady(folder: Path, effort: Effort, peers: Peers) -> list[Figure]:
    """Measure each contestant at the same pace, in turn."""
    pace = effort.steady
    async with AsyncExitStack() as stack:
        contestants = [sevrouter(folder), floor(folder), *alertmanager(peers.alertmanager, folder)]
        if peers.ours_on_postgres:
            server = await stack.enter_async_context(open_postgres(peers.postgres))
            assert server is not None, "sevrouter is on PostgreSQL only where that is"
            contestants.append(on_postgres(folder, server))
        sender = await stack.enter_async_context(open_field(folder, contestants))
        answers = await _rounds(sender, contestants, pace, effort.rounds)
    what = f"{pace.posts:,} POSTs/s of {pace.size:,}, changed: answered after"
    return [
        figure
        for percent in (50, 99)
        for figure in compared(
            f"{what}, p{percent}",
            "ms",
            {name: median(percentile(run, percent) for run in runs) * 1_000 for name, runs in answers.items()},
        )
    ]


async def _rounds(
    sender: Sender, contestants: Sequence[Contestant], pace: Pace, rounds: int
) -> dict[str, list[list[float]]]:
    """Return the seconds to each answer, by contestant and round; the same alerts change in every round."""
    lot = Lot(name="steady", posts=round(pace.posts * pace.seconds), size=pace.size)
    for contestant in contestants:
        await sender.send(contestant.requests(lot), contestant.process.port)
    answers: dict[str, list[list[float]]] = {contestant.name: [] for contestant in contestants}
    for number in range(rounds):
        for contestant in contestants:
            requests = contestant.requests(replace(lot, percent=2 + number))
            sent = await sender.send(requests, contestant.process.port, rate=pace.posts)
            answers[contestant.name].append(sent.answers())
    return answers
