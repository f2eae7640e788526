"""What a configuration says about alerts: how bad, which incident, who owns it, who is told.

Each field's description holds its unit, its default and why; the reference for users is made from them.
What two fields mean together is not known here (`choices`, `references`, `doubts`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from sevrouter.config.connections import (
    Alertmanagers,
    Delivery,
    History,
    Integrations,
    Prometheus,
    Reconcile,
    Webhook,
)
from sevrouter.config.fields import (
    NOT_EMPTY,
    Bound,
    Duration,
    Interval,
    JiraProject,
    MatcherText,
    NumberOrNone,
    OneWord,
    Phone,
    QueryText,
    Section,
    SevName,
    SevOrNone,
    SlackId,
    Text,
    UnmatchedSev,
    Whole,
    Window,
)
from sevrouter.config.problem import FieldError, did_you_mean
from sevrouter.config.storage import Store
from sevrouter.domain.sev import Sev


def _identity(labels: tuple[str, ...]) -> tuple[str, ...]:
    if "severity" in labels:
        raise FieldError(
            "'severity' is never part of identity",
            "a warning that becomes critical is the same incident; leave it out",
        )
    if "..." in labels:
        raise FieldError("'...' is no label here", "write the names of the labels")
    if len(set(labels)) < len(labels):
        raise FieldError("holds a label twice", "keep one of them")
    return labels


def _told_once(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise FieldError("holds an integration twice", "keep one of them")
    return names


def _some_sev(values: dict[str, Sev | None]) -> dict[str, Sev | None]:
    if "" in values:
        raise FieldError(
            "an empty value cannot be graded", "an empty or missing value is unsure: the worst of the others"
        )
    if all(sev is None for sev in values.values()):
        raise FieldError("holds no SEV", "a word that is not listed is graded as the worst of them: list at least one")
    return values


class Count(Section):
    """Counts the firing alerts of the incident, or the values that a label has among them."""

    label: Text | None = Field(None, description="The name of a label whose values are counted. Default: alerts are.")
    whole: Whole | None = Field(
        None, description="A number above 0: thresholds are per cent of it. Default: thresholds are counts."
    )


def _bare(value: object) -> object:
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
    every: Interval | None = Field(
        None,
        description="A duration, from 1s to 1h. Default: 30s for what is SEV-1 to SEV-3, 2m else. How often a "
        "query or a count is read again.",
    )
    unsure_after: Duration | None = Field(
        None,
        description="A duration. Default: 1m. How long a query may give no number before that is the worst of the "
        "rule: one failed scrape wakes nobody.",
    )


class Rule(Section):
    """Grades the alerts that it matches. Every rule that matches grades; the worst grade wins."""

    name: Text = Field(description="Unique. Required: it is what an explanation calls the rule.")
    matchers: tuple[MatcherText, ...] = Field(
        (),
        description="Conditions as in Alertmanager, all of which must be met. Default: none, which is every alert.",
    )
    sev: SevOrNone = Field(
        None,
        description="How bad every matching alert is: SEV-1 (worst) to SEV-5, or `none`: not an incident. Required "
        "unless the rule measures.",
    )
    measure: Annotated[Measure, BeforeValidator(_bare)] | None = Field(
        None, description="Where the number or the word comes from. Default: none. Needs `thresholds` or `values`."
    )
    thresholds: Annotated[dict[SevName, Bound], NOT_EMPTY] | None = Field(
        None,
        description="A bound for each SEV, as `>= 25` (operators >= > <= < ==; 5% is 5, 3m20s is 200). Default: none. "
        "The worst SEV whose bound is crossed counts; what cannot be read is the worst listed.",
    )
    values: Annotated[dict[str, SevOrNone], NOT_EMPTY, AfterValidator(_some_sev)] | None = Field(
        None,
        description="A SEV or `none` for each exact word. Default: none. Any other word is the worst listed.",
    )


class Incidents(Section):
    """What makes alerts one incident, and when it is over."""

    group_by: Annotated[tuple[Text, ...], NOT_EMPTY, AfterValidator(_identity)] = Field(
        ("cluster", "service", "alertname"),
        description="Names of labels. Default: cluster, service, alertname. Alerts that agree in all of them are one "
        "incident. Never `severity`: a warning that becomes critical is the same incident.",
    )
    resolve_after: Duration = Field(
        timedelta(minutes=5),
        description="A duration. Default: 5m. Quiet time before `resolved` is believed, so that flapping is one "
        "incident.",
    )
    reopen_within: Duration = Field(
        timedelta(hours=4),
        description="A duration. Default: 4h. What comes back this soon is the same incident, with the same ticket.",
    )


class Deployments(Section):
    """What is said of deployments that are reported to us."""

    window: Window = Field(
        timedelta(minutes=30),
        description="A duration, at most 1d. Default: 30m. An incident that begins this soon after a deployment of its "
        "system says so, with a hint to roll back; 0s turns that off.",
    )


class System(Section):
    """Something that alerts speak of. The first system that matches is the affected one."""

    name: Text = Field(description="Unique. Required: messages and tickets name it.")
    matchers: Annotated[tuple[MatcherText, ...], NOT_EMPTY] = Field(
        description="Conditions as in a rule. Required; what no system matches belongs to `default_owner`."
    )
    owner: Text = Field(description="The name of the team that owns it. Required: tickets and mentions go there.")


class TeamSlack(Section):
    """Where and how a team is told on Slack."""

    channel: OneWord | None = Field(
        None, description="The id or name of a channel. Default: `integrations.slack.channel`."
    )
    mention: SlackId | None = Field(
        None, description="The id of a user (U…) or user group (S…) to mention. Default: nobody is mentioned."
    )


class TeamJira(Section):
    """Where a team's tickets go."""

    project: JiraProject | None = Field(
        None, description="The key of a Jira project. Default: `integrations.jira.project`."
    )
    assignee: Text | None = Field(
        None, description="The name of a person in `people`. Default: tickets are left to Jira's own assignment."
    )


class Team(Section):
    """A team that owns systems."""

    slack: TeamSlack = Field(TeamSlack(), description="How it is told on Slack. Default: as the integration says.")
    jira: TeamJira = Field(TeamJira(), description="Where its tickets go. Default: as the integration says.")


class Person(Section):
    """Somebody who can be reached."""

    phone: Phone | None = Field(None, description="A number in E.164 (+4930123456). Default: cannot be phoned.")
    slack: SlackId | None = Field(None, description="The Slack member id (U…). Default: cannot be mentioned.")
    jira: Text | None = Field(None, description="The Jira account id. Default: cannot be assigned a ticket.")


class Test(Section):
    """An alert, and what is expected of it; run by `sevrouter test`."""

    name: Text | None = Field(None, description="What it is called where it fails. Default: its labels.")
    alert: Annotated[dict[str, str], NOT_EMPTY] = Field(description="The labels of an alert. Required.")
    annotations: dict[str, str] = Field({}, description="Its annotations. Default: none.")
    values: dict[str, str] = Field({}, description="Its values, as Grafana sends them. Default: none.")
    after: Duration = Field(timedelta(0), description="A duration. Default: 0s. For how long it has been firing.")
    readings: dict[Text, NumberOrNone] = Field(
        {}, description="What a query gives, by the name of its rule; `none` is no data. Default: not asked yet."
    )
    expect: SevOrNone = Field(description="The SEV, or `none`. Required.")
    unsure: bool | None = Field(None, description="Whether it is unsure. Default: either will do.")
    owner: Text | None = Field(None, description="The team that owns it. Default: any will do.")
    responses: tuple[Text, ...] | None = Field(None, description="What is asked for. Default: any will do.")


class Root(Section):
    """The whole configuration. Only `rules`, `responses` and one integration have no default."""

    unmatched: UnmatchedSev = Field(
        Sev.SEV_2,
        description="The SEV of an alert that no rule matches. Default: SEV-2, so that a person looks.",
    )
    rules: Annotated[tuple[Rule, ...], NOT_EMPTY] = Field(
        description="How bad an alert is. Required. All rules are asked; their order means nothing."
    )
    incidents: Incidents = Field(Incidents(), description="What is one incident. Default: as its fields say.")
    responses: Annotated[dict[SevName, Annotated[tuple[Text, ...], AfterValidator(_told_once)]], NOT_EMPTY] = Field(
        description="The integrations that each SEV asks for: call, slack, jira. Required."
    )
    deployments: Deployments = Field(
        Deployments(), description="What is said of recent deployments. Default: as its field says."
    )
    systems: tuple[System, ...] = Field(
        (), description="What is affected, and whose it is; the first match counts. Default: none."
    )
    default_owner: Text | None = Field(
        None, description="The team that owns what no system matches. Default: nobody, which is counted in a metric."
    )
    teams: dict[str, Team] = Field({}, description="The teams by name. Default: none.")
    people: dict[str, Person] = Field({}, description="The people by name. Default: none.")
    integrations: Integrations = Field(description="What is told of incidents, and how. Required: at least one.")
    prometheus: Prometheus | None = Field(
        None, description="Where queries are asked. Default: none; then no rule asks."
    )
    alertmanagers: Alertmanagers = Field(
        (), description="Who is asked what is silenced, what was missed, what is over. Default: nobody."
    )
    reconcile: Reconcile = Field(Reconcile(), description="How they are asked. Default: as its fields say.")
    store: Store = Field(Store(), description="Where incidents are kept. Default: as its fields say.")
    history: History = Field(History(), description="What is kept of the past. Default: as its field says.")
    delivery: Delivery = Field(Delivery(), description="How long is tried. Default: as its field says.")
    webhook: Webhook = Field(Webhook(), description="What may be sent to us. Default: as its fields say.")
    tests: tuple[Test, ...] = Field((), description="What is expected of alerts. Default: nothing.")
    allow_inline_secrets: bool = Field(
        False,
        description="Whether secrets may stand in this file (token, routing_key …). Default: false, because "
        "configurations are committed, printed and mailed.",
    )
