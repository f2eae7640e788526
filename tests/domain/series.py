"""Readings as Prometheus gives them of things that go wrong, and of things that only look so: seeded, never random.

Each kind is a truth without noise, which says when a bound is really crossed, and readings of it with their noise,
spikes and gaps, one a minute unless it says otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

Point = tuple[float, float]

# Seconds after the last reading in which the truth is still looked at.
AFTERWARDS = 2 * 3600


@dataclass(frozen=True, slots=True)
class Series:
    """Readings of (seconds, value), the bound, and when the truth crosses it, None for never."""

    name: str
    readings: tuple[Point, ...]
    operator: str
    bound: float
    crosses_at: float | None


@dataclass(frozen=True, slots=True)
class Kind:
    """How one series is made: `spiky` is the share of readings that stray by up to `spike`."""

    truth: Callable[[float], float]
    bound: float
    noise: float = 0.0
    operator: str = ">="
    every: float = 60
    count: int = 240
    missing: float = 0.0
    spiky: float = 0.0
    spike: float = 0.0
    whole: bool = False
    persistence: float = 0.0


def all_series(seeds: range) -> Iterator[Series]:
    """Every kind, once for each seed."""
    for seed in seeds:
        rng = Random(seed)  # noqa: S311  it makes readings, it guards nothing
        for name, kind in (_worsening(rng) | _harmless(rng)).items():
            yield _series(name, kind, Random(f"{name} {seed}"))  # noqa: S311  the same


def _series(name: str, kind: Kind, rng: Random) -> Series:
    readings, stray = [], 0.0
    for number in range(kind.count):
        at = number * kind.every + rng.uniform(0, 4)
        stray = kind.persistence * stray + rng.gauss(0, kind.noise) * math.sqrt(1 - kind.persistence**2)
        value = kind.truth(at) + stray
        if rng.random() < kind.spiky:
            value += kind.spike * rng.uniform(0.5, 1)
        if rng.random() >= kind.missing:
            readings.append((at, float(round(value)) if kind.whole else value))
    return Series(name, tuple(readings), kind.operator, kind.bound, _crossed_at(kind))


def _crossed_at(kind: Kind) -> float | None:
    sign = 1 if kind.operator == ">=" else -1
    seconds = range(0, int(kind.count * kind.every) + AFTERWARDS, 10)
    return next((float(at) for at in seconds if kind.truth(at) * sign >= kind.bound * sign), None)


def _worsening(rng: Random) -> dict[str, Kind]:
    between = rng.uniform
    errors, late, disk, scrapes, leak = (between(2, 6) / 3600 for _ in range(5))
    began, stair, teeth, slow = between(2000, 5000), between(900, 1800), between(200, 900), between(1500, 4000)
    lost = between(12, 20) / 3600
    far = (7000.0, 13000.0)
    return {
        "error rate that ramps up, with spikes": Kind(
            lambda at: 1 + errors * at, 1 + errors * between(*far), between(0.1, 0.4), spiky=0.03, spike=errors * 2000
        ),
        "error rate that was flat": Kind(
            lambda at: 1 + late * max(0.0, at - began), 1 + late * between(2500, 6000), between(0.05, 0.2)
        ),
        "disk that fills": Kind(lambda at: 30 - disk * at, 30 - disk * between(*far), between(0.02, 0.2), "<="),
        "half of the scrapes": Kind(
            lambda at: 1 + scrapes * at, 1 + scrapes * between(*far), between(0.05, 0.4), missing=0.5
        ),
        "memory that leaks, with collections": Kind(
            lambda at: 500 + 20 * leak * at + 8 * (at % teeth) / teeth, 500 + 20 * leak * between(*far), 1.0
        ),
        "connections, a few more at a time": Kind(
            lambda at: 20 + 5 * (at // stair), 20 + 5 * between(7, 9), 0.3, whole=True
        ),
        "replicas that go one by one": Kind(
            lambda at: max(0.0, 30 - lost * at), between(2, 8), 0.4, "<=", whole=True
        ),
        "saturation that gets there": Kind(lambda at: 10 - 9 * math.exp(-at / slow), between(8, 9.2), 0.1),
    }  # fmt: skip


def _harmless(rng: Random) -> dict[str, Kind]:
    between = rng.uniform
    fast, tooth, deep = between(1500, 4000), between(3500, 9000), between(3, 8)
    begun = between(0, 9000)
    day, base = between(0, 86400), between(100, 300)
    step, ramp, heals, turns, settles = (between(3000, 9000) for _ in range(5))

    def daily(at: float) -> float:
        return base + 50 * math.sin(2 * math.pi * (at + day) / 86400)

    return {
        "disk that is cleaned often": Kind(
            lambda at: 70 + deep * ((at + begun) % fast) / fast, 70 + deep * between(1.1, 2), 0.1
        ),
        "disk that is cleaned seldom": Kind(
            lambda at: 70 + deep * ((at + begun) % tooth) / tooth, 70 + deep * between(1.1, 1.5), 0.1
        ),
        "latency over the day": Kind(daily, base + between(55, 70), between(2, 6), every=300, count=360),
        "latency of a morning": Kind(daily, base + between(55, 70), between(2, 6), count=600),
        "one step of connections": Kind(
            lambda at: 30.0 if at > step else 20.0, between(33, 38), between(0.2, 1), whole=True
        ),
        "quick rise, then flat": Kind(
            lambda at: 5 + 4 * min(1.0, max(0.0, (at - ramp) / 300)), between(10, 12), between(0.1, 0.4)
        ),
        "noise": Kind(lambda _: 10.0, between(14, 16), between(0.3, 1.2)),
        "noise that wanders": Kind(lambda _: 10.0, between(13, 15), between(0.3, 1), persistence=0.9),
        "noise that drifts": Kind(lambda _: 10.0, between(13, 15), between(0.3, 1), persistence=0.98),
        "spikes": Kind(lambda _: 3.0, 8.0, 0.2, spiky=0.06, spike=4),
        "incident that heals": Kind(lambda at: 1 + 8 * math.exp(-at / heals), between(9.5, 11), between(0.05, 0.3)),
        "incident that turns": Kind(
            lambda at: 2 + 6 * math.sin(min(math.pi, at / turns)), between(9, 11), between(0.05, 0.3)
        ),
        "saturation below the bound": Kind(
            lambda at: 10 - 9 * math.exp(-at / settles), between(11, 13), between(0.05, 0.4)
        ),
    }  # fmt: skip
