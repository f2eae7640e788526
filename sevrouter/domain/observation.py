"""What one alert of a webhook means against what is remembered of it: news, a repeat, or something too late."""

from __future__ import annotations

import enum
from datetime import datetime, timedelta
from typing import Self

from msgspec import Struct

from sevrouter.domain.alert import Alert, AlertRecord, AlertStatus
from sevrouter.domain.grading import Verdict

# How long after a resolve a `firing` with the old start counts as stale: an Alertmanager of a cluster sends up to
# 15 s times its place later than the first. What comes after that is believed, because Alertmanager also resolves
# falsely, when nothing refreshed an alert in time, and then fires again with the start that it had.
LATE_FIRING = timedelta(seconds=45)


class Change(enum.Enum):
    """What one alert of a webhook means against what is remembered of it.

    What `moves` concerns the alert's incident; what is `kept` is written to its record and history. `CONTENT` is a
    change of annotations or values, and of nothing that follows from them. `MEASURED` did not come by a webhook: a
    timed measure was read. `LEFT`: it fires on, and is no part of its incident any more.
    """

    moves: bool
    kept: bool

    FIRED = ("fired", True, True)
    CHANGED = ("changed", True, True)
    CONTENT = ("content", False, True)
    RESOLVED = ("resolved", True, True)
    LEFT = ("left", True, True)
    DUPLICATE = ("duplicate", False, False)
    STALE_FIRING = ("stale_firing", False, False)
    STALE_RESOLVED = ("stale_resolved", False, False)
    NEVER_FIRED = ("never_fired", False, True)
    EVENT = ("event", True, False)
    MEASURED = ("measured", True, False)

    def __new__(cls, word: str, moves: bool, kept: bool) -> Self:
        change = object.__new__(cls)
        change._value_ = word
        change.moves = moves
        change.kept = kept
        return change


class Observation(Struct, frozen=True, gc=False):
    """One alert of a webhook, what it changes, and how bad it is; `verdict` is None unless it fires."""

    change: Change
    alert: Alert
    record: AlertRecord | None
    verdict: Verdict | None = None


def observe(
    record: AlertRecord | None, alert: Alert, verdict: Verdict | None = None, *, received_at: datetime
) -> Change:
    """What one alert, with its verdict while it fires, means against what is remembered of it.

    Deliveries of a cluster of Alertmanagers are repeated and not ordered, hence the stale ones.
    """
    if alert.status is AlertStatus.FIRING:
        return _observe_firing(record, alert, verdict, received_at)
    if record is None:
        return Change.NEVER_FIRED
    if record.status is AlertStatus.RESOLVED:
        # An episode that began after the closed one and is over too: its `firing` may still come, and is stale then.
        is_another = record.closed_until is not None and alert.starts_at > record.closed_until
        return Change.NEVER_FIRED if is_another else Change.DUPLICATE
    ended = alert.ends_at or alert.starts_at
    is_older_episode = alert.starts_at < record.starts_at and ended <= record.starts_at
    return Change.STALE_RESOLVED if is_older_episode else Change.RESOLVED


def _observe_firing(record: AlertRecord | None, alert: Alert, verdict: Verdict | None, received_at: datetime) -> Change:
    if record is None:
        return Change.FIRED
    if record.status is AlertStatus.FIRING:
        # The configuration may make something else of it than it did, though it is as it was.
        is_graded_alike = verdict is None or (verdict.sev is record.sev and verdict.unsure == record.unsure)
        if alert.starts_at > record.starts_at or not is_graded_alike:
            return Change.CHANGED
        if alert.content == record.content:
            return Change.DUPLICATE
        is_placed = record.incident_id is not None or record.sev is None
        return Change.CONTENT if is_placed else Change.CHANGED
    closed = record.closed_until is not None and alert.starts_at <= record.closed_until
    if closed and received_at - record.changed_at < LATE_FIRING:
        return Change.STALE_FIRING
    return Change.FIRED


def closed_until(alert: Alert, *, received_at: datetime) -> datetime:
    """Until when a resolved alert closes its episode: a `firing` that began no later than this is stale.

    An end that cannot be read closes no more than the start, and one in the future no more than now.
    """
    ended = alert.starts_at if alert.ends_at is None else min(alert.ends_at, received_at)
    return max(alert.starts_at, ended)
