"""Alerts a second beside alerta, another store of alerts: 100 a POST, by its webhook for Alertmanager."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.benchmarks.contestants import ALERTA, sevrouter
from tests.benchmarks.databases import alerta_on_postgres, on_postgres, open_postgres
from tests.benchmarks.field import open_field
from tests.benchmarks.figures import compared
from tests.benchmarks.rates import Load, rates_by_kind, titled, warm_up

if TYPE_CHECKING:
    from pathlib import Path

    from tests.benchmarks.effort import Effort
    from tests.benchmarks.figures import Figure
    from tests.benchmarks.peers import Peers

_SIZE = 100
# As many as keep alerta busy; with more, it took as many alerts a second, and a run could not be cut short soon.
_CONNECTIONS = 4


async def measure_alerta(folder: Path, effort: Effort, peers: Peers) -> list[Figure]:
    """Measure sevrouter on either database, each beside alerta; nothing where alerta is not there."""
    if peers.alerta is None:
        return []
    async with open_postgres(peers.postgres) as server:
        assert server is not None, "alerta is there only where PostgreSQL is"
        prefixed = {"": sevrouter(folder)}
        if peers.ours_on_postgres:
            prefixed["on PostgreSQL: "] = on_postgres(folder, server)
        contestants = [*prefixed.values(), alerta_on_postgres(folder, peers.alerta, server)]
        load = Load(
            size=_SIZE,
            posts=effort.posts[_SIZE],
            rounds=effort.rounds,
            longest=effort.longest_run,
            connections=_CONNECTIONS,
        )
        async with open_field(folder, contestants) as sender:
            await warm_up(sender, contestants)
            by_kind = await rates_by_kind(sender, contestants, load)
    return [
        figure
        for prefix, ours in prefixed.items()
        for kind, values in by_kind.items()
        for figure in compared(
            prefix + titled(kind, load), "alerts/s", {name: values[name] for name in (ours.name, ALERTA)}
        )
    ]
