"""A tiny memory of alerts and one incident: observe, update the records, fold; what a store would keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from sevrouter.domain.alert import Alert, AlertRecord, AlertStatus
from sevrouter.domain.identity import IncidentPolicy
from sevrouter.domain.incident import Fact, Incident, fold, settle
from sevrouter.domain.observation import Change, Observation, closed_until, observe
from sevrouter.domain.plan import Planned, plan
from tests.domain.building import CONFIG, OPENING, at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sevrouter.domain.grading import Grader, Verdict
    from sevrouter.domain.plan import Responses

REMEMBERED = {Change.FIRED, Change.CHANGED, Change.RESOLVED, Change.NEVER_FIRED}


class Ledger:
    """All alerts given to it are of one incident."""

    def __init__(self, grader: Grader, *, policy: IncidentPolicy | None = None, responses: Responses | None = None):
        self.records: dict[bytes, AlertRecord] = {}
        self.incident: Incident | None = None
        self.facts: list[Fact] = []
        self.planned: list[Planned] = []
        self.changes: list[Change] = []
        self._members: set[bytes] = set()
        self._grader = grader
        self._policy = policy or IncidentPolicy()
        self._responses = responses or {}

    def take(self, alerts: Sequence[Alert], *, minute: float, truncated: bool = False) -> None:
        """One webhook."""
        self._members = set()
        observations = [self._observe(alert, minute) for alert in alerts]
        self.changes += [each.change for each in observations]
        folded = fold(
            self.incident,
            observations,
            opening=OPENING,
            policy=self._policy,
            config_hash=CONFIG,
            now=at(minute),
            truncated=truncated,
        )
        incident, planned = plan(folded, self._responses)
        self.incident = incident and replace(incident, id=1)
        self.facts += [entry.fact for entry in folded.facts]
        self.planned += planned
        for digest in self._members:
            self.records[digest] = replace(self.records[digest], incident_id=1)

    def wait(self, *, minute: float) -> None:
        """Nothing comes until then, and the quiet time is looked at."""
        if self.incident is not None:
            folded = settle(self.incident, now=at(minute))
            incident, planned = plan(folded, self._responses)
            self.incident = incident
            self.facts += [entry.fact for entry in folded.facts]
            self.planned += planned

    def firing_records(self) -> int:
        """How many alerts of the incident fire by what is remembered of each."""
        return sum(each.status is AlertStatus.FIRING and each.incident_id is not None for each in self.records.values())

    def _observe(self, alert: Alert, minute: float) -> Observation:
        record = self.records.get(alert.digest)
        verdict = self._grader.grade(alert) if alert.status is AlertStatus.FIRING else None
        change = observe(record, alert, received_at=at(minute))
        if change in REMEMBERED:
            self.records[alert.digest] = _after(record, alert, verdict, change, minute)
            self._joins(alert, verdict, change)
        return Observation(change, alert, record, verdict)

    def _joins(self, alert: Alert, verdict: Verdict | None, change: Change) -> None:
        # A webhook may name an alert twice: what it is in the end counts.
        if verdict is not None and verdict.sev is not None:
            self._members.add(alert.digest)
        elif change is not Change.CHANGED:
            self._members.discard(alert.digest)


def _after(
    record: AlertRecord | None, alert: Alert, verdict: Verdict | None, change: Change, minute: float
) -> AlertRecord:
    fires = alert.status is AlertStatus.FIRING
    keeps = record is not None and change is not Change.FIRED
    starts_at = max(alert.starts_at, record.starts_at) if record and change is Change.CHANGED else alert.starts_at
    return AlertRecord(
        digest=alert.digest,
        status=alert.status,
        starts_at=starts_at,
        closed_until=None if fires else closed_until(alert, received_at=at(minute)),
        changed_at=at(minute),
        sev=verdict.sev if verdict else None,
        unsure=bool(verdict and verdict.unsure),
        content=alert.content,
        incident_id=record.incident_id if record is not None and keeps else None,
    )
