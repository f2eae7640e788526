"""The dispatcher: one lane an integration; claim with a lease, re-check, deliver, write down what came of it."""

from __future__ import annotations

import asyncio
import random
import uuid
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, assert_never

import structlog

from sevrouter.domain.backoff import Schedule, next_attempt_at
from sevrouter.domain.delivery import (
    Delivered,
    Delivery,
    DeliveryState,
    Outcome,
    OutcomeReason,
    Rejected,
    Retry,
    Unknown,
    superseded,
)
from sevrouter.domain.incident import Fact, TimelineEntry
from sevrouter.engine.ports import NotifierPort

if TYPE_CHECKING:
    from datetime import datetime

    from sevrouter.engine.ports import Clock, StorePort, TransactionPort
    from sevrouter.telemetry.metrics import Metrics

log = structlog.get_logger()

# Deliveries of one integration under way at once; within an incident there is never more than one.
TOGETHER = 8
# Longer than any attempt takes; a delivery still being sent after it has lost its worker.
LEASE = timedelta(seconds=60)
# A lane looks at its outbox at least this often, for what another process put there.
LONGEST_SLEEP = 5.0
# How long an attempt that is under way may take after we were told to stop.
DRAIN = 15.0


@dataclass(frozen=True, slots=True)
class Route:
    """How an integration is delivered to. Without a notifier everything for it is shown and not sent."""

    notifier: NotifierPort | None
    schedule: Schedule


class Lane:
    """Delivers to one integration, apart from all others: a slow one delays nobody but itself."""

    def __init__(self, name: str, route: Route, store: StorePort, metrics: Metrics, *, clock: Clock) -> None:
        self.name = name
        self.route = route
        self._store = store
        self._metrics = metrics
        self._clock = clock
        self._wake = asyncio.Event()
        self._stopping = False
        self._failing = False
        self._under_way: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        """Look at the outbox now."""
        self._wake.set()

    async def run(self) -> None:
        """Deliver until `stop`."""
        while not self._stopping:
            self._wake.clear()
            sleep = LONGEST_SLEEP
            try:
                sleep = await self._turn()
                self._failing = False
            except Exception as error:  # noqa: BLE001  a lane must outlive whatever its store does
                self._complain(error)
            await self._rest(sleep)

    async def stop(self) -> None:
        """Take nothing more, and finish what is under way."""
        self._stopping = True
        self._wake.set()
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=DRAIN)
        for task in self._under_way:
            task.cancel()

    async def _turn(self) -> float:
        """Begin what is due; how many seconds until there may be more."""
        free = TOGETHER - len(self._under_way)
        if free <= 0:
            return LONGEST_SLEEP
        claimed, more, due_at = await self._store.write(lambda tx: self._claim(tx, free))
        for delivery in claimed:
            task = asyncio.create_task(self._deliver(delivery), name=f"{self.name}-{delivery.id}")
            self._under_way.add(task)
            task.add_done_callback(self._done)
        if more:
            return 0.0
        if due_at is None or claimed:
            return LONGEST_SLEEP
        return min(LONGEST_SLEEP, max(0.05, (due_at - self._clock()).total_seconds()))

    async def _rest(self, seconds: float) -> None:
        if seconds <= 0 or self._stopping:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self.wake()

    def _complain(self, error: Exception) -> None:
        if not self._failing:
            log.error("lane_failing", integration=self.name, error=repr(error))
        self._failing = True

    def _claim(self, tx: TransactionPort, free: int) -> tuple[list[Delivery], bool, datetime | None]:
        now = self._clock()
        claimed: list[Delivery] = []
        heads = tx.outbox.heads(self.name, now=now, most=free)
        incidents = tx.incidents.by_id({head.notice.incident_id for head in heads})
        voided = False
        for head in heads:
            void = superseded(head, incidents[head.notice.incident_id], tx.outbox.siblings(head))
            if void is not None:
                self._end(tx, head, DeliveryState.SUPERSEDED, Fact.SUPERSEDED, void.value, now)
            elif head.expires_at <= now:
                self._end(tx, head, DeliveryState.DEAD, Fact.DELIVERY_EXPIRED, OutcomeReason.EXPIRED.value, now)
            elif self.route.notifier is None:
                self._end(tx, head, DeliveryState.SHADOWED, Fact.SHADOWED, "shadow", now)
            else:
                lease = uuid.uuid4().hex
                tx.outbox.begin(head, lease=lease, until=now + LEASE)
                claimed.append(replace(head, lease=lease, attempts=head.attempts + 1))
                continue
            voided = True
        return claimed, voided, tx.outbox.next_due_at(self.name)

    def _end(
        self, tx: TransactionPort, head: Delivery, state: DeliveryState, fact: Fact, reason: str, now: datetime
    ) -> None:
        tx.outbox.void(head, state, reason=reason, at=now)
        tx.incidents.tell([(head.notice.incident_id, _entry(head, fact, reason, now))])
        outcome = "expired" if fact is Fact.DELIVERY_EXPIRED else fact.value
        self._metrics.deliveries.labels(self.name, outcome).inc()
        line = log.error if state is DeliveryState.DEAD else log.info
        line(_EVENTS[fact], reason=reason, **_about(head))

    async def _deliver(self, delivery: Delivery) -> None:
        notifier = self.route.notifier
        assert notifier is not None
        try:
            outcome = await notifier.deliver(delivery)
        except Exception as error:
            log.exception("notifier_failed", error=repr(error), **_about(delivery))
            outcome = Unknown(OutcomeReason.INTERNAL_ERROR, type(error).__name__)
        # What was done must be written down, also while we are being stopped.
        await asyncio.shield(self._record(delivery, outcome))

    async def _record(self, delivery: Delivery, outcome: Outcome) -> None:
        now = self._clock()
        write = _Writing(delivery, outcome, self.route.schedule, now)
        for pause in (0.1, 0.5, 2.0, 5.0):
            try:
                is_ours = await self._store.write(write)
                break
            except Exception as error:  # noqa: BLE001  whatever the store says, the outcome is still known only here
                self._complain(error)
                await asyncio.sleep(pause)
        else:
            return
        if is_ours:
            self._report(delivery, outcome, write.not_before, now)

    def _report(self, delivery: Delivery, outcome: Outcome, not_before: datetime | None, now: datetime) -> None:
        name = type(outcome).__name__.lower()
        self._metrics.deliveries.labels(self.name, name).inc()
        details = _about(delivery) | {"reason": outcome.reason.value, "detail": outcome.detail or None}
        match outcome:
            case Delivered():
                self._metrics.latency.labels(self.name).observe((now - delivery.received_at).total_seconds())
                log.info("delivered", reference=outcome.reference or delivery.reference, **details)
            case Retry() | Unknown():
                # A provider that is away is said once a delivery; its further attempts only show in the metric.
                line = log.warning if delivery.attempts == 1 else log.debug
                line(f"delivery_{name}", not_before=not_before and not_before.isoformat(), **details)
            case Rejected():
                log.error("delivery_rejected", dead_letter=delivery.id, **details)
            case _:
                assert_never(outcome)


_EVENTS = {
    Fact.SUPERSEDED: "delivery_superseded",
    Fact.DELIVERY_EXPIRED: "delivery_expired",
    Fact.SHADOWED: "would_deliver",
}


class _Writing:
    """Writes down what came of an attempt; False where its lease is no longer ours."""

    def __init__(self, delivery: Delivery, outcome: Outcome, schedule: Schedule, now: datetime) -> None:
        self._delivery = delivery
        self._outcome = outcome
        self._now = now
        self._unknowns = delivery.unknowns + isinstance(outcome, Unknown)
        self.not_before: datetime | None = None
        if isinstance(outcome, Retry | Unknown):
            self.not_before = next_attempt_at(
                outcome,
                attempts=delivery.attempts,
                unknowns=self._unknowns,
                schedule=schedule,
                now=now,
                jitter=random.random(),  # noqa: S311  it spreads load, it guards nothing
            )

    def __call__(self, tx: TransactionPort) -> bool:
        delivery, outcome, now = self._delivery, self._outcome, self._now
        is_ours, fact = self._end(tx)
        if not is_ours:
            return False
        if isinstance(outcome, Delivered) and outcome.reference:
            tx.outbox.refer(delivery, outcome.reference)
        # The first failure is a fact of the incident; that it goes on failing is for the metrics to say.
        if fact in (Fact.DELIVERED, Fact.DELIVERY_REJECTED) or delivery.attempts == 1:
            entry = _entry(delivery, fact, outcome.reason.value, now, detail=outcome.detail)
            tx.incidents.tell([(delivery.notice.incident_id, entry)])
        return True

    def _end(self, tx: TransactionPort) -> tuple[bool, Fact]:
        delivery, outcome, now = self._delivery, self._outcome, self._now
        match outcome:
            case Delivered(reason=reason, detail=detail):
                state, fact = DeliveryState.DELIVERED, Fact.DELIVERED
                return tx.outbox.finish(delivery, state, reason=reason, detail=detail, at=now), fact
            case Rejected(reason=reason, detail=detail):
                state, fact = DeliveryState.DEAD, Fact.DELIVERY_REJECTED
                return tx.outbox.finish(delivery, state, reason=reason, detail=detail, at=now), fact
            case Retry(reason=reason, detail=detail) | Unknown(reason=reason, detail=detail):
                fact = Fact.DELIVERY_UNKNOWN if isinstance(outcome, Unknown) else Fact.DELIVERY_RETRIED
                assert self.not_before is not None
                is_ours = tx.outbox.postpone(
                    delivery, not_before=self.not_before, unknowns=self._unknowns, reason=reason, detail=detail
                )
                return is_ours, fact
            case _:
                assert_never(outcome)


class Dispatcher:
    """All lanes, and the rescue of deliveries whose worker was lost."""

    def __init__(self, store: StorePort, metrics: Metrics, *, clock: Clock) -> None:
        self._store = store
        self._metrics = metrics
        self._clock = clock
        self._lanes: dict[str, Lane] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def route(self, routes: dict[str, Route]) -> None:
        """Deliver by these from now on; attempts that are under way end as they began."""
        for name, route in routes.items():
            lane = self._lanes.get(name)
            if lane is not None:
                lane.route = route
                lane.wake()
                continue
            lane = self._lanes[name] = Lane(name, route, self._store, self._metrics, clock=self._clock)
            self._tasks[name] = asyncio.create_task(lane.run(), name=f"lane-{name}")
        for name in [each for each in self._lanes if each not in routes]:
            log.warning("integration_removed", integration=name)
            self._tasks.pop(name).cancel()
            self._lanes.pop(name)

    def wake(self, integrations: set[str]) -> None:
        """There is something new to deliver to these."""
        for name in integrations & self._lanes.keys():
            self._lanes[name].wake()

    async def rescue(self, *, everybody: bool = False) -> int:
        """Take deliveries whose lease ran out (everybody's, at the start of the only process) back into the outbox.

        Nobody knows whether they were done, so that is their outcome. Returns how many there were.
        """
        now = self._clock()
        rescued = await self._store.write(lambda tx: self._rescue(tx, None if everybody else now, now))
        for delivery in rescued:
            self._metrics.deliveries.labels(delivery.integration, "unknown").inc()
            log.warning("delivery_rescued", **_about(delivery))
        self.wake({delivery.integration for delivery in rescued})
        return len(rescued)

    def _rescue(self, tx: TransactionPort, before: datetime | None, now: datetime) -> list[Delivery]:
        expired = tx.outbox.expired_leases(before, most=1_000)
        for delivery in expired:
            lane = self._lanes.get(delivery.integration)
            schedule = lane.route.schedule if lane is not None else Schedule()
            _Writing(delivery, Unknown(OutcomeReason.LEASE_EXPIRED), schedule, now)(tx)
        return expired

    async def stop(self) -> None:
        """Take nothing more, finish what is under way, then return."""
        await asyncio.gather(*(lane.stop() for lane in self._lanes.values()))
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)


def _about(delivery: Delivery) -> dict[str, object]:
    return {
        "integration": delivery.integration,
        "incident": delivery.notice.incident_id,
        "kind": delivery.notice.kind.value,
        "sev": str(delivery.notice.sev),
        "attempt": delivery.attempts,
        "title": delivery.notice.title,
    }


def _entry(delivery: Delivery, fact: Fact, reason: str, now: datetime, *, detail: str = "") -> TimelineEntry:
    details: dict[str, object] = {
        "integration": delivery.integration,
        "kind": delivery.notice.kind.value,
        "attempt": delivery.attempts,
        "reason": reason,
    }
    return TimelineEntry(fact, now, details | ({"detail": detail} if detail else {}))
