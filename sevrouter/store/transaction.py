"""One transaction, by what it is about. Each part is a handful of statements on one connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, select

from sevrouter.store.alerts import Alerts
from sevrouter.store.deployments import Deployments
from sevrouter.store.drills import Drills
from sevrouter.store.escalations import Escalations
from sevrouter.store.firing import Firing
from sevrouter.store.heartbeats import Heartbeats
from sevrouter.store.incidents import Incidents
from sevrouter.store.outbox import Outbox
from sevrouter.store.quarantine import Quarantine
from sevrouter.store.retention import Retention
from sevrouter.store.rings import Rings
from sevrouter.store.rows import is_postgres
from sevrouter.store.tables import migrations
from sevrouter.store.watches import Watches

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from sevrouter.store.memory import Memory

# Migrations are numbered from 1.
_NO_MIGRATION = 0


class Transaction:
    """What works may read and change; all of it is committed together, or none.

    What intake writes is kept until `flush`, so that the rows of many webhooks are one statement.
    """

    def __init__(self, connection: Connection, memory: Memory) -> None:
        self._connection = connection
        self._memory = memory
        self._alerts = Alerts(connection, memory)
        self._incidents = Incidents(connection, memory, self.flush)
        self._outbox = Outbox(connection, memory, self.flush)
        self._retention = Retention(connection, memory)
        self.firing = Firing(connection, self.flush)
        self.watches = Watches(connection, self.flush)
        self.escalations = Escalations(connection, self.flush)
        self.rings = Rings(connection, memory, self.flush)
        self.drills = Drills(connection)
        self.deployments = Deployments(connection)
        self.heartbeats = Heartbeats(connection)
        self.quarantine = Quarantine(connection)

    @property
    def alerts(self) -> Alerts:
        """The statements on alerts."""
        return self._alerts

    @property
    def incidents(self) -> Incidents:
        """The statements on incidents."""
        return self._incidents

    @property
    def outbox(self) -> Outbox:
        """The statements on deliveries."""
        return self._outbox

    @property
    def retention(self) -> Retention:
        """The statements that forget."""
        self.flush()
        return self._retention

    def load(self) -> None:
        """Read what works said that they expect, and hold on to the incidents that it is about."""
        records = self._alerts.find()
        self._incidents.hold({each.incident_id for each in records if each.incident_id is not None})
        self._alerts.verify()

    def flush(self) -> None:
        """Write what waits, the same order in every replica. Raises ConflictError where another was quicker."""
        self.heartbeats.flush()
        self._alerts.flush()
        self._incidents.flush()
        self._outbox.flush()

    def learn(self) -> None:
        """Remember what was read and written; only after the commit."""
        self._alerts.learn()
        self._incidents.learn()
        self._retention.learn()

    def distrust(self) -> None:
        """Forget what this was about: it did not come to be, and what was remembered may be why."""
        self._alerts.distrust()
        self._incidents.distrust()
        # Others may have got them by now: where a database is moved or restored, numbers begin anew.
        self._memory.free_ids.clear()

    def touch(self) -> None:
        """Write something that leaves no trace: proof that this store can be written."""
        if is_postgres(self._connection):
            # A standby has no number for a transaction to give out; with one, a commit goes to the disk. Where only
            # the session may not write that would be given all the same, but no row may be deleted there.
            self._connection.execute(select(func.pg_current_xact_id()))
            self._connection.execute(delete(migrations).where(migrations.c.version == _NO_MIGRATION))
            return
        # Neither a transaction without a change nor a row written as it is would reach the disk.
        self._connection.execute(insert(migrations).values(version=_NO_MIGRATION))
        self._connection.execute(delete(migrations).where(migrations.c.version == _NO_MIGRATION))
