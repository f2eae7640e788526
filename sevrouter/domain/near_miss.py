"""The rules that do not decide about an alert, and by how little: a matcher that is not met, a bound not crossed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, assert_never

from msgspec import Struct

from sevrouter.domain.grading import Fixed, Graduated, Mapped
from sevrouter.domain.measure import shown
from sevrouter.domain.sev import Sev, worst
from sevrouter.domain.text import one_line
from sevrouter.domain.timed import Watched

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sevrouter.domain.alert import Alert
    from sevrouter.domain.grading import Grader, Rule
    from sevrouter.domain.labels import Matcher
    from sevrouter.domain.measure import Threshold

# Of the matchers of one rule that are not met, no more are told.
MOST_TOLD = 3


class Unmet(Struct, frozen=True, gc=False):
    """A matcher that is not met, and what its label is instead; None where the alert has no such label."""

    matcher: str
    label: str
    value: str | None

    def __str__(self) -> str:
        instead = f"there is no label {self.label}" if self.value is None else f"{self.label} is {self.value!r}"
        return f"{self.matcher} is not met, {instead}"


class NotCrossed(Struct, frozen=True, gc=False):
    """The next worse bound of a rule that matches, what was read, and the SEV that it would be."""

    reading: str
    threshold: str
    sev: Sev


class Considered(Struct, frozen=True, gc=False):
    """One rule: the worst that it can say, and what is missing for it, or for something worse."""

    rule: str
    sev: Sev | None
    unmet: tuple[Unmet, ...] = ()
    not_crossed: NotCrossed | None = None

    @property
    def matches(self) -> bool:
        """Whether all of its matchers are met."""
        return not self.unmet

    def __str__(self) -> str:
        if self.not_crossed is not None:
            miss = self.not_crossed
            return one_line(
                f"rule {self.rule!r}: {miss.reading} is not {miss.threshold}, which would be {miss.sev}", 500
            )
        reach = f"up to {self.sev}" if self.sev is not None else "not an incident"
        told = "; ".join(map(str, self.unmet[:MOST_TOLD]))
        more = f"; and {len(self.unmet) - MOST_TOLD} more" if len(self.unmet) > MOST_TOLD else ""
        return one_line(f"rule {self.rule!r} ({reach}): {told}{more}", 500)


def consider(grader: Grader, alert: Alert) -> list[Considered]:
    """Every rule, in the order of the configuration."""
    return [_consider(rule, alert, grader.unmatched) for rule in grader.rules]


def nearest(considered: Iterable[Considered]) -> list[Considered]:
    """Those that would have said something else or worse: the fewest missing first, then the worst."""
    missed = [each for each in considered if each.unmet or each.not_crossed]
    return sorted(
        missed, key=lambda each: (len(each.unmet), _rank(each.not_crossed.sev if each.not_crossed else each.sev))
    )


def _rank(sev: Sev | None) -> float:
    return math.inf if sev is None else sev.rank


def _consider(rule: Rule, alert: Alert, unmatched: Sev) -> Considered:
    unmet = tuple(_unmet(each, alert) for each in rule.matchers if not each.matches(alert.labels))
    not_crossed = _not_crossed(rule.scale, alert) if isinstance(rule.scale, Graduated) and not unmet else None
    return Considered(rule.name, _worst_of(rule, unmatched), unmet, not_crossed)


def _unmet(matcher: Matcher, alert: Alert) -> Unmet:
    value = alert.labels.get(matcher.name)
    return Unmet(one_line(str(matcher)), one_line(matcher.name, 100), None if value is None else shown(value))


def _worst_of(rule: Rule, unmatched: Sev) -> Sev | None:
    match rule.scale:
        case Fixed(sev):
            return sev
        case Graduated(thresholds=thresholds) | Watched(thresholds=thresholds):
            return thresholds[0].sev
        case Mapped(values=values):
            return worst(values.values()) or unmatched
        case _:
            assert_never(rule.scale)


def _not_crossed(scale: Graduated, alert: Alert) -> NotCrossed | None:
    reading = scale.measure.read(alert)
    # What cannot be read is the worst that the rule can say.
    if reading.problem is not None:
        return None
    crossed = min(_place(scale.thresholds, number) for number in reading.numbers)
    if crossed == 0:
        return None
    worse = scale.thresholds[crossed - 1]
    return NotCrossed(one_line(reading.text), worse.text, worse.sev)


def _place(thresholds: Sequence[Threshold], number: float) -> int:
    return next((place for place, each in enumerate(thresholds) if each.is_crossed_by(number)), len(thresholds))
