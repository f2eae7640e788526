"""When something was last heard of an incident. After too long it is stale: its resolve may be lost.

That is said, and the incident stays open: silence resolves nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from sevrouter.domain.incident import Fact, Fold, Incident, TimelineEntry
from sevrouter.domain.own import is_own
from sevrouter.domain.text import duration_text

if TYPE_CHECKING:
    from datetime import datetime, timedelta


def heard(incident: Incident, at: datetime, *, now: datetime) -> Fold:
    """It was heard of at a time: what is still firing there is no news, but that it is not stale."""
    if not incident.is_open or at <= incident.last_heard_at:
        return Fold(incident)
    again = replace(incident, heard_at=at, stale_since=None)
    return Fold(again, () if incident.stale_since is None else (TimelineEntry(Fact.HEARD_AGAIN, now),))


def missed(incident: Incident, *, now: datetime, stale_after: timedelta) -> Fold:
    """Mark it as stale where nothing was heard of it for so long; zero is never.

    What we raised ourselves nobody sends again, and we end it ourselves, so it counts as heard of.
    """
    last = incident.last_heard_at
    is_silent = bool(stale_after) and now - last >= stale_after
    if not incident.is_open or incident.stale_since is not None or not is_silent:
        return Fold(incident)
    if is_own(incident.evidence.alert.labels):
        return Fold(replace(incident, heard_at=now))
    note = f"nothing was heard of it for {duration_text(now - last)}: its end may be lost, so look"
    details: dict[str, object] = {"heard_at": last.isoformat(), "note": note}
    return Fold(replace(incident, stale_since=now), (TimelineEntry(Fact.STALE, now, details),))
