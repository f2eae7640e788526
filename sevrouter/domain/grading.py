"""How bad an alert is: every rule that matches grades it, the worst grade wins, doubt goes to the worse."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from msgspec import Struct

from sevrouter.domain.labels import Matcher, MatchOp, all_match
from sevrouter.domain.measure import Measure, Problem, Reading, Source, Threshold, shown
from sevrouter.domain.sev import Sev, sev_name, worst
from sevrouter.domain.text import duration_text, one_line
from sevrouter.domain.timed import Watched, templates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sevrouter.domain.alert import Alert
    from sevrouter.domain.heartbeat import Heartbeat

# Cases (values of what rules look at) whose verdict is remembered; a busy Alertmanager repeats the
# same ones for hours.
REMEMBERED_CASES = 20_000
# Characters; a megabyte of label value is graded like any other, but not kept.
LONGEST_CASE = 2_000


class GradeReason(enum.Enum):
    """Why a grade is what it is."""

    MATCHED = "matched"
    THRESHOLD_CROSSED = "threshold_crossed"
    NO_THRESHOLD_CROSSED = "no_threshold_crossed"
    WATCHED = "watched"
    NO_DATA = "no_data"
    VALUE_KNOWN = "value_known"
    VALUE_UNKNOWN = "value_unknown"
    MISSING = "missing"
    UNREADABLE = "unreadable"
    NOT_A_NUMBER = "not_a_number"
    AMBIGUOUS = "ambiguous"
    RULES_DISAGREE = "rules_disagree"
    UNMATCHED = "unmatched"
    UNREADABLE_WEBHOOK = "unreadable_webhook"
    HEARTBEAT = "heartbeat"
    HEARTBEAT_MISSED = "heartbeat_missed"


class Grade(Struct, frozen=True, kw_only=True, gc=False):
    """One rule's verdict on one alert. `sev` None: by this rule it is not an incident."""

    rule: str
    sev: Sev | None
    reason: GradeReason
    why: str
    reading: str | None = None
    threshold: str | None = None
    unsure: bool = False


class Verdict(Struct, frozen=True, gc=False, omit_defaults=True):
    """How bad an alert is, and every grade that says so, the worst first.

    `watched`: a rule with a timed measure matches too, and what it gives is not in here. `heartbeats` are the names of
    those that it is a beat of.
    """

    sev: Sev | None
    unsure: bool
    grades: tuple[Grade, ...]
    watched: bool = False
    heartbeats: tuple[str, ...] = ()

    @property
    def is_unmatched(self) -> bool:
        """Whether no rule matched."""
        return self.grades[0].reason is GradeReason.UNMATCHED


@dataclass(frozen=True, slots=True)
class Fixed:
    """The rule's matchers alone say how bad it is."""

    sev: Sev | None


@dataclass(frozen=True, slots=True)
class Graduated:
    """A number against thresholds, the worst SEV's first; each may have its own operator."""

    measure: Measure
    thresholds: tuple[Threshold, ...]

    def __post_init__(self) -> None:
        # That the worst counts must not depend on the order in which somebody wrote them.
        ordered = tuple(sorted(self.thresholds, key=lambda each: each.sev.value))
        object.__setattr__(self, "thresholds", ordered)


@dataclass(frozen=True, slots=True)
class Mapped:
    """A word against the words that are known, `critical` → SEV-2; an unknown one is the worst of them.

    Where the known words all say "not an incident", an unknown one is what an unmatched alert is.
    """

    measure: Measure
    values: Mapping[str, Sev | None]


@dataclass(frozen=True, slots=True)
class Rule:
    """Matchers, and how an alert that meets them all is graded."""

    name: str
    matchers: tuple[Matcher, ...]
    scale: Fixed | Graduated | Mapped | Watched


class Grader:
    """Grades alerts by a set of rules. Holds no state but what it remembers to be quick.

    What is a beat of one of the `heartbeats` is no incident, whatever rules say of it.
    """

    def __init__(self, rules: Sequence[Rule], *, unmatched: Sev, heartbeats: Sequence[Heartbeat] = ()) -> None:
        self.heartbeats = tuple(heartbeats)
        self._unmatched = unmatched
        self._rules = tuple(rules)
        self._indexed: dict[str, dict[str, list[int]]] = {}
        self._unindexed: list[int] = []
        for number, rule in enumerate(self._rules):
            self._index(number, rule)
        # What no rule looks at changes no verdict, so that a thousand pods are one case.
        looked_at = {each for rule in self._rules for each in _looks_at(rule)}
        looked_at |= {(Source.LABEL, each.name) for heartbeat in self.heartbeats for each in heartbeat.matchers}
        self._labels, self._annotations, self._values = (
            tuple(sorted(name for source, name in looked_at if source is wanted))
            for wanted in (Source.LABEL, Source.ANNOTATION, Source.VALUE)
        )
        self._remembered: dict[tuple[tuple[str | None, ...], ...], Verdict] = {}

    @property
    def rules(self) -> tuple[Rule, ...]:
        """All of them, in the order of the configuration."""
        return self._rules

    @property
    def unmatched(self) -> Sev:
        """The SEV of what no rule matches."""
        return self._unmatched

    def _index(self, number: int, rule: Rule) -> None:
        key = next((each for each in rule.matchers if each.op is MatchOp.EQUAL and each.value), None)
        if key is None:
            self._unindexed.append(number)
        else:
            self._indexed.setdefault(key.name, {}).setdefault(key.value, []).append(number)

    def rules_for(self, alert: Alert) -> tuple[Rule, ...]:
        """The rules whose matchers all match, in the order of the configuration."""
        numbers = list(self._unindexed)
        for name, by_value in self._indexed.items():
            numbers += by_value.get(alert.labels.get(name, ""), ())
        candidates = (self._rules[number] for number in sorted(numbers))
        return tuple(rule for rule in candidates if all_match(rule.matchers, alert.labels))

    def grade(self, alert: Alert) -> Verdict:
        """The verdict on one firing alert."""
        case = (
            tuple(map(alert.labels.get, self._labels)),
            tuple(map(alert.annotations.get, self._annotations)),
            tuple(map(alert.values.get, self._values)) if self._values else (),
        )
        verdict = self._remembered.get(case)
        if verdict is not None:
            return verdict
        verdict = self._verdict(alert)
        if sum(len(text) for part in case for text in part if text) <= LONGEST_CASE:
            if len(self._remembered) >= REMEMBERED_CASES:
                self._remembered.clear()
            self._remembered[case] = verdict
        return verdict

    @property
    def worst_measured(self) -> Sev:
        """The worst that a query could say; the SEV of what no rule matches where none is asked."""
        scales = (rule.scale for rule in self._rules if isinstance(rule.scale, Watched))
        return worst(each.thresholds[0].sev for each in scales if templates(each.measure)) or self._unmatched

    def watched(self, alert: Alert) -> list[tuple[str, Watched]]:
        """The rules with a timed measure that match, by name."""
        if self._beats(alert):
            return []
        return [(rule.name, rule.scale) for rule in self.rules_for(alert) if isinstance(rule.scale, Watched)]

    def _beats(self, alert: Alert) -> list[Heartbeat]:
        return [each for each in self.heartbeats if each.is_met_by(alert.labels)]

    def _verdict(self, alert: Alert) -> Verdict:
        if beats := self._beats(alert):
            return Verdict(None, False, tuple(map(_beat, beats)), heartbeats=tuple(each.name for each in beats))
        grades = [_grade(rule, alert, self._unmatched) for rule in self.rules_for(alert)]
        return verdict_of(grades) if grades else verdict_of([_unmatched(self._unmatched)])


def verdict_of(grades: Sequence[Grade]) -> Verdict:
    """What grades come to together, at least one: the worst wins."""
    sev = worst(grade.sev for grade in grades)
    found = [*grades, *(() if sev is None else _contradictions(grades, sev))]
    found.sort(key=_worst_first)
    unsure = any(grade.unsure for grade in found if grade.sev is sev)
    watched = any(grade.reason is GradeReason.WATCHED for grade in found)
    return Verdict(sev, unsure, tuple(found), watched)


def _looks_at(rule: Rule) -> list[tuple[Source, str]]:
    names = [(Source.LABEL, each.name) for each in rule.matchers]
    if isinstance(rule.scale, Graduated | Mapped):
        names.append((rule.scale.measure.source, rule.scale.measure.name))
    return names


def _beat(heartbeat: Heartbeat) -> Grade:
    every, grace = duration_text(heartbeat.every), duration_text(heartbeat.grace)
    why = f"a heartbeat: it has to keep arriving, every {every}; missing for {grace} more it is {heartbeat.missed}"
    return Grade(rule=f"(heartbeat {heartbeat.name})", sev=None, reason=GradeReason.HEARTBEAT, why=why)


def _worst_first(grade: Grade) -> tuple[float, bool]:
    # A sure grade explains a SEV better than an unsure one of the same SEV.
    return (math.inf if grade.sev is None else grade.sev.rank, grade.unsure)


def _unmatched(sev: Sev) -> Grade:
    return Grade(
        rule="(unmatched)", sev=sev, reason=GradeReason.UNMATCHED, unsure=True,
        why=f"no rule matches it: unsure, so {sev} until a person looks",
    )  # fmt: skip


def _contradictions(grades: Sequence[Grade], sev: Sev) -> list[Grade]:
    # Only a rule that says outright "not an incident" contradicts; a milder SEV is what layered rules are for.
    return [
        Grade(
            rule=grade.rule, sev=sev, reason=GradeReason.RULES_DISAGREE, unsure=True,
            why=f"this rule says it is not an incident, another says {sev}: unsure, so the worse",
        )
        for grade in grades
        if grade.sev is None and grade.reason is GradeReason.MATCHED
    ]  # fmt: skip


def _grade(rule: Rule, alert: Alert, unmatched: Sev) -> Grade:
    match rule.scale:
        case Fixed(sev):
            matched = ", ".join(str(each) for each in rule.matchers) or "every alert"
            why = f"matches {matched}" + ("" if sev is not None else ": not an incident")
            return Grade(rule=rule.name, sev=sev, reason=GradeReason.MATCHED, why=why)
        case Graduated():
            return _grade_by_number(rule.name, rule.scale, alert)
        case Mapped():
            return _grade_by_word(rule.name, rule.scale, alert, unmatched)
        case Watched(measure=measure):
            bounds = ", ".join(f"{each.sev} {each.text}" for each in rule.scale.thresholds)
            why = f"{measure} is watched ({bounds})"
            return Grade(rule=rule.name, sev=None, reason=GradeReason.WATCHED, why=why)
        case _:
            assert_never(rule.scale)


def _grade_by_number(rule: str, scale: Graduated, alert: Alert) -> Grade:
    reading = scale.measure.read(alert)
    if reading.problem is not None:
        return _no_reading(rule, scale, reading, reading.problem)
    crossed = [_first_crossed(scale.thresholds, number) for number in reading.numbers]
    threshold = crossed[0]
    for other in crossed[1:]:
        if other is not None and other.sev.is_worse_than(threshold.sev if threshold else None):
            threshold = other
    ambiguous = any(other is not threshold for other in crossed)
    if threshold is None:
        return Grade(
            rule=rule, sev=None, reason=GradeReason.NO_THRESHOLD_CROSSED, reading=one_line(reading.text),
            why=f"{reading} crosses no threshold ({', '.join(each.text for each in scale.thresholds)})",
        )  # fmt: skip
    why = f"{reading} is {threshold.text}"
    if ambiguous:
        why += f", or not: it can mean {' or '.join(f'{number:g}' for number in reading.numbers)}; unsure, so the worse"
    return Grade(
        rule=rule, sev=threshold.sev, reading=one_line(reading.text), threshold=threshold.text, why=why,
        unsure=ambiguous, reason=GradeReason.AMBIGUOUS if ambiguous else GradeReason.THRESHOLD_CROSSED,
    )  # fmt: skip


def _first_crossed(thresholds: Sequence[Threshold], number: float) -> Threshold | None:
    return next((each for each in thresholds if each.is_crossed_by(number)), None)


_PROBLEMS = {
    Problem.MISSING: (GradeReason.MISSING, "is missing"),
    Problem.UNREADABLE: (GradeReason.UNREADABLE, "is not a number"),
    Problem.NOT_A_NUMBER: (GradeReason.NOT_A_NUMBER, "is NaN, which is no data"),
}


def _no_reading(rule: str, scale: Graduated, reading: Reading, problem: Problem) -> Grade:
    reason, words = _PROBLEMS[problem]
    worst_threshold = scale.thresholds[0]
    source = str(scale.measure) if problem is Problem.MISSING else str(reading)
    return Grade(
        rule=rule, sev=worst_threshold.sev, reason=reason, unsure=True, threshold=worst_threshold.text,
        reading=None if problem is Problem.MISSING else one_line(reading.text),
        why=f"{source} {words}: unsure, so the worst this rule knows, {worst_threshold.sev}",
    )  # fmt: skip


def _grade_by_word(rule: str, scale: Mapped, alert: Alert, unmatched: Sev) -> Grade:
    text = scale.measure.text(alert)
    if text is not None and text in scale.values:
        sev = scale.values[text]
        return Grade(
            rule=rule, sev=sev, reason=GradeReason.VALUE_KNOWN, reading=text,
            why=f"{scale.measure} is {text!r}: {sev_name(sev)}" + ("" if sev else ", not an incident"),
        )  # fmt: skip
    sev = worst(scale.values.values()) or unmatched
    problem = "is missing" if text is None else f"is {shown(text)!r}, which is none of {', '.join(scale.values)}"
    return Grade(
        rule=rule, sev=sev, reading=None if text is None else one_line(text), unsure=True,
        reason=GradeReason.MISSING if text is None else GradeReason.VALUE_UNKNOWN,
        why=f"{scale.measure} {problem}: unsure, so the worst this rule knows, {sev}",
    )  # fmt: skip
