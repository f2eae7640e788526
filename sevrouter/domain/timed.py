"""Measures that time changes while an alert fires as it was: they are read again and again, not once a webhook."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sevrouter.domain.measure import Measure, Threshold
from sevrouter.domain.promql import QueryTemplate
from sevrouter.domain.text import one_line

# How long a measure may give no number before that counts as the worst: one failed scrape wakes nobody.
UNSURE_AFTER = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Query:
    """A number that Prometheus gives; of several series the worst counts."""

    template: QueryTemplate

    def __str__(self) -> str:
        return f"query {one_line(self.template.text, 120)}"


@dataclass(frozen=True, slots=True)
class FiringFor:
    """For how long the alert, or the incident that it is in, has been firing, in seconds."""

    of_incident: bool = False

    def __str__(self) -> str:
        return "open for" if self.of_incident else "firing for"


@dataclass(frozen=True, slots=True)
class Count:
    """How many alerts of the incident are firing, or how many values of a `label` they have.

    With a `whole` it is their share of it, in per cent.
    """

    label: str | None = None
    whole: float | None = None

    def __str__(self) -> str:
        return "firing alerts" if self.label is None else f"distinct {self.label}"


@dataclass(frozen=True, slots=True)
class Ratio:
    """What one measure gives, in per cent of what another gives; of nothing there is no share."""

    part: Query | Count | Measure | float
    whole: Query | Count | Measure | float

    def __str__(self) -> str:
        return f"{_named(self.part)} of {_named(self.whole)}"


def _named(measure: Query | Count | Measure | float) -> str:
    return f"{measure:g}" if isinstance(measure, float) else str(measure)


Timed = Query | FiringFor | Count | Ratio


def templates(measure: Timed) -> tuple[QueryTemplate, ...]:
    """The queries that a measure asks."""
    asked = (measure.part, measure.whole) if isinstance(measure, Ratio) else (measure,)
    return tuple(each.template for each in asked if isinstance(each, Query))


@dataclass(frozen=True, slots=True)
class Watched:
    """A timed measure against thresholds, the worst SEV's first.

    `every` is how often it is read; None is as often as the SEV that it is about asks for.
    """

    measure: Timed
    thresholds: tuple[Threshold, ...]
    every: timedelta | None = None
    unsure_after: timedelta = UNSURE_AFTER

    def __post_init__(self) -> None:
        # That the worst counts must not depend on the order in which somebody wrote them.
        ordered = tuple(sorted(self.thresholds, key=lambda each: each.sev.value))
        object.__setattr__(self, "thresholds", ordered)
