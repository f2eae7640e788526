"""What comes of a call once it is over, or its key was pressed: for each incident that it was about, part by part."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec.structs import replace

from sevrouter.domain.acknowledging import acknowledge
from sevrouter.domain.delivery import CALL
from sevrouter.domain.escalation import EscalationState, skip
from sevrouter.domain.incident import Fact, Incident
from sevrouter.domain.ringing import HOPELESS, RingEnd, Wanted
from sevrouter.engine.announcing import announce
from sevrouter.engine.paging import Asked, Paging
from sevrouter.engine.tally import report_facts

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sevrouter.domain.escalation import Escalation
    from sevrouter.domain.policy import Calling
    from sevrouter.domain.ringing import Ring
    from sevrouter.domain.routing import Routing
    from sevrouter.engine.health import Health
    from sevrouter.engine.ports import Clock, CurrentRouting, StorePort, TransactionPort

# Incidents of one call that are dealt with in one transaction, so that intake never waits long.
TOGETHER = 200
# Where no phone can call, and a person is wanted all the same.
AGAIN_IN = timedelta(seconds=30)
_WORDS = {
    RingEnd.ACKNOWLEDGED: "acknowledged",
    RingEnd.PASSED_ON: "passed it on",
    RingEnd.CONNECTED: "was connected to the bridge",
    RingEnd.NO_KEY: "answered, and pressed no key: that may be voicemail",
    RingEnd.BUSY: "is busy",
    RingEnd.NO_ANSWER: "does not answer",
    RingEnd.DECLINED: "declined the call",
    RingEnd.BAD_NUMBER: "cannot be reached by this number",
    RingEnd.CANCELLED: "was not needed any more",
    RingEnd.LOST: "may have been called: nobody knows what came of it",
    RingEnd.NOT_PLACED: "could not be called",
}


class Settling:
    """`wake` is told which lanes have something to deliver, and `CALL` where a policy is to go on."""

    def __init__(
        self,
        store: StorePort,
        routing: CurrentRouting,
        *,
        clock: Clock,
        health: Health,
        wake: Callable[[set[str]], None],
    ) -> None:
        self._store = store
        self._routing = routing
        self._clock = clock
        self._health = health
        self._wake = wake

    async def settle(self) -> None:
        """Deal with all that there is."""
        while await self._store.read(lambda tx: tx.rings.unsettled(most=1)):
            routing, now = self._routing(), self._clock()
            asked = await self._store.write(lambda tx: self._part(tx, routing, now))  # noqa: B023  awaited here
            if asked.lanes:
                self._wake(asked.lanes)
            report_facts(asked.facts)

    def _part(self, tx: TransactionPort, routing: Routing, now: datetime) -> Asked:
        for ring in tx.rings.unsettled(most=1):
            told = tx.rings.told(ring.id, most=TOGETHER)
            numbers = [each.incident_id for each in told]
            found = tx.incidents.by_id(numbers)
            incidents = [found[number] for number in numbers if number in found]
            calling = routing.calling
            if calling is None:
                tx.rings.settle(numbers, ring.id)
                return Asked()
            part = _Part(tx, routing, calling, self._health, ring, now)
            if ring.acknowledged_at is not None:
                part.acknowledge(incidents)
            else:
                part.rang(incidents)
            tx.rings.settle(numbers, ring.id)
            return part.finish([each for each in told if each.incident_id in found])
        return Asked()


class _Part:
    """Some of the incidents of one call, in one transaction."""

    def __init__(
        self, tx: TransactionPort, routing: Routing, calling: Calling, health: Health, ring: Ring, now: datetime
    ) -> None:
        self._tx = tx
        self._routing = routing
        self._calling = calling
        self._ring = ring
        self._now = now
        self._paging = Paging(tx, routing, calling, health, now)

    def finish(self, told: list[Wanted]) -> Asked:
        """Write what is still to be written."""
        if self._ring.acknowledged_at is None and self._ring.end is RingEnd.NOT_PLACED:
            # After the call itself is settled, or it would count as being told of them just now.
            self._tx.rings.want(told, not_before=self._now + AGAIN_IN)
        return self._paging.finish()

    def acknowledge(self, incidents: list[Incident]) -> None:
        """They are owned by who pressed the key, those that were nobody's before."""
        ring = self._ring
        by = ring.person
        folds = [
            (each, acknowledge(each, by=by, how="phone", now=ring.acknowledged_at or self._now)) for each in incidents
        ]
        announced = announce(self._tx, self._routing, folds, now=self._now)
        self._paging.asked.lanes |= announced.integrations
        self._paging.asked.facts += announced.facts

    def rang(self, incidents: list[Incident]) -> None:
        """Nobody acknowledged; where nobody will, the policies go on at once."""
        ring = self._ring
        end = ring.end or RingEnd.LOST
        note = f"{ring.person} {_WORDS[end]} ({ring.provider})"
        for each in incidents:
            self._paging.tell(
                each,
                Fact.RANG,
                person=ring.person,
                provider=ring.provider,
                end=end.value,
                detail=ring.detail,
                note=note,
            )
        known = self._tx.escalations.by_incident([each.id or 0 for each in incidents])
        playing = [
            (known[each.id or 0], each)
            for each in incidents
            if each.id in known and known[each.id or 0].state is EscalationState.RINGING
        ]
        if end is RingEnd.NOT_PLACED:
            moved = [self._paging.fail_over(each, of, ring.provider, "cannot call") for each, of in playing]
            self._tx.escalations.save(moved)
        elif end in HOPELESS:
            passed = [self._passed_on(each, of) for each, of in playing if self._is_last(each, end)]
            self._tx.escalations.save(passed)
            self._paging.asked.lanes |= {CALL} if passed else set()

    def _is_last(self, escalation: Escalation, end: RingEnd) -> bool:
        """Whether nobody else is being called just now who might answer."""
        return end is RingEnd.PASSED_ON or set(escalation.people) <= {self._ring.person}

    def _passed_on(self, escalation: Escalation, incident: Incident) -> Escalation:
        policy = self._calling.policy_of(incident.owner)
        next_step = skip(escalation, policy) if escalation.ring else escalation
        return replace(next_step, due_at=self._now)
