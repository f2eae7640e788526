"""Drills: when each person's phone was last tried through each provider, a row for each of the pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from sevrouter.store.rows import execute, numbered
from sevrouter.store.tables import drills, microseconds

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

_PUT = (
    "INSERT INTO drills (person, provider, drilled_at, succeeded_at) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (person, provider) DO UPDATE SET drilled_at = excluded.drilled_at,"
    " succeeded_at = coalesce(excluded.succeeded_at, drills.succeeded_at)"
)


class Drills:
    """The statements on drills of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def known(self) -> dict[tuple[str, str], tuple[datetime, datetime | None]]:
        """By person and provider: when a call was last tried, and when one last had its key pressed."""
        rows = self._connection.execute(select(drills))
        return {(row.person, row.provider): (row.drilled_at, row.succeeded_at) for row in rows}

    def put(self, person: str, provider: str, *, drilled_at: datetime, succeeded_at: datetime | None) -> None:
        """A call was tried; where nobody pressed its key, it stays when one last had it pressed."""
        succeeded = None if succeeded_at is None else microseconds(succeeded_at)
        values = (person, provider, microseconds(drilled_at), succeeded)
        execute(self._connection, numbered(_PUT, self._connection), values)
