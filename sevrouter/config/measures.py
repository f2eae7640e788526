"""What a configuration says of measures: where the number or the word of a rule comes from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from sevrouter.config.fields import Duration, Interval, Number, QueryText, Section, Text, WholeOrQuery
from sevrouter.config.problem import FieldError, did_you_mean


class CountOf(Section):
    """Counts the firing alerts of the incident, or the values that a label has among them."""

    label: Text | None = Field(None, description="The name of a label whose values are counted. Default: alerts are.")


class Count(CountOf):
    """Counts the same, perhaps as a share of a whole."""

    whole: WholeOrQuery | None = Field(
        None,
        description="A number above 0, or {query: …}: thresholds are per cent of it. Default: thresholds are counts.",
    )


def _number(value: object) -> object:
    """A side of a ratio may be written as a bare number, or as `count`."""
    if isinstance(value, str):
        return {"count": {}} if value == "count" else {"number": value}
    return value


class Side(Section):
    """One side of a ratio: exactly one of these."""

    label: Text | None = Field(None, description="The name of the alert's label. Default: none.")
    annotation: Text | None = Field(None, description="The name of the annotation. Default: none.")
    value: Text | None = Field(None, description="The name of one of Grafana's values. Default: none.")
    query: QueryText | None = Field(None, description="A PromQL query, as in a measure. Default: none.")
    count: CountOf | None = Field(None, description="How many alerts of the incident are firing. Default: none.")
    number: Number | None = Field(None, description="A number as it is, which may be written bare. Default: none.")


class Ratio(Section):
    """One measure in per cent of another: thresholds are per cent. Of nothing there is no share, which is no data."""

    part: Annotated[Side, BeforeValidator(_number)] = Field(description="What is a share. Required.")
    whole: Annotated[Side, BeforeValidator(_number)] = Field(description="What it is a share of. Required.")


def bare(value: object) -> object:
    """A measure that needs no more than its name may be written as that."""
    if isinstance(value, str):
        if value not in _BARE:
            raise FieldError(f"unknown measure {value!r}", did_you_mean(value, [*_BARE]))
        return _BARE[value]
    return value


_BARE: dict[str, dict[str, object]] = {"firing_for": {"firing_for": "alert"}, "count": {"count": {}}}


class Measure(Section):
    """Where a rule's number or word comes from: exactly one of these."""

    label: Text | None = Field(None, description="The name of the alert's label. Default: none.")
    annotation: Text | None = Field(
        None, description="The name of the annotation. Default: none. The usual place for a number, by a template."
    )
    value: Text | None = Field(
        None, description="The name of one of Grafana's values (A, B …). Default: none. Alertmanager sends none."
    )
    firing_for: Literal["alert", "incident"] | None = Field(
        None,
        description="For how long the `alert`, or its `incident`, has been firing. Default: none. Thresholds are "
        "durations (>= 30m), and are looked at to the second while it fires.",
    )
    query: QueryText | None = Field(
        None,
        description="A PromQL query, asked of `prometheus`. Default: none. {{ pod }} in the value of a matcher is the "
        "alert's label. Of several series the worst counts; no series, NaN and an error are the worst of the rule.",
    )
    count: Count | None = Field(None, description="How many alerts of the incident are firing. Default: none.")
    ratio: Ratio | None = Field(
        None, description="One measure in per cent of another, `part` of `whole`. Default: none."
    )
    every: Interval | None = Field(
        None,
        description="A duration, from 1s to 1h. Default: 30s for what is SEV-1 to SEV-3, 2m else. How often a "
        "query, a count or a ratio is read again.",
    )
    unsure_after: Duration | None = Field(
        None,
        description="A duration. Default: 1m. How long a query may give no number before that is the worst of the "
        "rule: one failed scrape wakes nobody.",
    )
