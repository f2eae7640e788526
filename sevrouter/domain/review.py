"""The review: what timed measures say, now, about the firing alerts that belong together."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from msgspec import Struct

from sevrouter.domain.foresight import Foreseen
from sevrouter.domain.grading import GradeReason, verdict_of
from sevrouter.domain.measuring import EVERY, Reader, Subject, crossed_at
from sevrouter.domain.observation import Change, Observation
from sevrouter.domain.promql import QueryAnswer, QueryProblem
from sevrouter.domain.readings import Readings
from sevrouter.domain.sev import Sev, worst
from sevrouter.domain.timed import FiringFor, templates

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sevrouter.domain.alert import Alert
    from sevrouter.domain.grading import Grader, Verdict

# Of the alerts that belong together, no more different queries than this are asked.
MOST_QUERIES = 20
# How far ahead is looked by default.
HORIZON = timedelta(hours=1)


class Review(Struct, frozen=True, gc=False):
    """What a review found, and when to look again; None where nothing changes by itself.

    `observations` are those of alerts that are bad by it; `sev` is what all of them would be now, and `why` the reason
    for that. `problems` are those that have become the worst by it, once each. `foreseen` is what may be worse soon,
    and `returned` says of each reading that was missing and counted as the worst what it gives again.
    """

    observations: tuple[Observation, ...]
    sev: Sev | None
    next_at: datetime | None
    readings: Readings = {}
    problems: tuple[QueryProblem, ...] = ()
    foreseen: tuple[Foreseen, ...] = ()
    returned: tuple[str, ...] = ()
    why: str = ""


def queries(grader: Grader, alerts: Iterable[Alert]) -> dict[str, timedelta]:
    """What has to be asked to review these alerts, and how often at the most."""
    found: dict[str, timedelta] = {}
    for alert in alerts:
        for _, scale in grader.watched(alert):
            for template in templates(scale.measure):
                query, every = template.render(alert.labels), scale.every or EVERY
                if isinstance(query, str):
                    found[query] = min(every, found.get(query, every))
    return dict(islice(found.items(), MOST_QUERIES))


def review(
    grader: Grader,
    subjects: Sequence[Subject],
    *,
    now: datetime,
    readings: Readings | None = None,
    answers: Mapping[str, QueryAnswer] | None = None,
    given: Mapping[str, QueryAnswer] | None = None,
    horizon: timedelta = HORIZON,
) -> Review:
    """Read the timed measures of firing alerts, and grade these by them and by all other rules.

    What may be worse within the `horizon` is foreseen; with none, nothing is. `given` is what a rule with a query is to
    have measured, by its name, whatever it asks.
    """
    reader = Reader(subjects, readings or {}, answers or {}, given=given or {}, now=now, horizon=horizon)
    observations: list[Observation] = []
    verdicts: list[Verdict] = []
    for subject in subjects:
        watched = grader.watched(subject.alert)
        if not watched:
            # The configuration does not watch it any more.
            continue
        timed = [reader.grade(name, scale, subject) for name, scale in watched]
        plain = [each for each in grader.grade(subject.alert).grades if each.reason is not GradeReason.WATCHED]
        verdict = verdict_of([*timed, *plain])
        verdicts.append(verdict)
        if verdict.sev is not None:
            observations.append(Observation(Change.MEASURED, subject.alert, subject.record, verdict))
    sev = worst(each.sev for each in verdicts)
    return Review(
        observations=tuple(observations),
        sev=sev,
        next_at=reader.next_at(sev),
        readings=reader.readings,
        problems=reader.problems,
        foreseen=reader.foreseen,
        returned=tuple(reader.returned),
        why=next((each.grades[0].why for each in verdicts if each.sev is sev), ""),
    )


class Rise(Struct, frozen=True, gc=False):
    """That an alert becomes worse by firing on for so long, and by which rule."""

    after: timedelta
    sev: Sev
    rule: str


def rises_ahead(grader: Grader, alert: Alert) -> list[Rise]:
    """How an alert gets worse by time alone if nobody acts, the soonest first. Queries and counts tell no future."""
    found: list[Rise] = []
    for name, scale in grader.watched(alert):
        if isinstance(scale.measure, FiringFor):
            crossed = ((each.sev, crossed_at(each, alert.starts_at)) for each in scale.thresholds)
            found += [Rise(at - alert.starts_at, sev, name) for sev, at in crossed if at is not None]
    found.sort(key=lambda each: (each.after, each.sev.rank))
    sev, ahead = grader.grade(alert).sev, list[Rise]()
    for each in found:
        if each.sev.is_worse_than(sev):
            sev = each.sev
            ahead.append(each)
    return ahead
