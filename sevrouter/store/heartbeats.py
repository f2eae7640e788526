"""Heartbeats: when each was last heard, a row each. Times only move forward, whichever replica writes them.

Beats are written when the transaction ends, so that those of many webhooks are one statement a heartbeat.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from sevrouter.domain.heartbeat import Pulse
from sevrouter.store.rows import execute, numbered
from sevrouter.store.tables import heartbeats, microseconds

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sqlalchemy import Connection

_PUT = (
    "INSERT INTO heartbeats (name, since, beat_at, listened_at) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET"
    " since = CASE WHEN excluded.since > heartbeats.since THEN excluded.since ELSE heartbeats.since END,"
    " beat_at = CASE WHEN heartbeats.beat_at IS NULL OR excluded.beat_at > heartbeats.beat_at"
    " THEN excluded.beat_at ELSE heartbeats.beat_at END,"
    " listened_at = CASE WHEN excluded.listened_at > heartbeats.listened_at"
    " THEN excluded.listened_at ELSE heartbeats.listened_at END"
)


class Heartbeats:
    """The statements on heartbeats of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._staged: dict[str, Pulse] = {}

    def put(self, pulses: Mapping[str, Pulse]) -> None:
        """Store what is known of these by name; what is known already and newer stays. Works come in order of time."""
        self._staged.update(pulses)

    def flush(self) -> None:
        """Write what was put."""
        statement = numbered(_PUT, self._connection)
        # In one order everywhere, so that two replicas wait for one another and never both ways.
        for name, pulse in sorted(self._staged.items()):
            beat_at = None if pulse.beat_at is None else microseconds(pulse.beat_at)
            values = (name, microseconds(pulse.since), beat_at, microseconds(pulse.listened_at))
            execute(self._connection, statement, values)
        self._staged = {}

    def known(self, *, hold: bool = False) -> dict[str, Pulse]:
        """All of them; `hold`: no other replica changes one of them until the end."""
        self.flush()
        statement = select(heartbeats).order_by(heartbeats.c.name)
        rows = self._connection.execute(statement.with_for_update() if hold else statement)
        return {
            row.name: Pulse(since=row.since, beat_at=row.beat_at, listened_at=row.listened_at) for row in rows
        }  # fmt: skip

    def forget(self, names: Collection[str]) -> None:
        """Nobody waits for these any more."""
        self._connection.execute(delete(heartbeats).where(heartbeats.c.name.in_(names)))
