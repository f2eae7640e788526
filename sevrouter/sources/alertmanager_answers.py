"""What Alertmanager's HTTP API (v2) answered, made a value. Pure: knows the API's words. Must not know a connection."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw, Struct

from sevrouter.domain.member import UNREADABLE, identity
from sevrouter.domain.moments import read_moment
from sevrouter.domain.reconciliation import Answer, Unanswered
from sevrouter.domain.redaction import redact
from sevrouter.domain.shown import ShownStatus, read_all_shown
from sevrouter.domain.suppression import Silence
from sevrouter.domain.text import one_line

if TYPE_CHECKING:
    from datetime import datetime, timedelta

# More alerts than this at one time are no list that anybody looks at.
MOST_ALERTS = 100_000
LONGEST_DETAIL = 240
# Characters. Redacting costs time, so no more than this much is looked at.
_MOST_WORDS = 4_000
# What mutes by time is called so in a configuration, old and new.
_INTERVALS = ("mute_time_intervals:", "active_time_intervals:")


class _Config(Struct):
    original: str = ""


class _Status(Struct):
    uptime: str = ""
    config: _Config = msgspec.field(default_factory=_Config)


class _Silence(Struct, rename="camel"):
    id: str
    created_by: str = ""
    comment: str = ""
    ends_at: str = ""


class _GroupMember(Struct):
    labels: Raw
    status: ShownStatus = ShownStatus()


class _Group(Struct):
    alerts: list[_GroupMember]


_status = msgspec.json.Decoder(_Status)
_silence = msgspec.json.Decoder(_Silence)
_groups = msgspec.json.Decoder(list[_Group])


def refusal(status: int, body: bytes, secrets: tuple[str, ...] = ()) -> Unanswered | None:
    """Why an answer is none, by its status. `secrets` are kept out of its words."""
    if status == 200:
        return None
    said = one_line(redact(body[:_MOST_WORDS].decode(errors="replace"), secrets), LONGEST_DETAIL)
    hint = "a redirect, which is not followed" if status // 100 == 3 else ""
    return Unanswered(one_line(": ".join(filter(None, (f"answered {status}", hint, said))), LONGEST_DETAIL))


def read_alerts(body: bytes, receivers: tuple[str, ...] = ()) -> Answer | Unanswered:
    """What `GET /alerts` says; `receivers` are those that are us."""
    found = read_all_shown(body)
    if found is None:
        return Unanswered("its answer is no list of alerts")
    alerts, unreadable = found
    if len(alerts) > MOST_ALERTS:
        return Unanswered(f"shows {len(alerts)} alerts, more than {MOST_ALERTS}")
    return Answer(alerts, unreadable, receivers)


def read_up_for(body: bytes, date: str, *, now: datetime) -> timedelta | Unanswered:
    """For how long it runs, by `GET /status` and the time that it says it is; its clock may not be ours."""
    try:
        status = _status.decode(body)
    except UNREADABLE:
        return Unanswered("its status cannot be read")
    started_at = read_moment(status.uptime)
    if started_at is None:
        return Unanswered("its status does not say since when it runs")
    return _said_at(date, now) - started_at


def _said_at(date: str, now: datetime) -> datetime:
    try:
        said = parsedate_to_datetime(date)
    except ValueError:
        return now
    return said if said.tzinfo is not None else now


def mutes_by_time(body: bytes) -> bool:
    """Whether its configuration, by `GET /status`, mutes anything at some times of day; it may where nobody knows."""
    try:
        original = _status.decode(body).config.original
    except UNREADABLE:
        return True
    return not original or any(each in original for each in _INTERVALS)


def read_muted(body: bytes) -> frozenset[bytes] | Unanswered | None:
    """The alerts that are muted wherever they are, by `GET /alerts/groups`; None where an old version does not say."""
    try:
        groups = _groups.decode(body)
        members = [(identity(each.labels), each.status.muted_by) for group in groups for each in group.alerts]
    except UNREADABLE:
        return Unanswered("its groups cannot be read")
    if any(muted_by is None for _, muted_by in members):
        return None
    # An alert may be in several groups, and one of them that tells people suffices.
    told = {digest for digest, muted_by in members if not muted_by}
    return frozenset(digest for digest, _ in members) - told


def read_silence(body: bytes) -> Silence | None:
    """What `GET /silence/{id}` says."""
    try:
        silence = _silence.decode(body)
    except UNREADABLE:
        return None
    return Silence(silence.created_by, silence.comment, read_moment(silence.ends_at))
