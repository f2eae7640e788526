"""`on-call`: who is on call, until when, and who is next; reads the calendars itself, also beside a daemon."""

from __future__ import annotations

import asyncio
import json
import zoneinfo
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any

from sevrouter.commands import GOOD, NO
from sevrouter.commands.terminal import CommandError, complain, load_config, say
from sevrouter.config import CalendarSettings
from sevrouter.engine.calendar_ports import Reading
from sevrouter.engine.calling_ports import OnCall
from sevrouter.engine.schedules import Schedules
from sevrouter.roster import Rosters
from sevrouter.sources.connection import open_session

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from sevrouter.config import Configuration, ScheduleSettings

# Nobody keeps a rota for others, and no clock reckons with the first and the last of all.
YEARS = range(1970, 2200)
TIME = "%a %Y-%m-%d %H:%M %Z"


@dataclass(frozen=True, slots=True)
class _Found:
    """What is known of a schedule: who is on call, and what there is to say about its calendar."""

    on_call: OnCall
    reading: Reading | None
    strangers: tuple[str, ...]


def on_call(arguments: argparse.Namespace) -> int:
    """Say who is on call in each schedule, or in one; 1 where that one does not exist."""
    configuration = load_config(arguments.config, secrets=False)
    names = [*configuration.on_call] if arguments.schedule is None else [arguments.schedule]
    if arguments.schedule is not None and arguments.schedule not in configuration.on_call:
        complain(f"there is no on-call schedule {arguments.schedule!r}")
        return NO
    at = datetime.now(UTC) if arguments.at is None else _time(arguments.at)
    found = asyncio.run(_look(configuration, names, at))
    if arguments.json:
        say(json.dumps([_json(name, each, at) for name, each in found.items()], indent=2))
        return GOOD
    for name, each in found.items():
        _say(name, each, _zone_of(configuration.on_call[name]))
    if not found:
        say("no on-call schedules")
    return GOOD


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.year not in YEARS:
        raise CommandError(f"{text!r} is not a time: write 2026-03-29T09:00, or 2026-03-29T09:00+02:00")
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


async def _look(configuration: Configuration, names: list[str], at: datetime) -> Mapping[str, _Found]:
    async with open_session() as session:
        schedules = Schedules(clock=lambda: at, quiet=True)
        # Copies are the daemon's: a file of somebody else's would be in its way.
        made = Rosters(session, keeps=False).schedules(configuration)
        schedules.use({name: made[name] for name in names}, configuration.people)
        await schedules.read_all(at)
        return {name: _found(schedules, name, at) for name in names}


def _found(schedules: Schedules, name: str, at: datetime) -> _Found:
    reading = schedules.last_reading(name)
    return _Found(
        schedules.on_call(name, at), reading if isinstance(reading, Reading) else None, schedules.strangers(name)
    )


def _zone_of(settings: ScheduleSettings) -> tzinfo:
    if isinstance(settings.source, CalendarSettings):
        return zoneinfo.ZoneInfo(settings.source.zone) if settings.source.zone is not None else UTC
    return settings.source.zone


def _say(name: str, found: _Found, zone: tzinfo) -> None:
    now = found.on_call
    until = f", until {now.until.astimezone(zone):{TIME}}" if now.until is not None else ""
    then = f", then {', '.join(now.then)}" if now.then else ""
    say(f"{name}: {', '.join(now.people)}{until}{then}")
    for line in _remarks(found, zone):
        say(f"  {line}")


def _remarks(found: _Found, zone: tzinfo) -> Iterator[str]:
    if found.on_call.problem is not None:
        yield f"the fallback is on call: {found.on_call.problem}"
    if found.reading is None:
        return
    if found.reading.trouble is not None:
        as_of = found.reading.as_of.astimezone(zone)
        yield f"by a copy of {as_of:{TIME}}, for it cannot be read: {found.reading.trouble}"
    for note in found.reading.notes:
        yield f"not understood: {note}"
    if found.strangers:
        yield f"named and not in people: {', '.join(map(repr, found.strangers[:10]))}"


def _json(name: str, found: _Found, at: datetime) -> dict[str, Any]:
    now, reading = found.on_call, found.reading
    return {
        "schedule": name,
        "at": at.isoformat(),
        "people": list(now.people),
        "until": now.until.isoformat() if now.until is not None else None,
        "then": list(now.then),
        "problem": now.problem,
        "trouble": reading.trouble if reading is not None else None,
        "as_of": reading.as_of.isoformat() if reading is not None else None,
        "not_understood": list(reading.notes) if reading is not None else [],
        "strangers": list(found.strangers),
    }
