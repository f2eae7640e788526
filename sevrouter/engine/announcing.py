"""Writes folds of stored incidents that no webhook caused: the incidents, their timelines, and who is told."""

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


@dataclass(slots=True)
class Announced:
    """What was written: facts for the log, and the integrations that have something to deliver."""

    facts: list[tuple[Incident, TimelineEntry]] = field(default_factory=list)
    integrations: set[str] = field(default_factory=set)

    def follow_up(self, wake: Callable[[set[str]], None]) -> None:
        """First what has to happen, then what is said of it; once it is committed."""
        if self.integrations:
            wake(self.integrations)
        report_facts(self.facts)


def announce(
    tx: TransactionPort, routing: Routing, folds: Iterable[tuple[Incident, Fold]], *, now: datetime
) -> Announced:
    """Write what became of incidents, each with what it was before, and put what there is to tell into the outbox."""
    announced = Announced()
    changed: list[Incident] = []
    deliveries: list[NewDelivery] = []
    for before, folded in folds:
        incident, planned = plan(folded, routing.responses)
        assert incident is not None
        if incident != before:
            changed.append(incident)
        announced.facts += [(incident, entry) for entry in folded.facts]
        deliveries += [
            NewDelivery(
                integration=each.integration,
                notice=notice(before, incident, each, now=now, bridge=routing.bridge_of(incident.owner, incident.sev)),
                received_at=now,
                expires_at=now + routing.give_up_after,
            )
            for each in planned
        ]
    tx.incidents.save(changed)
    tx.incidents.tell([(incident.id or 0, entry) for incident, entry in announced.facts])
    tx.outbox.add(deliveries)
    announced.integrations = {each.integration for each in deliveries}
    return announced
