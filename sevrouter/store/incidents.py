"""Incidents and their timelines. What is added, saved and told is written when the transaction ends."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace
from sqlalchemy import bindparam, func, select, text

from sevrouter.domain.incident import Evidence, Fact, Incident, IncidentState, TimelineEntry
from sevrouter.domain.sev import Sev
from sevrouter.store.chunks import chunks
from sevrouter.store.errors import ConflictError
from sevrouter.store.ids import forget_ordered_ids, take_ids
from sevrouter.store.rows import Rows, is_postgres, select_in
from sevrouter.store.tables import incidents, microseconds, moment, timeline

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from sevrouter.store.memory import Memory

_CHANGING = {
    "id": "bigint",
    "state": "text",
    "sev": "smallint",
    "unsure": "boolean",
    "resolved_at": "bigint",
    "due_at": "bigint",
    "system": "text",
    "owner": "text",
    "firing": "integer",
    "truncated": "boolean",
    "asked": "text",
}
_new = Rows(
    "incidents", _CHANGING | {"dedup_key": "text", "opened_at": "bigint", "evidence": "text", "version": "bigint"}
)
# The evidence is most of an incident, and changes with its SEV only.
_states = Rows("incidents", _CHANGING | {"version": "bigint"})
_evidences = Rows("incidents", _CHANGING | {"evidence": "text", "version": "bigint"})
_facts = Rows("timeline", {"incident_id": "bigint", "at": "bigint", "fact": "text", "details": "text"})

_NAMES = [column.name for column in incidents.c]
_COLUMNS = ", ".join(column.name for column in incidents.c)
_BY_ID = f"SELECT {_COLUMNS} FROM incidents WHERE id {{keys}}"  # noqa: S608
_versions = (
    select(incidents.c.id, incidents.c.version)
    .where(incidents.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(incidents.c.id)
    .with_for_update()
)
_LAST_BY_KEY = (
    f"SELECT {_COLUMNS} FROM incidents WHERE id IN"  # noqa: S608
    " (SELECT max(id) FROM incidents WHERE dedup_key {keys} GROUP BY dedup_key)"
)
# Written as the index is, or SQLite would not take it and read every incident there ever was.
_truncated = select(incidents.c.id).where(text("truncated")).limit(1)
_microseconds = lru_cache(maxsize=1_024)(microseconds)
_encode = msgspec.json.Encoder().encode


class Incidents:
    """The statements on incidents of one transaction."""

    def __init__(self, connection: Connection, memory: Memory, flush: Callable[[], None]) -> None:
        self._connection = connection
        self._memory = memory
        self._flush_all = flush
        self._is_shared = is_postgres(connection)
        # As this transaction has read (and, where others write, locked) and as it has changed them.
        self._read: dict[int, Incident] = {}
        self._changed: dict[int, Incident] = {}
        self._by_key: dict[str, int] = {}
        self._absent: set[str] = set()
        self._added: set[int] = set()
        self._saved: dict[int, Incident] = {}
        self._told: list[tuple[Any, ...]] = []
        self._wanted: set[str] = set()
        self._any_truncated: bool | None = None

    def expect(self, keys: Iterable[str]) -> None:
        """Say whose last incidents will be asked for, so that those of many webhooks are read together."""
        self._wanted.update(keys)

    def hold(self, ids: Collection[int]) -> None:
        """Read what is expected, and these; where others write too, nobody else changes them until the end.

        All are locked by one statement in the order of their numbers.
        """
        if not self._wanted and not (ids and self._is_shared):
            return
        wanted, self._wanted = self._wanted - self._by_key.keys() - self._absent, set()
        found = self._find(wanted)
        self._by_key.update((key, each.id or 0) for key, each in found.items())
        self._absent |= wanted - found.keys()
        read = {each.id or 0: each for each in found.values()}
        if self._is_shared:
            self._lock({*ids, *read} - self._read.keys(), read)
        else:
            self._read.update(read)

    def _find(self, keys: Iterable[str]) -> dict[str, Incident]:
        remembered = {key: self._remembered(key) for key in keys}
        found = {key: incident for key, incident in remembered.items() if incident is not None}
        unknown = [key for key, incident in remembered.items() if incident is None]
        if unknown:
            for row in select_in(self._connection, _LAST_BY_KEY, "text", unknown):
                incident = self._read_row(_typed(row))
                found[incident.dedup_key] = incident
        return found

    def _remembered(self, key: str) -> Incident | None:
        incident = self._memory.incidents.get(self._memory.last_by_key.get(key, 0))
        # Of one that is over another replica may have opened the next; of an open one there is no next.
        return None if incident is None or (self._is_shared and not incident.is_open) else incident

    def _read_row(self, row: Mapping[str, Any]) -> Incident:
        number = row["id"]
        known = self._read.get(number) or self._memory.incidents.get(number)
        # Without its evidence an incident is read many times as quickly.
        return known if known is not None and known.version == row["version"] else _incident(row)

    def _lock(self, ids: Iterable[int], seen: Mapping[int, Incident]) -> None:
        changed: list[int] = []
        for chunk in chunks(sorted(ids)):
            for number, version in self._connection.execute(_versions, {"ids": chunk}):
                known = seen.get(number) or self._memory.incidents.get(number)
                if known is not None and known.version == version:
                    self._read[number] = known
                else:
                    changed.append(number)
            forget_ordered_ids(self._memory)
        self._select(changed)

    def _select(self, ids: Collection[int]) -> None:
        if ids:
            for row in select_in(self._connection, _BY_ID, "bigint", ids):
                self._read[row[0]] = self._read_row(_typed(row))

    def by_id(self, ids: Iterable[int]) -> dict[int, Incident]:
        """The incidents with these ids."""
        found: dict[int, Incident] = {}
        missing: list[int] = []
        for number in ids:
            known = self._known(number)
            if known is None:
                missing.append(number)
            else:
                found[number] = known
        self._select(missing)
        found.update((number, self._read[number]) for number in missing if number in self._read)
        return found

    def _known(self, number: int) -> Incident | None:
        known = self._changed.get(number) or self._read.get(number)
        return self._memory.incidents.get(number) if known is None and not self._is_shared else known

    def last_by_key(self, keys: Iterable[str]) -> dict[str, Incident]:
        """The last incident of each of these identities, open or not."""
        keys = list(keys)
        if not keys:
            return {}
        self.expect(keys)
        self.hold(())
        numbers = {key: self._by_key[key] for key in keys if key in self._by_key}
        found = self.by_id(numbers.values())
        return {key: found[number] for key, number in numbers.items() if number in found}

    def any_truncated(self) -> bool:
        """Whether any incident may have firing alerts that Alertmanager left out."""
        if any(each.truncated for each in self._changed.values()):
            return True
        if self._any_truncated is None:
            known = None if self._is_shared else self._memory.any_truncated
            self._any_truncated = known or (known is None and self._connection.execute(_truncated).first() is not None)
        return self._any_truncated

    def due(self, now: datetime, *, most: int) -> list[Incident]:
        """Incidents whose quiet time has run out, the longest over first; not those that another replica holds."""
        self._flush_all()
        statement = select(incidents).where(incidents.c.due_at <= now).order_by(incidents.c.due_at).limit(most)
        rows = self._connection.execute(statement.with_for_update(skip_locked=True)).mappings().all()
        if self._is_shared:
            forget_ordered_ids(self._memory)
        found = [self._read_row({**row}) for row in rows]
        self._read.update((each.id or 0, each) for each in found)
        return found

    def next_due_at(self) -> datetime | None:
        """When the next quiet time runs out."""
        self._flush_all()
        statement = (
            select(incidents.c.due_at).where(incidents.c.due_at.is_not(None)).order_by(incidents.c.due_at).limit(1)
        )
        return self._connection.execute(statement).scalar()

    def add(self, new: Sequence[Incident]) -> dict[str, int]:
        """Write new incidents, and return their ids by dedup key."""
        if not new:
            return {}
        numbers = take_ids(self._connection, self._memory, "incidents", len(new))
        for number, incident in zip(numbers, new, strict=True):
            self._changed[number] = replace(incident, id=number)
            self._by_key[incident.dedup_key] = number
            self._absent.discard(incident.dedup_key)
        self._added.update(numbers)
        return {incident.dedup_key: number for number, incident in zip(numbers, new, strict=True)}

    def save(self, changed: Sequence[Incident]) -> None:
        """Write the state of incidents that have their ids, and were read in this transaction."""
        for incident in changed:
            assert incident.id is not None
            if incident.id not in self._added and incident.id not in self._saved:
                self._saved[incident.id] = self._known(incident.id) or incident
            self._changed[incident.id] = incident

    def tell(self, entries: Sequence[tuple[int, TimelineEntry]]) -> None:
        """Append facts to timelines, each with the id of its incident."""
        for number, entry in entries:
            details = _encode(entry.details).decode()
            self._told.append((number, _microseconds(entry.at), entry.fact.value, details))

    def flush(self) -> None:
        """Write what was added, saved and told. Raises ConflictError where somebody else wrote it first."""
        if not (self._added or self._saved or self._told):
            return
        for number in (*self._added, *self._saved):
            incident = self._changed[number]
            self._changed[number] = replace(incident, version=incident.version + 1)
        added = [self._changed[number] for number in sorted(self._added)]
        _new.insert(self._connection, [(*_row(each), *_once(each), each.version) for each in added])
        states, evidences = [], []
        for number, before in sorted(self._saved.items()):
            incident = self._changed[number]
            if incident.evidence is before.evidence:
                states.append((*_row(incident), incident.version))
            else:
                evidences.append((*_row(incident), _evidence(incident), incident.version))
        written = _states.update(self._connection, states) + _evidences.update(self._connection, evidences)
        if written != len(self._saved):
            raise ConflictError
        _facts.insert(self._connection, self._told)
        self._added, self._saved, self._told = set(), {}, []

    def learn(self) -> None:
        """Let the memory know; only after the commit."""
        self._memory.learn_incidents(self._read.values())
        self._memory.learn_incidents(self._changed.values())
        if self._any_truncated is not None:
            self._memory.any_truncated = self._any_truncated
        if any(each.truncated for each in self._changed.values()):
            self._memory.any_truncated = True

    def distrust(self) -> None:
        """Let the memory forget what this transaction was about."""
        self._memory.forget_incidents([*self._read, *self._changed])

    def timeline(self, incident_id: int) -> list[TimelineEntry]:
        """The facts of one incident in order."""
        self._flush_all()
        statement = select(timeline).where(timeline.c.incident_id == incident_id).order_by(timeline.c.id)
        return [
            TimelineEntry(Fact(row["fact"]), row["at"], msgspec.json.decode(row["details"]))
            for row in self._connection.execute(statement).mappings()
        ]

    def listed(self, *, with_resolved: bool, most: int) -> list[Incident]:
        """Open incidents, the worst first; with the resolved ones, the last opened first."""
        self._flush_all()
        statement = select(incidents).limit(most)
        if with_resolved:
            statement = statement.order_by(incidents.c.id.desc())
        else:
            is_open = incidents.c.state != IncidentState.RESOLVED.value
            statement = statement.where(is_open).order_by(incidents.c.sev, incidents.c.id)
        return [_incident({**row}) for row in self._connection.execute(statement).mappings()]

    def counts(self) -> dict[tuple[Sev, str], int]:
        """How many incidents there are by SEV and state."""
        self._flush_all()
        statement = select(incidents.c.sev, incidents.c.state, func.count()).group_by(
            incidents.c.state, incidents.c.sev
        )
        return {(sev, state): count for sev, state, count in self._connection.execute(statement)}


def _row(incident: Incident) -> tuple[Any, ...]:
    return (
        incident.id,
        incident.state.value,
        incident.sev.rank,
        incident.unsure,
        None if incident.resolved_at is None else _microseconds(incident.resolved_at),
        None if incident.due_at is None else _microseconds(incident.due_at),
        incident.system,
        incident.owner,
        incident.firing,
        incident.truncated,
        ",".join(incident.asked),
    )


def _once(incident: Incident) -> tuple[Any, ...]:
    return incident.dedup_key, _microseconds(incident.opened_at), _evidence(incident)


def _evidence(incident: Incident) -> str:
    return _encode(incident.evidence).decode()


def _typed(row: Sequence[Any]) -> Mapping[str, Any]:
    """A row as it comes from the driver, with the types that its table gives it."""
    values = dict(zip(_NAMES, row, strict=True))
    for name in ("opened_at", "resolved_at", "due_at"):
        values[name] = None if values[name] is None else moment(values[name])
    for name in ("unsure", "truncated"):
        values[name] = bool(values[name])
    values["sev"] = Sev(values["sev"])
    return values


def _incident(row: Mapping[str, Any]) -> Incident:
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
        version=row["version"],
    )
