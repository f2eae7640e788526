"""All that decides, as one immutable value: a reload replaces it whole, between two webhooks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sevrouter.domain.grading import Grader, Verdict
from sevrouter.domain.identity import IncidentPolicy
from sevrouter.domain.ownership import Ownership
from sevrouter.domain.plan import Responses
from sevrouter.domain.policy import NO_BRIDGE, Bridge, Calling
from sevrouter.domain.review import HORIZON
from sevrouter.domain.timed import UNSURE_AFTER

if TYPE_CHECKING:
    from sevrouter.domain.sev import Sev


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """Rules, identity, ownership and responses. `give_up_after` is when an undelivered delivery is dead.

    `deployment_window` is how long after a deployment an incident may come from it, `stale_after` how long nothing may
    be heard of an open incident, and `horizon` how far ahead a forecast looks; of each, zero is never. `outage_after`
    is how long nobody may answer a query before that is an incident of its own. `deployment_query` tells what runs.
    `calling` is who is called and by what; without it whoever delivers to `call` decides that.
    """

    grader: Grader
    incidents: IncidentPolicy
    ownership: Ownership
    responses: Responses
    give_up_after: timedelta
    deployment_window: timedelta = timedelta(minutes=30)
    deployment_query: str | None = None
    stale_after: timedelta = timedelta(hours=24)
    horizon: timedelta = HORIZON
    outage_after: timedelta = UNSURE_AFTER
    calling: Calling | None = None
    config_hash: str

    def bridge_of(self, owner: str | None, sev: Sev) -> Bridge:
        """The standing conference for an incident of an owner."""
        if self.calling is None:
            return NO_BRIDGE
        return self.calling.policy_of(owner).bridges.get(sev, NO_BRIDGE)

    def takes_in(self, verdict: Verdict) -> bool:
        """Whether an alert is taken in, by its verdict, that nobody sent and only an Alertmanager shows.

        What is no incident and never will be is not: it makes none, and what is waited for has to come by itself.
        """
        return verdict.sev is not None or verdict.watched
