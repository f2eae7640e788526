"""Writes down what became of stored incidents by themselves: state, timeline, and whom there is to tell."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sevrouter.domain.delivery import NewDelivery
from sevrouter.domain.incident import Incident, TimelineEntry
from sevrouter.domain.plan import notice, plan
from sevrouter.engine.tally import report_facts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from sevrouter.domain.incident import Fold
    from sevrouter.domain.routing import Routing
    from sevrouter.engine.ports import TransactionPort


@dataclass(frozen=True, slots=True)
class Settled:
    """What was written; to be followed up once it is committed."""

    facts: list[tuple[Incident, TimelineEntry]] = field(default_factory=list)
    integrations: set[str] = field(default_factory=set)

    def follow_up(self, wake: Callable[[set[str]], None]) -> None:
        """First what has to happen, then what is said of it."""
        if self.integrations:
            wake(self.integrations)
        report_facts(self.facts)


def enact(tx: TransactionPort, folds: Iterable[tuple[Incident, Fold]], routing: Routing, *, now: datetime) -> Settled:
    """Write folds of incidents that are stored, each with the incident as it was; those without a fact are left."""
    settled = Settled()
    changed: list[Incident] = []
    deliveries: list[NewDelivery] = []
    for before, folded in folds:
        if not folded.facts:
            continue
        incident, planned = plan(folded, routing.responses)
        assert incident is not None
        changed.append(incident)
        settled.facts.extend((incident, entry) for entry in folded.facts)
        deliveries += [
            NewDelivery(
                integration=each.integration,
                notice=notice(before, incident, each, now=now),
                received_at=now,
                expires_at=now + routing.give_up_after,
            )
            for each in planned
        ]
    tx.incidents.save(changed)
    tx.incidents.tell([(incident.id or 0, entry) for incident, entry in settled.facts])
    tx.outbox.add(deliveries)
    settled.integrations.update(each.integration for each in deliveries)
    return settled
