"""A person says "I own it", or that it is over; and an acknowledgement that does not hold any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from sevrouter.domain.incident import Fact, Fold, Incident, IncidentState, TimelineEntry, resolved
from sevrouter.domain.standing import Acknowledgement
from sevrouter.domain.text import one_line

if TYPE_CHECKING:
    from datetime import datetime

# Characters. What names somebody is shown everywhere.
LONGEST_NAME = 100


def is_name(text: str) -> bool:
    """Whether a text can name somebody: one short line that says something."""
    return bool(text.strip()) and text.isprintable() and len(text) <= LONGEST_NAME


def acknowledge(incident: Incident, *, by: str, how: str, now: datetime) -> Fold:
    """Have somebody own an open incident, `how` is a word for where that was said.

    What is owned or over stays as it is: the first to say so owns it.
    """
    if incident.state is not IncidentState.TRIGGERED:
        return Fold(incident)
    said = Acknowledgement(one_line(by, LONGEST_NAME), one_line(how, LONGEST_NAME), now)
    note = f"acknowledged by {said.by} ({said.how})"
    entry = TimelineEntry(Fact.ACKNOWLEDGED, now, {"by": said.by, "how": said.how, "note": note})
    standing = replace(incident.standing, acknowledged=said)
    return Fold(replace(incident, state=IncidentState.ACKNOWLEDGED, standing=standing), (entry,))


def end_acknowledgement(incident: Incident, reason: str, *, now: datetime) -> Fold:
    """Have nobody own an acknowledged incident any more: it rings again. `reason` is in words."""
    if incident.state is not IncidentState.ACKNOWLEDGED:
        return Fold(incident)
    owned = incident.standing.acknowledged
    note = f"nobody owns it any more: {reason}"
    details: dict[str, object] = {"reason": reason, "was": None if owned is None else owned.by, "note": note}
    standing = replace(incident.standing, acknowledged=None)
    triggered = replace(incident, state=IncidentState.TRIGGERED, standing=standing)
    return Fold(triggered, (TimelineEntry(Fact.ACK_ENDED, now, details),))


def resolve(incident: Incident, *, by: str, how: str, now: datetime) -> Fold:
    """Have an open incident be over because a person says so.

    What still fires is not over: then the person owns it, and it resolves by itself once nothing fires any more.
    """
    if not incident.is_open:
        return Fold(incident)
    owned = acknowledge(incident, by=by, how=how, now=now)
    assert owned.incident is not None
    if owned.incident.firing or owned.incident.truncated:
        return owned
    details: dict[str, object] = {"reason": "said_by_a_person", "by": one_line(by, LONGEST_NAME), "how": how}
    return Fold(resolved(owned.incident, now=now), (*owned.facts, TimelineEntry(Fact.RESOLVED, now, details)))
