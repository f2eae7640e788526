"""What an alert becomes by an observation of it, and the entry of that in its history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from sevrouter.domain.alert import AlertRecord, AlertStatus, HistoryEntry
from sevrouter.domain.observation import Change, closed_until

if TYPE_CHECKING:
    from datetime import datetime

    from sevrouter.domain.alert import Alert
    from sevrouter.domain.grading import Verdict
    from sevrouter.domain.observation import Observation


def entry(
    observation: Observation, incident_id: int | None, watch_id: int | None, *, now: datetime, config_hash: str
) -> HistoryEntry:
    """What an alert becomes; the ids are those of the incident and the watch of its group, if any."""
    alert, before, verdict = observation.alert, observation.record, observation.verdict
    fires = alert.status is AlertStatus.FIRING
    starts_at, mine = alert.starts_at, None
    sev, unsure = (None, False) if before is None else (before.sev, before.unsure)
    if verdict is not None:
        sev, unsure = verdict.sev, verdict.unsure
    if before is not None and observation.change is not Change.FIRED:
        mine = None if observation.change is Change.LEFT else before.incident_id
        # Replicas of Prometheus start an alert at slightly different times; the episode only moves forward.
        starts_at = max(starts_at, before.starts_at) if fires else starts_at
    if fires and sev is not None and mine is None:
        mine = incident_id
    # A resolved alert often comes without its annotations, which says nothing about them.
    tells_content = fires or before is None
    record = AlertRecord(
        id=None if before is None else before.id,
        digest=alert.digest,
        status=alert.status,
        starts_at=starts_at,
        closed_until=None if fires else closed_until(alert, received_at=now),
        changed_at=now,
        sev=sev,
        unsure=unsure,
        content=alert.content if before is None or fires else before.content,
        incident_id=mine,
        version=0 if before is None else before.version,
        watch_id=watch_id if is_watched(verdict) else None,
        sighting=alert.sighting,
        verdict=verdict,
        graded_by=config_hash,
    )
    return HistoryEntry(
        record=record,
        alert=alert,
        at=now,
        reading=verdict.grades[0].reading if verdict is not None else None,
        with_content=tells_content and (before is None or before.content != alert.content),
    )


def content_entry(
    before: AlertRecord, alert: Alert, verdict: Verdict, *, now: datetime, config_hash: str
) -> HistoryEntry:
    """What an alert becomes of which nothing has changed but the content."""
    record = replace(
        before,
        content=alert.content,
        sighting=alert.sighting,
        verdict=verdict,
        graded_by=config_hash,
    )
    return HistoryEntry(
        record=record,
        alert=alert,
        at=now,
        reading=verdict.grades[0].reading,
        with_content=True,
    )


def placed_entry(observation: Observation, incident_id: int | None, *, now: datetime) -> HistoryEntry:
    """What an alert becomes that is in an incident by what was measured: nothing else of it has changed."""
    assert observation.record is not None
    assert observation.verdict is not None
    return HistoryEntry(
        record=replace(observation.record, incident_id=incident_id),
        alert=observation.alert,
        at=now,
        reading=observation.verdict.grades[0].reading,
        with_content=False,
    )


def is_watched(verdict: Verdict | None) -> bool:
    """Whether a rule with a timed measure matches."""
    return verdict is not None and verdict.watched
