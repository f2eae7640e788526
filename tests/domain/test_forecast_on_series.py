"""Why the forecast is made as it is: against least squares and the last two readings, on what really goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from statistics import median

import pytest

from sevrouter.domain.forecast import forecast
from sevrouter.domain.measure import parse_threshold
from sevrouter.domain.sev import Sev
from tests.domain.building import NOW
from tests.domain.series import AFTERWARDS, Point, Series, all_series

HORIZON = timedelta(hours=1)
KEPT = 120

# Seconds from the last reading to the crossing, None for no forecast.
Method = Callable[[Sequence[Point], str, float], float | None]


@dataclass
class Score:
    """What a method said at every tick: `false` of what never crossed, the errors as shares of the true times."""

    false: dict[str, int] = field(default_factory=dict)
    errors: dict[tuple[str, int, int], float] = field(default_factory=dict)
    warned: set[tuple[str, int]] = field(default_factory=set)


def robust(readings: Sequence[Point], operator: str, bound: float) -> float | None:
    times = [(NOW + timedelta(seconds=at), value) for at, value in readings]
    threshold = parse_threshold(Sev.SEV_2, f"{operator} {bound!r}")
    found = forecast(times, [threshold], Sev.SEV_3, now=times[-1][0], horizon=HORIZON)
    return found.crosses_in.total_seconds() if found else None


def least_squares(readings: Sequence[Point], operator: str, bound: float) -> float | None:
    if len(readings) < 12:
        return None
    at_mean = sum(at for at, _ in readings) / len(readings)
    mean = sum(value for _, value in readings) / len(readings)
    squares = sum((at - at_mean) ** 2 for at, _ in readings)
    slope = sum((at - at_mean) * (value - mean) for at, value in readings) / squares
    return reached(mean + slope * (readings[-1][0] - at_mean), slope, operator, bound)


def last_two(readings: Sequence[Point], operator: str, bound: float) -> float | None:
    (was, before), (at, value) = readings[-2:]
    return reached(value, (value - before) / (at - was), operator, bound)


def reached(level: float, slope: float, operator: str, bound: float) -> float | None:
    if slope == 0 or (slope > 0) != (operator == ">="):
        return None
    seconds = max(0.0, (bound - level) / slope)
    return seconds if seconds <= HORIZON.total_seconds() else None


def is_crossed(series: Series, value: float) -> bool:
    return value >= series.bound if series.operator == ">=" else value <= series.bound


def score(method: Method, all_of_them: Sequence[Series]) -> Score:
    result = Score()
    for number, series in enumerate(all_of_them):
        for end in range(12, len(series.readings), 10):
            seen = series.readings[:end]
            now = seen[-1][0]
            if any(is_crossed(series, value) for _, value in seen) or (series.crosses_at or now + 1) <= now:
                break
            said = method(seen[-KEPT:], series.operator, series.bound)
            if said is None:
                continue
            if series.crosses_at is None or series.crosses_at - now > AFTERWARDS:
                result.false[series.name] = result.false.get(series.name, 0) + 1
            else:
                left = series.crosses_at - now
                result.errors[series.name, number, end] = abs(said - left) / max(left, 60)
                result.warned.add((series.name, number))
    return result


@pytest.fixture(scope="module")
def made() -> list[Series]:
    return list(all_series(range(6)))


@pytest.fixture(scope="module")
def ours(made: list[Series]) -> Score:
    return score(robust, made)


@pytest.fixture(scope="module")
def squares(made: list[Series]) -> Score:
    return score(least_squares, made)


def test_it_says_something_false_far_less_often_than_least_squares_and_the_last_two(
    made: list[Series], ours: Score, squares: Score
) -> None:
    false = sum(ours.false.values())
    assert false * 10 <= sum(squares.false.values()), ours.false
    assert false * 10 <= sum(score(last_two, made).false.values())


@pytest.mark.parametrize("name", sorted({series.name for series in all_series(range(1))}))
def test_no_kind_of_series_makes_it_say_more_that_is_false_than_least_squares(
    name: str, ours: Score, squares: Score
) -> None:
    assert ours.false.get(name, 0) <= squares.false.get(name, 0)


@pytest.mark.parametrize(
    "name",
    [
        "disk that is cleaned often", "one step of connections", "quick rise, then flat", "noise", "noise that wanders",
        "noise that drifts", "spikes", "incident that heals", "saturation below the bound", "latency of a morning",
        "incident that turns",
    ],
)  # fmt: skip
def test_what_only_looks_like_a_trend_is_never_forecast(name: str, ours: Score) -> None:
    assert ours.false.get(name, 0) == 0


def test_where_both_say_when_it_is_nearer_than_least_squares(ours: Score, squares: Score) -> None:
    both = ours.errors.keys() & squares.errors.keys()
    assert len(both) > 50
    assert median(ours.errors[each] for each in both) < median(squares.errors[each] for each in both)
    assert median(ours.errors.values()) < median(squares.errors.values())
    assert median(ours.errors.values()) < 0.1


def test_nearly_all_that_gets_worse_is_forecast_before_it_does(made: list[Series], ours: Score) -> None:
    coming = {(each.name, number) for number, each in enumerate(made) if each.crosses_at is not None}
    assert len(ours.warned & coming) >= 0.9 * len(coming), coming - ours.warned
