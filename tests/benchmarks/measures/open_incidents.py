"""Intake while very many incidents are open: alerts that change, each of another incident."""

from __future__ import annotations

import math
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.benchmarks.alerts import Lot
from tests.benchmarks.configuration import Configured
from tests.benchmarks.contestants import sevrouter
from tests.benchmarks.field import open_field
from tests.benchmarks.figures import Figure, compared
from tests.benchmarks.rates import Load, rate, send

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from tests.benchmarks.contestants import Contestant
    from tests.benchmarks.effort import Effort
    from tests.benchmarks.peers import Peers
    from tests.benchmarks.sender import Sender, Sent

_SIZE = 100
_FILLED_SIZE = 1_000
# Whole percents below the bound of SEV-2: an alert that goes from one to another changes, and its incident stays.
_PERCENTS = range(2, 14)


async def measure_open_incidents(folder: Path, effort: Effort, _peers: Peers) -> list[Figure]:
    """Open many in one store and few in the other, and then change alerts all over each."""
    counts = (effort.incidents, effort.few_incidents)
    load = Load(size=_SIZE, posts=effort.posts[_SIZE], rounds=effort.rounds, longest=effort.longest_run)
    async with open_filled(folder, counts) as (sender, contestants, seconds):
        runs = await changed(sender, contestants, counts, load)
        values = {name: rate(each, load) for name, each in runs.items()}
    return [
        *compared(f"{effort.incidents:,} open incidents: changed, {_SIZE} a POST", "alerts/s", values),
        Figure(
            f"{effort.incidents:,} incidents opened, {_FILLED_SIZE:,} a POST", effort.incidents / seconds, "a second"
        ),
    ]


@asynccontextmanager
async def open_filled(folder: Path, counts: Sequence[int]) -> AsyncIterator[tuple[Sender, list[Contestant], float]]:
    """Start a sevrouter for each count of open incidents, and open them; the seconds are those of the first."""
    # Nobody is asked for: a hundred thousand messages would be measured, and not the incidents.
    contestants = [sevrouter(folder, Configured(asking=False), name=f"{count:,} open") for count in counts]
    async with open_field(folder, contestants) as sender:
        seconds = [await fill(sender, contestant, count) for contestant, count in zip(contestants, counts, strict=True)]
        yield sender, contestants, seconds[0]


async def fill(sender: Sender, contestant: Contestant, count: int) -> float:
    """Open so many incidents of one alert each, and say how many seconds that took."""
    lot = _lot(count)
    size = min(_FILLED_SIZE, count)
    sent = await sender.send(
        contestant.requests(replace(lot, size=size, posts=count // size)), contestant.process.port, connections=4
    )
    return sent.seconds


async def changed(
    sender: Sender, contestants: Sequence[Contestant], counts: Sequence[int], load: Load
) -> dict[str, list[Sent]]:
    """Change alerts, round by round, and return what came of it by contestant."""
    runs: dict[str, list[Sent]] = {}
    for number in range(load.rounds):
        for contestant, count in zip(contestants, counts, strict=True):
            requests = _changes(contestant, count, load, number=number)
            runs.setdefault(contestant.name, []).append(await send(sender, contestant, requests, load))
    return runs


def _lot(count: int) -> Lot:
    return Lot(name="open", posts=1, size=count, services=count, apart=True)


def _changes(contestant: Contestant, count: int, load: Load, *, number: int) -> list[bytes]:
    """Make the requests of a round; each is spread over all alerts, and all have changed before one changes again."""
    posts = max(1, count // load.size)  # that go once over all alerts
    sweeps = math.ceil(load.posts / posts)
    requests: list[bytes] = []
    for sweep in range(number * sweeps, (number + 1) * sweeps):
        percent = _PERCENTS[sweep % len(_PERCENTS)]
        lot = replace(_lot(count), size=load.size, posts=posts, stride=posts, percent=percent)
        requests += contestant.requests(replace(lot, posts=min(posts, load.posts - len(requests))))
    return requests
