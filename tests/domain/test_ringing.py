"""How often a person may be phoned: whatever was rung before, no limit is ever broken, and nobody waits for nothing."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from sevrouter.domain.policy import LIMITS, Limit
from sevrouter.domain.ringing import may_ring_at
from tests.domain.building import NOW, at

HOUR = timedelta(hours=1)


def rung(limits: tuple[Limit, ...], *, for_minutes: float) -> list[float]:
    """When somebody is phoned who is wanted all the time, in minutes."""
    calls: list[datetime] = []
    while (due := may_ring_at(limits, calls, now=calls[-1] if calls else NOW)) <= at(for_minutes):
        calls.append(due)
    return [(each - NOW) / timedelta(minutes=1) for each in calls]


def test_who_is_wanted_all_the_time_is_called_as_the_limits_let_it() -> None:
    assert rung(LIMITS, for_minutes=75) == [0, 1, 2, 15, 16, 17, 30, 60, 61, 62, 75]


def test_who_was_not_called_is_called_now() -> None:
    assert may_ring_at(LIMITS, [], now=NOW) == NOW
    assert may_ring_at(LIMITS, [at(-61)], now=NOW) == NOW
    assert may_ring_at((), [NOW] * 50, now=NOW) == NOW


LIMIT = st.builds(Limit, st.integers(1, 5), st.integers(1, 120).map(lambda n: timedelta(minutes=n)))


@given(limits=st.lists(LIMIT, min_size=1, max_size=4).map(tuple))
def test_no_limit_is_ever_broken(limits: tuple[Limit, ...]) -> None:
    calls: list[datetime] = []
    for _ in range(25):
        calls.append(may_ring_at(limits, calls, now=calls[-1] if calls else NOW))
    for limit in limits:
        for number, last in enumerate(calls):
            within = [each for each in calls[: number + 1] if last - each < limit.within]
            assert len(within) <= limit.calls


@given(limits=st.lists(LIMIT, min_size=1, max_size=4).map(tuple), past=st.lists(st.integers(0, 300), max_size=20))
def test_nobody_waits_longer_than_the_longest_limit(limits: tuple[Limit, ...], past: list[int]) -> None:
    due = may_ring_at(limits, [at(-minutes) for minutes in past], now=NOW)
    assert NOW <= due <= NOW + max(limit.within for limit in limits)
