"""What on-call schedules need of the calendars that say who is on call, as protocols."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from sevrouter.domain.duty import DutyEvent

if TYPE_CHECKING:
    from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a calendar says between two times: nothing is known of what is before or after.

    `as_of` is when it said so. `trouble` is why it could not be read again since, None where it was; `notes` are what
    could not be understood of it.
    """

    events: tuple[DutyEvent, ...]
    starts: datetime
    ends: datetime
    as_of: datetime
    trouble: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unread:
    """Why nothing is known of a calendar."""

    problem: str


class CalendarPort(Protocol):
    """A calendar. Never raises for an expected failure; what was read well before counts until it is read again."""

    @property
    def every(self) -> timedelta:
        """How often it is to be read."""
        ...

    async def read(self, now: datetime) -> Reading | Unread:
        """What it says around a time."""
        ...

    async def recall(self, now: datetime) -> Reading | Unread:
        """The same, without asking anybody: of what is on this machine."""
        ...
