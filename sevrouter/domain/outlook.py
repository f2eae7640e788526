"""What a review says of an open incident beside what makes it worse: what may come, what is back, what it would be.

None of it changes a SEV. Who is told of it is the plan's business.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from sevrouter.domain.foresight import Foreseen
from sevrouter.domain.incident import Fact, Fold, Incident, TimelineEntry
from sevrouter.domain.likelihood import Mention, weigh
from sevrouter.domain.sev import Sev, sev_name
from sevrouter.domain.standing import Milder

# How long the measures have to agree on something milder before lowering the SEV is proposed.
PROPOSED_AFTER = timedelta(minutes=5)


class Outlook(Struct, frozen=True, kw_only=True, gc=False):
    """What a review found. `would_be` is what its measures make of the incident now, None: no incident, and `why`.

    `is_whole`: every firing alert of the incident was looked at. `returned` says what is read again that had counted
    as the worst because it was missing.
    """

    would_be: Sev | None
    why: str = ""
    is_whole: bool = True
    foreseen: tuple[Foreseen, ...] = ()
    returned: tuple[str, ...] = ()


def look(folded: Fold, outlook: Outlook, *, now: datetime, horizon: timedelta) -> Fold:
    """A fold of an incident, and what a review says beside."""
    incident = folded.incident
    if incident is None or not incident.is_open:
        return folded
    mentions, likely = _mentions(incident, outlook, now, horizon)
    milder, proposal = _milder(incident, outlook, now)
    back = [TimelineEntry(Fact.READING_RETURNED, now, {"note": each}) for each in outlook.returned]
    returned = outlook.returned[-1] if back else incident.standing.returned
    standing = replace(incident.standing, mentions=mentions, milder=milder, returned=returned)
    if standing == incident.standing:
        return folded
    return Fold(replace(incident, standing=standing), (*folded.facts, *back, *likely, *proposal))


def _mentions(
    incident: Incident, outlook: Outlook, now: datetime, horizon: timedelta
) -> tuple[dict[Sev, Mention], list[TimelineEntry]]:
    """What it is said to be likely to become, and that as a fact where it is news."""
    known = {sev: each for sev, each in incident.standing.mentions.items() if sev.is_worse_than(incident.sev)}
    foreseen = [each for each in outlook.foreseen if each.sev.is_worse_than(incident.sev)]
    mentions, news = weigh(known, foreseen, now=now, horizon=horizon)
    if not news:
        return mentions, []
    worst_of_them, soonest = news[0], min(each.crosses_in for each in news)
    details: dict[str, object] = {
        "sev": str(worst_of_them.sev),
        "note": "; ".join(each.text for each in news),
        "in_seconds": round(soonest.total_seconds()),
    }
    return mentions, [TimelineEntry(Fact.LIKELY, now, details)]


def _milder(incident: Incident, outlook: Outlook, now: datetime) -> tuple[Milder | None, list[TimelineEntry]]:
    """What it would be by now, where that is milder, and the proposal to lower it, once."""
    would_be, before = outlook.would_be, incident.standing.milder
    # Where others of its alerts were not looked at, nobody knows what all of it would be.
    if not outlook.is_whole or not incident.sev.is_worse_than(would_be):
        return None, []
    if before is None or before.sev is not would_be:
        return Milder(would_be, now), []
    if before.is_proposed or now - before.since < PROPOSED_AFTER:
        return before, []
    details: dict[str, object] = {
        "from": str(incident.sev),
        "to": sev_name(would_be),
        "since": before.since.isoformat(),
        "why": outlook.why,
    }
    return replace(before, is_proposed=True), [TimelineEntry(Fact.MILDER, now, details)]
