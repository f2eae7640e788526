"""Who is on call: answered at once by what was read, by the fallback where nobody can be said to be."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from structlog.testing import capture_logs

from sevrouter.domain.duty import DutyEvent
from sevrouter.domain.rotation import Rotation
from sevrouter.engine.calendar_ports import Reading, Unread
from sevrouter.engine.calling_ports import OnCall, Roster
from sevrouter.engine.schedules import Gap, Schedule, Schedules
from tests.building import MovedClock
from tests.domain.building import NOW

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

HOUR = timedelta(hours=1)
PEOPLE = ("ana", "ben", "cleo")
WEEKLY = Rotation(
    people=("ana", "ben"),
    starts=datetime.fromisoformat("2026-02-23T09:00"),
    every=timedelta(weeks=1),
    zone=ZoneInfo("Europe/Berlin"),
)


def event(title: str, starts: float = -1, ends: float = 5) -> DutyEvent:
    """An event between two hours from now."""
    return DutyEvent(NOW + starts * HOUR, NOW + ends * HOUR, title)


def reading(*events: DutyEvent, trouble: str | None = None, notes: tuple[str, ...] = ()) -> Reading:
    return Reading(
        events=events, starts=NOW - 24 * HOUR, ends=NOW + 240 * HOUR, as_of=NOW, trouble=trouble, notes=notes
    )


class FakeCalendar:
    """Says what a test tells it to. Two are the same calendar by their name."""

    def __init__(self, said: Reading | Unread, name: str = "shop", every: timedelta = timedelta(minutes=5)) -> None:
        self.said = said
        self.recalled: Reading | Unread = Unread("it was never read")
        self.name = name
        self.every = every
        self.read_at: list[datetime] = []
        self.asked = asyncio.Event()
        self.answering = asyncio.Event()
        self.answering.set()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FakeCalendar) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    async def read(self, now: datetime) -> Reading | Unread:
        self.read_at.append(now)
        self.asked.set()
        await self.answering.wait()
        return self.said

    async def recall(self, now: datetime) -> Reading | Unread:
        assert now == NOW
        await self.answering.wait()
        return self.recalled


class Stage:
    """The schedules on a moved clock, and what was counted."""

    def __init__(self) -> None:
        self.clock = MovedClock()
        self.gaps: list[tuple[str, Gap]] = []
        self.schedules = Schedules(clock=self.clock, on_problem=lambda name, gap: self.gaps.append((name, gap)))

    def use(self, source: Rotation | FakeCalendar, people: tuple[str, ...] = PEOPLE) -> None:
        self.schedules.use({"shop": Schedule(source, ("cleo",))}, people)

    async def reads(self) -> datetime | None:
        due = await self.schedules.read_due()
        await self.schedules.settled()
        return due

    @property
    def on_call(self) -> OnCall:
        return self.schedules.on_call("shop", self.clock())


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def logs() -> Iterator[list[MutableMapping[str, Any]]]:
    with capture_logs() as captured:
        yield captured


def test_it_is_a_roster(stage: Stage) -> None:
    roster: Roster = stage.schedules
    assert roster.on_call("none", NOW).people == ()


def test_a_rotation_needs_no_reading(stage: Stage) -> None:
    stage.use(WEEKLY)
    assert stage.on_call == OnCall(("ana",), until=datetime(2026, 3, 2, 8, tzinfo=UTC), then=("ben",))
    assert stage.gaps == []


async def test_a_calendar_says_who_is_and_who_is_next(stage: Stage) -> None:
    stage.use(FakeCalendar(reading(event("Ana", -1, 2), event("Ben", 2, 5), event("cleo & ben", 5, 6))))
    await stage.reads()
    assert stage.on_call == OnCall(("ana",), until=NOW + 2 * HOUR, then=("ben",))
    stage.clock.forward(hours=2)
    assert stage.on_call == OnCall(("ben",), until=NOW + 5 * HOUR, then=("ben", "cleo"))
    assert stage.gaps == []


@pytest.mark.parametrize(
    ("said", "problem", "gap"),
    [
        (reading(), "the calendar has nobody on call", Gap.NOBODY),
        (reading(event("zoe")), "nobody in people is called 'zoe'", Gap.UNKNOWN_PERSON),
        (Unread("answered 500"), "the calendar cannot be used: answered 500", Gap.UNREADABLE),
    ],
)
async def test_where_nobody_can_be_said_to_be_the_fallback_is_and_it_is_counted(
    stage: Stage, said: Reading | Unread, problem: str, gap: Gap, logs: list[MutableMapping[str, Any]]
) -> None:
    stage.use(FakeCalendar(said))
    await stage.reads()
    assert (stage.on_call.people, stage.on_call.problem) == (("cleo",), problem)
    assert stage.gaps == [("shop", gap)] * 2
    assert [each["problem"] for each in logs if each["event"] == "on_call_fallback"] == [problem]


async def test_a_gap_has_an_end_and_a_gap_that_comes_is_the_fallback(stage: Stage) -> None:
    stage.use(FakeCalendar(reading(event("ana", 1, 2))))
    await stage.reads()
    assert (stage.on_call.until, stage.on_call.then) == (NOW + HOUR, ("ana",))
    stage.clock.forward(hours=1)
    assert stage.on_call == OnCall(("ana",), until=NOW + 2 * HOUR, then=("cleo",))


async def test_before_anything_was_read_and_where_nothing_was_looked_at_it_is_the_fallback(stage: Stage) -> None:
    calendar = FakeCalendar(reading(event("ana", -500, 500)))
    stage.use(calendar)
    assert (stage.on_call.people, stage.gaps) == (("cleo",), [("shop", Gap.UNREADABLE)])
    await stage.reads()
    assert stage.on_call == OnCall(("ana",))
    for hours in (-25, 240):
        far = stage.schedules.on_call("shop", NOW + hours * HOUR)
        assert (far.people, far.problem) == (("cleo",), "the calendar was read for other times only")


def test_a_schedule_that_is_not_there_has_nobody(stage: Stage) -> None:
    stage.use(WEEKLY)
    assert stage.schedules.on_call("other", NOW) == OnCall((), "there is no on-call schedule 'other'")
    assert stage.gaps == [("other", Gap.UNKNOWN_SCHEDULE)]


async def test_a_calendar_is_read_as_often_as_it_asks_for(stage: Stage) -> None:
    calendar = FakeCalendar(reading(event("ana")))
    stage.use(calendar)
    assert await stage.reads() == NOW + timedelta(minutes=5)
    stage.clock.forward(minutes=4)
    await stage.reads()
    calendar.said = reading(event("ben"))
    stage.clock.forward(minutes=1)
    assert await stage.reads() == NOW + timedelta(minutes=10)
    assert calendar.read_at == [NOW, NOW + timedelta(minutes=5)]
    assert stage.on_call.people == ("ben",)


async def test_one_that_is_slow_is_not_waited_for_nor_asked_twice(stage: Stage) -> None:
    slow, quick = FakeCalendar(reading(event("ana"))), FakeCalendar(reading(event("ben")), "quick")
    slow.answering.clear()
    stage.schedules.use({"slow": Schedule(slow, ("cleo",)), "quick": Schedule(quick, ("cleo",))}, PEOPLE)
    await stage.schedules.read_due()
    await asyncio.sleep(0)
    assert stage.schedules.on_call("quick", NOW).people == ("ben",)
    stage.clock.forward(minutes=10)
    await stage.schedules.read_due()
    assert len(slow.read_at) == 1
    slow.answering.set()
    await stage.schedules.settled()
    assert stage.schedules.on_call("slow", NOW).people == ("ana",)


async def test_what_is_on_this_machine_counts_at_the_start(stage: Stage) -> None:
    calendar = FakeCalendar(reading(event("ben")))
    calendar.recalled = reading(event("ana"))
    stage.use(calendar)
    await stage.schedules.recall()
    assert (stage.on_call.people, calendar.read_at) == (("ana",), [])


async def test_the_start_waits_for_no_calendar_that_hangs(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sevrouter.engine.schedules.RECALLED_WITHIN", 0.01)
    calendar = FakeCalendar(reading())
    calendar.answering.clear()
    stage.use(calendar)
    await stage.schedules.recall()
    assert stage.on_call.people == ("cleo",)


async def test_a_reload_keeps_what_is_known_of_the_same_calendar_and_forgets_another(stage: Stage) -> None:
    stage.use(FakeCalendar(reading(event("ana & zoe"))))
    await stage.reads()
    stage.use(FakeCalendar(reading()), people=("ana", "zoe"))
    assert set(stage.on_call.people) == {"ana", "zoe"}
    stage.use(FakeCalendar(reading(), "another"))
    assert stage.on_call.problem == "the calendar cannot be used: it is not read yet"


async def test_a_reload_drops_the_answer_that_is_waited_for(stage: Stage) -> None:
    old = FakeCalendar(reading(event("ana")), "old")
    old.answering.clear()
    stage.use(old)
    await stage.schedules.read_due()
    await asyncio.sleep(0)
    stage.use(FakeCalendar(reading(event("ben")), "new"))
    old.answering.set()
    await stage.reads()
    assert stage.on_call.people == ("ben",)


async def test_a_trouble_is_said_once_and_so_is_its_end(stage: Stage, logs: list[MutableMapping[str, Any]]) -> None:
    events = (event("ana"),)
    calendar = FakeCalendar(reading(*events, trouble="answered 500"))
    stage.use(calendar)
    for said in (calendar.said, calendar.said, reading(*events), reading(*events)):
        calendar.said = said
        await stage.reads()
        stage.clock.forward(minutes=5)
    assert [(each["event"], each.get("reason"), each.get("in_use")) for each in logs] == [
        ("calendar_unread", "answered 500", True),
        ("calendar_read", None, None),
    ]
    assert stage.gaps == []


async def test_what_was_not_understood_and_who_is_a_stranger_is_said(
    stage: Stage, logs: list[MutableMapping[str, Any]]
) -> None:
    stage.use(FakeCalendar(reading(event("ana", 0, 1), event("zoe", 2, 3), notes=("an odd rule",))))
    await stage.reads()
    said = {each["event"]: each for each in logs}
    assert said["calendar_doubtful"]["note"] == "an odd rule"
    assert said["calendar_names_strangers"]["names"] == ["zoe"]
    assert stage.schedules.strangers("shop") == ("zoe",)


async def test_its_loop_turns_until_it_is_stopped(stage: Stage) -> None:
    calendar = FakeCalendar(reading(event("ana")))
    stage.use(calendar)
    loop = asyncio.create_task(stage.schedules.run())
    await calendar.asked.wait()
    await stage.schedules.settled()
    assert stage.on_call.people == ("ana",)
    loop.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loop
    assert (stage.schedules.rounds.name, stage.schedules.rounds.is_stuck) == ("on_call", False)
