"""Who is asked to call for an incident: the first provider that can, and the next where that one does not."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec.structs import replace

from sevrouter.domain.delivery import DeliveryState, NewDelivery, NoticeKind
from sevrouter.domain.escalation import Page
from sevrouter.domain.incident import Fact, Incident, TimelineEntry
from sevrouter.domain.plan import Planned, notice
from sevrouter.domain.policy import ProviderKind
from sevrouter.domain.ringing import Wanted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sevrouter.domain.delivery import Notice
    from sevrouter.domain.escalation import Escalation
    from sevrouter.domain.policy import Calling, Provider
    from sevrouter.domain.routing import Routing
    from sevrouter.engine.health import Health
    from sevrouter.engine.ports import TransactionPort

# How often a paging service is looked after that has not answered yet, and after how long the next one is asked: with
# one look in between to spare, within the minute that is promised.
CHECK_EVERY, ANSWERS_WITHIN = timedelta(seconds=5), timedelta(seconds=30)
_UNSETTLED = (DeliveryState.PENDING, DeliveryState.SENDING)


@dataclass(slots=True)
class Asked:
    """What one transaction has asked for: lanes that have something to deliver, facts for the log."""

    lanes: set[str] = field(default_factory=set)
    rings: bool = False
    facts: list[tuple[Incident, TimelineEntry]] = field(default_factory=list)


class Paging:
    """Asks providers within one transaction."""

    def __init__(self, tx: TransactionPort, routing: Routing, calling: Calling, health: Health, now: datetime) -> None:
        self._tx = tx
        self._routing = routing
        self._calling = calling
        self._health = health
        self._now = now
        self._wanted: list[Wanted] = []
        self._told: list[tuple[int, TimelineEntry]] = []
        self.asked = Asked()

    def finish(self) -> Asked:
        """Write what is still to be written."""
        if self._wanted:
            self._tx.rings.want(self._wanted, not_before=self._now)
            self.asked.rings = True
        self._tx.incidents.tell(self._told)
        return self.asked

    def tell(self, incident: Incident, fact: Fact, **details: object) -> None:
        """A fact of an incident."""
        assert incident.id is not None
        entry = TimelineEntry(fact, self._now, details)
        self._told.append((incident.id, entry))
        self.asked.facts.append((incident, entry))

    def call(self, escalation: Escalation, incident: Incident, *, told: Notice | None = None) -> Escalation:
        """Have the first provider that can call its people, or its service.

        `told` is what a service is told although it knows of the incident already: a rise, or that nobody owns it.
        """
        return self._ask(escalation, incident, self._health.in_order(self._calling.providers), told)

    def _ask(
        self, escalation: Escalation, incident: Incident, providers: Iterable[Provider], told: Notice | None
    ) -> Escalation:
        for provider in providers:
            if provider.kind is ProviderKind.SERVICE:
                return self._page(escalation, incident, provider.name, told)
            reachable = [name for name in escalation.people if self._has_phone(name)]
            if reachable:
                self._want(escalation, incident, reachable)
                return escalation
        return escalation

    def _has_phone(self, name: str) -> bool:
        person = self._calling.people.get(name)
        return person is not None and person.phone is not None

    def _want(self, escalation: Escalation, incident: Incident, people: Sequence[str]) -> None:
        is_first = not (escalation.round or escalation.step or escalation.ring)
        wanted_at = escalation.received_at if is_first else self._now
        self._wanted += [Wanted(escalation.incident_id, name, incident.sev, wanted_at) for name in people]

    def _page(self, escalation: Escalation, incident: Incident, service: str, told: Notice | None) -> Escalation:
        is_told = service in escalation.paged
        if is_told and told is None:
            return escalation
        if told is None or not is_told:
            told = self.notice(incident, NoticeKind.OPENED)
        number = self.deliver(service, told, received_at=escalation.received_at)
        page = Page(service, number, self._now, self._now + CHECK_EVERY)
        paged = escalation.paged if is_told else (*escalation.paged, service)
        return replace(escalation, page=page, paged=paged)

    def notice(self, incident: Incident, kind: NoticeKind, note: str = "") -> Notice:
        """What a service is told of an incident."""
        bridge = self._routing.bridge_of(incident.owner, incident.sev)
        return notice(None, incident, Planned("", kind, note), now=self._now, bridge=bridge)

    def deliver(self, integration: str, told: Notice, *, received_at: datetime) -> int:
        """Put something into the outbox; the number of the delivery."""
        (number,) = self._tx.outbox.add(
            [
                NewDelivery(
                    integration=integration,
                    notice=told,
                    received_at=received_at,
                    expires_at=self._now + self._routing.give_up_after,
                )
            ]
        )
        self.asked.lanes.add(integration)
        return number

    def tell_services(self, escalation: Escalation, told: Notice) -> None:
        """Tell every paging service that knows of an incident how it goes on."""
        for service in dict.fromkeys((*escalation.paged, *escalation.asked)):
            # What is not configured any more has nobody to deliver it.
            if self._calling.kind_of(service) is ProviderKind.SERVICE:
                self.deliver(service, told, received_at=self._now)

    def check(self, escalation: Escalation, incident: Incident, state: DeliveryState | None) -> Escalation:
        """Look after the paging service that was asked: it has taken it, needs longer, or the next one is asked."""
        page = escalation.page
        assert page is not None
        if state in _UNSETTLED and self._now < page.since + ANSWERS_WITHIN:
            return replace(escalation, page=replace(page, check_at=self._now + CHECK_EVERY))
        if state is DeliveryState.DELIVERED:
            self._health.acquit(page.provider)
        if state not in (*_UNSETTLED, DeliveryState.DEAD, None):
            return replace(escalation, page=None)
        reason = "refused it" if state is DeliveryState.DEAD else "has not taken it"
        asked = tuple(dict.fromkeys((*escalation.asked, page.provider)))
        return self.fail_over(replace(escalation, asked=asked), incident, page.provider, reason)

    def fail_over(self, escalation: Escalation, incident: Incident, failed: str, reason: str) -> Escalation:
        """Ask the other providers where a service cannot call, or where no phone can: those after it first."""
        self._health.condemn(failed, reason)
        # What it was told of it has not been told: the next time that it is its turn it is told again.
        left = replace(escalation, page=None, paged=tuple(name for name in escalation.paged if name != failed))
        providers = self._calling.providers
        place = next((place for place, each in enumerate(providers) if each.name == failed), -1)
        others = [*providers[place + 1 :], *providers[: max(0, place)]]
        if place >= 0 and providers[place].kind is ProviderKind.PHONE:
            others = [each for each in others if each.kind is ProviderKind.SERVICE]
        before = len(self._wanted)
        moved = self._ask(left, incident, (each for each in others if self._health.is_fit(each.name)), None)
        by_phone = "the phone" if len(self._wanted) > before else None
        to = by_phone if moved.page is None else moved.page.provider
        note = f"{failed} {reason}; {'nobody else can call' if to is None else f'going on with {to}'}"
        self.tell(incident, Fact.FAILED_OVER, reason=reason, to=to, note=note, **{"from": failed})
        return moved
