"""The outbox: deliveries written with their incident, claimed with a lease, finished by who holds it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import and_, bindparam, exists, func, literal_column, select, update

from sevrouter.domain.delivery import (
    Delivery,
    DeliveryState,
    LaneCounts,
    NewDelivery,
    Notice,
    NoticeKind,
    OutcomeReason,
    Sibling,
)
from sevrouter.store.chunks import chunks
from sevrouter.store.delivery_rows import NEW, delivery_of, row_of
from sevrouter.store.ids import take_ids
from sevrouter.store.rows import execute, is_postgres, numbered, storable
from sevrouter.store.tables import Moment, deliveries, delivery_references, microseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from sqlalchemy import ColumnElement, Connection
    from sqlalchemy.engine.interfaces import DBAPICursor

    from sevrouter.store.memory import Memory

_OURS = "WHERE id = ? AND state = 'sending' AND lease = ?"
_FINISH = (
    f"UPDATE deliveries SET state = ?, lease = ?, lease_until = ?, finished_at = ?, reason = ?, detail = ? {_OURS}"  # noqa: S608
)
_AGAIN = "state = ?, lease = ?, lease_until = ?, not_before = ?, unknowns = ?, reason = ?, detail = ?"
_POSTPONE = f"UPDATE deliveries SET {_AGAIN} {_OURS}"  # noqa: S608
_BEGIN = (
    "UPDATE deliveries SET state = ?, lease = ?, lease_until = ?, attempts = attempts + 1"
    " WHERE id = ? AND state = 'pending'"
)
_RELEASE = f"UPDATE deliveries SET state = ?, lease = ?, lease_until = ?, attempts = attempts - 1 {_OURS}"  # noqa: S608
_REFER = (
    "INSERT INTO delivery_references (incident_id, integration, reference) VALUES (?, ?, ?)"
    " ON CONFLICT (incident_id, integration) DO UPDATE SET reference = excluded.reference"
)
# Where replicas tell one another, by PostgreSQL's NOTIFY, which integrations have something to deliver.
CHANNEL = "sevrouter_outbox"
_PENDING = DeliveryState.PENDING.value
_SENDING = DeliveryState.SENDING.value
# Written as the index is, or SQLite would not take it and read every delivery there ever was.
_UNFINISHED = deliveries.c.finished_at.is_(None)
_with_reference = select(deliveries, delivery_references.c.reference).outerjoin(
    delivery_references,
    and_(
        delivery_references.c.incident_id == deliveries.c.incident_id,
        delivery_references.c.integration == deliveries.c.integration,
    ),
)
_siblings = select(
    deliveries.c.incident_id, deliveries.c.id, deliveries.c.kind, deliveries.c.state, deliveries.c.unknowns
).where(
    deliveries.c.incident_id.in_(bindparam("ids", expanding=True)),
    deliveries.c.integration == bindparam("integration"),
)
# The plus keeps SQLite from finding all that is due first and sorting it then: in a storm that is thousands.
_NOT_BEFORE = literal_column("+deliveries.not_before", Moment())


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A delivery that was given up."""

    id: int
    integration: str
    notice: Notice
    attempts: int
    reason: str
    detail: str
    finished_at: datetime


class Outbox:
    """The statements on deliveries of one transaction."""

    def __init__(self, connection: Connection, memory: Memory, flush: Callable[[], None]) -> None:
        self._bare = connection
        self._memory = memory
        self._flush_all = flush
        self._added: list[tuple[object, ...]] = []

    @property
    def _connection(self) -> Connection:
        """The connection, for statements that must see what waits to be written."""
        self._flush_all()
        return self._bare

    def add(self, new: Sequence[NewDelivery]) -> list[int]:
        """Write deliveries, due at once, when the transaction ends; returns their ids."""
        if not new:
            return []
        numbers = take_ids(self._bare, self._memory, "deliveries", len(new))
        self._added += [row_of(number, each) for number, each in zip(numbers, new, strict=True)]
        return numbers

    def flush(self) -> None:
        """Write what was added."""
        if not self._added:
            return
        added, self._added = self._added, []
        NEW.insert(self._bare, added)
        integrations = sorted({str(row[2]) for row in added if row[6] == _PENDING})
        if integrations and is_postgres(self._bare):
            # Only a hint: whoever misses it looks within seconds all the same.
            self._bare.exec_driver_sql("SELECT pg_notify($1, $2)", (CHANNEL, ",".join(integrations)))

    def heads(self, integration: str, *, now: datetime, most: int) -> list[Delivery]:
        """The deliveries whose turn it is, the worst SEV first.

        Of each incident it is the oldest unfinished one: first in, first out.
        """
        statement = (
            _with_reference.where(deliveries.c.integration == integration, deliveries.c.state == _PENDING, _UNFINISHED)
            .where(now >= _NOT_BEFORE, ~_waits_for_older())
            .order_by(deliveries.c.sev, deliveries.c.id)
            .limit(most)
            .with_for_update(of=deliveries, skip_locked=True)
        )
        return [delivery_of(row) for row in self._connection.execute(statement).mappings()]

    def held(self, lease: str) -> list[Delivery]:
        """The deliveries that are being sent by who holds this lease."""
        statement = _with_reference.where(deliveries.c.state == _SENDING, _UNFINISHED, deliveries.c.lease == lease)
        return [delivery_of(row) for row in self._connection.execute(statement).mappings()]

    def next_due_at(self, integration: str) -> datetime | None:
        """When it is the next delivery's turn, in the past if it is now; what waits for an older one is not due."""
        statement = (
            select(deliveries.c.not_before)
            .where(deliveries.c.integration == integration, deliveries.c.state == _PENDING, _UNFINISHED)
            .where(~_waits_for_older())
            .order_by(deliveries.c.not_before)
            .limit(1)
        )
        return self._connection.execute(statement).scalar()

    def is_empty(self, integration: str) -> bool:
        """Whether nothing waits for this integration, not even for an older delivery of its incident."""
        waiting = deliveries.c.integration == integration, deliveries.c.state == _PENDING, _UNFINISHED
        return self._connection.execute(select(deliveries.c.id).where(*waiting).limit(1)).first() is None

    def siblings(self, integration: str, incident_ids: Collection[int]) -> dict[int, list[Sibling]]:
        """All deliveries of these incidents to one integration, by incident."""
        found: dict[int, list[Sibling]] = {number: [] for number in incident_ids}
        if incident_ids:
            rows = self._connection.execute(_siblings, {"integration": integration, "ids": list(incident_ids)})
            for incident_id, number, kind, state, unknowns in rows:
                found[incident_id].append(Sibling(number, NoticeKind(kind), DeliveryState(state), unknowns))
        return found

    def states(self, ids: Collection[int]) -> dict[int, DeliveryState]:
        """How deliveries stand, by their numbers."""
        found: dict[int, DeliveryState] = {}
        for chunk in chunks(ids):
            chosen = select(deliveries.c.id, deliveries.c.state).where(deliveries.c.id.in_(chunk))
            found.update((row.id, DeliveryState(row.state)) for row in self._connection.execute(chosen))
        return found

    def begin(self, begun: Sequence[Delivery], *, until: datetime) -> None:
        """Mark deliveries as being sent, each by who holds its lease."""
        for delivery in begun:
            self._run(_BEGIN, (_SENDING, delivery.lease, microseconds(until), delivery.id))

    def void(self, delivery: Delivery, state: DeliveryState, *, reason: str, detail: str = "", at: datetime) -> None:
        """End a pending delivery that is not to be sent."""
        self._connection.execute(
            update(deliveries)
            .where(deliveries.c.id == delivery.id, deliveries.c.state == _PENDING)
            .values(state=state.value, reason=reason, detail=storable(detail), finished_at=at)
        )

    def finish(
        self, delivery: Delivery, state: DeliveryState, *, reason: OutcomeReason, detail: str, at: datetime
    ) -> bool:
        """Record the end of an attempt that was the last; False where the lease is no longer ours."""
        ours = (delivery.id, delivery.lease)
        values = (state.value, None, None, microseconds(at), reason.value, storable(detail))
        return self._run(_FINISH, (*values, *ours)).rowcount == 1

    def postpone(
        self, delivery: Delivery, *, not_before: datetime, unknowns: int, reason: OutcomeReason, detail: str
    ) -> bool:
        """Record an attempt that is to be made again; False where the lease is no longer ours."""
        ours = (delivery.id, delivery.lease)
        values = (_PENDING, None, None, microseconds(not_before), unknowns, reason.value, storable(detail))
        return self._run(_POSTPONE, (*values, *ours)).rowcount == 1

    def release(self, delivery: Delivery) -> bool:
        """Give back what was not attempted after all; False where the lease is no longer ours."""
        return self._run(_RELEASE, (_PENDING, None, None, delivery.id, delivery.lease)).rowcount == 1

    def _run(self, statement: str, values: tuple[object, ...]) -> DBAPICursor:
        # What holds a lease was committed before: whatever waits to be written is about other rows.
        return execute(self._bare, numbered(statement, self._bare), values)

    def refer(self, delivery: Delivery, reference: str) -> None:
        """Remember what the integration calls this incident by now."""
        self._run(_REFER, (delivery.notice.incident_id, delivery.integration, reference))

    def references(self, integration: str, incident_ids: Collection[int]) -> dict[int, str]:
        """What the integration calls these incidents, where it was told of them."""
        names = delivery_references.c
        chosen = names.integration == integration, names.incident_id.in_(sorted(incident_ids))
        rows = self._connection.execute(select(names.incident_id, names.reference).where(*chosen))
        return {row.incident_id: row.reference for row in rows}

    def expired_leases(self, now: datetime | None, *, most: int) -> list[Delivery]:
        """Deliveries being sent by somebody whose lease ran out; with None, by anybody."""
        statement = (
            select(deliveries)
            .where(deliveries.c.state == _SENDING, _UNFINISHED)
            .limit(most)
            .with_for_update(skip_locked=True)
        )
        if now is not None:
            statement = statement.where(deliveries.c.lease_until < now)
        rows = self._connection.execute(statement).mappings()
        return [delivery_of(row) for row in rows]

    def give_up_orphans(self, integrations: Collection[str], *, now: datetime, most: int) -> list[Delivery]:
        """End deliveries that expired for integrations other than these, and return them: no lane will."""
        orphans = (
            select(deliveries)
            .where(_UNFINISHED, deliveries.c.state == _PENDING, deliveries.c.expires_at <= now)
            .where(deliveries.c.integration.not_in(list(integrations)))
            .limit(most)
            .with_for_update(skip_locked=True)
        )
        found = [delivery_of(row) for row in self._connection.execute(orphans).mappings()]
        for each in found:
            self.void(each, DeliveryState.DEAD, reason=OutcomeReason.EXPIRED.value, at=now)
        return found

    def dead_letters(self, *, most: int) -> list[DeadLetter]:
        """The deliveries that were given up, the last first."""
        statement = (
            select(deliveries)
            .where(deliveries.c.state == DeliveryState.DEAD.value)
            .order_by(deliveries.c.id.desc())
            .limit(most)
        )
        return [
            DeadLetter(
                id=row["id"],
                integration=row["integration"],
                notice=msgspec.json.decode(row["notice"], type=Notice),
                attempts=row["attempts"],
                reason=row["reason"],
                detail=row["detail"],
                finished_at=row["finished_at"],
            )
            for row in self._connection.execute(statement).mappings()
        ]

    def revive(self, ids: Sequence[int] | None, *, now: datetime, expires_at: datetime) -> int:
        """Make dead letters (all of them with None) pending again, and return how many there were."""
        statement = update(deliveries).where(deliveries.c.state == DeliveryState.DEAD.value)
        if ids is not None:
            statement = statement.where(deliveries.c.id.in_(ids))
        values = {"state": _PENDING, "not_before": now, "expires_at": expires_at, "finished_at": None}
        return self._connection.execute(statement.values(**values)).rowcount

    def counts(self) -> dict[str, LaneCounts]:
        """How the outbox stands, by integration; those with nothing pending or dead are left out."""
        unfinished = (
            select(deliveries.c.integration, func.count(), func.min(deliveries.c.received_at))
            .where(_UNFINISHED)
            .group_by(deliveries.c.integration)
        )
        dead = (
            select(deliveries.c.integration, func.count())
            .where(deliveries.c.state == DeliveryState.DEAD.value)
            .group_by(deliveries.c.integration)
        )
        dead_by_name: dict[str, int] = dict(self._connection.execute(dead).all())
        found = {
            name: LaneCounts(pending=count, oldest_pending_at=oldest, dead=dead_by_name.pop(name, 0))
            for name, count, oldest in self._connection.execute(unfinished)
        }
        return found | {name: LaneCounts(dead=count) for name, count in dead_by_name.items()}


def _waits_for_older() -> ColumnElement[bool]:
    older = deliveries.alias()
    return exists().where(
        older.c.incident_id == deliveries.c.incident_id,
        older.c.integration == deliveries.c.integration,
        older.c.id < deliveries.c.id,
        older.c.finished_at.is_(None),
    )
