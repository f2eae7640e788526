"""The escalator: plays each major incident's policy, step by step, until somebody owns it or it is over.

What the incident asks for comes as deliveries to `call`, as to any integration. Where it stands is stored with each
step, so that another process goes on from there. It never rings anybody itself: it says who is wanted, and pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

import structlog
from msgspec.structs import replace

from sevrouter.domain.acknowledging import end_acknowledgement
from sevrouter.domain.delivery import (
    CALL,
    SLACK,
    Delivery,
    DeliveryState,
    Notice,
    NoticeKind,
    OutcomeReason,
    Superseded,
    superseded,
)
from sevrouter.domain.escalation import (
    Escalation,
    EscalationState,
    HandOver,
    RingTargets,
    acknowledged,
    advance,
    begin,
    over,
)
from sevrouter.domain.incident import Fact, Incident, IncidentState
from sevrouter.domain.suppression import withholding
from sevrouter.domain.text import duration_text
from sevrouter.engine.announcing import announce
from sevrouter.engine.handing_over import hand_over
from sevrouter.engine.paging import Asked, Paging
from sevrouter.engine.recording import about, entry_of
from sevrouter.engine.tally import report_facts
from sevrouter.engine.timer import Timer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from sevrouter.domain.policy import Calling, Policy, Target
    from sevrouter.domain.routing import Routing
    from sevrouter.engine.calling_ports import Roster
    from sevrouter.engine.health import Health
    from sevrouter.engine.ports import Clock, CurrentRouting, StorePort, TransactionPort
    from sevrouter.telemetry.metrics import Metrics

log = structlog.get_logger()

# Calls that are taken, and steps that are played, in one transaction, so that intake never waits long.
TOGETHER = 200
_PLAYING = (EscalationState.RINGING, EscalationState.PAUSED)


class Escalator:
    """`wake` is told which lanes have something to deliver, `rings` that somebody is wanted, or no more."""

    def __init__(
        self,
        store: StorePort,
        routing: CurrentRouting,
        metrics: Metrics,
        *,
        clock: Clock,
        roster: Roster,
        health: Health,
        wake: Callable[[set[str]], None],
        rings: Callable[[], None],
    ) -> None:
        self._store = store
        self._routing = routing
        self._metrics = metrics
        self._clock = clock
        self._roster = roster
        self._health = health
        self._wake_lanes = wake
        self._rings = rings
        self._timer = Timer("escalator", self.escalate, clock=clock)
        self.rounds = self._timer.rounds

    def wake(self) -> None:
        """There is something new."""
        self._timer.wake()

    async def run(self) -> None:
        """Escalate, until cancelled."""
        await self._timer.run()

    async def escalate(self) -> datetime | None:
        """Take the calls that wait, play the steps that are due, and say when the next is."""
        while await self._write(self._take) == TOGETHER:
            pass
        while await self._write(self._play) == TOGETHER:
            pass
        return await self._store.read(_next_at)

    async def _write(self, work: Callable[[_Turn], int]) -> int:
        routing, now = self._routing(), self._clock()
        calling = routing.calling
        if calling is None:
            return 0

        def run(tx: TransactionPort) -> tuple[int, Asked]:
            turn = _Turn(tx, routing, calling, self._roster, self._health, now)
            count = work(turn)
            return count, turn.finish()

        count, asked = await self._store.write(run)
        if asked.lanes - {CALL}:
            self._wake_lanes(asked.lanes - {CALL})
        # A call that was resolved is to be stopped, too.
        if asked.rings or count:
            self._rings()
        report_facts(asked.facts)
        return count

    def _take(self, turn: _Turn) -> int:
        taken = turn.take()
        for delivery, outcome in taken:
            self._metrics.deliveries.labels(CALL, outcome).inc()
            owned = turn.incidents[delivery.notice.incident_id].standing.acknowledged
            if delivery.notice.kind is NoticeKind.ACKNOWLEDGED and owned is not None:
                waited = (owned.at - delivery.notice.opened_at).total_seconds()
                self._metrics.time_to_acknowledge.labels(owned.how).observe(max(0.0, waited))
            log.info("call_taken" if outcome == "delivered" else "call_superseded", **about(delivery))
        return len(taken)

    def _play(self, turn: _Turn) -> int:
        return turn.play()


def _next_at(tx: TransactionPort) -> datetime | None:
    moments = [each for each in (tx.outbox.next_due_at(CALL), tx.escalations.next_due_at()) if each is not None]
    return min(moments, default=None)


class _Turn:
    """What one transaction does."""

    def __init__(
        self,
        tx: TransactionPort,
        routing: Routing,
        calling: Calling,
        roster: Roster,
        health: Health,
        now: datetime,
    ) -> None:
        self._tx = tx
        self._routing = routing
        self._calling = calling
        self._roster = roster
        self.now = now
        self._paging = Paging(tx, routing, calling, health, now)
        self._needless: set[int] = set()
        self._changed: dict[int, Escalation] = {}
        self._people: dict[str, tuple[str, ...]] = {}
        self.incidents: dict[int, Incident] = {}

    def finish(self) -> Asked:
        """Write what came of it."""
        if self._needless:
            self._tx.rings.drop(self._needless)
        self._tx.escalations.save([*self._changed.values()])
        return self._paging.finish()

    # What incidents ask for.

    def take(self) -> list[tuple[Delivery, str]]:
        """Take the calls whose turn it is; each with what came of it."""
        tx, now = self._tx, self.now
        heads = tx.outbox.heads(CALL, now=now, most=TOGETHER)
        ids = {head.notice.incident_id for head in heads}
        incidents, siblings = tx.incidents.by_id(ids), tx.outbox.siblings(CALL, ids)
        known = tx.escalations.by_incident(ids)
        self.incidents = incidents
        taken: list[tuple[Delivery, str]] = []
        for head in heads:
            number = head.notice.incident_id
            others = [each for each in siblings[number] if each.id != head.id]
            void = superseded(head, incidents[number], others)
            if void is not None:
                self._void(head, incidents[number], void)
                taken.append((head, "superseded"))
                continue
            tx.outbox.void(head, DeliveryState.DELIVERED, reason=OutcomeReason.ACCEPTED.value, at=now)
            self._changed[number] = self._taken(head, incidents[number], known.get(number))
            taken.append((head, "delivered"))
        return taken

    def _void(self, head: Delivery, incident: Incident, why: Superseded) -> None:
        if why is Superseded.SUPPRESSED:
            self._tx.incidents.save([withholding(incident)])
        self._tx.outbox.void(head, DeliveryState.SUPERSEDED, reason=why.value, at=self.now)
        fact = entry_of(head, Fact.SUPERSEDED, why.value, self.now)
        self._tx.incidents.tell([(head.notice.incident_id, fact)])

    def _taken(self, head: Delivery, incident: Incident, known: Escalation | None) -> Escalation:
        policy, told = self._calling.policy_of(incident.owner), head.notice
        match told.kind:
            case NoticeKind.RESOLVED:
                self._needless.add(told.incident_id)
                ended = known or self._new(head, incident, policy, None)
                self._paging.tell_services(ended, told)
                return replace(over(ended), paged=(), asked=())
            case NoticeKind.ACKNOWLEDGED:
                self._needless.add(told.incident_id)
                owned = known or self._new(head, incident, policy, None)
                self._paging.tell_services(owned, told)
                since = incident.standing.acknowledged
                at = self.now if since is None else since.at
                return acknowledged(owned, policy, incident.sev, since=at)
            case NoticeKind.ROSE if known is not None and known.state is EscalationState.RINGING:
                # Whom it rings by now goes on ringing, and hears of it as it is by now.
                risen = replace(known, sev=incident.sev, received_at=head.received_at)
                return self._paging.call(risen, incident, told=told)
            case _ if incident.state is IncidentState.ACKNOWLEDGED:
                owned = known or self._new(head, incident, policy, None)
                if policy.rings_on_rise:
                    return self._ring_again(owned, incident, policy, f"it rose to {incident.sev}", told)
                self._paging.tell_services(owned, told)
                return acknowledged(owned, policy, incident.sev, since=self.now)
            case _:
                self._paging.tell(incident, Fact.CALL_STARTED, policy=policy.name, note=f"policy {policy.name}")
                return self._act(self._new(head, incident, policy, known), incident, policy, told=told)

    def _new(self, head: Delivery, incident: Incident, policy: Policy, known: Escalation | None) -> Escalation:
        number = head.notice.incident_id
        return begin(known, number, policy, incident.sev, received_at=head.received_at, now=self.now)

    def _ring_again(
        self, escalation: Escalation, incident: Incident, policy: Policy, reason: str, told: Notice | None = None
    ) -> Escalation:
        """Nobody owns it any more, so its policy starts anew."""
        ended = end_acknowledgement(incident, reason, now=self.now)
        announced = announce(self._tx, self._routing, [(incident, ended)], now=self.now)
        self._paging.asked.lanes |= announced.integrations
        self._paging.asked.facts += announced.facts
        incident = ended.incident or incident
        begun = begin(escalation, escalation.incident_id, policy, incident.sev, received_at=self.now, now=self.now)
        told = told or self._paging.notice(incident, NoticeKind.ACK_ENDED, reason)
        return self._act(begun, incident, policy, told=told)

    # What is due.

    def play(self) -> int:
        """Play what is due, and return how much that was."""
        due = self._tx.escalations.due(self.now, most=TOGETHER)
        incidents = self._tx.incidents.by_id([each.incident_id for each in due])
        pages = self._tx.outbox.states([each.page.delivery_id for each in due if each.page is not None])
        for each in due:
            self._changed[each.incident_id] = self._due(each, incidents.get(each.incident_id), pages)
        return len(due)

    def _due(self, escalation: Escalation, incident: Incident | None, pages: dict[int, DeliveryState]) -> Escalation:
        if incident is None or not incident.is_open or CALL not in self._routing.responses.get(incident.sev, ()):
            self._needless.add(escalation.incident_id)
            return over(escalation)
        policy = self._calling.policy_of(incident.owner)
        if incident.state is IncidentState.ACKNOWLEDGED:
            return self._owned(escalation, incident, policy)
        if incident.suppressed is not None:
            self._tx.incidents.save([withholding(incident)])
            self._needless.add(escalation.incident_id)
            return over(escalation)
        if escalation.page is not None and escalation.page.check_at <= self.now:
            escalation = self._paging.check(escalation, incident, pages.get(escalation.page.delivery_id))
        if escalation.due_at is None or escalation.due_at > self.now:
            return escalation
        if escalation.state not in _PLAYING:
            # It was owned, and nobody said that it is not any more but its incident.
            escalation = self._begun_anew(escalation, incident, policy)
        told = None
        if escalation.state is EscalationState.PAUSED:
            # Nobody has answered, so that a service that knows of it has given up by now, too.
            told = self._paging.notice(incident, NoticeKind.UNANSWERED, "nobody has answered: it is called again")
        return self._act(escalation, incident, policy, told=told)

    def _begun_anew(self, escalation: Escalation, incident: Incident, policy: Policy) -> Escalation:
        number, received_at = escalation.incident_id, escalation.received_at
        return begin(escalation, number, policy, incident.sev, received_at=received_at, now=self.now)

    def _owned(self, escalation: Escalation, incident: Incident, policy: Policy) -> Escalation:
        said = incident.standing.acknowledged
        owned = acknowledged(escalation, policy, incident.sev, since=self.now if said is None else said.at)
        if owned.due_at is None or owned.due_at > self.now:
            self._needless.add(escalation.incident_id)
            return owned
        waited = duration_text(policy.ack_timeouts[incident.sev])
        return self._ring_again(escalation, incident, policy, f"acknowledged {waited} ago, and it is not over")

    # What a step does.

    def _act(
        self, escalation: Escalation, incident: Incident, policy: Policy, *, told: Notice | None = None
    ) -> Escalation:
        escalation = replace(escalation, sev=incident.sev, policy=policy.name)
        moved, act = advance(escalation, policy, now=self.now)
        match act:
            case RingTargets(targets):
                # The place that it is asked from is the one before it moved on.
                asking = replace(escalation, people=self._whom(targets))
                called = self._paging.call(asking, incident, told=told)
                return replace(moved, people=called.people, page=called.page, paged=called.paged, asked=called.asked)
            case HandOver():
                self._hand_over(moved, incident, policy)
                return moved
            case _:
                assert_never(act)

    def _whom(self, targets: Iterable[Target]) -> tuple[str, ...]:
        names: dict[str, None] = {}
        for target in targets:
            found = (target.person,) if target.person is not None else self._on_call(target.on_call or "")
            names |= dict.fromkeys(found)
        return tuple(names)

    def _on_call(self, schedule: str) -> tuple[str, ...]:
        # Of thousands of incidents it is asked once.
        if schedule not in self._people:
            self._people[schedule] = self._roster.on_call(schedule, self.now).people
        return self._people[schedule]

    def _hand_over(self, escalation: Escalation, incident: Incident, policy: Policy) -> None:
        names = dict.fromkeys(name for step in policy.steps for name in self._whom(step.targets))
        people = [self._calling.people[name] for name in names if name in self._calling.people]
        handed = hand_over(people, paged=escalation.paged, again_in=policy.pause, times=escalation.run_out)
        self._paging.tell(incident, Fact.UNANSWERED, note=handed.note, times=escalation.run_out)
        is_known = SLACK in incident.asked or any(SLACK in names for names in self._routing.responses.values())
        if is_known and SLACK not in incident.asked:
            incident = replace(incident, asked=(*incident.asked, SLACK))
            self._tx.incidents.save([incident])
        told = self._paging.notice(incident, NoticeKind.UNANSWERED, handed.note)
        loud = replace(told, note=handed.with_numbers)
        for name in incident.asked:
            if name != CALL:
                self._paging.deliver(name, loud if name == SLACK else told, received_at=self.now)
