"""When the next attempt is due: later each time, never before the provider wants it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sevrouter.domain.backoff import JITTER, Schedule, next_attempt_at
from sevrouter.domain.delivery import OutcomeReason, Retry, Unknown
from tests.domain.building import NOW

RETRY = Retry(OutcomeReason.UNREACHABLE)
UNKNOWN = Unknown(OutcomeReason.TIMED_OUT)
SETTLING = Schedule(settle=tuple(timedelta(seconds=each) for each in (30, 60, 120, 300)))

attempts = st.one_of(st.integers(1, 20), st.integers(1, 1_000_000))
jitters = st.floats(0, 1)


def wait(
    outcome: Retry | Unknown,
    *,
    number: int,
    unknowns: int = 0,
    schedule: Schedule = Schedule(),  # noqa: B008  immutable
    jitter: float = 0.0,
) -> float:
    due = next_attempt_at(outcome, attempts=number, unknowns=unknowns, schedule=schedule, now=NOW, jitter=jitter)
    return (due - NOW).total_seconds()


def test_the_waits_double_up_to_the_longest() -> None:
    waits = [wait(RETRY, number=number) for number in range(1, 12)]
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_after_an_unknown_outcome_it_settles_and_the_last_wait_is_for_ever() -> None:
    waits = [wait(UNKNOWN, number=9, unknowns=unknowns, schedule=SETTLING) for unknowns in range(1, 8)]
    assert waits == [30, 60, 120, 300, 300, 300, 300]


def test_a_plain_retry_does_not_settle() -> None:
    assert wait(RETRY, number=1, unknowns=3, schedule=SETTLING) == 1


def test_an_unknown_outcome_that_is_harmless_to_repeat_waits_as_a_retry_does() -> None:
    assert wait(UNKNOWN, number=3, unknowns=1) == 4


def test_the_jitter_adds_a_quarter_at_most() -> None:
    assert wait(RETRY, number=3, jitter=1.0) == 4 * (1 + JITTER)
    assert wait(RETRY, number=3, jitter=0.5) == 4 * (1 + JITTER / 2)
    assert wait(UNKNOWN, number=3, unknowns=1, schedule=SETTLING, jitter=1.0) == 30 * (1 + JITTER)


def test_what_the_provider_asks_for_counts_where_it_is_later() -> None:
    later, sooner = NOW + timedelta(hours=2), NOW + timedelta(seconds=1)
    for not_before, expected in ((later, 7200), (sooner, 16)):
        asked = Retry(OutcomeReason.RATE_LIMITED, not_before=not_before)
        assert wait(asked, number=5) == expected


@given(attempts, jitters, st.floats(0, 1e9))
def test_what_the_provider_asks_for_is_never_undercut(number: int, jitter: float, seconds: float) -> None:
    not_before = NOW + timedelta(seconds=seconds)
    asked = Retry(OutcomeReason.RATE_LIMITED, not_before=not_before)
    due = next_attempt_at(asked, attempts=number, unknowns=0, schedule=Schedule(), now=NOW, jitter=jitter)
    assert due >= not_before
    assert due >= NOW + timedelta(seconds=wait(RETRY, number=number, jitter=jitter))


@given(attempts, jitters, st.floats(0.001, 60), st.floats(0.001, 86_400))
def test_a_wait_never_exceeds_the_longest_and_its_jitter(
    number: int, jitter: float, first: float, longest: float
) -> None:
    schedule = Schedule(first=timedelta(seconds=first), longest=timedelta(seconds=longest))
    waited = wait(RETRY, number=number, schedule=schedule, jitter=jitter)
    assert 0 <= waited <= schedule.longest.total_seconds() * (1 + JITTER) + 1e-5


@given(st.integers(1, 1000), jitters)
def test_a_later_attempt_never_waits_less(number: int, jitter: float) -> None:
    assert wait(RETRY, number=number + 1, jitter=jitter) >= wait(RETRY, number=number, jitter=jitter)


@pytest.mark.parametrize("number", [0, -1])
def test_a_count_that_makes_no_sense_waits_as_the_first_attempt_does(number: int) -> None:
    assert wait(RETRY, number=number) == 1
    assert wait(UNKNOWN, number=1, unknowns=number, schedule=SETTLING) == 30


def test_a_provider_that_asks_for_the_end_of_time_gets_it() -> None:
    asked = Retry(OutcomeReason.RATE_LIMITED, not_before=datetime.max.replace(tzinfo=UTC))
    due = next_attempt_at(asked, attempts=10**6, unknowns=0, schedule=Schedule(), now=NOW, jitter=1.0)
    assert due == asked.not_before
