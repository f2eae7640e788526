"""What is ahead of an incident by one rule, in words."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sevrouter.domain.forecast import forecast
from sevrouter.domain.foresight import _is_in_reach, by_readings, by_time, mentioned_at
from sevrouter.domain.measure import parse_threshold
from sevrouter.domain.readings import Past
from sevrouter.domain.sev import Sev
from sevrouter.domain.timed import Count, FiringFor, Watched
from tests.domain.building import NOW, at
from tests.domain.series import all_series

HOUR = timedelta(hours=1)
START = int(NOW.timestamp())


def scale(*bounds: tuple[Sev, str]) -> Watched:
    return Watched(Count(), tuple(parse_threshold(sev, text) for sev, text in bounds))


def told(watched: Watched, *numbers: float, sev: Sev = Sev.SEV_3) -> list[str]:
    """What is foreseen after these readings, one each half minute."""
    trail = tuple((START + 30 * place, number) for place, number in enumerate(numbers))
    now = NOW + timedelta(seconds=30 * (len(numbers) - 1))
    found = by_readings("errors", watched, Past(numbers[-1], trail=trail), sev, now=now, horizon=HOUR)
    return [each.text for each in found]


def test_a_trend_says_where_it_is_and_when_it_will_be_worse() -> None:
    climb = [1 + 0.05 * step for step in range(60)]
    assert told(scale((Sev.SEV_2, ">= 5")), *climb) == ["errors: 3.95, SEV-2 at >= 5 in about 10 min at this slope"]


def test_what_stands_still_and_what_is_no_worse_is_not_foreseen() -> None:
    assert told(scale((Sev.SEV_2, ">= 5")), *[3.0] * 60) == []
    climb = [1 + 0.05 * step for step in range(60)]
    assert told(scale((Sev.SEV_2, ">= 5")), *climb, sev=Sev.SEV_2) == []


def test_the_last_one_left_is_said_at_once() -> None:
    left = scale((Sev.SEV_1, "< 1"), (Sev.SEV_3, "< 2"))
    assert told(left, 1.0) == ["no redundancy left: one less is SEV-1 (errors)"]
    assert told(left, 2.0, sev=Sev.SEV_4) == ["no redundancy left: one less is SEV-3 (errors)"]


def test_what_goes_on_becomes_worse_by_the_clock() -> None:
    watched = Watched(FiringFor(), (parse_threshold(Sev.SEV_1, ">= 4h"),))
    (found,) = by_time("breaking the SLA", watched, at(0), Sev.SEV_2, now=at(220), horizon=HOUR)
    assert (found.sev, found.crosses_in) == (Sev.SEV_1, timedelta(minutes=20))
    assert found.text == "becomes SEV-1 in 20 min: firing for >= 4h (breaking the SLA)"
    assert list(by_time("x", watched, at(0), Sev.SEV_2, now=at(100), horizon=HOUR)) == []


def test_it_is_mentioned_when_it_comes_within_the_horizon_and_when_it_is_near() -> None:
    assert sorted(mentioned_at(at(240), HOUR)) == [at(180), at(225)]


@pytest.mark.parametrize("seed", range(3))
def test_nothing_that_a_trend_would_say_is_left_out_because_it_looks_too_far_away(seed: int) -> None:
    said = 0
    for series in all_series(range(seed, seed + 1)):
        bound = parse_threshold(Sev.SEV_2, f"{series.operator} {series.bound}")
        for end in range(12, len(series.readings), 9):
            points = series.readings[max(0, end - 120) : end]
            readings = [(NOW + timedelta(seconds=seconds), value) for seconds, value in points]
            found = forecast(readings, [bound], Sev.SEV_3, now=readings[-1][0], horizon=HOUR)
            if found is not None:
                said += 1
                assert _is_in_reach(tuple((int(seconds), value) for seconds, value in points), [bound]), series.name
    assert said > 20, "enough of them are forecast to tell"
