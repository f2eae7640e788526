"""Alerts that sevrouter raises itself: remembered, and made into incidents, as those that come by a webhook are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sevrouter.domain.alert import Alert, AlertStatus
from sevrouter.domain.labels import pairs_digest
from sevrouter.domain.observation import Observation, observe

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sevrouter.domain.grading import Verdict
    from sevrouter.engine.ports import TransactionPort


def own_key(alert: Alert) -> str:
    """The identity of its incident: all of its labels. What groups the alerts of others must not hide one of ours."""
    return pairs_digest(alert.labels).hex()


def observe_own(
    tx: TransactionPort, alerts: Iterable[tuple[Alert, Verdict | None]], *, now: datetime
) -> list[Observation]:
    """What is news of alerts of our own, each with its verdict while it fires. Another replica may know it already."""
    told = {alert.digest: (alert, verdict) for alert, verdict in alerts}
    records = tx.alerts.records(told)
    observations = []
    for digest, (alert, known) in told.items():
        record, verdict = records.get(digest), None if alert.status is AlertStatus.RESOLVED else known
        change = observe(record, alert, verdict, received_at=now)
        if change.moves:
            observations.append(Observation(change, alert, record, verdict))
    return observations
