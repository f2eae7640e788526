"""A person sets the SEV of an incident: that is the floor from then on, from which the machine only raises it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from sevrouter.domain.incident import Fact, Fold, Incident, TimelineEntry
from sevrouter.domain.sev import worst
from sevrouter.domain.standing import SetSev
from sevrouter.domain.text import one_line

if TYPE_CHECKING:
    from datetime import datetime

    from sevrouter.domain.sev import Sev


def set_sev(incident: Incident, sev: Sev, *, by: str, reason: str, now: datetime) -> Fold:
    """Have an open incident be as bad as a person says. What is over stays as it is.

    From something milder the machine raises it by itself again only beyond what it was known to be.
    """
    if not incident.is_open:
        return Fold(incident)
    said = SetSev(sev, one_line(by, 100), one_line(reason, 500), now)
    before = incident.standing
    known = worst((incident.sev, incident.evidence.verdict.sev, before.overruled))
    overruled = known if known is not None and known.is_worse_than(sev) else None
    standing = replace(before, set_sev=said, overruled=overruled, milder=None)
    details: dict[str, object] = {"from": str(incident.sev), "sev": str(sev), "by": said.by, "reason": said.reason}
    note = f"{sev}, set by {said.by}: {said.reason}"
    facts = [TimelineEntry(Fact.SEV_SET, now, details | {"note": note})]
    if sev.is_worse_than(incident.sev):
        facts.append(TimelineEntry(Fact.ROSE, now, details | {"rule": "(set by a person)", "why": note}))
    return Fold(replace(incident, sev=sev, unsure=False, standing=standing), tuple(facts))
