"""Builders of test data: every field has a harmless default, a test names only what it is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from sevrouter.domain.alert import Alert, AlertRecord, AlertStatus
from sevrouter.domain.delivery import CALL, Delivery, DeliveryState, Notice, NoticeKind, Sibling
from sevrouter.domain.grading import Fixed, Grade, GradeReason, Graduated, Mapped, Rule, Verdict
from sevrouter.domain.heartbeat import Heartbeat
from sevrouter.domain.incident import Evidence, Incident, IncidentState, Opening
from sevrouter.domain.labels import parse_matcher
from sevrouter.domain.measure import Measure, Source, parse_threshold
from sevrouter.domain.observation import Change, Observation
from sevrouter.domain.sev import Sev
from sevrouter.domain.shown import Shown
from sevrouter.domain.timed import Timed, Watched

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CONFIG = "c0ffee"


def at(minutes: float) -> datetime:
    """The time this many minutes after the beginning of the story."""
    return NOW + timedelta(minutes=minutes)


def firing(
    name: str = "Down",
    *,
    start: float = 0,
    annotations: dict[str, str] | None = None,
    values: dict[str, str] | None = None,
    generator_url: str = "",
    **labels: str,
) -> Alert:
    """An alert that fires since minute `start`."""
    return Alert(
        labels={"alertname": name, **labels},
        annotations=annotations or {},
        values=values or {},
        starts_at=at(start),
        generator_url=generator_url,
    )


def resolved(name: str = "Down", *, start: float = 0, end: float | None = None, **labels: str) -> Alert:
    """The same alert once it is over."""
    return Alert(
        labels={"alertname": name, **labels},
        status=AlertStatus.RESOLVED,
        starts_at=at(start),
        ends_at=None if end is None else at(end),
    )


def record_of(
    alert: Alert,
    *,
    received: float = 0,
    closed_until: datetime | None = None,
    sev: Sev | None = Sev.SEV_2,
    incident_id: int | None = 1,
) -> AlertRecord:
    """What is remembered of an alert that was received at minute `received`."""
    return AlertRecord(
        digest=alert.digest,
        status=alert.status,
        starts_at=alert.starts_at,
        closed_until=closed_until,
        changed_at=at(received),
        sev=sev,
        unsure=False,
        content=alert.content,
        incident_id=incident_id,
    )


def watched(
    name: str,
    measure: Timed,
    bounds: dict[Sev, str],
    *matchers: str,
    every: timedelta | None = None,
) -> Rule:
    """A rule with a timed measure."""
    thresholds = tuple(parse_threshold(sev, text) for sev, text in bounds.items())
    return Rule(name, tuple(map(parse_matcher, matchers)), Watched(measure, thresholds, every))


def heartbeat(
    name: str = "prometheus",
    *matchers: str,
    every: float = 5,
    grace: float = 1,
    missed: Sev = Sev.SEV_1,
) -> Heartbeat:
    """A heartbeat (by default the Watchdog's); times are in minutes."""
    return Heartbeat(
        name=name,
        matchers=tuple(map(parse_matcher, matchers or ('alertname="Watchdog"',))),
        every=timedelta(minutes=every),
        grace=timedelta(minutes=grace),
        missed=missed,
    )


def verdict(sev: Sev | None = Sev.SEV_2, *, unsure: bool = False, rule: str = "a rule") -> Verdict:
    """A verdict with one grade."""
    grade = Grade(rule=rule, sev=sev, reason=GradeReason.MATCHED, why="because", unsure=unsure)
    return Verdict(sev, unsure, (grade,))


def observation(
    change: Change = Change.FIRED,
    sev: Sev | None = Sev.SEV_2,
    *,
    alert: Alert | None = None,
    record: AlertRecord | None = None,
    unsure: bool = False,
) -> Observation:
    """One alert of a webhook; a resolved one has no verdict."""
    over = change in {Change.RESOLVED, Change.STALE_RESOLVED, Change.NEVER_FIRED}
    given = alert or (resolved(end=1) if over else firing())
    return Observation(change, given, record, None if over else verdict(sev, unsure=unsure))


def incident(
    sev: Sev = Sev.SEV_2,
    *,
    state: IncidentState = IncidentState.TRIGGERED,
    alert: Alert | None = None,
    unsure: bool = False,
    firing_alerts: int = 1,
    due_at: datetime | None = None,
    resolved_at: datetime | None = None,
    truncated: bool = False,
    asked: tuple[str, ...] = (),
    system: str | None = "checkout",
    owner: str | None = "payments",
) -> Incident:
    """A stored incident, opened at the beginning of the story."""
    return Incident(
        dedup_key="00ff",
        state=state,
        sev=sev,
        unsure=unsure,
        opened_at=NOW,
        system=system,
        owner=owner,
        evidence=Evidence(alert=alert or firing(), verdict=verdict(sev, unsure=unsure), config_hash=CONFIG),
        firing=firing_alerts,
        due_at=due_at,
        resolved_at=resolved_at,
        truncated=truncated,
        asked=asked,
        id=1,
    )


OPENING = Opening(dedup_key="00ff", system="checkout", owner="payments")


def fixed(name: str, sev: Sev | None, *matchers: str) -> Rule:
    """A rule whose matchers alone decide."""
    return Rule(name, tuple(parse_matcher(each) for each in matchers), Fixed(sev))


def by_number(
    name: str, thresholds: dict[Sev, str], *matchers: str, annotation: str = "users_affected_percent"
) -> Rule:
    """A rule with a number in an annotation."""
    scale = Graduated(
        Measure(Source.ANNOTATION, annotation), tuple(parse_threshold(sev, text) for sev, text in thresholds.items())
    )
    return Rule(name, tuple(parse_matcher(each) for each in matchers), scale)


def by_word(name: str, values: dict[str, Sev | None], *matchers: str, label: str = "severity") -> Rule:
    """A rule with a word in a label."""
    scale = Mapped(Measure(Source.LABEL, label), values)
    return Rule(name, tuple(parse_matcher(each) for each in matchers), scale)


def notice(kind: NoticeKind = NoticeKind.OPENED, *, sev: Sev = Sev.SEV_2, previous_sev: Sev | None = None) -> Notice:
    """What an integration is told."""
    return Notice(
        kind=kind,
        key="sevrouter-00ff-1",
        incident_id=1,
        sev=sev,
        previous_sev=previous_sev,
        unsure=False,
        title="checkout is down",
        system="checkout",
        owner="payments",
        why=("because",),
        opened_at=NOW,
        at=NOW,
        firing=1,
        config_hash=CONFIG,
    )


def delivery(
    kind: NoticeKind = NoticeKind.OPENED,
    *,
    number: int = 1,
    integration: str = CALL,
    previous_sev: Sev | None = None,
) -> Delivery:
    """A row of the outbox, at its first attempt."""
    return Delivery(
        id=number,
        integration=integration,
        notice=notice(kind, previous_sev=previous_sev),
        received_at=NOW,
        expires_at=at(60),
    )


def sibling(
    number: int,
    kind: NoticeKind = NoticeKind.OPENED,
    state: DeliveryState = DeliveryState.DELIVERED,
    *,
    unknowns: int = 0,
) -> Sibling:
    """Another delivery of the same incident to the same integration."""
    return Sibling(number, kind, state, unknowns)


def shown(
    alert: Alert,
    *,
    silenced_by: tuple[str, ...] = (),
    inhibited_by: tuple[str, ...] = (),
    receivers: tuple[str, ...] = ("sevrouter",),
    state: str | None = None,
) -> Shown:
    """An alert as an Alertmanager shows it."""
    member = {
        "labels": alert.labels,
        "annotations": alert.annotations,
        "startsAt": alert.starts_at.isoformat(),
        "generatorURL": alert.generator_url,
        "fingerprint": alert.labels["alertname"].lower(),
        "receivers": [{"name": each} for each in receivers],
        "status": {
            "state": state or ("suppressed" if silenced_by or inhibited_by else "active"),
            "silencedBy": silenced_by,
            "inhibitedBy": inhibited_by,
        },
    }
    return msgspec.json.decode(msgspec.json.encode(member), type=Shown)
