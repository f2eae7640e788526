"""What is old enough to be forgotten. Deletes a bounded number of rows at a time, so that intake never waits long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Select, Table, delete, exists, or_, select

from sevrouter.domain.alert import AlertStatus
from sevrouter.domain.delivery import DeliveryState
from sevrouter.domain.incident import IncidentState
from sevrouter.store.tables import alert_states, alerts, deliveries, deployments, history, incidents, quarantine, rings

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection

    from sevrouter.store.memory import Memory

_UNFINISHED = (DeliveryState.PENDING.value, DeliveryState.SENDING.value)


class Retention:
    """The statements that forget, of one transaction."""

    def __init__(self, connection: Connection, memory: Memory) -> None:
        self._connection = connection
        self._memory = memory
        self._gone: dict[str, list[int]] = {}

    def forget(self, before: datetime, *, most: int) -> int:
        """Delete what ended before a time, at most so many rows of each kind, and return how many went.

        Nothing that is open goes: not an alert that fires, an incident that is not resolved, or a delivery
        that waits; of an alert that is kept, what it was at that time stays in the history.
        """
        return sum(
            self._delete(table, chosen.limit(most))
            for table, chosen in (
                (history, self._old_history(before)),
                (alerts, self._old_alerts(before)),
                (incidents, self._old_incidents(before)),
                (deployments, select(deployments.c.id).where(deployments.c.at < before)),
                (rings, select(rings.c.id).where(rings.c.ended_at < before)),
                (quarantine, select(quarantine.c.id).where(quarantine.c.last_at < before)),
            )
        )

    def _delete(self, table: Table, chosen: Select[int]) -> int:
        ids: list[int] = [row[0] for row in self._connection.execute(chosen.with_for_update(skip_locked=True))]
        if ids:
            self._connection.execute(delete(table).where(table.c.id.in_(ids)))
        self._gone.setdefault(table.name, []).extend(ids)
        return len(ids)

    def learn(self) -> None:
        """Let the memory know what is gone; only after the commit."""
        self._memory.forget_incidents(self._gone.get(incidents.name, ()))
        gone = {*self._gone.get(alerts.name, ())}
        if gone:
            known = self._memory.records.values()
            self._memory.forget_records([each.digest for each in known if each.id in gone])

    @staticmethod
    def _old_history(before: datetime) -> Select[int]:
        # How it stood at that time, and with which content, stays: without it what came later cannot be replayed.
        return select(history.c.id).where(
            history.c.at < before,
            _is_followed(before),
            or_(history.c.content.is_(None), _is_followed(before, with_content=True)),
        )

    @staticmethod
    def _old_alerts(before: datetime) -> Select[int]:
        return select(alert_states.c.alert_id).where(
            alert_states.c.status == AlertStatus.RESOLVED.value, alert_states.c.changed_at < before
        )

    @staticmethod
    def _old_incidents(before: datetime) -> Select[int]:
        waits = exists().where(deliveries.c.incident_id == incidents.c.id, deliveries.c.state.in_(_UNFINISHED))
        is_over = incidents.c.state == IncidentState.RESOLVED.value
        return select(incidents.c.id).where(is_over, incidents.c.resolved_at < before, ~waits)


def _is_followed(before: datetime, *, with_content: bool = False) -> ColumnElement[bool]:
    later = history.alias()
    follows = exists().where(later.c.alert_id == history.c.alert_id, later.c.id > history.c.id, later.c.at < before)
    return follows.where(later.c.content.is_not(None)) if with_content else follows
