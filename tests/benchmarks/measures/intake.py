"""Alerts a second over 16 connections, by alerts a POST, beside the floor and Alertmanager."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.benchmarks.contestants import alertmanager, floor, sevrouter
from tests.benchmarks.field import open_field
from tests.benchmarks.rates import Load, rates, warm_up

if TYPE_CHECKING:
    from pathlib import Path

    from tests.benchmarks.effort import Effort
    from tests.benchmarks.figures import Figure
    from tests.benchmarks.peers import Peers


async def measure_intake(folder: Path, effort: Effort, peers: Peers) -> list[Figure]:
    """Measure all sizes, one after the other."""
    contestants = [sevrouter(folder), floor(folder), *alertmanager(peers.alertmanager, folder)]
    async with open_field(folder, contestants) as sender:
        await warm_up(sender, contestants)
        return [
            figure
            for size, posts in effort.posts.items()
            for figure in await rates(
                sender,
                contestants,
                Load(size=size, posts=posts, rounds=effort.rounds, longest=effort.longest_run),
            )
        ]
