"""How much is measured: enough for a steady median, or a quick look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """A steady rate for so many seconds: POSTs a second, of so many alerts each."""

    posts: int
    size: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """So many open incidents that ask so many different queries every so many seconds, looked at for some intervals.

    More than `most_percent` of a core is a failure.
    """

    incidents: int
    queries: int
    every: float
    intervals: int
    most_percent: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """`posts` are by alerts a POST; every count is bounded.

    A run is cut short after `longest_run` seconds, so that a slow contestant holds nobody up. `few_` is what a large
    number is measured beside.
    """

    rounds: int
    posts: Mapping[int, int]
    longest_run: float
    paces: tuple[Pace, ...]
    steady: Pace
    called: int
    storm: int
    few_rules: int
    rules: int
    graded: int
    few_incidents: int
    incidents: int
    incidents_in_memory: int
    watching: Watching
    written: Mapping[int, int]
    large_post: int
    large_senders: int
    history: int
    starts: int
    idle_seconds: float
    curve_sizes: tuple[int, ...]
    curve_rules: tuple[int, ...]
    curve_replicas: tuple[int, ...]
    curve_incidents: tuple[int, ...]


FULL = Effort(
    rounds=5,
    posts={1: 6_000, 10: 3_000, 100: 500, 1_000: 64},
    longest_run=0.8,
    paces=(Pace(100, 1, 3.0), Pace(1_000, 1, 1.5), Pace(20, 100, 2.0)),
    steady=Pace(200, 20, 2.0),
    called=200,
    storm=100_000,
    few_rules=200,
    rules=10_000,
    graded=10_000,
    few_incidents=100,
    incidents=100_000,
    incidents_in_memory=50_000,
    watching=Watching(incidents=2_000, queries=50, every=30.0, intervals=4),
    written={1: 4_000, 100: 300, 1_000: 30},
    large_post=100_000,
    large_senders=3,
    history=1_000_000,
    starts=5,
    idle_seconds=5.0,
    curve_sizes=(1, 3, 10, 30, 100, 300, 1_000),
    curve_rules=(200, 1_000, 3_000, 10_000),
    curve_replicas=(1, 2, 3),
    curve_incidents=(100, 1_000, 10_000, 100_000),
)
QUICK = Effort(
    rounds=1,
    posts={1: 1_000, 10: 500, 100: 80, 1_000: 16},
    longest_run=0.35,
    paces=(Pace(100, 1, 1.5), Pace(1_000, 1, 0.5), Pace(20, 100, 1.0)),
    steady=Pace(200, 20, 1.0),
    called=60,
    storm=100_000,
    few_rules=200,
    rules=10_000,
    graded=2_000,
    few_incidents=100,
    incidents=10_000,
    incidents_in_memory=5_000,
    watching=Watching(incidents=2_000, queries=50, every=30.0, intervals=2),
    written={1: 500, 100: 50},
    large_post=10_000,
    large_senders=3,
    history=250_000,
    starts=3,
    idle_seconds=1.0,
    curve_sizes=(1, 100, 1_000),
    curve_rules=(200, 10_000),
    curve_replicas=(1, 2),
    curve_incidents=(100, 10_000),
)
