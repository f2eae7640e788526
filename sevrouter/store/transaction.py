"""One transaction, by what it is about. Each part is a handful of statements on one connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, insert

from sevrouter.store.alerts import Alerts
from sevrouter.store.incidents import Incidents
from sevrouter.store.outbox import Outbox
from sevrouter.store.quarantine import Quarantine
from sevrouter.store.retention import Retention
from sevrouter.store.tables import migrations

if TYPE_CHECKING:
    from sqlalchemy import Connection

# Migrations are numbered from 1.
_NO_MIGRATION = 0


class Transaction:
    """What a work may read and change; all of it is committed together, or none."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.alerts = Alerts(connection)
        self.incidents = Incidents(connection)
        self.outbox = Outbox(connection)
        self.quarantine = Quarantine(connection)
        self.retention = Retention(connection)

    def touch(self) -> None:
        """Write a row and take it back: proof that this store can be written.

        Neither a transaction without a change nor a row written as it is would reach the disk.
        """
        self._connection.execute(insert(migrations).values(version=_NO_MIGRATION))
        self._connection.execute(delete(migrations).where(migrations.c.version == _NO_MIGRATION))
