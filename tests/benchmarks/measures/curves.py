"""How alerts a second and answer times go with the size of a POST, the number of rules and that of open incidents.

Each is set beside the first of its row. Not part of a run unless it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.benchmarks.contestants import sevrouter
from tests.benchmarks.field import open_field
from tests.benchmarks.figures import Figure, median, percentile
from tests.benchmarks.measures.open_incidents import changed, open_filled
from tests.benchmarks.measures.rules import with_rules
from tests.benchmarks.rates import Load, rate, run, warm_up

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tests.benchmarks.effort import Effort
    from tests.benchmarks.peers import Peers
    from tests.benchmarks.sender import Sent

_SIZE = 100


async def measure_curves(folder: Path, effort: Effort, _peers: Peers) -> list[Figure]:
    """Measure changed alerts along one line after the other."""
    return [
        *await _by_size(folder / "size", effort),
        *await _by_rules(folder / "rules", effort),
        *await _by_incidents(folder / "incidents", effort),
    ]


async def _by_size(folder: Path, effort: Effort) -> list[Figure]:
    contestant = sevrouter(folder)
    rows: dict[str, tuple[Sequence[Sent], Load]] = {}
    async with open_field(folder, [contestant]) as sender:
        await warm_up(sender, [contestant])
        for size in effort.curve_sizes:
            load = _load(effort, size)
            runs = await run(sender, [contestant], load)
            rows[f"{size:,} a POST"] = (runs["changed"][contestant.name], load)
    return _curve(rows)


async def _by_rules(folder: Path, effort: Effort) -> list[Figure]:
    contestants = [with_rules(folder, count) for count in effort.curve_rules]
    load = _load(effort, _SIZE)
    async with open_field(folder, contestants) as sender:
        await warm_up(sender, contestants)
        runs = await run(sender, contestants, load)
    return _curve({name: (each, load) for name, each in runs["changed"].items()})


async def _by_incidents(folder: Path, effort: Effort) -> list[Figure]:
    counts = effort.curve_incidents
    load = _load(effort, _SIZE)
    async with open_filled(folder, counts) as (sender, contestants, _):
        runs = await changed(sender, contestants, counts, load)
    return _curve({f"{name} incidents": (each, load) for name, each in runs.items()})


def _load(effort: Effort, size: int) -> Load:
    # As many alerts as a run may take in its time, and no fewer POSTs than connections.
    posts = max(32, min(6_000, effort.posts[_SIZE] * _SIZE // size))
    return Load(size=size, posts=posts, rounds=effort.rounds, longest=effort.longest_run)


def _curve(rows: Mapping[str, tuple[Sequence[Sent], Load]]) -> list[Figure]:
    alerts = {name: rate(runs, load) for name, (runs, load) in rows.items()}
    waits = {name: median(percentile(sent.services(), 99) * 1_000 for sent in runs) for name, (runs, _) in rows.items()}
    first = next(iter(rows))
    return [
        figure
        for name in rows
        for figure in (
            Figure(f"{name}: changed", alerts[name], "alerts/s", first, alerts[first]),
            Figure(f"{name}: answered after, p99", waits[name], "ms", first, waits[first]),
        )
    ]
