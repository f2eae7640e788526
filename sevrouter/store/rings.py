"""Calls by telephone, and who is wanted for which incident. A ring belongs to who holds its lease until it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace
from sqlalchemy import delete, func, select, update

from sevrouter.domain.ringing import Ring, RingEnd, Wanted
from sevrouter.store.chunks import chunks
from sevrouter.store.ids import take_ids
from sevrouter.store.rows import Rows, execute, numbered, storable
from sevrouter.store.tables import microseconds, rings, summons

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from sevrouter.store.memory import Memory

_COLUMNS = {
    "incident_id": "bigint", "person": "text", "sev": "smallint", "wanted_at": "bigint", "not_before": "bigint",
}  # fmt: skip
# Who is being told of it just now hears it in that call.
_AGAIN = (
    "ON CONFLICT (incident_id, person) DO UPDATE SET sev = excluded.sev, wanted_at = excluded.wanted_at,"
    " not_before = excluded.not_before, ring_id = NULL WHERE summons.ring_id IS NULL OR NOT EXISTS"
    " (SELECT 1 FROM rings WHERE rings.id = summons.ring_id AND rings.ended_at IS NULL)"
)
_rows = Rows("summons", _COLUMNS, again=_AGAIN)
_BEGIN = (
    "INSERT INTO rings (id, person, number, provider, token, is_drill, sev, began_at, detail, unknowns, lease,"
    " lease_until) VALUES (?, ?, ?, ?, ?, ?, ?, ?, '', 0, ?, ?) ON CONFLICT DO NOTHING"
)
_OURS = "WHERE id = ? AND lease = ? AND ended_at IS NULL"
_EXTEND = f"UPDATE rings SET lease_until = ? {_OURS}"  # noqa: S608  constants
_FINISH = (
    "UPDATE rings SET ended_at = ?, outcome = ?, detail = ?, reference = coalesce(?, reference), unknowns = ?,"  # noqa: S608
    f" lease = NULL, lease_until = NULL {_OURS}"
)
_waits = summons.c.ring_id.is_(None)
_is_under_way = rings.c.ended_at.is_(None)


class Rings:
    """The statements on rings and summons of one transaction."""

    def __init__(self, connection: Connection, memory: Memory, flush: Callable[[], None]) -> None:
        self._connection = connection
        self._memory = memory
        self._flush_all = flush

    def want(self, wanted: Sequence[Wanted], *, not_before: datetime) -> None:
        """Have people called, from a time on. Who is being called about it just now is not called once more."""
        self._flush_all()
        # In one order everywhere, so that two replicas wait for one another and never both ways.
        ordered = sorted(wanted, key=lambda each: (each.incident_id, each.person))
        _rows.insert(self._connection, ordered, lambda each: _row(each, not_before))

    def drop(self, incident_ids: Collection[int]) -> None:
        """Nobody is wanted for these any more, and nobody who is being called is told of them."""
        for chunk in chunks(sorted(incident_ids)):
            self._connection.execute(delete(summons).where(summons.c.incident_id.in_(chunk)))

    def forget(self, person: str) -> None:
        """This person cannot be called any more."""
        self._connection.execute(delete(summons).where(summons.c.person == person, _waits))

    def waiting(self, *, now: datetime, most: int) -> list[str]:
        """The people who are wanted by now and are not being called, the worst SEV first."""
        statement = (
            select(summons.c.person)
            .where(_waits, summons.c.not_before <= now)
            .group_by(summons.c.person)
            .order_by(func.min(summons.c.sev), func.min(summons.c.not_before), summons.c.person)
            .limit(most)
        )
        return list(self._connection.execute(statement).scalars())

    def next_waiting_at(self, *, after: datetime) -> datetime | None:
        """When the next is wanted who is not wanted by then."""
        statement = select(func.min(summons.c.not_before)).where(_waits, summons.c.not_before > after)
        return self._connection.execute(statement).scalar()

    def of_person(self, person: str, *, now: datetime, most: int) -> list[Wanted]:
        """What a person is wanted for by now, the worst first."""
        chosen = summons.c.person == person, _waits, summons.c.not_before <= now
        return self._wanted(*chosen, most=most)

    def under_way(self, people: Collection[str]) -> dict[str, Ring]:
        """The calls to these people that are not over, by person."""
        found = self._connection.execute(select(rings).where(rings.c.person.in_(people), _is_under_way))
        return {row.person: _ring(row) for row in found}

    def recent(self, person: str, *, since: datetime) -> list[datetime]:
        """When a person's phone rang since then, or may have; drills do not count."""
        statement = select(rings.c.began_at).where(rings.c.person == person, rings.c.began_at > since)
        statement = statement.where(rings.c.is_drill.is_(False))
        placed = func.coalesce(rings.c.outcome, "") != RingEnd.NOT_PLACED.value
        return list(self._connection.execute(statement.where(placed)).scalars())

    def begin(self, ring: Ring, *, until: datetime) -> Ring | None:
        """Write a call that is about to be placed; None where this person is being called already."""
        (number,) = take_ids(self._connection, self._memory, "rings", 1)
        values = (
            number, ring.person, ring.number, ring.provider, ring.token, ring.is_drill,
            None if ring.sev is None else ring.sev.rank, microseconds(ring.began_at), ring.lease, microseconds(until),
        )  # fmt: skip
        # The index lets nobody be called twice at once.
        begun = execute(self._connection, numbered(_BEGIN, self._connection), values)
        return replace(ring, id=number) if begun.rowcount == 1 else None

    def adopt(self, ring: Ring, *, now: datetime) -> int:
        """Have a call be about all that its person is wanted for by now; how much that is in all."""
        chosen = summons.c.person == ring.person, _waits, summons.c.not_before <= now
        self._connection.execute(update(summons).where(*chosen).values(ring_id=ring.id))
        return self.count_told(ring.id)

    def told(self, ring_id: int, *, most: int) -> list[Wanted]:
        """What a call is about, the worst first."""
        return self._wanted(summons.c.ring_id == ring_id, most=most)

    def count_told(self, ring_id: int) -> int:
        """How much a call is about."""
        return self._connection.execute(select(func.count()).where(summons.c.ring_id == ring_id)).scalar_one()

    def find(self, ring_id: int) -> Ring | None:
        """A call by its number."""
        row = self._connection.execute(select(rings).where(rings.c.id == ring_id)).first()
        return None if row is None else _ring(row)

    def place(self, ring: Ring, reference: str) -> bool:
        """The provider has taken it, and calls it this; False where it is over. The first name stays."""
        named = func.coalesce(rings.c.reference, storable(reference))
        statement = update(rings).where(rings.c.id == ring.id, _is_under_way).values(reference=named)
        return self._connection.execute(statement).rowcount == 1

    def acknowledge(self, ring_id: int, *, at: datetime, dial: str | None) -> None:
        """The key was pressed: all that the call is about is acknowledged then. `dial` is its bridge."""
        chosen = rings.c.id == ring_id, rings.c.acknowledged_at.is_(None)
        values = {"acknowledged_at": at, "heard": RingEnd.ACKNOWLEDGED.value, "dial": dial}
        self._connection.execute(update(rings).where(*chosen).values(**values))

    def hear(self, ring_id: int, end: RingEnd) -> None:
        """Another key was pressed, which says what the call has come to; what was acknowledged stays so."""
        chosen = rings.c.id == ring_id, rings.c.acknowledged_at.is_(None)
        self._connection.execute(update(rings).where(*chosen).values(heard=end.value))

    def extend(self, held: Sequence[Ring], *, until: datetime) -> list[int]:
        """Go on with these, which are ours until then; the numbers of those that are not ours any more."""
        statement, due = numbered(_EXTEND, self._connection), microseconds(until)
        ordered = sorted(held, key=lambda each: each.id)
        return [
            each.id
            for each in ordered
            if execute(self._connection, statement, (due, each.id, each.lease)).rowcount != 1
        ]

    def finish(self, ring: Ring) -> bool:
        """Record that it is over, and what came of it; False where it is not ours any more."""
        assert ring.end is not None
        assert ring.ended_at is not None
        values = (
            microseconds(ring.ended_at), ring.end.value, storable(ring.detail), ring.reference, ring.unknowns,
            ring.id, ring.lease,
        )  # fmt: skip
        return execute(self._connection, numbered(_FINISH, self._connection), values).rowcount == 1

    def release(self, ring_id: int, *, not_before: datetime) -> list[int]:
        """Have its person called again from a time on, for all that it was about; those incidents."""
        chosen = summons.c.ring_id == ring_id
        statement = update(summons).where(chosen).values(ring_id=None, not_before=not_before)
        return list(self._connection.execute(statement.returning(summons.c.incident_id)).scalars())

    def settle(self, incident_ids: Iterable[int], ring_id: int) -> None:
        """What it was about was told: its person is not wanted for these any more, until they are wanted again."""
        for chunk in chunks(sorted(incident_ids)):
            chosen = summons.c.ring_id == ring_id, summons.c.incident_id.in_(chunk)
            self._connection.execute(delete(summons).where(*chosen))

    def rescue(self, now: datetime | None, lease: str, *, until: datetime, most: int) -> list[Ring]:
        """Take over the calls whose lease ran out by then; with None, everybody's."""
        statement = select(rings).where(_is_under_way).order_by(rings.c.id).limit(most)
        if now is not None:
            statement = statement.where(rings.c.lease_until < now)
        found = [_ring(row) for row in self._connection.execute(statement.with_for_update(skip_locked=True))]
        taken = update(rings).where(rings.c.id.in_([each.id for each in found]))
        self._connection.execute(taken.values(lease=lease, lease_until=until))
        return [replace(each, lease=lease) for each in found]

    def unsettled(self, *, most: int) -> list[Ring]:
        """The calls that are over, or whose key was pressed, and what they were about has not been dealt with."""
        told = select(summons.c.ring_id).where(summons.c.ring_id.is_not(None)).distinct()
        is_due = rings.c.ended_at.is_not(None) | rings.c.acknowledged_at.is_not(None)
        statement = select(rings).where(rings.c.id.in_(told), is_due).order_by(rings.c.id).limit(most)
        return [_ring(row) for row in self._connection.execute(statement)]

    def _wanted(self, *chosen: Any, most: int) -> list[Wanted]:
        self._flush_all()
        ordered = select(summons).where(*chosen).order_by(summons.c.sev, summons.c.wanted_at, summons.c.incident_id)
        found = self._connection.execute(ordered.limit(most))
        return [Wanted(row.incident_id, row.person, row.sev, row.wanted_at) for row in found]


def _row(wanted: Wanted, not_before: datetime) -> tuple[Any, ...]:
    at = microseconds(wanted.wanted_at)
    return (wanted.incident_id, wanted.person, wanted.sev.rank, at, microseconds(not_before))


def _ring(row: Any) -> Ring:
    return Ring(
        id=row.id,
        person=row.person,
        number=row.number,
        provider=row.provider,
        token=row.token,
        is_drill=row.is_drill,
        sev=row.sev,
        began_at=row.began_at,
        ended_at=row.ended_at,
        end=None if row.outcome is None else RingEnd(row.outcome),
        detail=row.detail,
        reference=row.reference,
        unknowns=row.unknowns,
        acknowledged_at=row.acknowledged_at,
        heard=None if row.heard is None else RingEnd(row.heard),
        dial=row.dial,
        lease=row.lease or "",
    )
