"""What would come of an alert that has been firing for a while, with readings that somebody makes up."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from msgspec import Struct

from sevrouter.domain.alert import Alert, AlertRecord
from sevrouter.domain.grading import Verdict
from sevrouter.domain.measuring import Subject
from sevrouter.domain.promql import QueryAnswer, QueryProblem, Series
from sevrouter.domain.review import review
from sevrouter.domain.timed import UNSURE_AFTER, Query

if TYPE_CHECKING:
    from sevrouter.domain.routing import Routing

STARTED = datetime(2026, 1, 1, tzinfo=UTC)


class Rehearsal(Struct, frozen=True, kw_only=True, gc=False):
    """An alert since `STARTED`, for how long it fires, and what queries give by the name of their rule.

    A reading of None is a query that has given nothing for so long that it is unsure.
    """

    alert: Alert
    after: timedelta = timedelta(0)
    readings: Mapping[str, float | None] = {}


class Outcome(Struct, frozen=True, kw_only=True, gc=False):
    """What came of it."""

    verdict: Verdict
    responses: tuple[str, ...]
    owner: str | None


def rehearse(routing: Routing, rehearsal: Rehearsal) -> Outcome:
    """Play it through, as the daemon would."""
    verdict = _verdict(routing, rehearsal)
    responses = tuple(routing.responses.get(verdict.sev, ())) if verdict.sev is not None else ()
    owner = routing.ownership.of(rehearsal.alert.labels).owner
    return Outcome(verdict=verdict, responses=responses, owner=owner)


def _verdict(routing: Routing, rehearsal: Rehearsal) -> Verdict:
    alert, grader = rehearsal.alert, routing.grader
    plain = grader.grade(alert)
    if not plain.watched:
        return plain
    now, subjects, answers = alert.starts_at + rehearsal.after, [Subject(alert, _record(alert))], {}
    patience = [UNSURE_AFTER]
    for rule, scale in grader.watched(alert):
        query = scale.measure.template.render(alert.labels) if isinstance(scale.measure, Query) else None
        if isinstance(query, str) and rule in rehearsal.readings:
            answers[query] = _answer(rehearsal.readings[rule])
            patience.append(scale.unsure_after)
    before = review(grader, subjects, now=now - max(patience), answers=answers)
    found = review(grader, subjects, now=now, answers=answers, readings=before.readings)
    verdicts = [each.verdict for each in found.observations if each.verdict is not None]
    # What is none by all of its measures says no more than that it is watched.
    return verdicts[0] if verdicts else plain


def _answer(number: float | None) -> QueryAnswer:
    return QueryAnswer(problem=QueryProblem.EMPTY) if number is None else QueryAnswer((Series({}, number),))


def _record(alert: Alert) -> AlertRecord:
    return AlertRecord(
        digest=alert.digest, status=alert.status, starts_at=alert.starts_at, closed_until=None,
        changed_at=alert.starts_at, sev=None, unsure=False, content=alert.content, incident_id=None,
    )  # fmt: skip
