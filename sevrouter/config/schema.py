"""What a configuration says about alerts: how bad, which incident, who owns it, who is told.

Each field's description holds its unit, its default and why; the reference for users is made from them.
What two fields mean together is not known here (`choices`, `references`, `doubts`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from sevrouter.config.calling import CALL_LIMITS, CallLimit, Drills, Policies
from sevrouter.config.connections import (
    Alertmanagers,
    Api,
    Delivery,
    HeartbeatOut,
    History,
    Prometheus,
    Reconcile,
    Webhook,
)
from sevrouter.config.fields import (
    NOT_EMPTY,
    Bound,
    Duration,
    HowMany,
    JiraProject,
    MatcherText,
    NumberOrNone,
    OneWord,
    Period,
    Phone,
    PlainQuery,
    Section,
    SevName,
    SevOrNone,
    SlackId,
    Text,
    UnmatchedSev,
    Url,
    Window,
)
from sevrouter.config.integrations import Integrations
from sevrouter.config.measures import Measure, bare
from sevrouter.config.on_call import OnCall
from sevrouter.config.problem import FieldError
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
    measure: Annotated[Measure, BeforeValidator(bare)] | None = Field(
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
    stale_after: Duration = Field(
        timedelta(hours=24),
        description="A duration. Default: 24h. An open incident of which nothing was heard for so long is marked "
        "stale, and stays open: longer than Alertmanager's `repeat_interval`. 0s turns that off.",
    )


class Heartbeat(Section):
    """An alert that has to keep arriving (`Watchdog`). It is no incident; that it stays away is one."""

    name: Text | None = Field(None, description="Unique. Default: its matchers. Its incident is called by it.")
    matchers: Annotated[tuple[MatcherText, ...], NOT_EMPTY] = Field(
        description="Conditions as in a rule. Required. A firing alert that meets them is a beat, and no incident."
    )
    every: Period = Field(
        description="A duration, from 1s to 1d. Required. How often it has to arrive: no less often than it is sent."
    )
    grace: Window = Field(
        timedelta(minutes=1), description="A duration, at most 1d. Default: 1m. How late it may be beyond that."
    )
    missed: SevName = Field(description="How bad it is that it stays away. Required. SEV-1 (worst) to SEV-5.")


class Deployments(Section):
    """What is said of deployments that are reported to us."""

    window: Window = Field(
        timedelta(minutes=30),
        description="A duration, at most 1d. Default: 30m. An incident that begins this soon after a deployment of its "
        "system says so, with a hint to roll back; 0s turns that off.",
    )
    query: PlainQuery | None = Field(
        None,
        description="A PromQL query that tells what runs: series with the labels `system` and `version` (and `link`), "
        "whose number is since when, in seconds since 1970. Default: none; then pipelines report.",
    )


class Forecast(Section):
    """How far ahead is looked for what may get worse."""

    horizon: Window = Field(
        timedelta(hours=1),
        description="A duration, at most 1d. Default: 1h. What is likely to become worse within it is mentioned before "
        "it does; 0s turns that off.",
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
    issue_type: Text | None = Field(None, description="Default: `integrations.jira.issue_type`.")
    components: tuple[Text, ...] | None = Field(None, description="Default: `integrations.jira.components`.")
    labels: tuple[OneWord, ...] | None = Field(None, description="Default: `integrations.jira.labels`.")


class Team(Section):
    """A team that owns systems."""

    slack: TeamSlack = Field(TeamSlack(), description="How it is told on Slack. Default: as the integration says.")
    jira: TeamJira = Field(TeamJira(), description="Where its tickets go. Default: as the integration says.")
    policy: Text | None = Field(None, description="The name of a policy in `policies`. Default: default.")


class Person(Section):
    """Somebody who can be reached."""

    phone: Phone | None = Field(None, description="A number in E.164 (+4930123456). Default: cannot be phoned.")
    slack: SlackId | None = Field(None, description="The Slack member id (U…). Default: cannot be mentioned.")
    jira: Text | None = Field(
        None,
        description="The Jira account id; in Data Center the user name. Default: cannot be assigned a ticket.",
    )


class Test(Section):
    """An alert or a whole webhook, and what is expected of it; run by `sevrouter test`."""

    name: Text | None = Field(
        None, description="What it is called where it fails. Default: its labels, or its payload."
    )
    alert: Annotated[dict[str, str], NOT_EMPTY] | None = Field(
        None, description="The labels of an alert. Required without `payload`."
    )
    annotations: dict[str, str] = Field({}, description="The alert's annotations. Default: none.")
    values: dict[str, str] = Field({}, description="The alert's values, as Grafana sends them. Default: none.")
    payload: Text | None = Field(
        None,
        description="A file with a webhook's JSON, relative to this file's directory. Required without `alert`. All "
        "that fires in it is played through together, and the worst counts.",
    )
    after: Duration = Field(
        timedelta(0),
        description="A duration. Default: 0s. For how long it has been firing; of a payload, its last alert.",
    )
    readings: dict[Text, NumberOrNone] = Field(
        {}, description="What a query gives, by the name of its rule; `none` is no data. Default: not asked yet."
    )
    expect: SevOrNone = Field(description="The SEV, or `none`. Required.")
    unsure: bool | None = Field(None, description="Whether it is unsure. Default: either will do.")
    owner: Text | None = Field(None, description="The team that owns it. Default: any will do.")
    responses: tuple[Text, ...] | None = Field(None, description="What is asked for. Default: any will do.")
    incidents: HowMany | None = Field(None, description="How many incidents come of it. Default: any number will do.")


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
    forecast: Forecast = Field(Forecast(), description="What is looked for ahead. Default: as its field says.")
    heartbeats: tuple[Heartbeat, ...] = Field((), description="Alerts that have to keep arriving. Default: none.")
    heartbeat_out: HeartbeatOut | None = Field(
        None, description="An outside monitor that is told that we live. Default: none."
    )
    systems: tuple[System, ...] = Field(
        (), description="What is affected, and whose it is; the first match counts. Default: none."
    )
    default_owner: Text | None = Field(
        None, description="The team that owns what no system matches. Default: nobody, which is counted in a metric."
    )
    teams: dict[str, Team] = Field({}, description="The teams by name. Default: none.")
    people: dict[str, Person] = Field({}, description="The people by name. Default: none.")
    on_call: OnCall = Field(OnCall(), description="Who is on call, by the name of the schedule. Default: none.")
    policies: Policies = Field(
        {},
        description="Who is called for major incidents, by the name of the policy; one is called default. Default: "
        "none; then the paging service decides.",
    )
    call_limits: Annotated[tuple[CallLimit, ...], NOT_EMPTY] = Field(
        CALL_LIMITS,
        description="How often one person is phoned at the most. Default: 1 within 1m, 3 within 15m, 7 within 1h. What "
        "has to wait is told in the next call.",
    )
    drills: Drills | None = Field(None, description="When everybody is called to see that it works. Default: none.")
    public_url: Url | None = Field(
        None,
        description="The address at which the internet reaches us. Default: none; then no key can be pressed in a call "
        "by Twilio.",
    )
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
    api: Api = Field(Api(), description="What may be said of incidents, and by whom. Default: as its fields say.")
    tests: tuple[Test, ...] = Field((), description="What is expected of alerts. Default: nothing.")
    allow_inline_secrets: bool = Field(
        False,
        description="Whether secrets may stand in this file (token, routing_key …). Default: false, because "
        "configurations are committed, printed and mailed.",
    )
