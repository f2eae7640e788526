"""The review: what timed measures say, now, about the firing alerts that belong together."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, assert_never

from msgspec import Struct

from sevrouter.domain.alert import Alert, AlertRecord
from sevrouter.domain.grading import Grade, GradeReason, verdict_of
from sevrouter.domain.observation import Change, Observation
from sevrouter.domain.promql import QueryAnswer, QueryProblem
from sevrouter.domain.sev import Sev, worst
from sevrouter.domain.text import duration_text
from sevrouter.domain.timed import Count, FiringFor, Query, Watched

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sevrouter.domain.grading import Grader
    from sevrouter.domain.measure import Threshold

# How often what only the rest of the world changes is read, by the SEV that it has come to.
EVERY, SELDOM = timedelta(seconds=30), timedelta(minutes=2)
# Of the alerts that belong together, no more different queries than this are asked.
MOST_QUERIES = 20
# A bound with `>` is crossed by what is beyond it by as little as this.
_BEYOND = timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Subject(Struct, frozen=True, gc=False):
    """A firing alert under watch, what is remembered of it, and since when its incident is open, where it is in one."""

    alert: Alert
    record: AlertRecord
    opened_at: datetime | None = None

    def since(self, measure: FiringFor) -> datetime:
        """Since when what is measured has been firing."""
        starts_at = self.alert.starts_at
        return starts_at if not measure.of_incident or self.opened_at is None else min(starts_at, self.opened_at)


class Past(Struct, frozen=True, gc=False, omit_defaults=True):
    """What one query gave by one rule: its last number, and since when it has given none, and why."""

    number: float | None = None
    problem: QueryProblem | None = None
    since: datetime | None = None

    def then(self, answer: QueryAnswer, thresholds: Sequence[Threshold], now: datetime) -> Past:
        """What it gave by now. Of several series the one counts that is worst."""
        if answer.problem is not None:
            return Past(self.number, answer.problem, self.since or now)
        numbers = [each.number for each in answer.series]
        return Past(min(numbers, key=lambda number: _place(thresholds, number)))

    def is_unsure(self, unsure_after: timedelta, now: datetime) -> bool:
        """Whether it has given no number for so long that this counts as the worst."""
        return self.since is not None and now - self.since >= unsure_after


# By rule and query.
Readings = Mapping[str, Past]


class Review(Struct, frozen=True, gc=False):
    """What a review found, and when to look again; None where nothing changes by itself.

    `observations` are those of alerts that are bad by it; `sev` is what all of them would be now. `problems` are those
    that have become the worst by it, once each.
    """

    observations: tuple[Observation, ...]
    sev: Sev | None
    next_at: datetime | None
    readings: Readings = {}
    problems: tuple[QueryProblem, ...] = ()


def queries(grader: Grader, alerts: Iterable[Alert]) -> list[str]:
    """What has to be asked to review these alerts."""
    found: dict[str, None] = {}
    for alert in alerts:
        for _, scale in grader.watched(alert):
            if isinstance(scale.measure, Query):
                query = scale.measure.template.render(alert.labels)
                if isinstance(query, str):
                    found[query] = None
    return list(found)[:MOST_QUERIES]


def review(
    grader: Grader,
    subjects: Sequence[Subject],
    *,
    now: datetime,
    readings: Readings | None = None,
    answers: Mapping[str, QueryAnswer] | None = None,
) -> Review:
    """Read the timed measures of firing alerts, and grade these by them and by all other rules."""
    reader = _Reader(subjects, readings or {}, answers or {}, now)
    observations: list[Observation] = []
    sevs: list[Sev | None] = []
    for subject in subjects:
        watched = grader.watched(subject.alert)
        if not watched:
            # The configuration does not watch it any more.
            continue
        timed = [reader.grade(name, scale, subject) for name, scale in watched]
        plain = [each for each in grader.grade(subject.alert).grades if each.reason is not GradeReason.WATCHED]
        verdict = verdict_of([*timed, *plain])
        sevs.append(verdict.sev)
        if verdict.sev is not None:
            observations.append(Observation(Change.MEASURED, subject.alert, subject.record, verdict))
    next_at = reader.next_at(worst(sevs))
    return Review(tuple(observations), worst(sevs), next_at, reader.readings, tuple(reader.problems))


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
            crossed = ((each.sev, _crossed_at(each, alert.starts_at)) for each in scale.thresholds)
            found += [Rise(at - alert.starts_at, sev, name) for sev, at in crossed if at is not None]
    found.sort(key=lambda each: (each.after, each.sev.rank))
    sev, ahead = grader.grade(alert).sev, list[Rise]()
    for each in found:
        if each.sev.is_worse_than(sev):
            sev = each.sev
            ahead.append(each)
    return ahead


class _Reader:
    """Reads the measures of one review, each query once, and takes note of when they are to be read again."""

    def __init__(
        self, subjects: Sequence[Subject], past: Readings, answers: Mapping[str, QueryAnswer], now: datetime
    ) -> None:
        self._subjects = subjects
        self._past = past
        self._answers = answers
        self._now = now
        self._times: list[datetime] = []
        self._intervals: list[timedelta | None] = []
        self.readings: dict[str, Past] = {}
        self.problems: list[QueryProblem] = []

    def next_at(self, sev: Sev | None) -> datetime | None:
        """When one of them may give something else."""
        periodic = [_next_beat(self._now, every or interval(sev)) for every in self._intervals]
        return min((*self._times, *periodic), default=None)

    def grade(self, rule: str, scale: Watched, subject: Subject) -> Grade:
        """What one rule makes of one alert."""
        match scale.measure:
            case FiringFor() as firing_for:
                since = subject.since(firing_for)
                crossings = (_crossed_at(each, since) for each in scale.thresholds)
                self._times += [each for each in crossings if each is not None and each > self._now]
                elapsed = max(timedelta(0), self._now - since)
                return _graded(rule, scale, elapsed.total_seconds(), duration_text(elapsed))
            case Count(label=label, whole=whole):
                # It changes with alerts, which come by webhook; in between it is read in case one was lost.
                self._intervals.append(scale.every)
                counted = _counted(label, self._subjects)
                if whole is None:
                    return _graded(rule, scale, counted, f"{counted}")
                share = 100 * counted / whole
                return _graded(rule, scale, share, f"{share:.3g} % ({counted} of {whole:g})")
            case Query() as query:
                self._intervals.append(scale.every)
                return self._ask(rule, scale, query.template.render(subject.alert.labels))
            case _:
                assert_never(scale.measure)

    def _ask(self, rule: str, scale: Watched, query: str | QueryAnswer) -> Grade:
        if isinstance(query, QueryAnswer):
            return _no_number(rule, scale, query.problem, query.detail)
        past = self._read(rule, scale, query)
        if past.problem is not None and past.is_unsure(scale.unsure_after, self._now):
            answer = self._answers.get(query)
            return _no_number(rule, scale, past.problem, "" if answer is None else answer.detail)
        if past.number is None:
            return Grade(rule=rule, sev=None, reason=GradeReason.WATCHED, why=f"{scale.measure} gave nothing yet")
        return _graded(rule, scale, past.number, f"{past.number:.6g}")

    def _read(self, rule: str, scale: Watched, query: str) -> Past:
        key = hashlib.blake2b(f"{rule}\0{query}".encode(), digest_size=8).hexdigest()
        if key not in self.readings:
            before, answer = self._past.get(key, Past()), self._answers.get(query)
            past = self.readings[key] = before if answer is None else before.then(answer, scale.thresholds, self._now)
            if past.problem is not None and past.since is not None:
                self._take_note(past.problem, past.since, scale.unsure_after, is_new=before.since is None)
        return self.readings[key]

    def _take_note(self, problem: QueryProblem, since: datetime, unsure_after: timedelta, *, is_new: bool) -> None:
        if is_new:
            self.problems.append(problem)
        if since + unsure_after > self._now:
            self._times.append(since + unsure_after)


def _place(thresholds: Sequence[Threshold], number: float) -> int:
    return next((place for place, each in enumerate(thresholds) if each.is_crossed_by(number)), len(thresholds))


def _graded(rule: str, scale: Watched, number: float, text: str) -> Grade:
    threshold = next((each for each in scale.thresholds if each.is_crossed_by(number)), None)
    if threshold is None:
        bounds = ", ".join(each.text for each in scale.thresholds)
        return Grade(
            rule=rule, sev=None, reason=GradeReason.NO_THRESHOLD_CROSSED, reading=text,
            why=f"{scale.measure} {text} crosses no threshold ({bounds})",
        )  # fmt: skip
    return Grade(
        rule=rule, sev=threshold.sev, reason=GradeReason.THRESHOLD_CROSSED, reading=text, threshold=threshold.text,
        why=f"{scale.measure} {text} is {threshold.text}",
    )  # fmt: skip


_PROBLEMS = {
    QueryProblem.LABEL_MISSING: "cannot be asked",
    QueryProblem.QUERY_TOO_LONG: "cannot be asked",
    QueryProblem.EMPTY: "gives no series",
    QueryProblem.NOT_A_NUMBER: "gives NaN, which is no data",
    QueryProblem.BAD_QUERY: "is refused by Prometheus",
    QueryProblem.TIMED_OUT: "is not answered in time",
    QueryProblem.AWAY: "is not answered: Prometheus is away",
    QueryProblem.REFUSED: "is not answered: Prometheus lets us not in",
    QueryProblem.UNREADABLE: "has an answer that cannot be read",
    QueryProblem.TOO_MANY: "gives too many series",
}


def _no_number(rule: str, scale: Watched, problem: QueryProblem | None, detail: str) -> Grade:
    worst_threshold = scale.thresholds[0]
    words = _PROBLEMS[problem or QueryProblem.EMPTY] + (f" ({detail})" if detail else "")
    return Grade(
        rule=rule, sev=worst_threshold.sev, reason=GradeReason.NO_DATA, unsure=True, threshold=worst_threshold.text,
        why=f"{scale.measure} {words}: unsure, so the worst this rule knows, {worst_threshold.sev}",
    )  # fmt: skip


def _counted(label: str | None, subjects: Iterable[Subject]) -> int:
    if label is None:
        return len({each.alert.digest for each in subjects})
    return len({each.alert.labels[label] for each in subjects if each.alert.labels.get(label)})


def _crossed_at(threshold: Threshold, since: datetime) -> datetime | None:
    try:
        crossed = since + timedelta(seconds=threshold.bound)
    except (OverflowError, ValueError):
        return None
    return crossed + _BEYOND if threshold.operator in (">", "<=") else crossed


def _next_beat(now: datetime, every: timedelta) -> datetime:
    # All that is read as often is read at the same moment, so that what they ask alike is asked once.
    return now + every - (now - _EPOCH) % every


def interval(sev: Sev | None) -> timedelta:
    """How often something of a SEV is read where its rule does not say."""
    return EVERY if sev is not None and not Sev.SEV_3.is_worse_than(sev) else SELDOM
