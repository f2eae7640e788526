"""Whom the events of a calendar make responsible: by their titles, where they overlap, where one overrides others."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sevrouter.domain.duty import MOST_STRANGERS, Duties, Duty, DutyEvent
from tests.domain.building import at

PEOPLE = ("ana", "Ben Cole", "o'hara & sons", "dora@example.com")


def event(title: str, starts: float = 0, ends: float = 60, *attendees: str) -> DutyEvent:
    """An event between two minutes."""
    return DutyEvent(at(starts), at(ends), title, attendees)


def on_call(*events: DutyEvent, minute: float = 30) -> Duty:
    return Duties(events, PEOPLE).at(at(minute))


@pytest.mark.parametrize(
    ("title", "people"),
    [
        ("ana", "ana"),
        ("  ANA ", "ana"),
        ("ben  cole", "Ben Cole"),
        ("Ana on call", "ana"),
        ("Ana (on-call)", "ana"),
        ("Ana is on call for the shop", "ana"),
        ("[Primary] Ana on call", "ana"),
        ("On Call - Ana - Shop", "ana"),
        ("on call: ana", "ana"),
        ("On-call for ana", "ana"),
        ("oncall ana", "ana"),
        ("Ana, Ben Cole", "Ben Cole,ana"),
        ("ana & ben cole on call", "Ben Cole,ana"),
        ("On call: ana and Ben Cole", "Ben Cole,ana"),
        ("ana/ben cole", "Ben Cole,ana"),
        ("ana + ana", "ana"),
        ("O'Hara & Sons", "o'hara & sons"),
        ("override: ana", "ana"),
        ("Override : Ana on call", "ana"),
        ("dora@example.com", "dora@example.com"),
    ],
)
def test_a_title_names_people(title: str, people: str) -> None:
    assert ",".join(on_call(event(title)).people) == people


@pytest.mark.parametrize(
    ("title", "strangers"),
    [
        ("zoe", ("zoe",)),
        ("anabel", ("anabel",)),
        ("Holiday: ana", ("Holiday: ana",)),
        ("ana is away", ("ana is away",)),
        ("", ("(no title)",)),
        ("zoe and max", ("max", "zoe")),
    ],
)
def test_who_is_nobody_of_ours_is_a_stranger(title: str, strangers: tuple[str, ...]) -> None:
    duty = on_call(event(title))
    assert (duty.people, duty.strangers) == ((), strangers)


def test_a_stranger_beside_one_of_ours_does_not_matter() -> None:
    assert on_call(event("ana & zoe")).people == ("ana",)
    assert on_call(event("ana"), event("release freeze")).people == ("ana",)
    assert Duties([event("ana"), event("release freeze")], PEOPLE).strangers == ()
    assert Duties([event("ana", 0, 30), event("zoe", 0, 60)], PEOPLE).strangers == ("zoe",)


def test_attendees_count_where_the_title_names_nobody() -> None:
    assert on_call(event("Shift", 0, 60, "Ben Cole", "ben@example.com")).people == ("Ben Cole",)
    assert on_call(event("Shift", 0, 60, "", "DORA@example.com")).people == ("dora@example.com",)
    assert on_call(event("ana", 0, 60, "Ben Cole")).people == ("ana",)


def test_where_events_overlap_all_are_on_call() -> None:
    events = event("ana", 0, 40), event("Ben Cole", 20, 60)
    assert on_call(*events, minute=10) == Duty(("ana",), (), at(20))
    assert on_call(*events, minute=20) == Duty(("Ben Cole", "ana"), (), at(40))
    assert on_call(*events, minute=40) == Duty(("Ben Cole",), (), at(60))
    assert on_call(*events, minute=60) == Duty((), (), None)
    assert on_call(*events, minute=-1) == Duty((), (), at(0))


def test_an_override_replaces_the_others() -> None:
    events = event("ana"), event("override: Ben Cole", 20, 40)
    assert on_call(*events, minute=19).people == ("ana",)
    assert on_call(*events, minute=20) == Duty(("Ben Cole",), (), at(40))
    assert on_call(*events, minute=40).people == ("ana",)
    assert on_call(*events, event("override: zoe", 30, 35), minute=30).people == ("Ben Cole",)


def test_an_override_by_a_stranger_leaves_nobody() -> None:
    duty = on_call(event("ana"), event("override: zoe"))
    assert (duty.people, duty.strangers) == ((), ("zoe",))


def test_a_handoff_to_the_same_people_is_none() -> None:
    assert on_call(event("ana", 0, 30), event("Ana on call", 30, 60), event("ana & zoe", 60, 90), minute=10) == Duty(
        ("ana",), (), at(90)
    )


def test_an_event_without_a_length_is_none() -> None:
    assert on_call(event("ana", 30, 30), event("ana", 40, 20)).people == ()


def test_of_many_strangers_a_few_are_told() -> None:
    assert len(on_call(event(", ".join(f"guest {number}" for number in range(50)))).strangers) == MOST_STRANGERS


spans = st.tuples(
    st.sampled_from(["ana", "Ben Cole", "zoe", "override: ana", "override: zoe", "ana & zoe"]),
    st.integers(0, 50),
    st.integers(0, 50),
)


def by_hand(events: list[DutyEvent], moment: datetime) -> set[str]:
    """Who is on call, looked up event by event."""
    held = [each for each in events if each.starts <= moment < each.ends]
    counting = [each for each in held if each.title.startswith("override")] or held
    return {name for name in PEOPLE for each in counting if name in each.title}


@given(st.lists(spans, max_size=12), st.integers(-2, 52))
def test_at_any_time_it_is_who_is_found_by_hand_until_that_changes(
    found: list[tuple[str, int, int]], minute: int
) -> None:
    events = [event(title, starts, ends) for title, starts, ends in found]
    duties, moment = Duties(events, PEOPLE), at(minute)
    duty = duties.at(moment)
    assert set(duty.people) == by_hand(events, moment)
    until = duty.until or at(60)
    while moment < until:
        assert set(duties.at(moment).people) == set(duty.people)
        moment += timedelta(minutes=1)
    assert duty.until is None or set(duties.at(duty.until).people) != set(duty.people)
