"""An incident, and the fold: what a webhook's alerts, or a quiet time that ran out, make of it.

The SEV of an incident is the worst of its firing alerts and only rises (a ratchet); one that reopens within
`reopen_within` is the same incident again. Every conclusion is a fact with a reason from a closed set.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from sevrouter.domain.alert import Alert, AlertStatus
from sevrouter.domain.deployment import NearbyDeployment
from sevrouter.domain.grading import Verdict
from sevrouter.domain.observation import Change, Observation
from sevrouter.domain.sev import Sev, worst
from sevrouter.domain.standing import NOTHING, Standing
from sevrouter.domain.text import shown_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sevrouter.domain.identity import IncidentPolicy

# How long an unreadable webhook keeps its incident open after the last of them.
UNREADABLE_HOLD = timedelta(hours=1)
# That it was heard of is noted no more often than this: to write it down with each webhook would be dear.
HEARD_EVERY = timedelta(minutes=5)


class IncidentState(enum.Enum):
    """triggered → acknowledged → resolved. Only a person acknowledges."""

    TRIGGERED = "triggered"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Fact(enum.Enum):
    """What happened to an incident: the words of its timeline."""

    OPENED = "opened"
    ALERTS_FIRED = "alerts_fired"
    ALERTS_RESOLVED = "alerts_resolved"
    ROSE = "rose"
    QUIET = "quiet"
    TRUNCATED = "truncated"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    DEPLOYMENT_NEARBY = "deployment_nearby"
    LIKELY = "likely"
    MILDER = "milder"
    READING_RETURNED = "reading_returned"
    SUPPRESSED = "suppressed"
    UNSUPPRESSED = "unsuppressed"
    STALE = "stale"
    HEARD_AGAIN = "heard_again"
    SEV_SET = "sev_set"
    CALL_STARTED = "call_started"
    RANG = "rang"
    ACKNOWLEDGED = "acknowledged"
    ACK_ENDED = "ack_ended"
    UNANSWERED = "unanswered"
    FAILED_OVER = "failed_over"
    DELIVERED = "delivered"
    DELIVERY_RETRIED = "delivery_retried"
    DELIVERY_UNKNOWN = "delivery_unknown"
    DELIVERY_REJECTED = "delivery_rejected"
    DELIVERY_EXPIRED = "delivery_expired"
    SUPERSEDED = "superseded"
    SHADOWED = "shadowed"


class TimelineEntry(Struct, frozen=True, gc=False):
    """One append-only fact of an incident; `details` are JSON values."""

    fact: Fact
    at: datetime
    details: Mapping[str, object] = field(default_factory=dict)


class Evidence(Struct, frozen=True, kw_only=True, gc=False):
    """The alert and the verdict that set an incident's SEV, and the configuration that they were graded by.

    `deployments` are those that the incident began near, the newest first.
    """

    alert: Alert
    verdict: Verdict
    config_hash: str
    deployments: tuple[NearbyDeployment, ...] = ()


class Incident(Struct, frozen=True, kw_only=True, gc=False):
    """One thing that is wrong, made of many alerts. `id` is None until it is stored.

    `firing` counts its firing alerts. `due_at` is when its quiet time has run out. `truncated` says that it
    may have firing alerts which Alertmanager left out. `asked` names the integrations that were told of it.
    `version` counts how often it was written. `standing` is what is known of it beside its SEV. `suppressed` says
    why nobody is called for it (it is silenced, or inhibited). `heard_at` is when something was heard of it, give or
    take `HEARD_EVERY`, and `stale_since` since when that is too long ago.
    """

    dedup_key: str
    state: IncidentState
    sev: Sev
    unsure: bool
    opened_at: datetime
    system: str | None
    owner: str | None
    evidence: Evidence
    firing: int = 0
    due_at: datetime | None = None
    resolved_at: datetime | None = None
    truncated: bool = False
    asked: tuple[str, ...] = ()
    id: int | None = None
    version: int = 0
    standing: Standing = NOTHING
    suppressed: str | None = None
    heard_at: datetime | None = None
    stale_since: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is not resolved."""
        return self.state is not IncidentState.RESOLVED

    @property
    def last_heard_at(self) -> datetime:
        """When something was heard of it."""
        return self.heard_at or self.opened_at


class Fold(Struct, frozen=True, gc=False):
    """What became of an incident: its new state, and the facts that say why. None where nothing opened one."""

    incident: Incident | None
    facts: tuple[TimelineEntry, ...] = ()

    def has(self, fact: Fact) -> bool:
        """Whether this happened."""
        return self.fact(fact) is not None

    def fact(self, fact: Fact) -> TimelineEntry | None:
        """The first such fact."""
        return next((entry for entry in self.facts if entry.fact is fact), None)


class Opening(Struct, frozen=True, kw_only=True, gc=False):
    """What a new incident is made with."""

    dedup_key: str
    system: str | None
    owner: str | None


def fold(
    incident: Incident | None,
    observations: Sequence[Observation],
    *,
    opening: Opening,
    policy: IncidentPolicy,
    config_hash: str,
    now: datetime,
    truncated: bool = False,
    is_heard: bool = True,
) -> Fold:
    """Fold a webhook's alerts of one incident into it.

    `incident` is the last one of this identity, or None. Unless it `is_heard`, nobody has sent this: we found it out by
    ourselves. A truncated webhook never brings a resolve nearer.
    One whose quiet time ran out unnoticed is resolved before it opens again, so that people are told again.
    """
    # What is stale says nothing about now, however bad it looked then.
    current = [each for each in observations if each.change is not Change.STALE_FIRING]
    candidates = [each for each in current if each.verdict is not None and each.verdict.sev is not None]
    fresh = [each for each in candidates if each.change in (Change.FIRED, Change.EVENT) or _joins(each)]
    overdue: tuple[TimelineEntry, ...] = ()
    if incident is not None and fresh:
        settled = settle(incident, now=now)
        incident, overdue = settled.incident, settled.facts
    if incident is None or not incident.is_open:
        if not fresh:
            return Fold(incident)
        state, facts = _open(incident, fresh, opening, policy, config_hash, now)
    else:
        state, facts = _rise(incident, candidates, config_hash, now)
    if incident is not None and incident.is_open and state.system is None and opening.system is not None:
        state = replace(state, system=opening.system, owner=opening.owner)
    facts = [*overdue, *facts]
    if is_heard:
        state = _heard(state, facts, now)
    return _count(state, facts, observations, fresh, policy, now, truncated=truncated)


def _joins(observation: Observation) -> bool:
    """Whether an alert that was no incident so far became one, by a changed value, measure or configuration."""
    record, change = observation.record, observation.change
    return change in (Change.CHANGED, Change.MEASURED) and record is not None and record.incident_id is None


def _decisive(observations: Sequence[Observation]) -> tuple[Observation, Sev]:
    sev = worst(each.verdict.sev for each in observations if each.verdict)
    assert sev is not None
    best = [each for each in observations if each.verdict and each.verdict.sev is sev]
    sure = next((each for each in best if each.verdict and not each.verdict.unsure), None)
    return (sure or best[0]), sev


def _evidence(observation: Observation, config_hash: str) -> Evidence:
    assert observation.verdict is not None
    return Evidence(alert=observation.alert, verdict=observation.verdict, config_hash=config_hash)


def _open(
    last: Incident | None,
    fresh: Sequence[Observation],
    opening: Opening,
    policy: IncidentPolicy,
    config_hash: str,
    now: datetime,
) -> tuple[Incident, list[TimelineEntry]]:
    decisive, sev = _decisive(fresh)
    evidence = _evidence(decisive, config_hash)
    unsure = evidence.verdict.unsure
    if last is None or last.resolved_at is None or now - last.resolved_at > policy.reopen_within:
        incident = Incident(
            dedup_key=opening.dedup_key, state=IncidentState.TRIGGERED, sev=sev, unsure=unsure, opened_at=now,
            system=opening.system, owner=opening.owner, evidence=evidence, heard_at=now,
        )  # fmt: skip
        return incident, [TimelineEntry(Fact.OPENED, now, _because(sev, evidence))]
    incident = replace(last, state=IncidentState.TRIGGERED, resolved_at=None, due_at=None, firing=0, truncated=False)
    facts = [TimelineEntry(Fact.REOPENED, now, _because(sev, evidence))]
    incident, rises = _rise(incident, fresh, config_hash, now)
    return incident, facts + rises


def _rise(
    incident: Incident, candidates: Sequence[Observation], config_hash: str, now: datetime
) -> tuple[Incident, list[TimelineEntry]]:
    if not candidates:
        return incident, []
    decisive, sev = _decisive(candidates)
    # Who is called for a rise has to hear of a deployment too.
    evidence = replace(_evidence(decisive, config_hash), deployments=incident.evidence.deployments)
    overruled = incident.standing.overruled
    if sev.is_worse_than(incident.sev) and sev.is_worse_than(overruled):
        details = {"from": str(incident.sev)} | _because(sev, evidence)
        # What a person said of it was said of something milder.
        standing = replace(incident.standing, set_sev=None, overruled=None, returned=None)
        risen = replace(incident, sev=sev, unsure=evidence.verdict.unsure, evidence=evidence, standing=standing)
        return risen, [TimelineEntry(Fact.ROSE, now, details)]
    if sev is incident.sev and incident.unsure and not evidence.verdict.unsure:
        return replace(incident, unsure=False, evidence=evidence), []
    return incident, []


def _because(sev: Sev, evidence: Evidence) -> dict[str, object]:
    deciding = evidence.verdict.grades[0]
    measured = {"reading": deciding.reading, "threshold": deciding.threshold}
    return {name: text for name, text in measured.items() if text is not None} | {
        "sev": str(sev), "unsure": evidence.verdict.unsure, "rule": deciding.rule, "why": deciding.why,
        "reason": deciding.reason.value, "config": evidence.config_hash,
    }  # fmt: skip


def _count(
    incident: Incident,
    facts: list[TimelineEntry],
    observations: Sequence[Observation],
    fresh: Sequence[Observation],
    policy: IncidentPolicy,
    now: datetime,
    *,
    truncated: bool,
) -> Fold:
    fired, resolved = _counted(observations, fresh)
    if fired:
        facts.append(TimelineEntry(Fact.ALERTS_FIRED, now, _sample(fired)))
    if resolved:
        facts.append(TimelineEntry(Fact.ALERTS_RESOLVED, now, _sample(resolved)))
    if truncated and not incident.truncated:
        facts.append(TimelineEntry(Fact.TRUNCATED, now))
    firing = max(0, incident.firing + len(fired) - len(resolved))
    state = replace(incident, firing=firing, truncated=truncated)
    if firing or truncated:
        state = replace(state, due_at=None)
    elif any(each.change is Change.EVENT for each in fresh):
        state = replace(state, due_at=now + max(policy.resolve_after, UNREADABLE_HOLD))
    elif state.due_at is None:
        state = replace(state, due_at=now + policy.resolve_after)
        facts.append(TimelineEntry(Fact.QUIET, now))
    settled = settle(state, now=now)
    return Fold(settled.incident, (*facts, *settled.facts))


def _heard(incident: Incident, facts: list[TimelineEntry], now: datetime) -> Incident:
    if incident.stale_since is not None:
        facts.append(TimelineEntry(Fact.HEARD_AGAIN, now))
    elif now - incident.last_heard_at < HEARD_EVERY:
        return incident
    return replace(incident, heard_at=now, stale_since=None)


def _counted(
    observations: Sequence[Observation], fresh: Sequence[Observation]
) -> tuple[list[Observation], list[Observation]]:
    """Those that fire now and did not, and those that did and do not: a webhook may name an alert twice."""
    joined = {id(each) for each in fresh if each.change is not Change.EVENT}
    before: dict[bytes, bool] = {}
    after: dict[bytes, Observation] = {}
    for each in observations:
        record = each.record
        fired = record is not None and record.status is AlertStatus.FIRING and record.incident_id is not None
        before.setdefault(each.alert.digest, fired)
        if id(each) in joined or each.change in (Change.FIRED, Change.RESOLVED, Change.LEFT):
            after[each.alert.digest] = each
    started = [each for digest, each in after.items() if id(each) in joined and not before[digest]]
    ended = [each for digest, each in after.items() if id(each) not in joined and before[digest]]
    return started, ended


def _sample(observations: Sequence[Observation]) -> dict[str, object]:
    shown = [shown_labels(each.alert.labels) for each in observations[:3]]
    return {"count": len(observations), "labels": shown}


def settle(incident: Incident, *, now: datetime) -> Fold:
    """Resolve an incident whose quiet time has run out; anything else stays as it is."""
    if not incident.is_open or incident.due_at is None or incident.due_at > now:
        return Fold(incident)
    return Fold(resolved(incident, now=now), (TimelineEntry(Fact.RESOLVED, now, {"reason": "quiet_time_over"}),))


def resolved(incident: Incident, *, now: datetime) -> Incident:
    """It, when it is over."""
    # What a person said of it is kept for when it reopens; all else was about what is over.
    standing = Standing(set_sev=incident.standing.set_sev, overruled=incident.standing.overruled)
    return replace(
        incident, state=IncidentState.RESOLVED, resolved_at=now, due_at=None, standing=standing, suppressed=None,
        stale_since=None,
    )  # fmt: skip
