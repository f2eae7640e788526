"""The dispatcher: a lane for each integration, and the rescue of what lost its worker."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import structlog

from sevrouter.domain.backoff import Schedule
from sevrouter.domain.delivery import Delivery, OutcomeReason, Unknown
from sevrouter.domain.incident import Fact
from sevrouter.engine.lane import Lane, Route
from sevrouter.engine.recording import Recording, about, entry_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from sevrouter.engine.ports import Clock, StorePort, TransactionPort
    from sevrouter.engine.rounds import Rounds
    from sevrouter.telemetry.metrics import Metrics

log = structlog.get_logger()

# How long an attempt that is under way may take after we were told to stop.
DRAIN = 15.0
# Why a delivery is given up that no lane is there for.
ORPHANED = "integration_removed"


class Dispatcher:
    """All lanes, and the rescue of deliveries whose worker was lost."""

    def __init__(self, store: StorePort, metrics: Metrics, *, clock: Clock) -> None:
        self._store = store
        self._metrics = metrics
        self._clock = clock
        self._lanes: dict[str, Lane] = {}
        # Of every lane there ever was: one that was removed may still have an attempt under way.
        self._tasks: dict[Lane, asyncio.Task[None]] = {}
        # Who takes what no lane does.
        self._attended: dict[str, Callable[[], None]] = {}

    def attend(self, integration: str, wake: Callable[[], None] | None) -> None:
        """Somebody else takes the deliveries to this one from now on, and is woken when there are any; or nobody."""
        if wake is None:
            self._attended.pop(integration, None)
        else:
            self._attended[integration] = wake

    def route(self, routes: dict[str, Route]) -> None:
        """Deliver by these from now on; attempts that are under way end as they began."""
        for name, route in routes.items():
            lane = self._lanes.get(name)
            if lane is not None:
                lane.route = route
                lane.wake()
                continue
            lane = self._lanes[name] = Lane(name, route, self._store, self._metrics, clock=self._clock)
            self._tasks[lane] = asyncio.create_task(lane.run(), name=f"lane-{name}")
        for name in [each for each in self._lanes if each not in routes]:
            log.warning("integration_removed", integration=name)
            self._lanes.pop(name).stop()

    @property
    def rounds(self) -> list[Rounds]:
        """Those of every lane."""
        return [lane.rounds for lane in self._lanes.values()]

    def takes(self, integration: str) -> bool:
        """Whether a new delivery would be sent at once; may be asked in any thread."""
        lane = self._lanes.get(integration)
        return lane is not None and lane.takes

    def hand_over(self, deliveries: Sequence[Delivery]) -> None:
        """Send these: they are committed, with their leases."""
        for delivery in deliveries:
            lane = self._lanes.get(delivery.integration)
            # Without its lane it is rescued once its lease has run out, for whatever lane there is then.
            if lane is not None:
                lane.hand_over(delivery)

    def wake(self, integrations: set[str]) -> None:
        """There is something new to deliver to these."""
        for name in integrations & self._lanes.keys():
            self._lanes[name].wake()
        for name in integrations & self._attended.keys():
            self._attended[name]()

    async def rescue(self, *, everybody: bool = False) -> int:
        """Take deliveries whose lease ran out (everybody's, at the start of the only process) back into the outbox.

        Nobody knows whether they were done, so that is their outcome. Returns how many there were.
        """
        now = self._clock()
        rescued = await self._store.write(lambda tx: self._rescue(tx, None if everybody else now, now))
        for delivery in rescued:
            self._metrics.deliveries.labels(delivery.integration, "unknown").inc()
            log.warning("delivery_rescued", **about(delivery))
        self.wake({delivery.integration for delivery in rescued})
        return len(rescued)

    async def give_up_orphans(self) -> None:
        """End what expired for integrations that a reload took away."""
        now, names = self._clock(), {*self._lanes, *self._attended}
        orphans = await self._store.write(lambda tx: _give_up_orphans(tx, names, now))
        for delivery in orphans:
            self._metrics.deliveries.labels(delivery.integration, "expired").inc()
            log.error("delivery_expired", reason=ORPHANED, **about(delivery))

    def _rescue(self, tx: TransactionPort, before: datetime | None, now: datetime) -> list[Delivery]:
        expired = tx.outbox.expired_leases(before, most=1_000)
        for delivery in expired:
            lane = self._lanes.get(delivery.integration)
            schedule = lane.route.schedule if lane is not None else Schedule()
            Recording(delivery, Unknown(OutcomeReason.LEASE_EXPIRED), schedule, now)(tx)
        return expired

    async def stop(self) -> None:
        """Take nothing more, finish what is under way, then return."""
        for lane in self._tasks:
            lane.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN):
                # A claim that is under way comes first: what it took has to be delivered.
                await asyncio.gather(*self._tasks.values(), return_exceptions=True)
                await asyncio.gather(*(lane.finish() for lane in self._tasks))
        for lane in self._tasks:
            lane.abandon()


def _give_up_orphans(tx: TransactionPort, integrations: set[str], now: datetime) -> list[Delivery]:
    orphans = tx.outbox.give_up_orphans(integrations, now=now, most=1_000)
    facts = [(each.notice.incident_id, entry_of(each, Fact.DELIVERY_EXPIRED, ORPHANED, now)) for each in orphans]
    tx.incidents.tell(facts)
    return orphans
