"""Who is on call, as plain values: a rotation that is written down, or a calendar and where it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sevrouter.config.secret import Secret
from sevrouter.domain.rotation import Rotation


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarSettings:
    """A calendar in a file, or at an address (which is a secret) that is asked every `refresh`.

    `zone` is that of its times without one, a name of the IANA's; None is the calendar's own, or UTC.
    """

    file: Path | None = None
    url: Secret | None = None
    zone: str | None = None
    refresh: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleSettings:
    """Where it stands who is on call, and who is where it does not: names of `people`."""

    source: Rotation | CalendarSettings
    fallback: tuple[str, ...]
