"""Alerts: labels written once, a narrow state row each, and the history of what changed.

What is saved is written when the transaction ends, all of it together; until then it is read back from here.
"""

from __future__ import annotations

import heapq
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from sevrouter.domain.alert import AlertRecord, AlertStatus, HistoryEntry
from sevrouter.domain.sev import Sev
from sevrouter.engine.ports import ForgottenError
from sevrouter.store.errors import ConflictError
from sevrouter.store.ids import take_ids
from sevrouter.store.rows import Rows, batched, execute, is_postgres, select_in, storable
from sevrouter.store.tables import microseconds, moment

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence, Set

    from sqlalchemy import Connection

    from sevrouter.store.memory import Memory
    from sevrouter.store.rows import Row

_STATE = "status, starts_at, closed_until, changed_at, sev, unsure, content, incident_id, watch_id, version"
_alerts = Rows(
    "alerts",
    {"id": "bigint", "digest": "bytea", "labels": "text", "generator_url": "text", "first_seen_at": "bigint"},
)
_states = Rows(
    "alert_states",
    {
        "alert_id": "bigint",
        "status": "text",
        "starts_at": "bigint",
        "closed_until": "bigint",
        "changed_at": "bigint",
        "sev": "smallint",
        "unsure": "boolean",
        "content": "bytea",
        "incident_id": "bigint",
        "watch_id": "bigint",
        "version": "bigint",
    },
)
_history = Rows(
    "history",
    {
        "alert_id": "bigint",
        "at": "bigint",
        "status": "text",
        "starts_at": "bigint",
        "ends_at": "bigint",
        "sev": "smallint",
        "unsure": "boolean",
        "reading": "text",
        "content": "text",
    },
)
_BY_DIGEST = (
    f"SELECT alerts.id, digest, {_STATE} FROM alerts JOIN alert_states ON alert_id = alerts.id"  # noqa: S608  constants
    " WHERE digest {keys}"
)
_CHANGED = (
    f"SELECT known.id, known.digest, {_STATE}"  # noqa: S608  constants
    " FROM unnest($1::bigint[], $2::bytea[], $3::bigint[]) AS known (id, digest, seen)"
    " LEFT JOIN alert_states ON alert_id = known.id WHERE version IS DISTINCT FROM known.seen"
)
_STATUSES = {status.value: status for status in AlertStatus}
# The alerts of a webhook share most of their times.
_microseconds = lru_cache(maxsize=4_096)(microseconds)
_encode = msgspec.json.Encoder().encode


class Alerts:
    """The statements on alerts of one transaction."""

    def __init__(self, connection: Connection, memory: Memory) -> None:
        self._connection = connection
        self._memory = memory
        self._is_shared = is_postgres(connection)
        # As this transaction has read and as it has changed them; what it writes at its end.
        self._read: dict[bytes, AlertRecord] = {}
        self._changed: dict[bytes, AlertRecord] = {}
        self._unwritten: dict[bytes, AlertRecord] = {}
        self._unseen: set[bytes] = set()
        self._new: list[tuple[int, HistoryEntry]] = []
        self._entries: list[tuple[int, HistoryEntry]] = []
        self._wanted: set[bytes] = set()
        self._absent: set[bytes] = set()

    def expect(self, digests: Sequence[bytes]) -> Set[bytes]:
        """Say which alerts will be asked for, so that those of many webhooks are read together.

        Returns those that are not in memory; of the others the incident is known too.
        """
        unknown = set(digests).difference(self._memory.records)
        # Where nobody else writes, what is remembered need not be looked at.
        self._wanted.update(digests if self._is_shared else unknown)
        return unknown

    def expect_sighted(self, sightings: Iterable[bytes]) -> None:
        """The same, by how they were sent."""
        known = self._memory.sightings
        self._wanted.update(known[sighting].digest for sighting in sightings if sighting in known)

    def find(self) -> list[AlertRecord]:
        """Read what is expected and not remembered; what is remembered may be out of date until `verify`."""
        remembered, read, absent = self._memory.records, self._read, self._absent
        unknown = [each for each in self._wanted if each not in remembered and each not in read and each not in absent]
        if unknown:
            self._select(unknown)
            absent.update(each for each in unknown if each not in read)
        if not self._is_shared:
            # Nobody else writes, so there is nothing to hold on to.
            self._wanted = set()
            return []
        return [found for each in self._wanted if (found := read.get(each) or remembered.get(each))]

    def verify(self) -> None:
        """Compare what is expected with the database, where others write to it too."""
        wanted, self._wanted = self._wanted, set()
        if not self._is_shared:
            return
        remembered = self._memory.records
        known = [found for each in wanted if (found := self._read.get(each) or remembered.get(each))]
        self._read.update((each.digest, each) for each in known)
        if not known:
            return
        keys = ([each.id for each in known], [each.digest for each in known], [each.version for each in known])
        for number, digest, *state in execute(self._connection, _CHANGED, keys).fetchall():
            del self._read[digest]
            self._memory.forget_records([digest])
            if state[0] is not None:
                self._read[digest] = _record(number, digest, *state)

    def records(self, digests: Collection[bytes]) -> dict[bytes, AlertRecord]:
        """What is remembered of the alerts with these digests; those never seen are left out."""
        changed, read, absent = self._changed, self._read, self._absent
        remembered = {} if self._is_shared else self._memory.records
        if not changed and not read:
            found = {digest: record for digest in digests if (record := remembered.get(digest)) is not None}
            if len(found) == len(digests):
                return found
        found = {}
        unknown: list[bytes] = []
        for digest in digests:
            record = changed.get(digest) or read.get(digest) or remembered.get(digest)
            if record is not None:
                found[digest] = record
            elif digest not in absent:
                unknown.append(digest)
        if unknown:
            self._wanted.update(unknown)
            self.find()
            self.verify()
            found.update((each, read[each]) for each in unknown if each in read)
        return found

    def sighted(self, sightings: Iterable[bytes]) -> list[AlertRecord]:
        """The alerts that were last sent just like this. Raises ForgottenError where one of them was not."""
        found = []
        for sighting in sightings:
            record = self._memory.sightings.get(sighting)
            if record is None or self._current(record.digest) is not record:
                raise ForgottenError
            found.append(record)
        return found

    def _current(self, digest: bytes) -> AlertRecord | None:
        if digest in self._changed:
            return self._changed[digest]
        return self._read.get(digest) if self._is_shared else self._memory.records.get(digest)

    def save(self, entries: Sequence[HistoryEntry]) -> None:
        """Write alerts as they are now, and the history of it; labels only of those never seen before."""
        unseen = [each for each in entries if each.record.id is None]
        if unseen:
            numbers = take_ids(self._connection, self._memory, "alerts", len(unseen))
            for number, entry in zip(numbers, unseen, strict=True):
                self._stage(replace(entry.record, id=number))
                self._unseen.add(entry.record.digest)
                self._new.append((number, entry))
        for entry in entries:
            if entry.record.id is not None:
                self._stage(entry.record)
            self._entries.append((self._changed[entry.record.digest].id or 0, entry))

    def reword(self, entries: Sequence[HistoryEntry]) -> None:
        """Write the history of alerts of which nothing has changed but the content.

        A process that does not remember it takes the next sending for one more change, which does no harm.
        """
        changed, unwritten, kept = self._changed, self._unwritten, self._entries
        for entry in entries:
            record = entry.record
            changed[record.digest] = record
            if unwritten and record.digest in unwritten:
                unwritten[record.digest] = record
            kept.append((record.id or 0, entry))

    def _stage(self, record: AlertRecord) -> None:
        self._changed[record.digest] = record
        self._unwritten[record.digest] = record

    def recall(self, records: Iterable[AlertRecord]) -> None:
        """Remember how alerts were sent and graded that have not changed otherwise; nothing of it is written."""
        for record in records:
            self._changed[record.digest] = record
            if record.digest in self._unwritten:
                self._unwritten[record.digest] = record

    def flush(self) -> None:
        """Write what was saved. Raises ConflictError where somebody else wrote it first."""
        if not self._entries and not self._unwritten:
            return
        # In one order everywhere, so that two replicas wait for one another and never both ways.
        _alerts.insert(self._connection, _by_digest(self._new), _alert)
        written = [replace(each, version=each.version + 1) for each in self._unwritten.values()]
        written.sort(key=lambda each: each.id or 0)
        _states.insert(self._connection, [each for each in written if each.digest in self._unseen], _state)
        known = [each for each in written if each.digest not in self._unseen]
        if _states.update(self._connection, known, _state) != len(known):
            raise ConflictError
        _history.insert(self._connection, self._entries, _history_row)
        self._changed.update((each.digest, each) for each in written)
        self._unwritten, self._unseen, self._new = {}, set(), []
        # Piece by piece: the end of very many objects at once would hold up everybody else.
        while self._entries:
            del self._entries[-1_000:]

    def learn(self) -> None:
        """Let the memory know; only after the commit."""
        self._memory.learn_records(self._read.values())
        self._memory.learn_records(self._changed.values())

    def distrust(self) -> None:
        """Let the memory forget what this transaction was about."""
        self._memory.forget_records([*self._wanted, *self._read, *self._changed])

    def _select(self, digests: Iterable[bytes]) -> None:
        for row in select_in(self._connection, _BY_DIGEST, "bytea", digests):
            record = _record(*row)
            self._read[record.digest] = record


def _by_digest(new: Sequence[tuple[int, HistoryEntry]]) -> Sequence[tuple[int, HistoryEntry]]:
    # In parts: nobody else has a turn while a list is sorted.
    parts = [sorted(part, key=_digest_of) for part in batched(new)]
    return parts[0] if len(parts) == 1 else list(heapq.merge(*parts, key=_digest_of))


def _digest_of(new: tuple[int, HistoryEntry]) -> bytes:
    return new[1].record.digest


def _alert(new: tuple[int, HistoryEntry]) -> Row:
    number, entry = new
    alert = entry.alert
    return number, alert.digest, _encode(alert.labels).decode(), storable(alert.generator_url), _microseconds(entry.at)


def _state(record: AlertRecord) -> Row:
    return (
        record.id,
        "firing" if record.status is AlertStatus.FIRING else "resolved",
        _microseconds(record.starts_at),
        None if record.closed_until is None else _microseconds(record.closed_until),
        _microseconds(record.changed_at),
        None if record.sev is None else record.sev.rank,
        record.unsure,
        record.content,
        record.incident_id,
        record.watch_id,
        record.version,
    )


def _history_row(change: tuple[int, HistoryEntry]) -> Row:
    number, entry = change
    record, alert, content = entry.record, entry.alert, None
    if entry.with_content:
        content = _encode({"annotations": alert.annotations, "values": alert.values}).decode()
    return (
        number,
        _microseconds(entry.at),
        "firing" if record.status is AlertStatus.FIRING else "resolved",
        _microseconds(alert.starts_at),
        None if alert.ends_at is None else _microseconds(alert.ends_at),
        None if record.sev is None else record.sev.rank,
        record.unsure,
        None if entry.reading is None else storable(entry.reading),
        content,
    )


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
    watch_id: int | None,
    version: int,
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
        watch_id=watch_id,
        version=version,
    )
