"""How alerts a second and answer times go with the size of a POST, and with rules, replicas and open incidents.

Each is set beside the first of its row. Not part of a run unless it is asked for.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.benchmarks.alerts import Lot
from tests.benchmarks.contestants import sevrouter
from tests.benchmarks.databases import open_postgres, replicas_on_postgres
from tests.benchmarks.field import open_field
from tests.benchmarks.figures import Figure, median, percentile
from tests.benchmarks.measures.open_incidents import changed, open_filled
from tests.benchmarks.measures.rules import with_rules
from tests.benchmarks.rates import Load, rate, run, send, warm_up
from tests.benchmarks.sender import CONNECTIONS, Sent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tests.benchmarks.contestants import Contestant
    from tests.benchmarks.effort import Effort
    from tests.benchmarks.peers import Peers
    from tests.benchmarks.sender import Sender

_SIZE = 100


async def measure_curves(folder: Path, effort: Effort, peers: Peers) -> list[Figure]:
    """Measure changed alerts along one line after the other."""
    return [
        *await _by_size(folder / "size", effort),
        *await _by_rules(folder / "rules", effort),
        *await _by_replicas(folder / "replicas", effort, peers),
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


async def _by_replicas(folder: Path, effort: Effort, peers: Peers) -> list[Figure]:
    if not peers.ours_on_postgres:
        return []
    rows: dict[str, tuple[Sequence[Sent], Load]] = {}
    async with open_postgres(peers.postgres) as server:
        assert server is not None, "sevrouter is on PostgreSQL only where that is"
        for count in effort.curve_replicas:
            names = [f"replica-{number}" for number in range(count)]
            contestants = replicas_on_postgres(folder / str(count), server, names, database=f"replicas_{count}")
            load = replace(_load(effort, _SIZE), connections=CONNECTIONS // count)
            async with AsyncExitStack() as stack:
                fields = [open_field(folder / each.name / str(count), [each]) for each in contestants]
                senders = [await stack.enter_async_context(field) for field in fields]
                pairs = list(zip(senders, contestants, strict=True))
                runs = [await _together(pairs, load, number=number) for number in range(load.rounds)]
            rows[f"{count} on PostgreSQL"] = (runs, load)
    return _curve(rows)


async def _together(pairs: Sequence[tuple[Sender, Contestant]], load: Load, *, number: int) -> Sent:
    """Change alerts at all replicas at once, each its own; as if one sender had sent all."""
    lots = [Lot(name=f"{number}-{place}", posts=load.posts, size=load.size) for place in range(len(pairs))]
    sent: Sequence[Sent] = ()
    for percent in (1, 2):
        requests = [
            (sender, contestant, contestant.requests(replace(lot, percent=percent)))
            for (sender, contestant), lot in zip(pairs, lots, strict=True)
        ]
        sent = await asyncio.gather(*(send(*each, load) for each in requests))
        lots = [replace(lot, posts=each.count) for lot, each in zip(lots, sent, strict=True)]
    return Sent(
        seconds=max(each.seconds for each in sent),
        offered=[moment for each in sent for moment in each.offered],
        carried=[moment for each in sent for moment in each.carried],
        answered=[moment for each in sent for moment in each.answered],
    )


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
