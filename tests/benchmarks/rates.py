"""Alerts a second: new ones, ones whose value changed, ones that are sent again as they were; who is measured, in turn.

A round measures every contestant on one kind before it comes to the next, so that what disturbs the machine disturbs
all of them.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tests.benchmarks.alerts import Lot
from tests.benchmarks.figures import compared, median
from tests.benchmarks.sender import CONNECTIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.benchmarks.contestants import Contestant
    from tests.benchmarks.figures import Figure
    from tests.benchmarks.sender import Sender, Sent

KINDS = {"new": 1, "changed": 2, "unchanged": 2}
# What follows from a run (deliveries, a checkpoint) may end within this, in seconds, before another one is measured.
_PAUSE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Up to so many POSTs of so many alerts; a run of them is cut short after the `longest` time, in seconds."""

    size: int
    posts: int
    rounds: int
    longest: float | None
    connections: int = CONNECTIONS


async def send(sender: Sender, contestant: Contestant, requests: Sequence[bytes], load: Load) -> Sent:
    """Send requests, and leave the contestant a moment to come to rest."""
    port = contestant.process.port
    sent = await sender.send(requests, port, longest=load.longest, connections=load.connections)
    await asyncio.sleep(_PAUSE)
    return sent


async def warm_up(sender: Sender, contestants: Sequence[Contestant]) -> None:
    """Let everybody open files and connections, and fill what they fill once."""
    load = Load(size=10, posts=20, rounds=1, longest=1.0, connections=4)
    for contestant in contestants:
        await send(sender, contestant, contestant.requests(Lot(name="warm-up", posts=load.posts, size=load.size)), load)


async def run(sender: Sender, contestants: Sequence[Contestant], load: Load) -> dict[str, dict[str, list[Sent]]]:
    """Send every kind to every contestant in every round, and return what came of it by kind and name."""
    runs: dict[str, dict[str, list[Sent]]] = {}
    for number in range(load.rounds):
        lot = Lot(name=f"{load.size}-{number}", posts=load.posts, size=load.size)
        # A run may be cut short; what a contestant does not know cannot change.
        known = dict.fromkeys((contestant.name for contestant in contestants), lot.posts)
        for kind, percent in KINDS.items():
            for contestant in contestants:
                its_lot = replace(lot, percent=percent, posts=known[contestant.name])
                sent = await send(sender, contestant, contestant.requests(its_lot), load)
                known[contestant.name] = sent.count
                runs.setdefault(kind, {}).setdefault(contestant.name, []).append(sent)
    return runs


def rate(runs: Sequence[Sent], load: Load) -> float:
    """Alerts a second, in the middle of the rounds."""
    return median(sent.count * load.size / sent.seconds for sent in runs)


async def rates(
    sender: Sender, contestants: Sequence[Contestant], load: Load, *, prefix: str = "", kinds: Sequence[str] = (*KINDS,)
) -> list[Figure]:
    """Measure a load, and set the first contestant's alerts a second beside those of the others."""
    by_kind = await rates_by_kind(sender, contestants, load)
    return [figure for kind in kinds for figure in compared(f"{prefix}{titled(kind, load)}", "alerts/s", by_kind[kind])]


async def rates_by_kind(sender: Sender, contestants: Sequence[Contestant], load: Load) -> dict[str, dict[str, float]]:
    """Measure a load, and return alerts a second by kind and name."""
    runs = await run(sender, contestants, load)
    return {kind: {name: rate(each, load) for name, each in by_name.items()} for kind, by_name in runs.items()}


def titled(kind: str, load: Load) -> str:
    """Name what is measured."""
    return f"{kind}, {load.size:,} a POST"
