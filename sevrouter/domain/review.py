"""The review: what timed measures say, now, about the firing alerts that belong together."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, assert_never

from msgspec import Struct

from sevrouter.domain.alert import Alert, AlertRecord
from sevrouter.domain.grading import Grade, GradeReason, verdict_of
from sevrouter.domain.observation import Change, Observation
from sevrouter.domain.sev import Sev, worst
from sevrouter.domain.text import duration_text
from sevrouter.domain.timed import Count, FiringFor, Watched

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sevrouter.domain.grading import Grader, Verdict
    from sevrouter.domain.measure import Threshold

# How often what only the rest of the world changes is read, by the SEV that it has come to.
EVERY, SELDOM = timedelta(seconds=30), timedelta(minutes=2)
# A bound with `>` is crossed by what is beyond it by as little as this.
_BEYOND = timedelta(milliseconds=1)


class Subject(Struct, frozen=True, gc=False):
    """A firing alert under watch, what is remembered of it, and since when its incident is open, where it is in one."""

    alert: Alert
    record: AlertRecord
    opened_at: datetime | None = None

    def since(self, measure: FiringFor) -> datetime:
        """Since when what is measured has been firing."""
        starts_at = self.alert.starts_at
        return starts_at if not measure.of_incident or self.opened_at is None else min(starts_at, self.opened_at)


class Review(Struct, frozen=True, gc=False):
    """What a review found, and when to look again; None where nothing changes by itself.

    `observations` are those of alerts that are bad by it; `sev` is what all of them would be now.
    """

    observations: tuple[Observation, ...]
    sev: Sev | None
    next_at: datetime | None


def review(grader: Grader, subjects: Sequence[Subject], *, now: datetime) -> Review:
    """Read the timed measures of firing alerts, and grade these by them and by all other rules."""
    observations, times, sevs = [], [], []
    for subject in subjects:
        graded = _review_one(grader, subject, subjects, now)
        observations += [] if graded is None or graded.sev is None else [_observed(subject, graded)]
        sevs.append(None if graded is None else graded.sev)
        times += [_next_time(scale, subject, sevs[-1], now) for _, scale in grader.watched(subject.alert)]
    next_at = min((each for each in times if each is not None), default=None)
    return Review(tuple(observations), worst(sevs), next_at)


def _review_one(grader: Grader, subject: Subject, subjects: Sequence[Subject], now: datetime) -> Verdict | None:
    timed = [_grade(name, scale, subject, subjects, now) for name, scale in grader.watched(subject.alert)]
    if not timed:
        # The configuration does not watch it any more.
        return None
    plain = [each for each in grader.grade(subject.alert).grades if each.reason is not GradeReason.WATCHED]
    return verdict_of([*timed, *plain])


def _observed(subject: Subject, verdict: Verdict) -> Observation:
    return Observation(Change.MEASURED, subject.alert, subject.record, verdict)


def _grade(rule: str, scale: Watched, subject: Subject, subjects: Sequence[Subject], now: datetime) -> Grade:
    number, text = _read(scale, subject, subjects, now)
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


def _read(scale: Watched, subject: Subject, subjects: Sequence[Subject], now: datetime) -> tuple[float, str]:
    match scale.measure:
        case FiringFor() as firing_for:
            elapsed = max(timedelta(0), now - subject.since(firing_for))
            return elapsed.total_seconds(), duration_text(elapsed)
        case Count(label=label, whole=whole):
            counted = _counted(label, subjects)
            number = counted if whole is None else 100 * counted / whole
            return number, f"{number:g}" if whole is None else f"{number:.3g} % ({counted} of {whole:g})"
        case _:
            assert_never(scale.measure)


def _counted(label: str | None, subjects: Iterable[Subject]) -> int:
    if label is None:
        return len({each.alert.digest for each in subjects})
    return len({each.alert.labels[label] for each in subjects if each.alert.labels.get(label)})


def _next_time(scale: Watched, subject: Subject, sev: Sev | None, now: datetime) -> datetime | None:
    match scale.measure:
        case FiringFor() as firing_for:
            since = subject.since(firing_for)
            crossings = (_crossed_at(each, since) for each in scale.thresholds)
            return min((each for each in crossings if each is not None and each > now), default=None)
        case Count():
            # It changes with alerts, which come by webhook; in between it is read in case one was lost.
            return now + (scale.every or interval(sev))
        case _:
            assert_never(scale.measure)


def _crossed_at(threshold: Threshold, starts_at: datetime) -> datetime | None:
    try:
        crossed = starts_at + timedelta(seconds=threshold.bound)
    except (OverflowError, ValueError):
        return None
    return crossed + _BEYOND if threshold.operator in (">", "<=") else crossed


def interval(sev: Sev | None) -> timedelta:
    """How often something of a SEV is read where its rule does not say."""
    return EVERY if sev is not None and not Sev.SEV_3.is_worse_than(sev) else SELDOM
