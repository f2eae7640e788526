"""What would come of alerts that have been firing for a while, with readings that somebody makes up."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from msgspec import Struct

from sevrouter.domain.alert import Alert, AlertRecord, AlertStatus
from sevrouter.domain.grading import Verdict
from sevrouter.domain.measuring import Subject
from sevrouter.domain.promql import QueryAnswer, QueryProblem, Series
from sevrouter.domain.review import review

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sevrouter.domain.grading import Grader
    from sevrouter.domain.ownership import Ownership
    from sevrouter.domain.routing import Routing

STARTED = datetime(2026, 1, 1, tzinfo=UTC)


class Rehearsal(Struct, frozen=True, kw_only=True, gc=False):
    """Alerts of one webhook, for how long the last of them fires, and what queries give by the name of their rule.

    A reading of None is a query that has given nothing for so long that it is unsure.
    """

    alerts: tuple[Alert, ...]
    after: timedelta = timedelta(0)
    readings: Mapping[str, float | None] = {}


class Outcome(Struct, frozen=True, kw_only=True, gc=False):
    """What came of it: the verdict on the alert that decides, None where none fires, and how many incidents it is."""

    alert: Alert | None
    verdict: Verdict
    responses: tuple[str, ...] = ()
    owner: str | None = None
    incidents: int = 0


def rehearse(routing: Routing, rehearsal: Rehearsal) -> Outcome:
    """Play it through, as the daemon would. What is resolved counts as nothing; of all incidents the worst counts."""
    firing = {each.digest: each for each in rehearsal.alerts if each.status is AlertStatus.FIRING}
    groups: dict[str, list[Alert]] = {}
    for alert in firing.values():
        groups.setdefault(routing.incidents.dedup_key(alert.labels), []).append(alert)
    if not groups:
        return Outcome(alert=None, verdict=Verdict(None, unsure=False, grades=()))
    now = max(each.starts_at for each in firing.values()) + rehearsal.after
    decided = [(*_decisive(routing.grader, group, rehearsal.readings, now), group) for group in groups.values()]
    alert, verdict, group = min(decided, key=lambda each: _worst_first(each[1]))
    return Outcome(
        alert=alert,
        verdict=verdict,
        responses=tuple(routing.responses.get(verdict.sev, ())) if verdict.sev is not None else (),
        owner=_owner(routing.ownership, group),
        incidents=sum(each.sev is not None for _, each, _ in decided),
    )


def _worst_first(verdict: Verdict) -> tuple[float, bool]:
    return (math.inf if verdict.sev is None else verdict.sev.rank, verdict.unsure)


def _owner(ownership: Ownership, alerts: Iterable[Alert]) -> str | None:
    # An incident belongs to the system of its first alert that has one.
    owned = [ownership.of(each.labels) for each in alerts]
    return next((each.owner for each in owned if each.system is not None), owned[0].owner)


def _decisive(
    grader: Grader, alerts: Sequence[Alert], readings: Mapping[str, float | None], now: datetime
) -> tuple[Alert, Verdict]:
    """The alert that is worst of those of one incident, and how bad it is."""
    verdicts = [(each, grader.grade(each)) for each in alerts]
    opened_at = min(each.starts_at for each in alerts)
    subjects = [Subject(each, _record(each), opened_at) for each, plain in verdicts if plain.watched]
    # What is none by all of its measures says no more than that it is watched.
    timed = _timed(grader, subjects, readings, now) if subjects else {}
    return min(
        ((alert, timed.get(alert.digest, plain)) for alert, plain in verdicts),
        key=lambda each: _worst_first(each[1]),
    )


def _timed(
    grader: Grader, subjects: Sequence[Subject], readings: Mapping[str, float | None], now: datetime
) -> dict[bytes, Verdict]:
    """What timed measures make of those alerts that are bad by them."""
    given = {rule: _answer(number) for rule, number in readings.items()}
    watched = [scale for each in subjects for _, scale in grader.watched(each.alert)]
    patience = max(scale.unsure_after for scale in watched)
    before = review(grader, subjects, now=now - patience, given=given)
    found = review(grader, subjects, now=now, given=given, readings=before.readings)
    return {each.alert.digest: each.verdict for each in found.observations if each.verdict is not None}


def _answer(number: float | None) -> QueryAnswer:
    return QueryAnswer(problem=QueryProblem.EMPTY) if number is None else QueryAnswer((Series({}, number),))


def _record(alert: Alert) -> AlertRecord:
    return AlertRecord(
        digest=alert.digest, status=alert.status, starts_at=alert.starts_at, closed_until=None,
        changed_at=alert.starts_at, sev=None, unsure=False, content=alert.content, incident_id=None,
    )  # fmt: skip
