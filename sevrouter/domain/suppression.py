"""What becomes of an incident that is silenced or inhibited: it is shown, and nobody is called for it.

The SEV rises all the same, and a thread and a ticket hear of it. The call that was not made is made up for once
nothing suppresses the incident any more, where its SEV asks for one then.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from sevrouter.domain.alert import AlertStatus
from sevrouter.domain.incident import Fact, Fold, Incident, TimelineEntry
from sevrouter.domain.observation import Change
from sevrouter.domain.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sevrouter.domain.observation import Observation
    from sevrouter.domain.shown import Shown

# Characters of an author, a comment, a name; strangers write them.
_LONGEST_NAME, _LONGEST_COMMENT = 60, 120
# What only a sender that does not suppress it sends. What was measured here nobody has sent.
_SENT = frozenset({Change.FIRED, Change.CHANGED, Change.EVENT})


class Silence(Struct, frozen=True, gc=False):
    """What is told of a silence."""

    created_by: str
    comment: str
    ends_at: datetime | None = None


def suppress(incident: Incident, reason: str, *, now: datetime) -> Fold:
    """Nobody is called for an open incident from now on, for a reason in words."""
    if not incident.is_open or incident.suppressed is not None:
        return Fold(incident)
    entry = TimelineEntry(Fact.SUPPRESSED, now, {"reason": reason, "note": reason})
    return Fold(replace(incident, suppressed=reason), (entry,))


def unsuppress(incident: Incident, note: str, *, now: datetime) -> Fold:
    """People are called for an incident again."""
    if incident.suppressed is None:
        return Fold(incident)
    entry = TimelineEntry(Fact.UNSUPPRESSED, now, {"was": incident.suppressed, "note": note})
    return Fold(replace(incident, suppressed=None), (entry,))


def lifted_by(folded: Fold, observations: Sequence[Observation], *, now: datetime) -> Fold:
    """A fold of a webhook whose incident is no longer suppressed where one of its alerts fires: it was sent to us."""
    incident = folded.incident
    is_sent = any(each.change in _SENT and each.alert.status is AlertStatus.FIRING for each in observations)
    if incident is None or incident.suppressed is None or not is_sent:
        return folded
    lifted = unsuppress(incident, "one of its alerts was sent, so it is not suppressed", now=now)
    return Fold(lifted.incident, (*folded.facts, *lifted.facts))


def withholding(incident: Incident) -> Incident:
    """It, with that remembered that a call was not made."""
    return replace(incident, standing=replace(incident.standing, withheld=True))


def reason_of(shown: Shown, silences: Mapping[str, Silence], names: Mapping[str, str], *, now: datetime) -> str:
    """Why an alert is suppressed, as one line. `names` are those of alerts by their fingerprint."""
    status = shown.status
    if status.silenced_by:
        silence = next((silences[each] for each in status.silenced_by if each in silences), None)
        return "silenced in Alertmanager" + (f" ({_told(silence, now)})" if silence is not None else "")
    if status.inhibited_by:
        name = one_line(next((names[each] for each in status.inhibited_by if names.get(each)), ""), _LONGEST_NAME)
        return "inhibited in Alertmanager" + (f" by {name}" if name else "")
    muted = one_line(next(iter(status.muted_by or ()), ""), _LONGEST_NAME)
    return "muted in Alertmanager" + (f" by {muted}" if muted else "")


def _told(silence: Silence, now: datetime) -> str:
    author = one_line(silence.created_by, _LONGEST_NAME) or "nobody"
    comment = one_line(silence.comment, _LONGEST_COMMENT)
    told = f"by {author}" + (f": {comment}" if comment else "")
    if silence.ends_at is None:
        return told
    day = "" if silence.ends_at.date() == now.date() else f"{silence.ends_at:%Y-%m-%d} "
    return f"{told}, until {day}{silence.ends_at:%H:%M} UTC"
