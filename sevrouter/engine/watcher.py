"""The watcher: wakes when a quiet time runs out, and resolves what stayed quiet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sevrouter.domain.delivery import NewDelivery
from sevrouter.domain.incident import settle
from sevrouter.domain.plan import notice, plan
from sevrouter.engine.tally import report_facts
from sevrouter.engine.timer import Timer

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sevrouter.domain.incident import Incident, TimelineEntry
    from sevrouter.engine.ports import Clock, CurrentRouting, StorePort, TransactionPort

# Incidents settled in one transaction, so that intake never waits long.
TOGETHER = 200


class Watcher:
    """Resolves incidents whose quiet time has run out. `wake` is told who has something to deliver."""

    def __init__(
        self, store: StorePort, routing: CurrentRouting, *, clock: Clock, wake: Callable[[set[str]], None]
    ) -> None:
        self._store = store
        self._routing = routing
        self._clock = clock
        self._wake_integrations = wake
        self._timer = Timer("watcher", self.settle_due, clock=clock)
        self.rounds = self._timer.rounds

    def wake(self) -> None:
        """There is a new due time."""
        self._timer.wake()

    async def run(self) -> None:
        """Settle what is due, until cancelled."""
        await self._timer.run()

    async def settle_due(self) -> datetime | None:
        """Settle what is due now, and return when the next is due."""
        if await self._store.read(lambda tx: tx.incidents.due(self._clock(), most=1)):
            facts, integrations = await self._store.write(self._settle)
            if integrations:
                self._wake_integrations(integrations)
            report_facts(facts)
        return await self._store.read(lambda tx: tx.incidents.next_due_at())

    def _settle(self, tx: TransactionPort) -> tuple[list[tuple[Incident, TimelineEntry]], set[str]]:
        now, routing = self._clock(), self._routing()
        facts: list[tuple[Incident, TimelineEntry]] = []
        changed: list[Incident] = []
        deliveries: list[NewDelivery] = []
        for before in tx.incidents.due(now, most=TOGETHER):
            folded = settle(before, now=now)
            incident, planned = plan(folded, routing.responses)
            assert incident is not None
            changed.append(incident)
            facts += [(incident, entry) for entry in folded.facts]
            deliveries += [
                NewDelivery(
                    integration=each.integration,
                    notice=notice(before, incident, each.kind, now=now),
                    received_at=now,
                    expires_at=now + routing.give_up_after,
                )
                for each in planned
            ]
        tx.incidents.save(changed)
        tx.incidents.tell([(incident.id or 0, entry) for incident, entry in facts])
        tx.outbox.add(deliveries)
        return facts, {each.integration for each in deliveries}
