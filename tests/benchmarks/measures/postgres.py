"""Alerts a second on PostgreSQL beside those on SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.benchmarks.contestants import sevrouter
from tests.benchmarks.databases import on_postgres, open_postgres
from tests.benchmarks.field import open_field
from tests.benchmarks.rates import Load, rates, warm_up

if TYPE_CHECKING:
    from pathlib import Path

    from tests.benchmarks.effort import Effort
    from tests.benchmarks.figures import Figure
    from tests.benchmarks.peers import Peers

_SIZES = (1, 100, 1_000)


async def measure_postgres(folder: Path, effort: Effort, peers: Peers) -> list[Figure]:
    """Measure the sizes one after the other; nothing where there is no PostgreSQL, or sevrouter takes none."""
    if not peers.ours_on_postgres:
        return []
    async with open_postgres(peers.postgres) as server:
        assert server is not None, "sevrouter is on PostgreSQL only where that is"
        contestants = [on_postgres(folder, server), sevrouter(folder, name="on SQLite")]
        async with open_field(folder, contestants) as sender:
            await warm_up(sender, contestants)
            return [
                figure
                for size in _SIZES
                if size in effort.posts
                for figure in await rates(
                    sender,
                    contestants,
                    Load(size=size, posts=effort.posts[size], rounds=effort.rounds, longest=effort.longest_run),
                    prefix="on PostgreSQL: ",
                )
            ]
