"""Alerts: labels written once, a narrow state row each, and the history of what changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import func, select

from sevrouter.domain.alert import AlertRecord, AlertStatus, HistoryEntry
from sevrouter.domain.sev import Sev
from sevrouter.store.chunks import chunks
from sevrouter.store.tables import alerts, microseconds, moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

# Alerts come by the thousand, so these statements are written out and given plain numbers: through the statement
# compiler and its type conversions, storing an alert took twice as long.
_STATE = "status, starts_at, closed_until, changed_at, sev, unsure, content, incident_id"
_ADD_ALERT = "INSERT INTO alerts (id, digest, labels, generator_url, first_seen_at) VALUES (?, ?, ?, ?, ?)"
_SAVE_STATE = (
    f"INSERT INTO alert_states (alert_id, {_STATE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (alert_id) DO UPDATE"  # noqa: S608  constants
    f" SET {', '.join(f'{name} = excluded.{name}' for name in _STATE.split(', '))}"
)
_ADD_HISTORY = (
    "INSERT INTO history (alert_id, at, status, starts_at, ends_at, sev, unsure, reading, content)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_RECORDS = (
    "SELECT alerts.id, digest, status, starts_at, closed_until, changed_at, sev, unsure, content, incident_id"
    " FROM alerts JOIN alert_states ON alert_id = alerts.id WHERE digest IN ({})"
)
_STATUS_NAMES = {status: status.value for status in AlertStatus}
_STATUSES = {status.value: status for status in AlertStatus}


class Alerts:
    """The statements on alerts of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def records(self, digests: Iterable[bytes]) -> dict[bytes, AlertRecord]:
        """What is remembered of the alerts with these digests; those never seen are left out."""
        found: dict[bytes, AlertRecord] = {}
        for chunk in chunks(digests):
            statement = _RECORDS.format(", ".join("?" * len(chunk)))
            for row in self._connection.exec_driver_sql(statement, tuple(chunk)):
                record = _record(*row)
                found[record.digest] = record
        return found

    def save(self, entries: Sequence[HistoryEntry]) -> None:
        """Write alerts as they are now, and the history of it; labels only of those never seen before."""
        ids = self._new_ids(entries)
        self._run(_ADD_ALERT, [_alert(ids[each.record.digest], each) for each in entries if each.record.id is None])
        numbered = [(each.record.id or ids[each.record.digest], each) for each in entries]
        self._run(_SAVE_STATE, [_state(number, each.record) for number, each in numbered])
        self._run(_ADD_HISTORY, [_history(number, each) for number, each in numbered])

    def _new_ids(self, entries: Sequence[HistoryEntry]) -> dict[bytes, int]:
        # There is one writer, so ids can be given out here: asking for each row's own would cost a round trip a row.
        new = [each.record.digest for each in entries if each.record.id is None]
        if not new:
            return {}
        last: int = self._connection.execute(select(func.coalesce(func.max(alerts.c.id), 0))).scalar_one()
        return {digest: last + number for number, digest in enumerate(new, start=1)}

    def _run(self, statement: str, rows: list[tuple[Any, ...]]) -> None:
        if rows:
            self._connection.exec_driver_sql(statement, rows)


def _alert(number: int, entry: HistoryEntry) -> tuple[Any, ...]:
    alert = entry.alert
    labels = msgspec.json.encode(alert.labels).decode()
    return number, alert.digest, labels, alert.generator_url, microseconds(entry.at)


def _state(number: int, record: AlertRecord) -> tuple[Any, ...]:
    return (
        number,
        _STATUS_NAMES[record.status],
        microseconds(record.starts_at),
        _or_none(record.closed_until),
        microseconds(record.changed_at),
        record.sev.rank if record.sev else None,
        record.unsure,
        record.content,
        record.incident_id,
    )


def _history(number: int, entry: HistoryEntry) -> tuple[Any, ...]:
    record, alert, content = entry.record, entry.alert, None
    if entry.with_content:
        content = msgspec.json.encode({"annotations": alert.annotations, "values": alert.values}).decode()
    return (
        number,
        microseconds(entry.at),
        _STATUS_NAMES[record.status],
        microseconds(alert.starts_at),
        _or_none(alert.ends_at),
        record.sev.rank if record.sev else None,
        record.unsure,
        entry.reading,
        content,
    )


def _or_none(moment: datetime | None) -> int | None:
    return None if moment is None else microseconds(moment)


def _record(
    number: int,
    digest: bytes,
    status: str,
    starts_at: int,
    closed_until: int | None,
    changed_at: int,
    sev: int | None,
    unsure: bool | int,
    content: bytes,
    incident_id: int | None,
) -> AlertRecord:
    return AlertRecord(
        id=number,
        digest=digest,
        status=_STATUSES[status],
        starts_at=moment(starts_at),
        closed_until=None if closed_until is None else moment(closed_until),
        changed_at=moment(changed_at),
        sev=None if sev is None else Sev(sev),
        unsure=bool(unsure),
        content=content,
        incident_id=incident_id,
    )
