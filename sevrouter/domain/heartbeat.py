"""Heartbeats: alerts that have to keep arriving, and what is known of when they last did."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from sevrouter.domain.labels import Matcher, all_match
from sevrouter.domain.sev import Sev

if TYPE_CHECKING:
    from collections.abc import Mapping

# Where nobody has listened for longer than this, a beat may have come that nobody heard.
UNHEARD = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """Alerts of which one has to come every so often; once it is overdue by `grace` too, that is as bad as `missed`."""

    name: str
    matchers: tuple[Matcher, ...]
    every: timedelta
    grace: timedelta
    missed: Sev

    def is_met_by(self, labels: Mapping[str, str]) -> bool:
        """Whether a firing alert with these labels is a beat of it."""
        return all_match(self.matchers, labels)


class Pulse(Struct, frozen=True, kw_only=True, gc=False):
    """What is known of a heartbeat.

    `beat_at` is when it last came, None where it never did; `since` is since when it is waited for: that time, or
    when somebody began to listen (again). `listened_at` is when somebody last did.
    """

    since: datetime
    beat_at: datetime | None
    listened_at: datetime

    def is_unheard(self, now: datetime) -> bool:
        """Whether a beat may have come that nobody heard."""
        return now - self.listened_at > UNHEARD

    def due_at(self, heartbeat: Heartbeat) -> datetime:
        """When it is missing, unless it comes before."""
        return self.since + heartbeat.every + heartbeat.grace


def beat(at: datetime) -> Pulse:
    """What is known of a heartbeat that comes now."""
    return Pulse(since=at, beat_at=at, listened_at=at)


def listened(pulse: Pulse | None, now: datetime) -> Pulse:
    """What is known once somebody listens now. What nobody could hear is not missing: its wait begins anew."""
    if pulse is None:
        return Pulse(since=now, beat_at=None, listened_at=now)
    return replace(pulse, since=now if pulse.is_unheard(now) else pulse.since, listened_at=now)


class Ping(enum.Enum):
    """What came of telling an outside monitor that we live. `WITHHELD`: we do not, as far as we know."""

    SENT = "sent"
    REFUSED = "refused"
    TIMED_OUT = "timed_out"
    UNREACHABLE = "unreachable"
    NO_ADDRESS = "no_address"
    WITHHELD = "withheld"
