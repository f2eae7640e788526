"""How the calls of incidents stand: a row for each incident that was ever called for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace
from sqlalchemy import func, select

from sevrouter.domain.escalation import Escalation, EscalationState
from sevrouter.store.errors import ConflictError
from sevrouter.store.rows import Rows, select_in
from sevrouter.store.tables import escalations, microseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

_rows = Rows(
    "escalations",
    {
        "incident_id": "bigint",
        "state": "text",
        "due_at": "bigint",
        "run_out": "integer",
        "standing": "text",
        "version": "bigint",
    },
)
_BY_INCIDENT = "SELECT standing, version FROM escalations WHERE incident_id {keys}"
_due = select(escalations.c.standing, escalations.c.version).order_by(escalations.c.due_at)
_next = select(escalations.c.due_at).where(escalations.c.due_at.is_not(None)).order_by(escalations.c.due_at).limit(1)
# Each incident in this state has run out of people at least once since it was begun, and has not been owned since.
_unanswered = select(func.count()).where(escalations.c.run_out > 0)

_UNOWNED = (EscalationState.RINGING.value, EscalationState.PAUSED.value)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Escalation).decode


class Escalations:
    """The statements on escalations of one transaction."""

    def __init__(self, connection: Connection, flush: Callable[[], None]) -> None:
        self._connection = connection
        self._flush_all = flush

    def by_incident(self, ids: Collection[int]) -> dict[int, Escalation]:
        """Those of these incidents that there are."""
        if not ids:
            return {}
        self._flush_all()
        found = (_read(*row) for row in select_in(self._connection, _BY_INCIDENT, "bigint", sorted(ids)))
        return {each.incident_id: each for each in found}

    def due(self, now: datetime, *, most: int) -> list[Escalation]:
        """Those whose time has come, the longest first; not those that another replica holds."""
        statement = _due.where(escalations.c.due_at <= now).limit(most).with_for_update(skip_locked=True)
        return [_read(*row) for row in self._connection.execute(statement)]

    def paged(self, provider: str, *, after: int, most: int) -> list[Escalation]:
        """Those, from one incident on, that a paging service was told of and that nobody owns yet."""
        named = escalations.c.standing.contains(f'"{provider}"', autoescape=True)
        ringing = escalations.c.state.in_(_UNOWNED), escalations.c.incident_id > after, named
        statement = select(escalations.c.standing, escalations.c.version).where(*ringing)
        rows = self._connection.execute(statement.order_by(escalations.c.incident_id).limit(most))
        return [each for each in (_read(*row) for row in rows) if provider in each.paged]

    def next_due_at(self) -> datetime | None:
        """When the next one's time comes."""
        return self._connection.execute(_next).scalar()

    def save(self, changed: Sequence[Escalation]) -> None:
        """Write these, as they are from now on. Raises ConflictError where somebody else wrote one first."""
        if not changed:
            return
        self._flush_all()
        # In one order everywhere, so that two replicas wait for one another and never both ways.
        written = [replace(each, version=each.version + 1) for each in sorted(changed, key=lambda one: one.incident_id)]
        _rows.insert(self._connection, [each for each in written if each.version == 1], _row)
        known = [each for each in written if each.version > 1]
        if _rows.update(self._connection, known, _row) != len(known):
            raise ConflictError

    def unanswered(self) -> int:
        """How many incidents ran out of people to call, and nobody has owned them since."""
        self._flush_all()
        return self._connection.execute(_unanswered).scalar_one()


def _row(escalation: Escalation) -> tuple[Any, ...]:
    due_at = escalation.next_at
    return (
        escalation.incident_id,
        escalation.state.value,
        None if due_at is None else microseconds(due_at),
        escalation.run_out,
        _encode(escalation).decode(),
        escalation.version,
    )


def _read(standing: str, version: int) -> Escalation:
    return replace(_decode(standing), version=version)
