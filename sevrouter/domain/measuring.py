"""Reads the timed measures of one review: each query once, what it gave before and now, and when to read it again."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, assert_never

from msgspec import Struct
from msgspec.structs import replace

from sevrouter.domain.alert import Alert, AlertRecord
from sevrouter.domain.foresight import Foreseen, by_readings, by_time, mentioned_at
from sevrouter.domain.grading import Grade, GradeReason
from sevrouter.domain.promql import QueryAnswer, QueryProblem
from sevrouter.domain.ratio import Given, given_by_query, given_by_ratio
from sevrouter.domain.readings import Past, Readings, number_text
from sevrouter.domain.sev import Sev
from sevrouter.domain.text import duration_text
from sevrouter.domain.timed import Count, FiringFor, Query, Ratio, Watched

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sevrouter.domain.measure import Threshold

# How often what only the rest of the world changes is read, by the SEV that it has come to.
EVERY, SELDOM = timedelta(seconds=30), timedelta(minutes=2)
# What is kept of readings, in horizons: a trend is drawn ahead for half of the time that it was seen for.
KEPT_FOR = 2
# A bound with `>` is crossed by what is beyond it by as little as this.
_BEYOND = timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Subject(Struct, frozen=True, gc=False):
    """A firing alert under watch, what is remembered of it, and the incident that it is in, if any.

    `opened_at` is since when that incident is open, and `sev` what it is.
    """

    alert: Alert
    record: AlertRecord
    opened_at: datetime | None = None
    sev: Sev | None = None

    def since(self, measure: FiringFor) -> datetime:
        """Since when what is measured has been firing."""
        starts_at = self.alert.starts_at
        return starts_at if not measure.of_incident or self.opened_at is None else min(starts_at, self.opened_at)


class Reader:
    """Reads the measures of subjects that belong together; what it notes on the way is in its attributes."""

    def __init__(
        self,
        subjects: Sequence[Subject],
        past: Readings,
        answers: Mapping[str, QueryAnswer],
        *,
        given: Mapping[str, QueryAnswer],
        now: datetime,
        horizon: timedelta,
    ) -> None:
        self._given = given
        self._subjects = subjects
        self._past = past
        self._answers = answers
        self._now = now
        self._horizon = horizon
        self._times: list[datetime] = []
        self._intervals: list[timedelta | None] = []
        # In the order of their finding, each once.
        self._foreseen: dict[Foreseen, None] = {}
        self._problems: dict[QueryProblem, None] = {}
        self.readings: dict[str, Past] = {}
        self.returned: list[str] = []

    @property
    def foreseen(self) -> tuple[Foreseen, ...]:
        """What may be worse soon."""
        return tuple(self._foreseen)

    @property
    def problems(self) -> tuple[QueryProblem, ...]:
        """Why there are no numbers, of those that have become the worst by it."""
        return tuple(self._problems)

    def next_at(self, sev: Sev | None) -> datetime | None:
        """When one of them may give something else."""
        periodic = [_next_beat(self._now, every or interval(sev)) for every in self._intervals]
        return min((*self._times, *periodic), default=None)

    def grade(self, rule: str, scale: Watched, subject: Subject) -> Grade:
        """What one rule makes of one alert."""
        match scale.measure:
            case FiringFor() as firing_for:
                return self._time(rule, scale, subject, since=subject.since(firing_for))
            case Count() as count:
                # It changes with alerts, which come by webhook; in between it is read in case one was lost.
                self._intervals.append(scale.every)
                counted = self._counted(count)
                if count.whole is None:
                    return _graded(rule, scale, counted, f"{counted}")
                share = 100 * counted / count.whole
                return _graded(rule, scale, share, f"{share:.3g} % ({counted} of {count.whole:g})")
            case Query() as query:
                return self._number(rule, scale, subject, given_by_query(query, subject.alert, self._answers))
            case Ratio() as ratio:
                given = given_by_ratio(ratio, subject.alert, self._answers, self._counted)
                return self._number(rule, scale, subject, given)
            case _:
                assert_never(scale.measure)

    def _counted(self, count: Count) -> int:
        if count.label is None:
            return len({each.alert.digest for each in self._subjects})
        values = (each.alert.labels.get(count.label) for each in self._subjects)
        return len({each for each in values if each})

    def _time(self, rule: str, scale: Watched, subject: Subject, *, since: datetime) -> Grade:
        now = self._now
        crossings = [at for each in scale.thresholds if (at := crossed_at(each, since)) is not None]
        self._look_at(crossings)
        if subject.sev is not None and self._horizon:
            self._look_at(at for crossed in crossings for at in mentioned_at(crossed, self._horizon))
            found = by_time(rule, scale, since, subject.sev, now=now, horizon=self._horizon)
            self._foreseen.update(dict.fromkeys(found))
        elapsed = max(timedelta(0), now - since)
        return _graded(rule, scale, elapsed.total_seconds(), duration_text(elapsed))

    def _look_at(self, times: Iterable[datetime]) -> None:
        self._times += [each for each in times if each > self._now]

    def _number(self, rule: str, scale: Watched, subject: Subject, given: Given) -> Grade:
        self._intervals.append(scale.every)
        if rule in self._given:
            given = Given(rule, self._given[rule])
        past = self._read(rule, scale, given, subject)
        if past.problem is not None and past.is_told:
            return _no_number(rule, scale, past.problem, "" if given.answer is None else given.answer.detail)
        if past.number is None:
            return Grade(rule=rule, sev=None, reason=GradeReason.WATCHED, why=f"{scale.measure} gave nothing yet")
        unit = " %" if isinstance(scale.measure, Ratio) else ""
        return _graded(rule, scale, past.number, number_text(past.number) + unit)

    def _read(self, rule: str, scale: Watched, given: Given, subject: Subject) -> Past:
        key = hashlib.blake2b(f"{rule}\0{given.key}".encode(), digest_size=8).hexdigest()
        if key not in self.readings:
            before = self._past.get(key, Past())
            past = before
            if given.answer is not None:
                past = before.then(
                    given.answer,
                    scale.thresholds,
                    now=self._now,
                    every=scale.every or EVERY,
                    kept_for=KEPT_FOR * self._horizon,
                )
            past = self.readings[key] = self._judged(rule, scale, before, past, is_final=given.is_final)
            if subject.sev is not None and self._horizon and past.problem is None:
                found = by_readings(rule, scale, past, subject.sev, now=self._now, horizon=self._horizon)
                self._foreseen.update(dict.fromkeys(found))
        return self.readings[key]

    def _judged(self, rule: str, scale: Watched, before: Past, past: Past, *, is_final: bool) -> Past:
        """Whether that there is no number has become the worst, or is over."""
        if past.problem is None or past.since is None:
            if before.is_told and past.number is not None:
                self.returned.append(f"rule {rule!r}: {scale.measure} gives {number_text(past.number)} again")
            return past
        if past.is_told:
            return past
        if not is_final and not past.is_unsure(scale.unsure_after, self._now):
            self._times.append(past.since + scale.unsure_after)
            return past
        self._problems[past.problem] = None
        return replace(past, is_told=True)


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


def _no_number(rule: str, scale: Watched, problem: QueryProblem, detail: str) -> Grade:
    worst_threshold = scale.thresholds[0]
    words = _PROBLEMS[problem] + (f" ({detail})" if detail else "")
    return Grade(
        rule=rule, sev=worst_threshold.sev, reason=GradeReason.NO_DATA, unsure=True, threshold=worst_threshold.text,
        why=f"{scale.measure} {words}: unsure, so the worst this rule knows, {worst_threshold.sev}",
    )  # fmt: skip


def crossed_at(threshold: Threshold, since: datetime) -> datetime | None:
    """When something that goes on since then crosses a bound; None for what is beyond all time."""
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
