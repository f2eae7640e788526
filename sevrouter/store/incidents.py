"""Incidents and their timelines. What is added, saved and told is written when the transaction ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace
from sqlalchemy import bindparam, func, or_, select, text

from sevrouter.domain.incident import Fact, Incident, IncidentState, TimelineEntry
from sevrouter.store.chunks import chunks
from sevrouter.store.errors import ConflictError
from sevrouter.store.ids import forget_ordered_ids, take_ids
from sevrouter.store.incident_rows import as_microseconds, encode, evidence_of, incident_of, once_of, row_of, typed
from sevrouter.store.rows import Rows, is_postgres, select_in
from sevrouter.store.tables import incidents, timeline

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Select

    from sevrouter.domain.sev import Sev
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
    "standing": "text",
    "suppressed": "text",
    "heard_at": "bigint",
    "stale_since": "bigint",
}
_new = Rows(
    "incidents", _CHANGING | {"dedup_key": "text", "opened_at": "bigint", "evidence": "text", "version": "bigint"}
)
# The evidence is most of an incident, and changes with its SEV only.
_states = Rows("incidents", _CHANGING | {"version": "bigint"})
_evidences = Rows("incidents", _CHANGING | {"evidence": "text", "version": "bigint"})
_facts = Rows("timeline", {"incident_id": "bigint", "at": "bigint", "fact": "text", "details": "text"})

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
# Named one by one, so that the index on states is taken.
_OPEN = tuple(each.value for each in IncidentState if each is not IncidentState.RESOLVED)
_BEGINS = text("timeline.fact IN ('opened', 'reopened')")


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
            # One that was open as far as we knew, and is not, may have a successor by now.
            self._look_again([key for key, each in found.items() if each.is_open and not self._is_open(each.id or 0)])
        else:
            self._read.update(read)

    def _is_open(self, number: int) -> bool:
        return number in self._read and self._read[number].is_open

    def _look_again(self, keys: Collection[str]) -> None:
        if not keys:
            return
        for row in select_in(self._connection, _LAST_BY_KEY, "text", keys):
            incident = self._read_row(typed(row))
            self._by_key[incident.dedup_key] = incident.id or 0
        self._lock({self._by_key[key] for key in keys} - self._read.keys(), {})

    def _find(self, keys: Iterable[str]) -> dict[str, Incident]:
        remembered = {key: self._remembered(key) for key in keys}
        found = {key: incident for key, incident in remembered.items() if incident is not None}
        unknown = [key for key, incident in remembered.items() if incident is None]
        if unknown:
            for row in select_in(self._connection, _LAST_BY_KEY, "text", unknown):
                incident = self._read_row(typed(row))
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
        return known if known is not None and known.version == row["version"] else incident_of(row)

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
                self._read[row[0]] = self._read_row(typed(row))

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
        statement = select(incidents).where(incidents.c.due_at <= now).order_by(incidents.c.due_at).limit(most)
        return self._claimed(statement)

    def unheard(self, since: datetime, *, most: int) -> list[Incident]:
        """Open incidents of which nothing was heard since then, and nobody said so; not those that another holds."""
        last_heard_at = func.coalesce(incidents.c.heard_at, incidents.c.opened_at)
        is_open = incidents.c.state.in_(_OPEN)
        statement = select(incidents).where(is_open, incidents.c.stale_since.is_(None), last_heard_at <= since)
        return self._claimed(statement.order_by(incidents.c.id).limit(most))

    def _claimed(self, statement: Select[Any]) -> list[Incident]:
        self._flush_all()
        rows = self._connection.execute(statement.with_for_update(skip_locked=True)).mappings().all()
        if self._is_shared:
            forget_ordered_ids(self._memory)
        found = [self._read_row({**row}) for row in rows]
        self._read.update((each.id or 0, each) for each in found)
        return found

    def begun(self, naming: str, *, since: datetime, until: datetime, most: int) -> list[tuple[datetime, Incident]]:
        """Incidents that opened or reopened then, and when; those of a system, or that may name it. The last first."""
        self._flush_all()
        named = incidents.c.evidence.contains(encode(naming).decode(), autoescape=True)
        statement = (
            select(timeline.c.at.label("begun_at"), incidents)
            .join_from(timeline, incidents, incidents.c.id == timeline.c.incident_id)
            .where(_BEGINS, timeline.c.at.between(since, until), or_(incidents.c.system == naming, named))
            .order_by(timeline.c.at.desc())
            .limit(most)
        )
        rows = self._connection.execute(statement.with_for_update(of=incidents)).mappings().all()
        if self._is_shared:
            forget_ordered_ids(self._memory)
        found = [(row["begun_at"], self._read_row({**row})) for row in rows]
        self._read.update((each.id or 0, each) for _, each in found)
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
            details = encode(entry.details).decode()
            self._told.append((number, as_microseconds(entry.at), entry.fact.value, details))

    def flush(self) -> None:
        """Write what was added, saved and told. Raises ConflictError where somebody else wrote it first."""
        if not (self._added or self._saved or self._told):
            return
        for number in (*self._added, *self._saved):
            incident = self._changed[number]
            self._changed[number] = replace(incident, version=incident.version + 1)
        added = [self._changed[number] for number in sorted(self._added)]
        _new.insert(self._connection, added, lambda each: (*row_of(each), *once_of(each), each.version))
        states: list[Incident] = []
        evidences: list[Incident] = []
        for number, before in sorted(self._saved.items()):
            incident = self._changed[number]
            (states if incident.evidence is before.evidence else evidences).append(incident)
        written = _states.update(self._connection, states, lambda each: (*row_of(each), each.version))
        written += _evidences.update(
            self._connection, evidences, lambda each: (*row_of(each), evidence_of(each), each.version)
        )
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
        self._memory.learn_last(self._by_key)
        if any(each.truncated for each in self._changed.values()):
            self._memory.any_truncated = True
        elif self._changed and self._memory.any_truncated:
            # One of them may have been the last: look again.
            self._memory.any_truncated = None

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
        return [incident_of({**row}) for row in self._connection.execute(statement).mappings()]

    def counts(self) -> dict[tuple[Sev, str], int]:
        """How many incidents there are by SEV and state."""
        self._flush_all()
        statement = select(incidents.c.sev, incidents.c.state, func.count()).group_by(
            incidents.c.state, incidents.c.sev
        )
        return {(sev, state): count for sev, state, count in self._connection.execute(statement)}
