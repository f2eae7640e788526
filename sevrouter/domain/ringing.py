"""A ring: one telephone call to one person, for all that this person is wanted for; and what came of it."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from sevrouter.domain.sev import Sev

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sevrouter.domain.policy import Limit


class RingEnd(enum.Enum):
    """What came of a ring. Only a pressed key is a person: what answers without one may be voicemail."""

    ACKNOWLEDGED = "acknowledged"
    PASSED_ON = "passed_on"
    CONNECTED = "connected"
    NO_KEY = "no_key"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    DECLINED = "declined"
    BAD_NUMBER = "bad_number"
    CANCELLED = "cancelled"
    LOST = "lost"
    NOT_PLACED = "not_placed"


# What reached nobody and never will as it stands: the next attempt need not wait.
HOPELESS = frozenset({RingEnd.PASSED_ON, RingEnd.BAD_NUMBER})


@dataclass(frozen=True, slots=True)
class Rang:
    """The provider placed the call, and it is over."""

    end: RingEnd
    detail: str = ""


class Ring(Struct, frozen=True, kw_only=True, gc=False):
    """A call that is asked for, under way (`end` is None) or over.

    `number` is E.164. `sev` is the worst that it is about, None for a drill. `token` is what only callbacks of this
    call know. `reference` is what the provider calls it. `unknowns` counts lost answers. `acknowledged_at` is when
    its key was pressed: all that it is about is acknowledged then, however long that takes to write. `heard` is what
    the keys that were pressed so far make of it, whatever the provider says of its end. `dial` is the bridge of what
    was acknowledged, which it is not about any more.
    """

    id: int
    person: str
    number: str
    provider: str
    token: str
    is_drill: bool = False
    sev: Sev | None = None
    began_at: datetime
    ended_at: datetime | None = None
    end: RingEnd | None = None
    detail: str = ""
    reference: str | None = None
    unknowns: int = 0
    acknowledged_at: datetime | None = None
    heard: RingEnd | None = None
    dial: str | None = None
    lease: str = ""


class Then(enum.Enum):
    """What a phone does after it has spoken: waits for a key (and says it again), hangs up, or connects the bridge."""

    LISTEN = "listen"
    HANG_UP = "hang_up"
    CONNECT = "connect"


@dataclass(frozen=True, slots=True)
class Script:
    """What is said on the phone, as plain text that nobody has escaped, and what comes then.

    `keyless` is the text without what it says of keys, for a phone that hears none; empty where it is the same.
    `dial` is the dial string of the bridge where it is to be connected. `end` is what the call has come to if it ends
    after this, whoever hangs up.
    """

    text: str
    then: Then = Then.LISTEN
    dial: str | None = None
    end: RingEnd = RingEnd.NO_KEY
    keyless: str = ""


class Wanted(Struct, frozen=True, gc=False):
    """A person is to be called for an incident, as soon as the limits let it."""

    incident_id: int
    person: str
    sev: Sev
    wanted_at: datetime


def may_ring_at(limits: Sequence[Limit], rung_at: Iterable[datetime], *, now: datetime) -> datetime:
    """When the next call to a person is due, who was called at these times; `now` where nothing speaks against it."""
    due, past = now, sorted(rung_at, reverse=True)
    for limit in limits:
        # Of the calls within the limit's time the oldest one has to leave it first.
        if len(past) >= limit.calls:
            due = max(due, past[limit.calls - 1] + limit.within)
    return due
