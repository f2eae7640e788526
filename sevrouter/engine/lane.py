"""A lane: everything that is delivered to one integration; claim with a lease, re-check, deliver, record."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, assert_never

import structlog
from msgspec.structs import replace

from sevrouter.domain.backoff import Schedule
from sevrouter.domain.delivery import (
    FALLBACKS,
    Delivered,
    Delivery,
    DeliveryState,
    Outcome,
    OutcomeReason,
    Rejected,
    Retry,
    Superseded,
    Unknown,
    superseded,
)
from sevrouter.domain.incident import Fact
from sevrouter.domain.suppression import withholding
from sevrouter.engine.lease import Lease, is_young, lease_until
from sevrouter.engine.ports import Notifier
from sevrouter.engine.recording import Recording, about, entry_of
from sevrouter.engine.rounds import Rounds

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from sevrouter.engine.ports import Clock, StorePort, TransactionPort
    from sevrouter.telemetry.metrics import Metrics

log = structlog.get_logger()

# Deliveries of one integration under way at once; within an incident there is never more than one.
TOGETHER = 8
# How many that are handed over may wait for a free place, and for how long anything that is claimed may: beyond that
# it goes the way of the outbox, the worst SEV first and looked at again before it is sent.
HANDED = 32
FRESH = timedelta(seconds=1)
# A lane looks at its outbox at least this often, for what another process put there.
LONGEST_SLEEP = 5.0
# Seconds between tries to record an outcome that the store did not take; after the last its lease has run out.
RECORD_AGAIN = (0.1, 0.5, 2.0, *(5.0,) * 12)


@dataclass(frozen=True, slots=True)
class Route:
    """How an integration is delivered to. Without a notifier everything for it is shown and not sent."""

    notifier: Notifier | None
    schedule: Schedule


@dataclass(frozen=True, slots=True)
class _Ended:
    """A delivery that is not to be sent, and why."""

    delivery: Delivery
    state: DeliveryState
    fact: Fact
    reason: str


@dataclass(slots=True)
class _Claim:
    """What one look at the outbox gave; `due_at` is when the next look is worth while.

    `is_last`: nothing waits but what this look has taken.
    """

    deliveries: list[Delivery] = field(default_factory=list)
    ended: list[_Ended] = field(default_factory=list)
    due_at: datetime | None = None
    is_last: bool = False


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
        # Claimed, with the time of their claim; they wait for a free place.
        self._handed: deque[tuple[Delivery, datetime]] = deque()
        # Whether the outbox holds nothing for this lane, as far as we know.
        self._is_quiet = False
        self.rounds = Rounds(f"lane-{name}", clock=clock)

    def wake(self) -> None:
        """Look at the outbox now."""
        self._is_quiet = False
        self._wake.set()

    @property
    def takes(self) -> bool:
        """Whether a new delivery would be sent at once: nothing that may be worse waits in the outbox."""
        is_open = self._is_quiet and not self._stopping and self.route.notifier is not None
        return is_open and len(self._handed) + len(self._under_way) < HANDED

    def hand_over(self, delivery: Delivery) -> None:
        """Send a delivery that is committed with its lease."""
        self._handed.append((delivery, delivery.received_at))
        self._start_handed()

    def _start_handed(self) -> None:
        while self._handed and len(self._under_way) < TOGETHER:
            delivery, claimed_at = self._handed.popleft()
            is_fresh = self._clock() - claimed_at <= FRESH and self.route.notifier is not None
            self._start(self._deliver(delivery) if is_fresh else self._release(delivery), delivery)

    def _start(self, work: Coroutine[None, None, None], delivery: Delivery) -> None:
        task = asyncio.create_task(work, name=f"{self.name}-{delivery.id}")
        self._under_way.add(task)
        task.add_done_callback(self._done)

    async def _release(self, delivery: Delivery) -> None:
        try:
            await self._store.write(lambda tx: tx.outbox.release(delivery))
        except Exception as error:  # noqa: BLE001  whatever it is, its lease will run out
            self._complain(error)
        self.wake()

    async def run(self) -> None:
        """Deliver until `stop`."""
        while not self._stopping:
            self._wake.clear()
            sleep = LONGEST_SLEEP
            try:
                sleep = await self._turn()
                self._failing = False
                self.rounds.came()
            except Exception as error:  # noqa: BLE001  a lane must outlive whatever its store does
                self._complain(error)
            await self._rest(sleep)

    def stop(self) -> None:
        """Take nothing more; `run` ends once a claim that is under way has come back."""
        self._stopping = True
        self._wake.set()

    async def finish(self) -> None:
        """Wait for the attempts that are under way."""
        while self._under_way or self._handed:
            self._start_handed()
            await asyncio.wait(self._under_way)

    def abandon(self) -> None:
        """Give up the attempts that are under way: they are rescued at the next start."""
        for task in self._under_way:
            task.cancel()

    async def _turn(self) -> float:
        """Begin what is due; how many seconds until there may be more."""
        free = 2 * TOGETHER - len(self._under_way) - len(self._handed)
        if free < TOGETHER:
            # One more look for each attempt that ends would cost more than the attempt.
            return LONGEST_SLEEP
        lease, asked_at = Lease(), self._clock()
        claim = await self._store.write(lambda tx: self._claim(tx, lease, free))
        now = self._clock()
        # Where the answer took long, to us or because we stood still, the lease may be somebody else's by now.
        claimed_at = now if is_young(asked_at, now) else asked_at
        self._handed += [(delivery, claimed_at) for delivery in claim.deliveries]
        self._start_handed()
        # A wake-up that came meanwhile may be of something that this look has not seen.
        self._is_quiet = claim.is_last and not self._wake.is_set()
        for ended in claim.ended:
            self._report_end(ended)
        if claim.ended:
            return 0.0
        if claim.due_at is None:
            return LONGEST_SLEEP
        return min(LONGEST_SLEEP, max(0.05, (claim.due_at - self._clock()).total_seconds()))

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
        self._start_handed()
        if not self._is_quiet:
            self.wake()

    def _complain(self, error: Exception) -> None:
        if not self._failing:
            log.error("lane_failing", integration=self.name, error=repr(error))
        self._failing = True

    def _claim(self, tx: TransactionPort, lease: Lease, free: int) -> _Claim:
        now = self._clock()
        held = lease.held(tx)
        claim = _Claim()
        heads = tx.outbox.heads(self.name, now=now, most=free)
        ids = {head.notice.incident_id for head in heads}
        incidents, deliveries = tx.incidents.by_id(ids), tx.outbox.siblings(self.name, ids)
        for head in heads:
            siblings = [each for each in deliveries[head.notice.incident_id] if each.id != head.id]
            void = superseded(head, incidents[head.notice.incident_id], siblings)
            if void is not None:
                claim.ended.append(_Ended(head, DeliveryState.SUPERSEDED, Fact.SUPERSEDED, void.value))
                if void is Superseded.SUPPRESSED:
                    tx.incidents.save([withholding(incidents[head.notice.incident_id])])
            elif head.expires_at <= now:
                expired = OutcomeReason.EXPIRED.value
                claim.ended.append(_Ended(head, DeliveryState.DEAD, Fact.DELIVERY_EXPIRED, expired))
            elif self.route.notifier is None:
                claim.ended.append(_Ended(head, DeliveryState.SHADOWED, Fact.SHADOWED, "shadow"))
            else:
                claim.deliveries.append(replace(head, lease=lease.token, attempts=head.attempts + 1))
        tx.outbox.begin(claim.deliveries, until=lease_until(now))
        claim.deliveries += held
        for ended in claim.ended:
            head = ended.delivery
            tx.outbox.void(head, ended.state, reason=ended.reason, at=now)
            tx.incidents.tell([(head.notice.incident_id, entry_of(head, ended.fact, ended.reason, now))])
        # A full claim is followed by another look as soon as one of its attempts has ended.
        if len(heads) < free:
            claim.due_at = tx.outbox.next_due_at(self.name)
            claim.is_last = claim.due_at is None and tx.outbox.is_empty(self.name)
        return claim

    def _report_end(self, ended: _Ended) -> None:
        outcome = "expired" if ended.fact is Fact.DELIVERY_EXPIRED else ended.fact.value
        self._metrics.deliveries.labels(self.name, outcome).inc()
        line = log.error if ended.state is DeliveryState.DEAD else log.info
        line(_EVENTS[ended.fact], reason=ended.reason, **about(ended.delivery))

    async def _deliver(self, delivery: Delivery) -> None:
        notifier = self.route.notifier
        assert notifier is not None
        try:
            outcome = await notifier.deliver(delivery)
        except Exception as error:
            log.exception("notifier_failed", error=repr(error), **about(delivery))
            outcome = Unknown(OutcomeReason.INTERNAL_ERROR, type(error).__name__)
        # What was done must be written down, also while we are being stopped.
        await asyncio.shield(self._record(delivery, outcome))

    async def _record(self, delivery: Delivery, outcome: Outcome) -> None:
        now = self._clock()
        write = Recording(delivery, outcome, self.route.schedule, now)
        for pause in RECORD_AGAIN:
            try:
                is_ours = await self._store.write(write)
                break
            except Exception as error:  # noqa: BLE001  whatever the store says, the outcome is still known only here
                self._complain(error)
                await asyncio.sleep(pause)
        else:
            return
        if write.not_before is not None:
            self.wake()
        if is_ours:
            self._report(delivery, outcome, write.not_before, now)

    def _report(self, delivery: Delivery, outcome: Outcome, not_before: datetime | None, now: datetime) -> None:
        name = type(outcome).__name__.lower()
        self._metrics.deliveries.labels(self.name, name).inc()
        details = about(delivery) | {"reason": outcome.reason.value, "detail": outcome.detail or None}
        match outcome:
            case Delivered():
                self._metrics.latency.labels(self.name).observe((now - delivery.received_at).total_seconds())
                if fell_back := outcome.reason in FALLBACKS:
                    self._metrics.fallbacks.labels(self.name, outcome.reason.value).inc()
                line = log.warning if fell_back else log.info
                line("delivered", reference=outcome.reference or delivery.reference, **details)
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
