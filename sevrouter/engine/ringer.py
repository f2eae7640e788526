"""The ringer: calls people by phone. One call a person for all that they are wanted for, within their limits.

Each call is written before it is placed, and belongs to who holds its lease; what became of one whose worker was lost
is asked of its provider, before its person is called again.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from sevrouter.domain import speech
from sevrouter.domain.drill import NEVER
from sevrouter.domain.policy import ProviderKind
from sevrouter.domain.ringing import Ring, Script, may_ring_at
from sevrouter.engine.conversation import RingConversation
from sevrouter.engine.lease import lease_until
from sevrouter.engine.placing import Placing
from sevrouter.engine.timer import Timer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sevrouter.domain.drill import Drill
    from sevrouter.domain.policy import Calling
    from sevrouter.domain.ringing import Wanted
    from sevrouter.engine.calling_ports import Phone
    from sevrouter.engine.health import Health
    from sevrouter.engine.ports import Clock, CurrentRouting, StorePort, TransactionPort
    from sevrouter.engine.settling import Settling
    from sevrouter.engine.talking import Talking
    from sevrouter.telemetry.metrics import Metrics

log = structlog.get_logger()

# People who are called at once by this process.
TOGETHER = 50
# Leases are extended, and those of lost workers taken over, this often.
HOLD_EVERY = timedelta(seconds=15)
# How long a call that is under way may go on after we were told to stop.
DRAIN = 15.0


@dataclass(slots=True)
class _Live:
    """A call of ours that is under way, and the incident that it is about at the last look."""

    ring: Ring
    conversation: RingConversation
    task: asyncio.Task[None]
    about: int | None = None


class Ringer:
    """Calls who is wanted. `phones` are the providers that can, by name; a reload replaces them."""

    def __init__(
        self,
        store: StorePort,
        routing: CurrentRouting,
        metrics: Metrics,
        *,
        clock: Clock,
        health: Health,
        talking: Talking,
        settling: Settling,
    ) -> None:
        self._store = store
        self._routing = routing
        self._metrics = metrics
        self._clock = clock
        self._health = health
        self._talking = talking
        self._settling = settling
        self.phones: Mapping[str, Phone] = {}
        self._placing = Placing(store, metrics, clock=clock, health=health, others=self._others)
        self._lease = f"{random.getrandbits(128):032x}"
        self._live: dict[int, _Live] = {}
        self._held_at: datetime | None = None
        self._stopping = False
        self._timer = Timer("ringer", self.ring, clock=clock)
        self.rounds = self._timer.rounds

    def wake(self) -> None:
        """Somebody is wanted, or no more; or a key was pressed."""
        self._timer.wake()

    async def run(self) -> None:
        """Call, until cancelled."""
        await self._timer.run()

    async def stop(self, *, within: float = DRAIN) -> None:
        """Call nobody any more; what is under way may end within so many seconds."""
        self._stopping = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await asyncio.gather(*(each.task for each in self._live.values()), return_exceptions=True)
        tasks = [each.task for each in self._live.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def is_idle(self) -> bool:
        """Whether no call of ours is under way."""
        return not self._live

    async def ring(self) -> datetime | None:
        """Begin the calls that are due, see to those under way, and say when the next is due."""
        calling = self._routing().calling
        if calling is None or self._stopping:
            return None
        await self._hold()
        await self._settling.settle()
        await self._end_needless()
        begun, due_at = await self._store.write(lambda tx: self._begin(tx, calling))
        for ring, wanted_at in begun:
            self._metrics.call_latency.observe(max(0.0, (self._clock() - wanted_at).total_seconds()))
            self._start(ring, is_new=True)
        moments = [each for each in (due_at, self._hold_at()) if each is not None]
        return min(moments, default=None)

    def _hold_at(self) -> datetime | None:
        return self._held_at + HOLD_EVERY if self._live and self._held_at is not None else None

    # Calls of ours, and of those who are gone.

    async def rescue(self, *, everybody: bool = False) -> None:
        """Take over the calls whose worker was lost (everybody's, at the start of the only process)."""
        now = self._clock()
        before, until = None if everybody else now, lease_until(now)
        taken = await self._store.write(lambda tx: tx.rings.rescue(before, self._lease, until=until, most=TOGETHER))
        for ring in taken:
            if ring.id not in self._live:
                log.warning("call_rescued", ring=ring.id, person=ring.person, provider=ring.provider)
                self._start(ring, is_new=False)

    async def _hold(self) -> None:
        now = self._clock()
        if self._held_at is not None and now < self._held_at + HOLD_EVERY:
            return
        held = [each.ring for each in self._live.values()]
        if held:
            lost = await self._store.write(lambda tx: tx.rings.extend(held, until=lease_until(now)))
            for number in lost:
                log.error("call_lost", ring=number)
        await self.rescue()
        self._held_at = now

    async def _end_needless(self) -> None:
        """Say good-bye in calls that are about nothing any more, and in drills of those who are really wanted."""
        live = [each for each in self._live.values() if not each.conversation.stopped.is_set()]
        if not live:
            return
        for each, farewell in await self._store.read(lambda tx: self._needless(tx, live)):
            each.conversation.stop(farewell)

    def _needless(self, tx: TransactionPort, live: list[_Live]) -> list[tuple[_Live, Script]]:
        found: list[tuple[_Live, Script]] = []
        wanted = {*tx.rings.waiting(now=self._clock(), most=TOGETHER)}
        for each in live:
            if each.ring.is_drill:
                if each.ring.person in wanted:
                    found.append((each, speech.farewell("You are really needed: the next call is no drill.")))
                continue
            about = tx.rings.told(each.ring.id, most=1)
            if about:
                each.about = about[0].incident_id
                continue
            known = tx.rings.find(each.ring.id)
            if known is not None and known.acknowledged_at is None:
                last = tx.incidents.by_id([each.about]).get(each.about) if each.about is not None else None
                found.append((each, speech.no_longer_needed(last)))
        return found

    # New calls.

    def _begin(self, tx: TransactionPort, calling: Calling) -> tuple[list[tuple[Ring, datetime]], datetime | None]:
        now = self._clock()
        people = tx.rings.waiting(now=now, most=TOGETHER)
        under_way = tx.rings.under_way(people) if people else {}
        dues = [tx.rings.next_waiting_at(after=now)]
        longest = max((each.within for each in calling.limits), default=timedelta())
        begun: list[tuple[Ring, datetime]] = []
        for person in people:
            ring = under_way.get(person)
            if ring is not None:
                # A commit whose answer was lost: it is ours, and nobody has begun with it.
                if ring.lease == self._lease and ring.id not in self._live:
                    begun.append((ring, ring.began_at))
                continue
            known = calling.people.get(person)
            providers = self._phones_for(person, calling)
            if known is None or known.phone is None or not providers:
                log.error("cannot_be_called", person=person, phones=len(providers))
                tx.rings.forget(person)
                continue
            due_at = may_ring_at(calling.limits, tx.rings.recent(person, since=now - longest), now=now)
            if due_at > now:
                dues.append(due_at)
                continue
            (worst,) = tx.rings.of_person(person, now=now, most=1)
            ring = self._begun(tx, worst, known.phone, providers[0], now)
            if ring is not None:
                begun.append((ring, worst.wanted_at))
        moments = [each for each in dues if each is not None]
        return begun, min(moments, default=None)

    def _phones_for(self, person: str, calling: Calling) -> list[str]:
        """The phones in the order in which they are tried, without those that could not call this person just now."""
        phones = [each for each in calling.providers if each.kind is ProviderKind.PHONE and each.name in self.phones]
        names = [each.name for each in self._health.in_order(phones)]
        return self._placing.untried(person, names) or names

    def _others(self, person: str) -> list[str]:
        """The phones that have not been tried yet for a person."""
        calling = self._routing().calling
        return [] if calling is None else self._placing.untried(person, self._phones_for(person, calling))

    def _begun(self, tx: TransactionPort, worst: Wanted, number: str, provider: str, now: datetime) -> Ring | None:
        ring = Ring(
            id=0, person=worst.person, number=number, provider=provider, token=_token(), sev=worst.sev,
            began_at=now, lease=self._lease,
        )  # fmt: skip
        begun = tx.rings.begin(ring, until=lease_until(now))
        if begun is not None:
            tx.rings.adopt(begun, now=now)
        return begun

    async def drill(self, person: str, provider: str, is_due: Callable[[Drill], bool]) -> Ring | None:
        """Call somebody as a drill; None where that is not possible now, or not due by what is known in the store."""
        calling, now = self._routing().calling, self._clock()
        known = None if calling is None else calling.people.get(person)
        if known is None or known.phone is None or provider not in self.phones:
            return None
        ring = Ring(
            id=0, person=person, number=known.phone, provider=provider, token=_token(), is_drill=True, began_at=now,
            lease=self._lease,
        )  # fmt: skip

        def begin(tx: TransactionPort) -> Ring | None:
            # Another replica may have called just now, or the person may be wanted for what is none.
            drilled = tx.drills.known().get((person, provider), NEVER)
            is_wanted = person in tx.rings.waiting(now=now, most=TOGETHER)
            if is_wanted or not is_due(drilled):
                return None
            return tx.rings.begin(ring, until=lease_until(now))

        begun = await self._store.write(begin)
        if begun is not None:
            self._start(begun, is_new=True)
        return begun

    async def over(self, ring: Ring) -> Ring | None:
        """A call of ours once it is over."""
        live = self._live.get(ring.id)
        if live is not None:
            await asyncio.wait([live.task])
        return await self._store.read(lambda tx: tx.rings.find(ring.id))

    # One call.

    def _start(self, ring: Ring, *, is_new: bool) -> None:
        conversation = RingConversation(ring, self._talking)
        run = self._placing.run(ring, self.phones.get(ring.provider), conversation, is_new=is_new)
        task = asyncio.create_task(run, name=f"ring-{ring.id}")
        self._live[ring.id] = _Live(ring, conversation, task)
        task.add_done_callback(lambda _: self._ended(ring))
        if self._held_at is None:
            self._held_at = self._clock()

    def _ended(self, ring: Ring) -> None:
        self._live.pop(ring.id, None)
        self.wake()


def _token() -> str:
    """What only callbacks of one call know; it opens no more than that call."""
    return secrets.token_urlsafe(18)
