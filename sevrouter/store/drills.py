"""Drills: when each person's phone was last tried through each provider, a row for each of the pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from sevrouter.domain.drill import Drill
from sevrouter.domain.ringing import RingEnd
from sevrouter.store.rows import execute, numbered
from sevrouter.store.tables import drills, microseconds

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

_PUT = (
    "INSERT INTO drills (person, provider, drilled_at, outcome, succeeded_at) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (person, provider) DO UPDATE SET drilled_at = excluded.drilled_at, outcome = excluded.outcome,"
    " succeeded_at = coalesce(excluded.succeeded_at, drills.succeeded_at)"
)
_ASK = (
    "INSERT INTO drills (person, provider, asked_at) VALUES (?, ?, ?)"
    " ON CONFLICT (person, provider) DO UPDATE SET asked_at = excluded.asked_at"
)


class Drills:
    """The statements on drills of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def known(self) -> dict[tuple[str, str], Drill]:
        """What is known, by person and provider."""
        rows = self._connection.execute(select(drills))
        return {
            (row.person, row.provider): Drill(
                drilled_at=row.drilled_at,
                end=None if row.outcome is None else RingEnd(row.outcome),
                succeeded_at=row.succeeded_at,
                asked_at=row.asked_at,
            )
            for row in rows
        }

    def put(
        self, person: str, provider: str, *, drilled_at: datetime, end: RingEnd, succeeded_at: datetime | None
    ) -> None:
        """A call was tried; where nobody pressed its key, it stays when one last had it pressed."""
        succeeded = None if succeeded_at is None else microseconds(succeeded_at)
        values = (person, provider, microseconds(drilled_at), end.value, succeeded)
        execute(self._connection, numbered(_PUT, self._connection), values)

    def ask(self, person: str, provider: str, *, at: datetime) -> None:
        """Somebody asks for a call to be tried."""
        execute(self._connection, numbered(_ASK, self._connection), (person, provider, microseconds(at)))
