"""Who is on call, by schedule: answered at once, of what calendars said before or whose turn it is.

Reads calendars again and again. Where nobody can be said to be on call, the fallback is, and the problem is said.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import structlog

from sevrouter.domain.duty import Duties
from sevrouter.domain.rotation import Rotation
from sevrouter.engine.calendar_ports import CalendarPort, Reading, Unread
from sevrouter.engine.calling_ports import OnCall
from sevrouter.engine.timer import Timer

if TYPE_CHECKING:
    from sevrouter.engine.ports import Clock

log = structlog.get_logger()

# Seconds. What is on this machine is read before anybody asks; a calendar that takes longer is waited for no more.
RECALLED_WITHIN = 10.0


class Gap(enum.Enum):
    """Why the fallback is called."""

    NOBODY = "nobody"
    UNKNOWN_PERSON = "unknown_person"
    UNREADABLE = "unreadable"
    UNKNOWN_SCHEDULE = "unknown_schedule"


@dataclass(frozen=True, slots=True)
class Schedule:
    """Where it stands who is on call, and the people who are where it does not."""

    source: Rotation | CalendarPort
    fallback: tuple[str, ...]


OnProblem = Callable[[str, Gap], None]


@dataclass(slots=True)
class _Known:
    """What is known of a calendar. `duties` are those of `reading`, for the people of the time."""

    calendar: CalendarPort
    reading: Reading | Unread = field(default_factory=lambda: Unread("it is not read yet"))
    duties: Duties | None = None
    due_at: datetime | None = None
    under_way: asyncio.Task[None] | None = None


class Schedules:
    """The on-call schedules. `on_problem` hears of each time that the fallback is called, for a schedule and why.

    A `quiet` one logs nothing, for whoever shows what it knows.
    """

    def __init__(
        self, *, clock: Clock, on_problem: OnProblem = lambda _schedule, _gap: None, quiet: bool = False
    ) -> None:
        self._clock = clock
        self._on_problem = on_problem
        self._quiet = quiet
        self._schedules: Mapping[str, Schedule] = {}
        self._people: tuple[str, ...] = ()
        self._known: dict[str, _Known] = {}
        # What was said last of a schedule, so that it is said once.
        self._said: dict[str, str | None] = {}
        self._timer = Timer("on_call", self.read_due, clock=clock)
        self.rounds = self._timer.rounds

    def use(self, schedules: Mapping[str, Schedule], people: Iterable[str]) -> None:
        """Go by these from now on. Of a calendar that equals one from before, what is known stays known."""
        before, self._known = self._known, {}
        self._schedules, self._people = dict(schedules), tuple(people)
        for name, schedule in self._schedules.items():
            if isinstance(schedule.source, Rotation):
                continue
            known = before.get(name)
            if known is None or known.calendar != schedule.source:
                known = _Known(schedule.source)
            self._known[name] = known
            if isinstance(known.reading, Reading):
                known.duties = Duties(known.reading.events, self._people)
        for name, known in before.items():
            if known.under_way is not None and self._known.get(name) is not known:
                known.under_way.cancel()
        self._timer.wake()

    def on_call(self, schedule: str, at: datetime) -> OnCall:
        """Who is on call in a schedule at a time; the fallback where that cannot be said."""
        found, gap = self._look(schedule, at)
        if gap is not None:
            self._on_problem(schedule, gap)
        if not self._quiet:
            self._say(schedule, found)
        return found

    def last_reading(self, schedule: str) -> Reading | Unread | None:
        """What is known of a schedule's calendar; None where it has none."""
        known = self._known.get(schedule)
        return known.reading if known is not None else None

    def strangers(self, schedule: str) -> tuple[str, ...]:
        """Who is named in a schedule's calendar without anybody of ours, and is nobody of ours."""
        known = self._known.get(schedule)
        return known.duties.strangers if known is not None and known.duties is not None else ()

    async def recall(self) -> None:
        """Read what is on this machine of every calendar, so that a start goes by it. Never takes long."""
        recalling = [asyncio.create_task(self._recall(name, known)) for name, known in self._known.items()]
        if recalling:
            _, late = await asyncio.wait(recalling, timeout=RECALLED_WITHIN)
            for each in late:
                each.cancel()

    async def read_all(self, at: datetime) -> None:
        """Read every calendar for that time, and wait for all."""
        await asyncio.gather(*(self._read(name, known, at) for name, known in self._known.items()))

    def wake(self) -> None:
        """There may be something to read."""
        self._timer.wake()

    async def run(self) -> None:
        """Read calendars whenever it is time to, until cancelled."""
        try:
            await self._timer.run()
        finally:
            for known in self._known.values():
                if known.under_way is not None:
                    known.under_way.cancel()

    async def read_due(self) -> datetime | None:
        """Begin to read every calendar that it is time for, and return when it is the next time.

        None is waited for: one that is slow must not keep the others from being read.
        """
        now = self._clock()
        for name, known in self._known.items():
            if known.under_way is not None and known.under_way.done():
                known.under_way = None
            if known.under_way is None and (known.due_at is None or known.due_at <= now):
                known.due_at = now + known.calendar.every
                known.under_way = asyncio.create_task(self._read(name, known, now))
        return min((known.due_at for known in self._known.values() if known.due_at is not None), default=None)

    async def settled(self) -> None:
        """Wait for what is being read."""
        await asyncio.gather(*(each.under_way for each in self._known.values() if each.under_way is not None))

    async def _recall(self, name: str, known: _Known) -> None:
        self._take(name, known, await known.calendar.recall(self._clock()))

    async def _read(self, name: str, known: _Known, now: datetime) -> None:
        self._take(name, known, await known.calendar.read(now))

    def _take(self, name: str, known: _Known, reading: Reading | Unread) -> None:
        before, known.reading = known.reading, reading
        is_news = (
            not isinstance(before, Reading) or not isinstance(reading, Reading) or before.events is not reading.events
        )
        if isinstance(reading, Unread):
            known.duties = None
        elif is_news:
            known.duties = Duties(reading.events, self._people)
        if not self._quiet:
            _log(name, known, before, is_news=is_news)

    def _look(self, schedule: str, at: datetime) -> tuple[OnCall, Gap | None]:
        found = self._schedules.get(schedule)
        if found is None:
            return OnCall((), f"there is no on-call schedule {schedule!r}"), Gap.UNKNOWN_SCHEDULE
        if isinstance(found.source, Rotation):
            turn = found.source.at(at)
            return OnCall((turn.person,), until=turn.until, then=(turn.then,) if turn.then else ()), None
        known = self._known[schedule]
        if isinstance(known.reading, Unread):
            return OnCall(found.fallback, f"the calendar cannot be used: {known.reading.problem}"), Gap.UNREADABLE
        assert known.duties is not None  # it was read
        return self._by_calendar(found.fallback, known.reading, known.duties, at)

    def _by_calendar(
        self, fallback: tuple[str, ...], reading: Reading, duties: Duties, at: datetime
    ) -> tuple[OnCall, Gap | None]:
        if not reading.starts <= at < reading.ends:
            return OnCall(fallback, "the calendar was read for other times only"), Gap.UNREADABLE
        duty = duties.at(at)
        until = duty.until if duty.until is not None and duty.until < reading.ends else None
        then = () if until is None else duties.at(until).people or fallback
        if duty.people:
            return OnCall(duty.people, until=until, then=then), None
        if duty.strangers:
            names = ", ".join(map(repr, duty.strangers))
            return OnCall(fallback, f"nobody in people is called {names}", until, then), Gap.UNKNOWN_PERSON
        return OnCall(fallback, "the calendar has nobody on call", until, then), Gap.NOBODY

    def _say(self, schedule: str, found: OnCall) -> None:
        # Each name is one of the configuration's, but for one that is no schedule at all.
        if found.problem != self._said.get(schedule) and (schedule in self._schedules or found.problem is not None):
            self._said[schedule] = found.problem
            if found.problem is not None:
                log.error("on_call_fallback", schedule=schedule, problem=found.problem, people=list(found.people))


def _log(name: str, known: _Known, before: Reading | Unread, *, is_news: bool) -> None:
    reading = known.reading
    if isinstance(reading, Reading) and known.duties is not None and is_news:
        for note in reading.notes:
            log.warning("calendar_doubtful", schedule=name, note=note)
        if known.duties.strangers:
            log.warning("calendar_names_strangers", schedule=name, names=list(known.duties.strangers[:10]))
    trouble, old = _trouble(reading), _trouble(before)
    if trouble is not None and trouble != old:
        log.error("calendar_unread", schedule=name, reason=trouble, in_use=isinstance(reading, Reading))
    elif trouble is None and old is not None:
        log.info("calendar_read", schedule=name)


def _trouble(reading: Reading | Unread) -> str | None:
    return reading.problem if isinstance(reading, Unread) else reading.trouble
