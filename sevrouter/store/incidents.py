"""Incidents and their timelines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import bindparam, func, insert, select, text, update

from sevrouter.domain.incident import Evidence, Fact, Incident, IncidentState, TimelineEntry
from sevrouter.store.chunks import chunks
from sevrouter.store.tables import incidents, timeline

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, RowMapping

    from sevrouter.domain.sev import Sev

_update = (
    update(incidents)
    .where(incidents.c.id == bindparam("of_incident"))
    .values({column: bindparam(column.name) for column in incidents.c if column.name != "id"})
)
_by_id = select(incidents).where(incidents.c.id.in_(bindparam("ids", expanding=True)))
_last_by_key = select(incidents).where(
    incidents.c.id.in_(
        select(func.max(incidents.c.id))
        .where(incidents.c.dedup_key.in_(bindparam("keys", expanding=True)))
        .group_by(incidents.c.dedup_key)
    )
)
# Written as the index is, or SQLite would not take it and read every incident there ever was.
_truncated = select(incidents.c.id).where(text("truncated")).limit(1)


class Incidents:
    """The statements on incidents of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def by_id(self, ids: Iterable[int]) -> dict[int, Incident]:
        """The incidents with these ids."""
        found: dict[int, Incident] = {}
        for chunk in chunks(ids):
            for row in self._connection.execute(_by_id, {"ids": chunk}).mappings():
                found[row["id"]] = _incident(row)
        return found

    def last_by_key(self, keys: Iterable[str]) -> dict[str, Incident]:
        """The last incident of each of these identities, open or not."""
        found: dict[str, Incident] = {}
        for chunk in chunks(keys):
            for row in self._connection.execute(_last_by_key, {"keys": chunk}).mappings():
                found[row["dedup_key"]] = _incident(row)
        return found

    def any_truncated(self) -> bool:
        """Whether any incident may have firing alerts that Alertmanager left out."""
        return self._connection.execute(_truncated).first() is not None

    def due(self, now: datetime, *, most: int) -> list[Incident]:
        """Incidents whose quiet time has run out, the longest over first."""
        statement = select(incidents).where(incidents.c.due_at <= now).order_by(incidents.c.due_at).limit(most)
        return [_incident(row) for row in self._connection.execute(statement).mappings()]

    def next_due_at(self) -> datetime | None:
        """When the next quiet time runs out."""
        statement = (
            select(incidents.c.due_at).where(incidents.c.due_at.is_not(None)).order_by(incidents.c.due_at).limit(1)
        )
        return self._connection.execute(statement).scalar()

    def add(self, new: Sequence[Incident]) -> dict[str, int]:
        """Write new incidents, and return their ids by dedup key."""
        if not new:
            return {}
        statement = insert(incidents).returning(incidents.c.id, incidents.c.dedup_key)
        return {key: number for number, key in self._connection.execute(statement, [_row(each) for each in new])}

    def save(self, changed: Sequence[Incident]) -> None:
        """Write the state of incidents that have their ids."""
        if changed:
            self._connection.execute(_update, [{"of_incident": each.id} | _row(each) for each in changed])

    def tell(self, entries: Sequence[tuple[int, TimelineEntry]]) -> None:
        """Append facts to timelines, each with the id of its incident."""
        rows = [
            {
                "incident_id": number,
                "at": entry.at,
                "fact": entry.fact.value,
                "details": msgspec.json.encode(entry.details).decode(),
            }
            for number, entry in entries
        ]
        if rows:
            self._connection.execute(insert(timeline), rows)

    def timeline(self, incident_id: int) -> list[TimelineEntry]:
        """The facts of one incident in order."""
        statement = select(timeline).where(timeline.c.incident_id == incident_id).order_by(timeline.c.id)
        return [
            TimelineEntry(Fact(row["fact"]), row["at"], msgspec.json.decode(row["details"]))
            for row in self._connection.execute(statement).mappings()
        ]

    def listed(self, *, with_resolved: bool, most: int) -> list[Incident]:
        """Open incidents, the worst first; with the resolved ones, the last opened first."""
        statement = select(incidents).limit(most)
        if with_resolved:
            statement = statement.order_by(incidents.c.id.desc())
        else:
            is_open = incidents.c.state != IncidentState.RESOLVED.value
            statement = statement.where(is_open).order_by(incidents.c.sev, incidents.c.id)
        return [_incident(row) for row in self._connection.execute(statement).mappings()]

    def counts(self) -> dict[tuple[Sev, str], int]:
        """How many incidents there are by SEV and state."""
        statement = select(incidents.c.sev, incidents.c.state, func.count()).group_by(
            incidents.c.state, incidents.c.sev
        )
        return {(sev, state): count for sev, state, count in self._connection.execute(statement)}


def _row(incident: Incident) -> dict[str, Any]:
    return {
        "dedup_key": incident.dedup_key,
        "state": incident.state.value,
        "sev": incident.sev,
        "unsure": incident.unsure,
        "opened_at": incident.opened_at,
        "resolved_at": incident.resolved_at,
        "due_at": incident.due_at,
        "system": incident.system,
        "owner": incident.owner,
        "firing": incident.firing,
        "truncated": incident.truncated,
        "asked": ",".join(incident.asked),
        "evidence": msgspec.json.encode(incident.evidence).decode(),
    }


def _incident(row: RowMapping) -> Incident:
    return Incident(
        id=row["id"],
        dedup_key=row["dedup_key"],
        state=IncidentState(row["state"]),
        sev=row["sev"],
        unsure=row["unsure"],
        opened_at=row["opened_at"],
        resolved_at=row["resolved_at"],
        due_at=row["due_at"],
        system=row["system"],
        owner=row["owner"],
        firing=row["firing"],
        truncated=row["truncated"],
        asked=tuple(filter(None, row["asked"].split(","))),
        evidence=msgspec.json.decode(row["evidence"], type=Evidence),
    )
