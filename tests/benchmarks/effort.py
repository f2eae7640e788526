"""How much is measured: enough for a steady median, or a quick look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """`posts` and `paced_seconds` are by alerts a POST and by alerts a second; every count is bounded.

    A run is cut short after `longest_run` seconds, so that a slow contestant holds nobody up.
    """

    rounds: int
    posts: Mapping[int, int]
    longest_run: float
    paced_seconds: Mapping[int, float]
    large_post: int
    starts: int
    idle_seconds: float


FULL = Effort(
    rounds=3,
    posts={1: 6_000, 10: 3_000, 100: 500, 1_000: 64},
    longest_run=0.8,
    paced_seconds={100: 3.0, 1_000: 1.5},
    large_post=100_000,
    starts=5,
    idle_seconds=5.0,
)
QUICK = Effort(
    rounds=1,
    posts={1: 1_000, 10: 500, 100: 80, 1_000: 16},
    longest_run=0.35,
    paced_seconds={100: 1.5, 1_000: 0.5},
    large_post=10_000,
    starts=3,
    idle_seconds=1.0,
)
