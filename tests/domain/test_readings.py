"""The trail of a reading is bounded, and what is dropped of it changes no trend."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from sevrouter.domain.promql import QueryAnswer, QueryProblem, Series
from sevrouter.domain.readings import BEYOND_ALL, MOST_READINGS, Past, number_text
from sevrouter.domain.trend import find_trend
from tests.domain.building import NOW, at

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


def after(numbers: list[float], *, every: float = 0.5, kept_for: timedelta = DAY) -> Past:
    """What is kept of a query that gave these, a number each so many minutes."""
    past = Past()
    for tick, number in enumerate(numbers):
        answer = QueryAnswer((Series({}, number),))
        past = past.then(answer, (), now=at(tick * every), every=SECOND, kept_for=kept_for)
    return past


def test_what_it_gave_is_kept_with_its_time() -> None:
    assert list(after([1, 2, 3], every=1).points()) == [(at(0), 1), (at(1), 2), (at(2), 3)]


@given(count=st.integers(0, 1_000))
def test_never_more_is_kept_than_fits(count: int) -> None:
    past = after([1.0] * count)
    assert len(past.trail) <= MOST_READINGS
    assert list(past.trail) == sorted(past.trail), "the oldest first"
    ends = [] if not count else [at(0), at((count - 1) / 2)]
    kept = [each for each, _ in past.points()]
    assert [*kept[:1], *kept[-1:]] == ends, "both ends are always there"


def test_a_straight_line_stays_the_same_line_however_long_it_is() -> None:
    long = find_trend(((moment - NOW).total_seconds(), value) for moment, value in after([*range(1_000)]).points())
    assert long is not None
    assert abs(long.slope - 1 / 30) < 1e-9


def test_what_is_older_than_is_asked_for_is_forgotten() -> None:
    past = after([1.0] * 100, every=1, kept_for=timedelta(minutes=30))
    assert past.trail[0][0] == int(at(69).timestamp())


def test_without_a_horizon_nothing_is_kept() -> None:
    assert after([1, 2, 3], kept_for=timedelta(0)) == Past(3)


def test_what_is_read_twice_in_a_second_is_one_reading() -> None:
    assert len(after([1, 2, 3], every=0.001).trail) == 1


def test_who_reads_the_same_at_nearly_the_same_time_has_the_same_trail() -> None:
    early, late = Past(), Past()
    for tick in range(10):
        answer, half_minute = QueryAnswer((Series({}, float(tick)),)), timedelta(seconds=30)
        early = early.then(answer, (), now=at(tick / 2 + 0.01), every=half_minute, kept_for=DAY)
        late = late.then(answer, (), now=at(tick / 2 + 0.07), every=half_minute, kept_for=DAY)
    assert (early.trail, len(early.trail)) == (late.trail, 10)


def test_infinity_is_a_number_and_no_point_of_a_line() -> None:
    past = after([1, float("inf")])
    assert (past.number, len(past.trail), number_text(past.number or 0)) == (BEYOND_ALL, 1, "+Inf")
    assert number_text(after([-float("inf")]).number or 0) == "-Inf"


def test_a_gap_keeps_the_trail() -> None:
    before = after([1, 2])
    gap = before.then(QueryAnswer(problem=QueryProblem.EMPTY), (), now=at(5), every=SECOND, kept_for=DAY)
    assert (gap.trail, gap.number, gap.since) == (before.trail, 2, at(5))
