"""What went live: a few rows an hour, of which an incident that begins reads those of the last minutes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import func, insert, select

from sevrouter.domain.deployment import Deployment
from sevrouter.store.rows import is_postgres
from sevrouter.store.tables import deployments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

# Of more than these the newest count; a sender that loops must not hold up alerts.
MOST_RECENT = 1_000

# Any number that is ours: who holds it in PostgreSQL is recording deployments.
_LOCK = 7_386_318_296
# The webhooks of one transaction came within seconds, and share what the first of them has read.
_MARGIN = timedelta(minutes=1)

_columns = select(deployments.c.system, deployments.c.version, deployments.c.at, deployments.c.link)


class Deployments:
    """The statements on deployments of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._read: tuple[datetime, datetime, Mapping[str, Sequence[Deployment]]] | None = None

    def hold(self) -> None:
        """Let no other replica record any until the end, so that what is not found now is not there."""
        if is_postgres(self._connection):
            self._connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))

    def find(self, system: str, version: str, *, since: datetime, until: datetime) -> Deployment | None:
        """The last deployment of this version at these times."""
        is_this = (deployments.c.system == system) & (deployments.c.version == version)
        statement = _columns.where(is_this, deployments.c.at.between(since, until))
        row = self._connection.execute(statement.order_by(deployments.c.at.desc()).limit(1)).mappings().first()
        return None if row is None else Deployment(**row)

    def latest(self, system: str) -> Deployment | None:
        """The last deployment of a system."""
        statement = _columns.where(deployments.c.system == system).order_by(deployments.c.at.desc()).limit(1)
        row = self._connection.execute(statement).mappings().first()
        return None if row is None else Deployment(**row)

    def add(self, deployment: Deployment, *, received_at: datetime) -> None:
        """Write one that is not there."""
        row = {
            "system": deployment.system,
            "version": deployment.version,
            "at": deployment.at,
            "link": deployment.link,
            "received_at": received_at,
        }
        self._connection.execute(insert(deployments), row)
        self._read = None

    def recent(self, *, since: datetime, until: datetime) -> Mapping[str, Sequence[Deployment]]:
        """All that went live then, or a little before or after, by system, the newest first; at most MOST_RECENT."""
        if self._read is None or not self._read[0] <= since <= until <= self._read[1]:
            first, last = since - _MARGIN, until + _MARGIN
            self._read = first, last, self._between(first, last)
        return self._read[2]

    def _between(self, since: datetime, until: datetime) -> Mapping[str, Sequence[Deployment]]:
        statement = _columns.where(deployments.c.at.between(since, until)).order_by(deployments.c.at.desc())
        found: dict[str, list[Deployment]] = {}
        for row in self._connection.execute(statement.limit(MOST_RECENT)).mappings():
            found.setdefault(row["system"], []).append(Deployment(**row))
        return found
