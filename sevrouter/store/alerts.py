"""Alerts: labels written once, a narrow state row each, and the history of what changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import bindparam, insert, select, update

from sevrouter.domain.alert import Alert, AlertRecord, AlertStatus, HistoryEntry
from sevrouter.store.chunks import chunks
from sevrouter.store.tables import alert_states, alerts, history

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, RowMapping

_known = select(alerts.c.id, alerts.c.digest, alert_states).join(alert_states, alert_states.c.alert_id == alerts.c.id)
_by_digest = _known.where(alerts.c.digest.in_(bindparam("digests", expanding=True)))
_update = (
    update(alert_states)
    .where(alert_states.c.alert_id == bindparam("of_alert"))
    .values({column: bindparam(column.name) for column in alert_states.c if column.name != "alert_id"})
)


class Alerts:
    """The statements on alerts of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def records(self, digests: Iterable[bytes]) -> dict[bytes, AlertRecord]:
        """What is remembered of the alerts with these digests; those never seen are left out."""
        found: dict[bytes, AlertRecord] = {}
        for chunk in chunks(digests):
            for row in self._connection.execute(_by_digest, {"digests": chunk}).mappings():
                record = _record(row)
                found[record.digest] = record
        return found

    def add(self, new: Sequence[Alert], *, first_seen_at: datetime) -> dict[bytes, int]:
        """Write the labels of alerts never seen before, and return their ids by digest."""
        if not new:
            return {}
        statement = insert(alerts).returning(alerts.c.id, alerts.c.digest)
        rows = [
            {
                "digest": alert.digest,
                "labels": msgspec.json.encode(alert.labels).decode(),
                "generator_url": alert.generator_url,
                "first_seen_at": first_seen_at,
            }
            for alert in new
        ]
        return {digest: number for number, digest in self._connection.execute(statement, rows)}

    def save(self, new: Sequence[AlertRecord], changed: Sequence[AlertRecord]) -> None:
        """Write the states of alerts; all have their ids."""
        if new:
            self._connection.execute(insert(alert_states), [{"alert_id": each.id} | _state(each) for each in new])
        if changed:
            self._connection.execute(_update, [{"of_alert": each.id} | _state(each) for each in changed])

    def remember(self, entries: Sequence[HistoryEntry]) -> None:
        """Append to the history; the records have their ids."""
        if entries:
            self._connection.execute(insert(history), [_history(each) for each in entries])


def _history(entry: HistoryEntry) -> dict[str, Any]:
    record, alert, content = entry.record, entry.alert, None
    if entry.with_content:
        content = msgspec.json.encode({"annotations": alert.annotations, "values": alert.values}).decode()
    return {
        "alert_id": record.id,
        "at": entry.at,
        "status": record.status.value,
        "starts_at": alert.starts_at,
        "ends_at": alert.ends_at,
        "sev": record.sev,
        "unsure": record.unsure,
        "reading": entry.reading,
        "content": content,
    }


def _state(record: AlertRecord) -> dict[str, Any]:
    return {
        "status": record.status.value,
        "starts_at": record.starts_at,
        "closed_until": record.closed_until,
        "changed_at": record.changed_at,
        "sev": record.sev,
        "unsure": record.unsure,
        "content": record.content,
        "incident_id": record.incident_id,
    }


def _record(row: RowMapping) -> AlertRecord:
    return AlertRecord(
        id=row["id"],
        digest=row["digest"],
        status=AlertStatus(row["status"]),
        starts_at=row["starts_at"],
        closed_until=row["closed_until"],
        changed_at=row["changed_at"],
        sev=row["sev"],
        unsure=row["unsure"],
        content=row["content"],
        incident_id=row["incident_id"],
    )
