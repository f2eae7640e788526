"""What an iCalendar text says between two times: each event and each of its repetitions, in UTC.

Knows iCalendar. Must not know who anybody is, nor where the text came from. Slow, and not to be trusted with the
text of a stranger: it may take any time and memory, so that it has a process of its own (`calendar_process`).
"""

from __future__ import annotations

import zoneinfo
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

import icalendar
from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON
from msgspec import Struct
from recurring_ical_events import ComponentsWithName

from sevrouter.domain.duty import DutyEvent
from sevrouter.domain.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

# Repetitions in what is looked at; more are no rota that anybody keeps. Those of a calendar that says more are refused
# as a whole: part of them would look like all.
MOST_EVENTS = 10_000
MOST_NOTES = 10
MOST_ATTENDEES = 20
LONGEST_TITLE = 200
# Nobody's shift ends later, and what does cannot be reckoned with.
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)
# A shift that recurs so often is none, and to find its repetitions would take for ever.
_TOO_OFTEN = {"SECONDLY", "MINUTELY"}
_ABOUT_TIME = {"DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE", "RECURRENCE-ID"}
# Around the window, for events whose zone is not known until they are looked at.
_MARGIN = timedelta(days=2)


class CalendarError(Exception):
    """The text is no calendar, or one that cannot be used; the message says why."""


class Expanded(Struct, frozen=True):
    """The events, and what of the calendar could not be understood."""

    events: tuple[DutyEvent, ...]
    notes: tuple[str, ...] = ()


def expand(text: str, starts: datetime, ends: datetime, zone: tzinfo | None = None) -> Expanded:
    """What happens between the two times. Raises CalendarError.

    `zone` is that of times without one, and of whole days. Without it, it is the calendar's own, or UTC.
    """
    notes: list[str] = []
    events: list[DutyEvent] = []
    for calendar in _calendars(text):
        own = _own_zone(calendar, notes)
        usual = zone or own or UTC
        _prepare(calendar, notes, usual, has_zone=own is not None)
        for event in _repetitions(calendar, starts, ends, usual, notes):
            events.append(event)
            if len(events) > MOST_EVENTS:
                raise CalendarError(f"holds more than {MOST_EVENTS} events in {(ends - starts).days} days")
    return Expanded(tuple(events), tuple(dict.fromkeys(notes))[:MOST_NOTES])


def _calendars(text: str) -> list[Any]:
    # A text that was cut may well end behind an event, and the rest would be missing unnoticed.
    ends_well = text.rstrip().upper().endswith("END:VCALENDAR")
    try:
        found = icalendar.Calendar.from_ical(text, multiple=True) if ends_well else []
    except Exception as error:
        raise CalendarError(f"is no iCalendar: {type(error).__name__}") from error
    calendars = [each for each in found if each.name == "VCALENDAR"]
    if not calendars:
        raise CalendarError("is no iCalendar, or not all of it")
    return calendars


def _own_zone(calendar: Any, notes: list[str]) -> tzinfo | None:
    name = calendar.pop("X-WR-TIMEZONE", None)
    if name is None:
        return None
    try:
        return zoneinfo.ZoneInfo(WINDOWS_TO_OLSON.get(str(name), str(name)))
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        notes.append(f"X-WR-TIMEZONE: no time zone is called {one_line(str(name), 60)!r}")
        return None


def _prepare(calendar: Any, notes: list[str], usual: tzinfo, *, has_zone: bool) -> None:
    """Leave out what cannot be expanded, and say so; the rest is put right."""
    kept = []
    for component in calendar.subcomponents:
        if component.name == "VEVENT":
            problem = _problem(component)
            if problem is not None:
                notes.append(f"{one_line(str(component.get('SUMMARY', '(no title)')), 60)!r}: {problem}")
                continue
            _cap(component)
            start = component["DTSTART"]
            zone_name = start.params.get("TZID")
            if zone_name is not None and isinstance(start.dt, datetime) and start.dt.tzinfo is None:
                notes.append(f"no time zone is called {one_line(str(zone_name), 60)!r}; {usual} is taken")
            if has_zone and "RRULE" in component:
                _hang(component, usual)
        kept.append(component)
    calendar.subcomponents = kept


def _problem(event: Any) -> str | None:
    # Whatever else of it cannot be read says nothing of when it is.
    broken = [str(name).upper() for name, _ in event.errors if str(name).upper() in _ABOUT_TIME]
    if broken:
        return f"{broken[0]} cannot be read"
    if not isinstance(event.get("DTSTART"), icalendar.vDDDTypes) or not isinstance(event["DTSTART"].dt, date):
        return "it has no start"
    rules = event.get("RRULE", [])
    frequencies = {str(each).upper() for rule in _listed(rules) for each in _listed(rule.get("FREQ", []))}
    if frequencies & _TOO_OFTEN:
        return "recurs more often than every hour"
    return None


def _cap(event: Any) -> None:
    end = event.get("DTEND")
    if isinstance(end, icalendar.vDDDTypes) and isinstance(end.dt, date) and end.dt.year > _LATEST.year:
        last = _LATEST if isinstance(end.dt, datetime) else _LATEST.date()
        event["DTEND"] = icalendar.vDDDTypes(last)


def _hang(event: Any, zone: tzinfo) -> None:
    # Whoever exports in UTC and names a zone beside it means a time on the wall there.
    for key in ("DTSTART", "DTEND"):
        at = getattr(event.get(key), "dt", None)
        if isinstance(at, datetime) and at.tzinfo is not None and at.tzname() == "UTC":
            event[key] = icalendar.vDDDTypes(at.astimezone(zone))


def _repetitions(
    calendar: Any, starts: datetime, ends: datetime, usual: tzinfo, notes: list[str]
) -> Iterator[DutyEvent]:
    # What is wrong with one event must not hide the others.
    for series in ComponentsWithName("VEVENT").collect_series_from(calendar, (Exception,)):
        try:
            found = series.between(starts - _MARGIN, ends + _MARGIN)
        except Exception as error:  # noqa: BLE001  whatever one event's rules do, the others count
            notes.append(f"an event cannot be expanded: {type(error).__name__}")
            continue
        for occurrence in found:
            with suppress(OverflowError):
                event = _event(occurrence, usual)
                if event is not None and event.starts < ends and event.ends > starts:
                    yield event


def _event(occurrence: Any, usual: tzinfo) -> DutyEvent | None:
    component = occurrence.as_component(keep_recurrence_attributes=False)
    if str(component.get("STATUS", "")).upper() == "CANCELLED":
        return None
    return DutyEvent(
        _moment(occurrence.start, usual),
        _moment(occurrence.end, usual),
        one_line(str(component.get("SUMMARY", "")), LONGEST_TITLE),
        tuple(_attendees(component)),
    )


def _moment(at: date, usual: tzinfo) -> datetime:
    """A time in UTC. A day begins at midnight; of what comes twice the first is meant."""
    if not isinstance(at, datetime):
        at = datetime(at.year, at.month, at.day)  # noqa: DTZ001  its zone follows
    return (at.replace(tzinfo=usual) if at.tzinfo is None else at).astimezone(UTC)


def _attendees(component: Any) -> Iterator[str]:
    """The names and the mail addresses of those who have not declined."""
    for each in _listed(component.get("ATTENDEE", []))[:MOST_ATTENDEES]:
        parameters = getattr(each, "params", {})
        if str(parameters.get("PARTSTAT", "")).upper() == "DECLINED":
            continue
        address = str(each)
        for text in (str(parameters.get("CN", "")), address[7:] if address.lower().startswith("mailto:") else address):
            if text:
                yield one_line(text, LONGEST_TITLE)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
