"""What is to be done about a fold: each SEV asks for responses, a rise adds what is new, once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from sevrouter.domain.delivery import CALL, SLACK, Notice, NoticeKind
from sevrouter.domain.deployment import links_to
from sevrouter.domain.explanation import headline, reasons, safe_links
from sevrouter.domain.incident import Fact, Fold, Incident, TimelineEntry
from sevrouter.domain.policy import NO_BRIDGE, Bridge
from sevrouter.domain.sev import Sev, parse_sev
from sevrouter.domain.text import many_lines, shown_labels

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

Responses = Mapping[Sev, Sequence[str]]


class Planned(Struct, frozen=True, gc=False):
    """One integration to be told one thing; `note` is a line on what is new, `foreseen` the SEV that it warns of."""

    integration: str
    kind: NoticeKind
    note: str = ""
    foreseen: Sev | None = None


# What is told to those who know of an incident already, a call excepted: nobody is rung up for news alone.
_NEWS = {
    Fact.READING_RETURNED: NoticeKind.READING_RETURNED,
    Fact.SEV_SET: NoticeKind.SEV_SET,
    Fact.SUPPRESSED: NoticeKind.SUPPRESSED,
    Fact.UNSUPPRESSED: NoticeKind.UNSUPPRESSED,
    Fact.STALE: NoticeKind.STALE,
    Fact.ACKNOWLEDGED: NoticeKind.ACKNOWLEDGED,
    Fact.ACK_ENDED: NoticeKind.ACK_ENDED,
}


def plan(fold: Fold, responses: Responses) -> tuple[Incident | None, tuple[Planned, ...]]:
    """Who is told what after a fold, and the incident with those integrations remembered in `asked`.

    An integration that was told of the incident before is told how it goes on, whatever its SEV by now asks.
    """
    before = incident = fold.incident
    if before is None or incident is None:
        return None, ()
    planned: list[Planned] = []
    kind = _follow_up(fold)
    if kind is not None:
        added = [name for name in responses.get(incident.sev, ()) if name not in incident.asked]
        note = _note(fold.fact(Fact.SEV_SET))
        planned += [Planned(name, kind, note) for name in incident.asked]
        planned += [Planned(name, NoticeKind.OPENED, note) for name in added]
        incident = replace(incident, asked=(*incident.asked, *added))
    if fold.has(Fact.RESOLVED):
        # What is open again although it ended was resolved first, and only those who knew of it are told so.
        asked = before.asked if incident.is_open else incident.asked
        ended = [Planned(name, NoticeKind.RESOLVED) for name in asked]
        planned = [*ended, *planned] if incident.is_open else [*planned, *ended]
    planned += _news(fold, before.asked)
    if (likely := fold.fact(Fact.LIKELY)) is not None:
        incident, warned = _warn(incident, likely, responses)
        planned += warned
    return _called(before, incident, planned, responses)


def _called(
    before: Incident, incident: Incident, planned: Sequence[Planned], responses: Responses
) -> tuple[Incident, tuple[Planned, ...]]:
    """What is planned without the calls that are held back while it is suppressed, or with the one that was."""
    if incident.suppressed is not None:
        held = [each for each in planned if each.integration != CALL or each.kind is NoticeKind.RESOLVED]
        if len(held) == len(planned):
            return incident, tuple(planned)
        asked = incident.asked if CALL in before.asked else tuple(name for name in incident.asked if name != CALL)
        return replace(incident, asked=asked, standing=replace(incident.standing, withheld=True)), tuple(held)
    if not incident.standing.withheld:
        return incident, tuple(planned)
    incident = replace(incident, standing=replace(incident.standing, withheld=False))
    is_asked_for = incident.is_open and CALL in responses.get(incident.sev, ())
    if not is_asked_for or any(each.integration == CALL for each in planned):
        return incident, tuple(planned)
    if CALL in incident.asked:
        return incident, (*planned, Planned(CALL, NoticeKind.ROSE))
    return replace(incident, asked=(*incident.asked, CALL)), (*planned, Planned(CALL, NoticeKind.OPENED))


def _news(fold: Fold, asked: Sequence[str]) -> Iterator[Planned]:
    for entry in fold.facts:
        kind = _NEWS.get(entry.fact)
        # A rise that a person wants is told as a rise, and of what is over nobody is told who owned it.
        is_told = kind is NoticeKind.SEV_SET and fold.has(Fact.ROSE)
        is_told |= kind is NoticeKind.ACKNOWLEDGED and fold.has(Fact.RESOLVED)
        if kind is not None and not is_told:
            calls = kind is NoticeKind.ACKNOWLEDGED
            yield from (Planned(name, kind, _note(entry)) for name in asked if calls or name != CALL)


def _warn(incident: Incident, likely: TimelineEntry, responses: Responses) -> tuple[Incident, list[Planned]]:
    """A mention where people talk, before it is as bad: also where what it is now would not be talked about there."""
    foreseen = parse_sev(str(likely.details["sev"]))
    is_asked = SLACK in incident.asked
    if foreseen is None or not (is_asked or SLACK in responses.get(foreseen, ())):
        return incident, []
    asked = incident.asked if is_asked else (*incident.asked, SLACK)
    warning = Planned(SLACK, NoticeKind.LIKELY, _note(likely), foreseen)
    return replace(incident, asked=asked), [warning]


def _note(entry: TimelineEntry | None) -> str:
    return "" if entry is None else str(entry.details.get("note", ""))


def _follow_up(fold: Fold) -> NoticeKind | None:
    if fold.has(Fact.OPENED) or fold.has(Fact.REOPENED):
        return NoticeKind.REOPENED
    return NoticeKind.ROSE if fold.has(Fact.ROSE) else None


def incident_key(incident: Incident) -> str:
    """A name for this incident that is never used for another, not even by a database that begins anew."""
    return f"sevrouter-{incident.dedup_key}-{int(incident.opened_at.timestamp() * 1_000_000)}"


def notice(
    before: Incident | None, incident: Incident, planned: Planned, *, now: datetime, bridge: Bridge = NO_BRIDGE
) -> Notice:
    """What there is to tell of a stored incident; `before` is what it was, None where there was none."""
    evidence, kind = incident.evidence, planned.kind
    # What is over is nothing to roll back.
    deployments = () if kind is NoticeKind.RESOLVED else evidence.deployments
    owned = incident.standing.acknowledged
    has_risen = before is not None and before.is_open and incident.sev.is_worse_than(before.sev)
    assert incident.id is not None
    return Notice(
        kind=kind,
        key=incident_key(incident),
        incident_id=incident.id,
        sev=incident.sev,
        previous_sev=before.sev if before is not None and has_risen else None,
        unsure=incident.unsure,
        title=headline(incident),
        description=many_lines(evidence.alert.annotations.get("description", "")),
        system=incident.system,
        owner=incident.owner,
        why=reasons(incident),
        labels=shown_labels(evidence.alert.labels),
        # First where some integration has room for a few only: a rollback is what helps at once.
        links=links_to(deployments) | safe_links(evidence.alert),
        deployments=tuple(each.hint for each in deployments),
        note=planned.note,
        foreseen=planned.foreseen,
        suppressed=incident.suppressed,
        acknowledged_by=None if owned is None else owned.by,
        told_by=owned.how if owned is not None and kind is NoticeKind.ACKNOWLEDGED else None,
        bridge=bridge.url,
        bridge_dial=bridge.dial,
        opened_at=incident.opened_at,
        at=now,
        firing=incident.firing,
        config_hash=evidence.config_hash,
    )
