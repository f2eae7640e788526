"""Intake: a webhook's alerts become records, incidents, timelines and deliveries; the 200 comes after the commit.

A webhook that says nothing new is counted and answered without a look into the store, where that is certain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sevrouter.engine.lease import Lease
from sevrouter.engine.taking import Taking, Webhook, is_graded
from sevrouter.engine.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable

    from sevrouter.domain.routing import Routing
    from sevrouter.engine.ports import Clock, CurrentRouting, Lanes, StorePort, TransactionPort
    from sevrouter.telemetry.metrics import Metrics


__all__ = ["Intake", "Webhook"]


class Intake:
    """Takes webhooks in. `lanes` get what there is to deliver, `due` is told of a new due time."""

    def __init__(
        self,
        store: StorePort,
        routing: CurrentRouting,
        metrics: Metrics,
        *,
        clock: Clock,
        lanes: Lanes,
        due: Callable[[], None],
    ) -> None:
        self._store = store
        self._routing = routing
        self._metrics = metrics
        self._clock = clock
        self._lanes = lanes
        self._due = due

    def remembers(self, sighting: bytes) -> bool:
        """Whether an alert that is sent like this was sent like this before, and nothing about it has changed."""
        record = self._store.remembered(sighting)
        return record is not None and is_graded(record, self._routing())

    async def take(self, webhook: Webhook) -> None:
        """Store a webhook and all that follows from it; returns when it is on disk. Raises what the store raises."""
        now = self._clock()
        routing = self._routing()
        tally = self._repeat(webhook, routing)
        if tally is None:
            expectation, lease = _Expectation(webhook, routing), Lease()
            tally = await self._store.write(
                lambda tx: Taking(tx, routing, now, expectation.keys, self._lanes.takes, lease).run(webhook),
                ahead=expectation,
            )
        if tally is None:
            assert webhook.whole is not None
            await self.take(webhook.whole())
            return
        # First what has to happen, then what is said of it.
        if tally.handed:
            self._lanes.hand_over(tally.handed)
        if tally.integrations:
            self._lanes.wake(tally.integrations)
        if tally.has_due:
            self._due()
        tally.report(self._metrics)

    def _repeat(self, webhook: Webhook, routing: Routing) -> Tally | None:
        """What a webhook amounts to that says nothing new, where that is certain without a look into the store."""
        if webhook.alerts or webhook.truncated or webhook.quarantined is not None or not self._store.is_sure:
            return None
        records = [self._store.remembered(sighting) for sighting in webhook.repeats]
        tally = Tally()
        for record in records:
            if record is None or not is_graded(record, routing):
                return None
            tally.repeated(record)
        return tally


class _Expectation:
    """What a webhook will ask for; said before any webhook of the transaction is worked on."""

    def __init__(self, webhook: Webhook, routing: Routing) -> None:
        self._webhook = webhook
        self._routing = routing
        # The dedup keys of alerts that were never seen, which are asked for again when they are grouped.
        self.keys: dict[bytes, str] = {}

    def __call__(self, tx: TransactionPort) -> None:
        for alert in self._webhook.alerts:
            if alert.digest not in self.keys and not tx.alerts.is_remembered(alert.digest):
                self.keys[alert.digest] = self._routing.incidents.dedup_key(alert.labels)
        tx.alerts.expect([alert.digest for alert in self._webhook.alerts])
        tx.alerts.expect_sighted(self._webhook.repeats)
        tx.incidents.expect(self.keys.values())
