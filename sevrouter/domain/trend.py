"""Whether readings go somewhere steadily, and how fast: robust statistics that would rather say nothing.

Knows seconds and numbers; what a number means, and which bound it nears, is not known here.

The slope is Theil and Sen's: the median of the slopes between all pairs, which a quarter of wild readings does not
move. That it is a trend at all is decided by what a slope alone does not see: every part of the time adds to the
move (a step, noise and a wave do not), nothing that was ever seen went back by much of it (a sawtooth, a reset), the
last half moves as the whole does (what has turned or levels off does not), and the slope's interval leaves out zero.
"""

from __future__ import annotations

import math
from itertools import combinations, pairwise
from statistics import median
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Point = tuple[float, float]

# Two readings for each of the parts, and from ten on Kendall's S, which the interval is made of, is nearly normal.
FEWEST_POINTS = 12
# 780 pairs take a third of a millisecond; of 120 readings each point is a median of three, which drops a spike.
MOST_POINTS = 40
# The parts of the time that each have to add to the move.
PARTS = 6
# What one part may add to the whole move, where an even one adds a fifth and a step nearly all.
MOST_IN_ONE_PART = 0.4
# What may have been undone on the way, as a share of the whole move: a sawtooth undoes all of it.
MOST_UNDONE = 0.3
# The last half's slope as a share of the whole's: less has turned or levels off.
LEAST_RECENT = 0.8
# How far the last readings may be behind the line: twice the usual distance, which is two standard deviations of a
# median of three, and where there is no noise a fiftieth of the whole move.
MOST_NOISE, LEAST_BEHIND = 2.0, 0.02
# Standard deviations to either side in an interval of 99 %.
CONFIDENCE = 2.576


class Trend(Struct, frozen=True, gc=False):
    """A steady move: slopes in units per second, none of them zero, `span` in seconds.

    `slowest` is what the slope may come down to: the end of its 99 % interval that is nearer to zero, or less where
    it already levels off. `level` is what the line reads at the time of the last reading.
    """

    slope: float
    slowest: float
    level: float
    span: float


def find_trend(readings: Iterable[Point]) -> Trend | None:
    """The trend in readings of (seconds, value), in any order; None where there is none to rely on.

    Where the whole time has no trend, its last half or quarter may: what got worse only lately is found too.
    A reading that is not finite says nothing about a slope and is left out.
    """
    points = recent = _points(readings)
    for _ in range(3):
        if len(recent) < FEWEST_POINTS:
            return None
        if found := _steady(recent, points):
            return found
        recent = _last_half(recent)
    return None


def _points(readings: Iterable[Point]) -> list[Point]:
    # What was read twice counts once; of several numbers of one moment none is better, hence their median.
    points = sorted({point for point in readings if math.isfinite(point[1])})
    by_time: dict[float, list[float]] = {}
    for at, value in points:
        by_time.setdefault(at, []).append(value)
    return points if len(by_time) == len(points) else [(at, median(values)) for at, values in by_time.items()]


def _last_half(points: Sequence[Point]) -> list[Point]:
    """The points of the last half of the time, not of their number."""
    middle = (points[0][0] + points[-1][0]) / 2
    return [point for point in points if point[0] >= middle]


def _thinned(points: Sequence[Point], most: int) -> list[Point]:
    """At most `most` points, each the medians of neighbours, so that a straight line stays the same line."""
    count = min(len(points), most)
    edges = [place * len(points) // count for place in range(count + 1)]
    groups = (points[begin:end] for begin, end in pairwise(edges))
    return [(median(at for at, _ in group), median(value for _, value in group)) for group in groups]


def _steady(points: Sequence[Point], history: Sequence[Point]) -> Trend | None:
    sign = _direction([value for _, value in _thinned(points, PARTS)])
    half = _last_half(points)
    if not sign or len(half) < FEWEST_POINTS // 2:
        return None
    slope, slowest = _slope(points, sign)
    recent, _ = _slope(half, sign)
    ended = points[-1][0]
    span = ended - points[0][0]
    is_trend = (
        slowest * sign > 0
        and recent / slope >= LEAST_RECENT
        and _undone(history, sign) <= MOST_UNDONE * abs(slope) * span
        and _keeps_up(points, slope)
    )
    if not is_trend:
        return None
    # On a curve the whole's slope is that of the middle and the half's that of three quarters: the end's is as far on.
    at_the_end = slope + 2 * (recent - slope)
    level = median(value + slope * (ended - at) for at, value in _thinned(half, MOST_POINTS))
    return Trend(slope, min(slowest, at_the_end, key=abs), level, span)


def _direction(parts: Sequence[float]) -> int:
    """1 where each part is above the one before and none adds too much, -1 where it falls so, otherwise 0."""
    moves = [after - before for before, after in pairwise(parts)]
    whole = parts[-1] - parts[0]
    sign = (whole > 0) - (whole < 0)
    is_even = all(0 < move * sign <= MOST_IN_ONE_PART * abs(whole) for move in moves)
    return sign if is_even else 0


def _slope(points: Sequence[Point], sign: int) -> tuple[float, float]:
    """Theil and Sen's slope, and the end of its interval that is against `sign`; 0 where there is no such end."""
    few = _thinned(points, MOST_POINTS)
    slopes = sorted((value - before) / (at - was) for (was, before), (at, value) in combinations(few, 2))
    # Sen's interval lies between two ranks, as far off the middle as Kendall's S strays by chance.
    deviation = math.sqrt(len(few) * (len(few) - 1) * (2 * len(few) + 5) / 18)
    rank = math.floor((len(slopes) - CONFIDENCE * deviation) / 2)
    end = 0.0 if rank < 0 else slopes[rank if sign > 0 else -1 - rank]
    return median(slopes), end


def _undone(points: Sequence[Point], sign: int) -> float:
    """The farthest that the values ever went back against `sign`, not for one wild reading."""
    farthest, undone = -math.inf, 0.0
    values = [value * sign for _, value in points]
    for three in zip(values, values[1:], values[2:], strict=False):
        value = sorted(three)[1]
        farthest = max(farthest, value)
        undone = max(undone, farthest - value)
    return undone


def _keeps_up(points: Sequence[Point], slope: float) -> bool:
    """Whether the last three readings are on the line, or beyond it, as far as the noise lets one see."""
    forward = math.copysign(1, slope)
    ahead = [forward * (value - slope * at) for at, value in points]
    usual = median(ahead)
    noise = median(abs(each - usual) for each in ahead)
    least = abs(slope) * (points[-1][0] - points[0][0]) * LEAST_BEHIND
    return usual - median(ahead[-3:]) <= max(MOST_NOISE * noise, least)
