"""What is written is what the daemon runs on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sevrouter.config import (
    AlertmanagerSettings,
    AuthSettings,
    Configuration,
    ConsoleSettings,
    JiraSettings,
    PagerDutySettings,
    ReconcileSettings,
    SlackSettings,
    SqliteSettings,
    load,
)
from sevrouter.domain.alert import Alert
from sevrouter.domain.ownership import Owned, Person, Team
from sevrouter.domain.sev import Sev

if TYPE_CHECKING:
    from sevrouter.domain.grading import Verdict

Write = Callable[..., Path]

GOOD = Path(__file__).parent / "good"


def grade(configuration: Configuration, annotations: dict[str, str] | None = None, **labels: str) -> Verdict:
    alert = Alert(
        labels=labels,
        annotations=annotations or {},
        values={"B": "7"},
        starts_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    )
    return configuration.routing.grader.grade(alert)


@pytest.fixture
def whole(write: Write) -> Configuration:
    return load(
        write(
            """\
unmatched: SEV-3
rules:
  - name: severity label
    matchers: ['team!="test"', 'kind!="grafana"']
    measure: {label: severity}
    values: {critical: SEV-2, none: none}
  - name: customers
    matchers: ['slo=~"avail.*"']
    measure: {annotation: users}
    thresholds: {SEV-3: '> 0', SEV-1: '>= 25', SEV-2: '>= 5'}
  - name: grafana
    matchers: ['kind="grafana"']
    measure: {value: B}
    thresholds: {SEV-5: '> 6'}
incidents: {group_by: [service], resolve_after: 90s, reopen_within: 1h30m}
responses: {SEV-1: [call, slack], SEV-2: [call], SEV-3: [slack], SEV-5: [jira]}
systems:
  - {name: checkout, matchers: ['service="checkout"'], owner: payments}
default_owner: platform
teams:
  payments:
    slack: {channel: C0PAY, mention: S0PAY}
    jira: {project: PAY, assignee: ana, issue_type: Bug, components: [], labels: [shop]}
  platform: {}
people:
  ana: {phone: '+4930123456', slack: U0ANA, jira: abc}
integrations:
  call: {type: pagerduty, routing_key: R0UT1NG, url: 'https://events.eu.pagerduty.com'}
  slack: {token: xoxb-1, channel: C0INC}
  jira:
    url: https://example.atlassian.net
    email: a@example.com
    token: t
    project: OPS
    issue_type: Task
    labels: [sev, router]
    deployment: data-center
    components: [Web shop]
    priority: {SEV-5: Low, SEV-1: Highest}
history: {retention: 90d}
delivery: {give_up_after: 2h}
deployments: {window: 0s}
webhook:
  max_body: 1MiB
  auth: {bearer_tokens: [one, two], basic: {username: am, passwords: [p]}}
allow_inline_secrets: true
"""
        )
    )


@pytest.mark.parametrize(
    ("annotations", "labels", "sev"),
    [
        ({}, {"severity": "critical"}, Sev.SEV_2),
        ({}, {"severity": "none"}, None),
        ({}, {"severity": "dire"}, Sev.SEV_2),
        ({}, {"team": "test"}, Sev.SEV_3),
        ({"users": "30%"}, {"slo": "availability", "team": "test"}, Sev.SEV_1),
        ({"users": "5"}, {"slo": "availability", "team": "test"}, Sev.SEV_2),
        ({"users": "1"}, {"slo": "availability", "team": "test"}, Sev.SEV_3),
        ({"users": "0"}, {"slo": "availability", "team": "test"}, None),
        ({}, {"slo": "availability", "team": "test"}, Sev.SEV_1),
        ({}, {"kind": "grafana"}, Sev.SEV_5),
    ],
)
def test_alerts_are_graded_as_the_rules_say(
    whole: Configuration, annotations: dict[str, str], labels: dict[str, str], sev: Sev | None
) -> None:
    assert grade(whole, annotations, **labels).sev is sev


def test_the_routing_is_what_is_written(whole: Configuration) -> None:
    routing = whole.routing

    assert routing.incidents.group_by == ("service",)
    assert (routing.incidents.resolve_after, routing.incidents.reopen_within) == (
        timedelta(seconds=90),
        timedelta(minutes=90),
    )
    assert routing.responses == {
        Sev.SEV_1: ("call", "slack"), Sev.SEV_2: ("call",), Sev.SEV_3: ("slack",), Sev.SEV_5: ("jira",),
    }  # fmt: skip
    assert routing.give_up_after == timedelta(hours=2)
    assert routing.deployment_window == timedelta(0)
    assert routing.ownership.of({"service": "checkout"}) == Owned("checkout", "payments")
    assert routing.ownership.of({}) == Owned(None, "platform")


def test_teams_and_people_are_what_is_written(whole: Configuration) -> None:
    ana = Person("ana", phone="+4930123456", slack="U0ANA", jira="abc")

    assert whole.people == {"ana": ana}
    assert whole.teams == {
        "payments": Team(
            "payments",
            slack_channel="C0PAY",
            slack_mention="S0PAY",
            jira_project="PAY",
            jira_assignee=ana,
            jira_issue_type="Bug",
            jira_components=(),
            jira_labels=("shop",),
        ),
        "platform": Team("platform"),
    }


def test_the_integrations_are_what_is_written(whole: Configuration) -> None:
    call, slack, jira = (whole.integrations[name] for name in ("call", "slack", "jira"))

    assert isinstance(call, PagerDutySettings)
    assert (call.url, call.routing_key()) == ("https://events.eu.pagerduty.com", "R0UT1NG")
    assert isinstance(slack, SlackSettings)
    assert (slack.url, slack.token(), slack.channel) == ("https://slack.com/api/", "xoxb-1", "C0INC")
    assert isinstance(jira, JiraSettings)
    assert (jira.url, jira.email, jira.token()) == ("https://example.atlassian.net", "a@example.com", "t")
    assert (jira.project, jira.issue_type, jira.labels) == ("OPS", "Task", ("sev", "router"))
    assert (jira.deployment, jira.components) == ("data-center", ("Web shop",))
    assert jira.priorities == {Sev.SEV_5: "Low", Sev.SEV_1: "Highest"}


def test_the_rest_is_what_is_written(whole: Configuration) -> None:
    assert whole.retention == timedelta(days=90)
    assert whole.webhook.max_body == 2**20
    assert [token() for token in whole.webhook.auth.bearer_tokens] == ["one", "two"]
    assert whole.webhook.auth.basic_username == "am"
    assert [password() for password in whole.webhook.auth.basic_passwords] == ["p"]
    assert whole.api == whole.webhook.auth


def test_what_is_not_written_has_its_default(write: Write, smallest: str) -> None:
    bare = load(write(smallest))

    assert bare.routing.grader.unmatched is Sev.SEV_2
    assert bare.routing.incidents.group_by == ("cluster", "service", "alertname")
    assert bare.routing.incidents.resolve_after == timedelta(minutes=5)
    assert bare.routing.incidents.reopen_within == timedelta(hours=4)
    assert bare.routing.give_up_after == timedelta(hours=24)
    assert bare.routing.deployment_window == timedelta(minutes=30)
    assert bare.retention == timedelta(days=35)
    assert bare.webhook.max_body == 256 * 2**20
    assert (bare.webhook.auth, bare.api) == (AuthSettings(), AuthSettings())
    assert bare.store == SqliteSettings(bare.path.parent / "sevrouter.db")
    assert bare.alertmanagers == ()
    assert bare.reconcile == ReconcileSettings(every=timedelta(seconds=30), missed_after=timedelta(minutes=6))
    assert bare.integrations == {"call": ConsoleSettings()}
    assert (bare.teams, bare.people, bare.warnings) == ({}, {}, ())


def test_alertmanagers_are_what_is_written() -> None:
    configuration = load(GOOD / "alertmanagers.yaml")
    plain, by_user, by_token = configuration.alertmanagers

    assert plain == AlertmanagerSettings(url="http://alertmanager-0:9093")
    assert by_user.password is not None
    assert (by_user.username, by_user.password(), by_user.bearer_token) == ("ana", "xoxb-hunter2", None)
    assert by_token.bearer_token is not None
    assert (by_token.bearer_token(), by_token.receivers) == ("xoxb-hunter2", ("sevrouter", "pager"))
    assert configuration.reconcile == ReconcileSettings(every=timedelta(minutes=1), missed_after=timedelta(0))


def test_words_that_yaml_would_turn_into_something_else_match_as_they_are_written() -> None:
    configuration = load(GOOD / "text-stays-text.yaml")
    labels = {"country": "NO", "code": "0123", "shift": "5:30", "switch": "on"}

    assert grade(configuration, None, **labels, y="NO").sev is Sev.SEV_1
    assert grade(configuration, None, **labels, y="on").sev is Sev.SEV_2
    assert grade(configuration, None, **labels, y="0123").sev is None
    assert grade(configuration, None, **labels, y="5:30").sev is None
    assert grade(configuration, None, **labels, y="null").sev is None
    assert grade(configuration, None, **{**labels, "code": "83"}, y="on").is_unmatched


def test_a_call_may_be_written_as_a_list_of_one() -> None:
    call = load(GOOD / "call-as-a-list.yaml").integrations["call"]

    assert isinstance(call, PagerDutySettings)
    assert call.routing_key() == "xoxb-hunter2"


def test_the_types_of_slack_and_jira_may_be_left_out() -> None:
    integrations = load(GOOD / "types-left-out.yaml").integrations

    assert isinstance(integrations["slack"], SlackSettings)
    assert isinstance(integrations["jira"], JiraSettings)
