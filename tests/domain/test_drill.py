"""Drills: when one is due, by the clock of the people who are called, also when that clock is changed."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sevrouter.domain.drill import ASKED_FOR, NEVER, Drill, DrillPlan

BERLIN = ZoneInfo("Europe/Berlin")
WEEKLY = DrillPlan(every=timedelta(days=7), at=time(10), zone=BERLIN)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "is_due"),
    [
        ("2026-07-01T07:59:59", False),
        ("2026-07-01T08:00:00", True),
        ("2026-07-01T08:59:59", True),
        ("2026-07-01T09:00:00", False),
        ("2026-01-07T09:00:00", True),
        ("2026-01-07T03:00:00", False),
    ],
)
def test_it_is_begun_within_an_hour_of_its_time_and_at_no_other(now: str, is_due: bool) -> None:
    assert WEEKLY.is_due(NEVER, moment(now)) is is_due


def test_it_is_due_again_after_a_week_also_where_the_clock_was_changed_and_the_last_one_began_late() -> None:
    late = Drill(drilled_at=moment("2026-03-26T09:40:00"))
    assert not WEEKLY.is_due(late, moment("2026-03-29T08:00:00"))
    assert not WEEKLY.is_due(late, moment("2026-04-01T08:05:00"))
    assert WEEKLY.is_due(late, moment("2026-04-02T08:00:00"))


def test_the_next_time_is_today_or_tomorrow_there() -> None:
    assert WEEKLY.next_at(moment("2026-07-01T07:00:00")) == moment("2026-07-01T08:00:00")
    assert WEEKLY.next_at(moment("2026-07-01T08:00:00")) == moment("2026-07-02T08:00:00")
    # Midnight there has passed already.
    assert WEEKLY.next_at(moment("2026-07-01T22:30:00")) == moment("2026-07-02T08:00:00")


def test_what_somebody_asked_for_is_wanted_until_it_was_begun_or_too_long_ago() -> None:
    asked_at = moment("2026-07-01T03:00:00")
    drill = Drill(asked_at=asked_at)
    assert drill.is_asked_for(asked_at)
    assert not drill.is_asked_for(asked_at + ASKED_FOR)
    assert not drill.is_asked_for(asked_at - timedelta(seconds=1))
    assert not Drill(asked_at=asked_at, drilled_at=asked_at).is_asked_for(asked_at)
    assert Drill(asked_at=asked_at, drilled_at=asked_at - timedelta(hours=1)).is_asked_for(asked_at)
    assert not NEVER.is_asked_for(asked_at)


@given(
    now=st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001  hypothesis gives it its zone
    at=st.times().map(lambda each: each.replace(second=0, microsecond=0)),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "UTC", "Australia/Lord_Howe"]),
)
def test_the_next_time_comes_and_is_that_time_there(now: datetime, at: time, zone: str) -> None:
    plan = DrillPlan(every=timedelta(days=7), at=at, zone=ZoneInfo(zone))
    here = now.replace(tzinfo=UTC)
    following = plan.next_at(here)
    assert timedelta() < following - here <= timedelta(days=1, hours=1)
    assert plan.is_due(NEVER, following)
