"""What a configuration says about who is on call: by a calendar, or by turns that are written down.

Each field's description holds its unit, its default and why. Must not know how a calendar is read.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, SecretStr, WithJsonSchema, model_validator

from sevrouter.config.document import EACH
from sevrouter.config.fields import NOT_EMPTY, Interval, Section, Text, Zone, is_url
from sevrouter.config.problem import FieldError, did_you_mean
from sevrouter.config.quantity import parse_duration
from sevrouter.config.schedules import CalendarSettings, ScheduleSettings
from sevrouter.config.secret import InlineSecret
from sevrouter.domain.rotation import Override, Rotation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from sevrouter.config.document import Document, Tree
    from sevrouter.config.problem import Problem, Steps
    from sevrouter.config.secret import Secret

_SOURCES = ("calendar", "url_file", "rotation")
_OF_CALENDARS = ("timezone", "refresh")
_WEEKS = re.compile(r"(\d{1,3})w", re.ASCII)
_YEARS = range(1970, 2200)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise FieldError("must be text")
    return value


def _wall_time(value: object) -> datetime:
    text = _text(value)
    hint = "write 2026-01-05T09:00"
    try:
        at = datetime.fromisoformat(text) if len(text) >= len("2026-01-05T09:00") else None
    except ValueError:
        at = None
    if at is None or at.year not in _YEARS:
        raise FieldError(f"{text!r} is not a date and a time", hint)
    if at.tzinfo is not None:
        raise FieldError(f"{text!r} has an offset, and means a time on the wall there", hint)
    return at


def _turn(value: object) -> timedelta:
    text = _text(value)
    weeks = _WEEKS.fullmatch(text)
    length = timedelta(weeks=int(weeks[1])) if weeks else parse_duration(text)
    if not timedelta(hours=1) <= length <= timedelta(days=366):
        raise FieldError("is not between 1h and 366d", "write 1w, 1d or 12h")
    return length


def _names(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _calendar(value: SecretStr) -> SecretStr:
    # An address may well be a secret, so it is never quoted in a message.
    text = value.get_secret_value()
    if not text.strip():
        raise FieldError("must not be empty")
    if text.startswith("webcal:"):
        raise FieldError("is not an http(s) address", "write https:// in place of webcal://")
    if "://" in text and not is_url(text):
        raise FieldError("is neither a file nor an http(s) address", "write rota.ics, or https://host/…")
    return value


WallTime = Annotated[datetime, PlainValidator(_wall_time), WithJsonSchema({"type": "string"})]
TurnLength = Annotated[timedelta, PlainValidator(_turn), WithJsonSchema({"type": "string"})]
Names = Annotated[tuple[Text, ...], BeforeValidator(_names), NOT_EMPTY]
CalendarPlace = Annotated[SecretStr, AfterValidator(_calendar)]


class OnCallRotation(Section):
    """People who take turns."""

    people: Names = Field(description="Names of people in `people`, in the order of their turns. Required.")
    starts: WallTime = Field(
        description="When the first of them has the first turn: 2026-01-05T09:00, by the clock of `timezone`. "
        "Required; every handoff is at that time of day. Turns before it are counted backwards."
    )
    timezone: Zone = Field(
        description="A name as Europe/Berlin. Required. A handoff at 09:00 stays at 09:00 when the clocks change; a "
        "time that the clocks skip is as much later as they skip, of one that comes twice it is the first."
    )
    every: TurnLength = Field(description="How long a turn is, from 1h to 366d: 1w, 1d, 12h. Required.")


class OnCallOverride(Section):
    """Somebody else is on call for a while. The last one counts where several overlap."""

    person: Text = Field(description="The name of a person in `people`. Required.")
    begins: WallTime = Field(alias="from", description="As `starts` of the rotation. Required.")
    until: WallTime = Field(description="As `starts` of the rotation. Required.")

    @model_validator(mode="after")
    def _in_order(self) -> OnCallOverride:
        if self.begins >= self.until:
            raise FieldError("ends before it begins", "until is later than from")
        return self


class OnCallSchedule(Section):
    """Who is on call: exactly one of `calendar`, `url_file` and `rotation` says so."""

    calendar: CalendarPlace | None = Field(
        None,
        description="An iCalendar: a file, relative to the configuration's directory, or an http(s) address, which is "
        "shown nowhere. Default: none. The title of an event is a name of `people`, or several (Ana & Ben); where "
        "events overlap, all are on call; an event whose title begins with `override:` replaces the others.",
    )
    url_file: Text | None = Field(
        None, description="A file that holds the calendar's address. Default: none; read again when it changes."
    )
    timezone: Zone | None = Field(
        None,
        description="The time zone of a calendar's whole days and of its times without one, as Europe/Berlin. Default: "
        "what the calendar says (X-WR-TIMEZONE), or UTC.",
    )
    refresh: Interval = Field(
        timedelta(minutes=5),
        description="A duration, from 1s to 1h. Default: 5m. How often an address is asked; a file is read soon after "
        "it changes.",
    )
    rotation: OnCallRotation | None = Field(None, description="Turns, instead of a calendar. Default: none.")
    overrides: tuple[OnCallOverride, ...] = Field((), description="Exceptions to the rotation. Default: none.")
    fallback: Names = Field(
        description="Names of people in `people`. Required. They are called where the calendar has nobody on call, or "
        "a name that is not in `people`, or cannot be read."
    )


OnCall = dict[str, OnCallSchedule]


def on_call_settings(
    schedules: Mapping[str, OnCallSchedule], base: Path, open_file: Callable[[str], Secret]
) -> dict[str, ScheduleSettings]:
    """The schedules by name. A relative file starts at `base`; `open_file` gives the secret in a file by its name."""
    return {
        name: ScheduleSettings(
            source=_rotation(each.rotation, each.overrides) if each.rotation else _settings(each, base, open_file),
            fallback=each.fallback,
        )
        for name, each in schedules.items()
    }


def _rotation(rotation: OnCallRotation, overrides: tuple[OnCallOverride, ...]) -> Rotation:
    return Rotation(
        people=rotation.people,
        starts=rotation.starts,
        every=rotation.every,
        zone=rotation.timezone,
        overrides=tuple(Override(each.person, each.begins, each.until) for each in overrides),
    )


def _settings(schedule: OnCallSchedule, base: Path, open_file: Callable[[str], Secret]) -> CalendarSettings:
    zone = schedule.timezone.key if schedule.timezone is not None else None
    if schedule.url_file is not None:
        return CalendarSettings(url=open_file(schedule.url_file), zone=zone, refresh=schedule.refresh)
    assert schedule.calendar is not None  # the choices were checked
    place = schedule.calendar.get_secret_value()
    if is_url(place):
        return CalendarSettings(url=InlineSecret(place), zone=zone, refresh=schedule.refresh)
    return CalendarSettings(file=(base / place).absolute(), zone=zone, refresh=schedule.refresh)


def check_on_call(document: Document) -> Iterator[Problem]:
    """Every schedule that says it twice or not at all, and everybody in one who is not defined."""
    for steps, schedule in document.find("on_call", EACH):
        if isinstance(schedule, dict):
            yield from _source(document, steps, schedule)
    people = document.at("people")
    known = list(people) if isinstance(people, dict) else []
    for steps, name in _named(document):
        if isinstance(name, str) and name and name not in known:
            hint = did_you_mean(name, known) or "define it under people"
            yield document.problem(steps, f"the person {name!r} is not defined", hint=hint)


def _source(document: Document, steps: Steps, schedule: Mapping[str, Tree]) -> Iterator[Problem]:
    written = [key for key in _SOURCES if key in schedule]
    # That an address stands here and in a file is said by whoever looks after secrets.
    if len(written) != 1 and written != ["calendar", "url_file"]:
        yield document.problem(steps, f"needs exactly one of {', '.join(_SOURCES)}", at_key=True)
        return
    if "overrides" in schedule and "rotation" not in schedule:
        hint = "write an event into the calendar whose title begins with override:"
        yield document.problem((*steps, "overrides"), "are those of a rotation", hint=hint, at_key=True)
    for key in _OF_CALENDARS if "rotation" in schedule else ():
        if key in schedule:
            hint = "write it in rotation" if key == "timezone" else "leave it out"
            yield document.problem((*steps, key), "is for calendars", hint=hint, at_key=True)


def _named(document: Document) -> Iterator[tuple[Steps, Tree]]:
    for pattern in (("fallback",), ("rotation", "people")):
        yield from document.find("on_call", EACH, *pattern)
        yield from document.find("on_call", EACH, *pattern, EACH)
    yield from document.find("on_call", EACH, "overrides", EACH, "person")
