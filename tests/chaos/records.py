"""What a database holds at the end, as the ledger needs it: read by plain SQL, and by nothing of sevrouter's store."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sevrouter.domain.sev import Sev
from tests.chaos.stage import query

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.real.postgres import PostgresServer

_ALERTS = """
SELECT labels, status, sev, incident_id FROM alerts LEFT JOIN alert_states ON alert_id = id ORDER BY id
"""
_INCIDENTS = """
SELECT id, dedup_key, state, sev, opened_at, asked, evidence::json #>> '{alert,labels,service}',
  ARRAY(SELECT details FROM timeline WHERE incident_id = incidents.id AND fact IN ('opened', 'rose') ORDER BY id)
FROM incidents ORDER BY id
"""
_DELIVERIES = "SELECT id, incident_id, integration, kind, state, attempts, unknowns, reason FROM deliveries ORDER BY id"
_UNSETTLED = """
SELECT (SELECT count(*) FROM deliveries WHERE finished_at IS NULL)
  + (SELECT count(*) FROM incidents WHERE due_at IS NOT NULL)
"""


@dataclass(frozen=True, slots=True)
class StoredAlert:
    """An alert and its state; `status` is None where there is no state."""

    service: str
    pod: str
    status: str | None
    sev: Sev | None
    incident: int | None


@dataclass(frozen=True, slots=True)
class StoredIncident:
    """An incident; `key` is what vendors know it by, `rises` are the SEVs that ask for a call, as it got there."""

    id: int
    dedup_key: str
    service: str
    is_open: bool
    sev: Sev
    key: str
    asked_for_ticket: bool
    rises: tuple[Sev, ...]


@dataclass(frozen=True, slots=True)
class StoredDelivery:
    """A row of the outbox."""

    id: int
    incident: int
    integration: str
    kind: str
    state: str
    attempts: int
    unknowns: int
    reason: str | None


@dataclass(frozen=True, slots=True)
class Stored:
    """All of it."""

    alerts: Sequence[StoredAlert]
    incidents: Sequence[StoredIncident]
    deliveries: Sequence[StoredDelivery]

    def alerts_by_service(self) -> Mapping[str, Sequence[StoredAlert]]:
        """The alerts of each group."""
        found: dict[str, list[StoredAlert]] = defaultdict(list)
        for alert in self.alerts:
            found[alert.service].append(alert)
        return found

    def incidents_by_service(self) -> Mapping[str, list[StoredIncident]]:
        """The incidents of each group, the first opened first."""
        found: dict[str, list[StoredIncident]] = defaultdict(list)
        for incident in self.incidents:
            found[incident.service].append(incident)
        return found


def read(server: PostgresServer) -> Stored:
    """Read it."""
    return Stored(
        [_alert(*row) for row in query(server, _ALERTS)],
        [_incident(*row) for row in query(server, _INCIDENTS)],
        [StoredDelivery(*row) for row in query(server, _DELIVERIES)],
    )


def unsettled(server: PostgresServer) -> int:
    """How many deliveries are not finished, and incidents that a quiet time will end."""
    ((count,),) = query(server, _UNSETTLED)
    return int(count)


def _alert(labels: str, status: str | None, sev: int | None, incident: int | None) -> StoredAlert:
    named = json.loads(labels)
    return StoredAlert(named["service"], named["pod"], status, None if sev is None else Sev(sev), incident)


def _incident(
    number: int,
    dedup_key: str,
    state: str,
    sev: int,
    opened_at: int,
    asked: str,
    service: str,
    details: Sequence[str],
) -> StoredIncident:
    reached = [str(json.loads(each)["sev"]) for each in details]
    return StoredIncident(
        id=number,
        dedup_key=dedup_key,
        service=service,
        is_open=state != "resolved",
        sev=Sev(sev),
        key=f"sevrouter-{dedup_key}-{opened_at}",
        asked_for_ticket="jira" in asked.split(","),
        rises=tuple(each for each in (Sev.SEV_1, Sev.SEV_2) if str(each) in reached),
    )
