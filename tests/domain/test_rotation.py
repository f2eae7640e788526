"""Turns by the clock on the wall: one person at all times, handoffs that stay where they are when clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sevrouter.domain.rotation import Override, Rotation, Turn

BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
ZONES = [
    *(ZoneInfo(name) for name in ("UTC", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia", "America/St_Johns")),
    BERLIN,
    NEW_YORK,
]
PEOPLE = ("ana", "ben", "cleo")


def wall(text: str) -> datetime:
    """A time on the wall."""
    return datetime.fromisoformat(text)


def at(text: str, zone: ZoneInfo = BERLIN) -> datetime:
    """A moment, by the clock of a zone."""
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


def weekly(*overrides: Override, people: tuple[str, ...] = ("ana", "ben"), zone: ZoneInfo = BERLIN) -> Rotation:
    """Monday to Monday, at nine."""
    return Rotation(people=people, starts=wall("2026-01-05T09:00"), every=timedelta(weeks=1), zone=zone,
                    overrides=overrides)  # fmt: skip


moments = st.datetimes(wall("2005-01-01T00:00"), wall("2037-01-01T00:00"), timezones=st.just(UTC))
walls = st.datetimes(wall("2005-01-01T00:00"), wall("2037-01-01T00:00")).map(lambda each: each.replace(microsecond=0))
overrides = st.builds(
    lambda person, starts, length: Override(person, starts, starts + length),
    st.sampled_from(("ana", "dora")),
    walls,
    st.timedeltas(timedelta(minutes=1), timedelta(days=500)),
)
rotations = st.builds(
    Rotation,
    people=st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=5).map(tuple),
    starts=walls,
    every=st.one_of(
        st.sampled_from([timedelta(hours=1), timedelta(hours=12), timedelta(days=1), timedelta(weeks=1)]),
        st.timedeltas(timedelta(hours=1), timedelta(days=366)),
    ),
    zone=st.sampled_from(ZONES),
    overrides=st.lists(overrides, max_size=4).map(tuple),
)


@given(rotations, moments)
def test_at_any_time_it_is_somebody_and_until_then_nobody_else(rotation: Rotation, moment: datetime) -> None:
    turn = rotation.at(moment)
    assert turn.person in {*rotation.people, *(each.person for each in rotation.overrides)}
    if turn.until is None:
        assert turn.then is None
        return
    assert turn.until > moment
    for share in (0.1, 0.5, 0.9, 0.999):
        assert rotation.person_at(moment + (turn.until - moment) * share) == turn.person
    assert rotation.person_at(turn.until) == turn.then
    assert turn.then != turn.person


@given(rotations, st.integers(-2_000, 2_000))
def test_every_handoff_is_at_its_time_on_the_wall_but_for_times_that_are_skipped(
    rotation: Rotation, number: int
) -> None:
    expected = rotation.starts + number * rotation.every
    handoff = rotation.handoff(number)
    shown = handoff.astimezone(rotation.zone).replace(tzinfo=None)
    is_skipped = (
        expected.replace(tzinfo=rotation.zone).astimezone(UTC).astimezone(rotation.zone).replace(tzinfo=None)
        != expected
    )
    assert shown == expected or (is_skipped and timedelta(0) < shown - expected <= timedelta(days=1))


@given(rotations, moments)
def test_the_next_handoff_is_the_next_there_is(rotation: Rotation, moment: datetime) -> None:
    following = rotation.next_handoff(moment)
    assert following > moment
    assert following - moment <= rotation.every + timedelta(hours=26)
    bare = Rotation(people=("ana", "ben"), starts=rotation.starts, every=rotation.every, zone=rotation.zone)
    assert bare.person_at(following - timedelta(seconds=1)) == bare.person_at(
        max(moment, following - rotation.every / 9)
    )


@pytest.mark.parametrize(
    ("zone", "before", "after"),
    [
        (BERLIN, "2026-03-30T06:59+00:00", "2026-03-30T07:00+00:00"),
        (BERLIN, "2026-10-26T07:59+00:00", "2026-10-26T08:00+00:00"),
        (NEW_YORK, "2026-03-09T12:59+00:00", "2026-03-09T13:00+00:00"),
        (NEW_YORK, "2026-11-02T13:59+00:00", "2026-11-02T14:00+00:00"),
    ],
)
def test_nine_stays_nine_on_both_sides_of_a_change(zone: ZoneInfo, before: str, after: str) -> None:
    rotation = weekly(zone=zone)
    turn = rotation.at(datetime.fromisoformat(before))
    assert turn.until == datetime.fromisoformat(after)
    assert turn.then == rotation.person_at(datetime.fromisoformat(after)) != turn.person


def test_the_first_person_begins_and_turns_are_counted_backwards() -> None:
    rotation = weekly(people=PEOPLE)
    weeks = ["2025-12-22T09:00", "2025-12-29T09:00", "2026-01-05T09:00", "2026-01-12T09:00", "2026-01-19T09:00"]
    assert [rotation.person_at(at(each)) for each in weeks] == ["ben", "cleo", "ana", "ben", "cleo"]
    assert rotation.person_at(at("2026-01-12T08:59:59")) == "ana"


def test_a_time_that_is_skipped_is_as_much_later_as_one_that_comes_twice_is_the_first() -> None:
    rotation = Rotation(people=("ana", "ben"), starts=wall("2026-03-28T02:30"), every=timedelta(days=1), zone=BERLIN)
    assert rotation.handoff(1) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)  # shown as 03:30
    assert rotation.handoff(2) == at("2026-03-30T02:30")
    autumn = Rotation(people=("ana", "ben"), starts=wall("2026-10-24T02:30"), every=timedelta(days=1), zone=BERLIN)
    assert autumn.handoff(1) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert autumn.person_at(datetime(2026, 10, 25, 1, 30, tzinfo=UTC)) == "ben"  # the second 02:30


def test_hourly_turns_lose_the_hour_that_is_skipped_and_double_the_one_that_comes_twice() -> None:
    rotation = Rotation(people=PEOPLE, starts=wall("2026-03-29T00:00"), every=timedelta(hours=1), zone=BERLIN)
    began = datetime(2026, 3, 28, 23, tzinfo=UTC)
    assert [rotation.person_at(began + timedelta(hours=each)) for each in range(4)] == ["ana", "ben", "ana", "ben"]
    began = datetime(2026, 10, 24, 22, tzinfo=UTC)
    people = [rotation.person_at(began + timedelta(hours=each)) for each in range(5)]
    assert people[2] == people[3]
    assert all(one != other for one, other in pairwise(people[:3]))


def test_an_override_replaces_whose_turn_it_is() -> None:
    rotation = weekly(Override("cleo", wall("2026-01-06T12:00"), wall("2026-01-13T12:00")))
    assert rotation.at(at("2026-01-06T11:59")) == Turn("ana", at("2026-01-06T12:00"), "cleo")
    assert rotation.at(at("2026-01-12T10:00")) == Turn("cleo", at("2026-01-13T12:00"), "ben")
    assert rotation.at(at("2026-01-13T12:00")) == Turn("ben", at("2026-01-19T09:00"), "ana")


def test_of_overrides_that_overlap_the_last_one_counts() -> None:
    rotation = weekly(
        Override("cleo", wall("2026-01-06T00:00"), wall("2026-01-08T00:00")),
        Override("dora", wall("2026-01-07T00:00"), wall("2026-01-09T00:00")),
    )
    assert rotation.at(at("2026-01-06T12:00")) == Turn("cleo", at("2026-01-07T00:00"), "dora")
    assert rotation.at(at("2026-01-07T12:00")) == Turn("dora", at("2026-01-09T00:00"), "ana")


def test_an_override_by_whose_turn_it_is_changes_nothing() -> None:
    rotation = weekly(Override("ana", wall("2026-01-06T00:00"), wall("2026-01-14T00:00")))
    assert rotation.at(at("2026-01-06T12:00")) == Turn("ana", at("2026-01-14T00:00"), "ben")
    assert rotation.at(at("2026-01-05T12:00")) == Turn("ana", at("2026-01-14T00:00"), "ben")


def test_who_is_alone_has_nobody_after() -> None:
    assert weekly(people=("ana",)).at(at("2026-02-01T00:00")) == Turn("ana")
    assert weekly(people=("ana", "ana")).at(at("2026-02-01T00:00")) == Turn("ana")
    override = Override("ben", wall("2027-02-01T00:00"), wall("2027-02-02T00:00"))
    assert weekly(override, people=("ana",)).at(at("2026-02-01T00:00")) == Turn("ana", at("2027-02-01T00:00"), "ben")
