"""Makes of a configuration's on-call schedules what knows who is on call: for the daemon, and for the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sevrouter.config import CalendarSettings, SqliteSettings
from sevrouter.engine.schedules import Schedule
from sevrouter.sources.calendar import Calendar
from sevrouter.sources.calendar_origins import CalendarFile, CalendarUrl
from sevrouter.sources.calendar_process import Expander

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from sevrouter.config import Configuration, ScheduleSettings, StoreSettings


def copies_directory(store: StoreSettings) -> Path:
    """Where copies of calendars are kept: beside the database, or where this user keeps such things."""
    if isinstance(store, SqliteSettings):
        return store.path.parent / "calendars"
    return Path("~/.cache/sevrouter/calendars").expanduser()


class Rosters:
    """Makes schedules of configurations. `session` is asked through; without `keeps` no copy is written."""

    def __init__(self, session: ClientSession, *, keeps: bool = True) -> None:
        self._session = session
        self._keeps = keeps
        self._expander = Expander()

    def schedules(self, configuration: Configuration) -> dict[str, Schedule]:
        """The schedules by name; what equals what was made before goes on with what is known of it."""
        copies = copies_directory(configuration.store)
        return {name: self._schedule(each, copies) for name, each in configuration.on_call.items()}

    def _schedule(self, settings: ScheduleSettings, copies: Path) -> Schedule:
        if isinstance(settings.source, CalendarSettings):
            return Schedule(self._calendar(settings.source, copies), settings.fallback)
        return Schedule(settings.source, settings.fallback)

    def _calendar(self, settings: CalendarSettings, copies: Path) -> Calendar:
        origin: CalendarFile | CalendarUrl
        if settings.url is not None:
            origin = CalendarUrl(self._session, settings.url, copies=copies, every=settings.refresh, keeps=self._keeps)
        else:
            assert settings.file is not None  # the choices were checked
            origin = CalendarFile(settings.file)
        return Calendar(origin, self._expander, zone=settings.zone)
