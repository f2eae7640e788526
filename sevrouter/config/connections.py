"""What a configuration says about the world around the daemon: integrations, webhook, how long.

Each field's description holds its unit, its default and why. Must not know how an integration is spoken to.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from sevrouter.config.fields import (
    NOT_EMPTY,
    Deadline,
    Duration,
    InlineSecrets,
    InlineSecretText,
    Interval,
    JiraProject,
    OneWord,
    Patience,
    Retention,
    SecretFiles,
    SecretUrl,
    Section,
    SevName,
    Size,
    Text,
    Url,
    Window,
)
from sevrouter.config.problem import FieldError
from sevrouter.config.providers import Providers

if TYPE_CHECKING:
    from collections.abc import Callable

KiB, MiB, GiB = 2**10, 2**20, 2**30


class Console(Section):
    """Prints instead of telling anybody: for a demo and for trying out."""

    type: Literal["console"] = Field(description="`console`. Required.")


class Slack(Section):
    """Tells a channel on Slack, one thread an incident."""

    type: Literal["slack"] = Field(description="`slack`, which is the default, or `console`.")
    url: Url = Field("https://slack.com/api/", description="An address. Default: https://slack.com/api/.")
    token_file: Text | None = Field(
        None, description="A file that holds the bot token (xoxb-…). Required; read again when it changes."
    )
    token: InlineSecretText | None = Field(
        None, description="The token itself. Default: none. Only with `allow_inline_secrets`."
    )
    signing_secret_file: Text | None = Field(
        None,
        description="A file that holds the signing secret of the app, to hear of its buttons at "
        "public_url/callbacks/slack. Default: none; read again when it changes.",
    )
    signing_secret: InlineSecretText | None = Field(
        None, description="The secret itself. Default: none. Only with `allow_inline_secrets`."
    )
    app_token_file: Text | None = Field(
        None,
        description="A file that holds an app-level token (xapp-…), to hear of its buttons by Socket Mode, where "
        "nobody can reach us. Default: none; read again when it changes.",
    )
    app_token: InlineSecretText | None = Field(
        None, description="The token itself. Default: none. Only with `allow_inline_secrets`."
    )
    channel: OneWord | None = Field(
        None,
        description="The id or name of the channel for teams without one, and for those whose own is archived or "
        "closed to the app. Default: none; then every owner needs one.",
    )


class Jira(Section):
    """Files tickets in Jira Cloud or in Jira Data Center."""

    type: Literal["jira"] = Field(description="`jira`, which is the default, or `console`.")
    url: Url = Field(description="The address of the site, https://example.atlassian.net. Required.")
    deployment: Literal["auto", "cloud", "data-center"] = Field(
        "auto",
        description="What answers there: cloud or data-center. Default: auto, by the address or by what it says of "
        "itself.",
    )
    email: Text | None = Field(
        None,
        description="The account that the API token belongs to; in Data Center the user whose password it is. Default: "
        "none; then the token is sent as a Bearer, as a personal access token and a token of OAuth 2.0 are.",
    )
    token_file: Text | None = Field(
        None, description="A file that holds the token. Required; read again when it changes."
    )
    token: InlineSecretText | None = Field(
        None, description="The token itself. Default: none. Only with `allow_inline_secrets`."
    )
    project: JiraProject | None = Field(
        None,
        description="The key of the project for teams without one. Default: none; then every owner needs one.",
    )
    issue_type: Text = Field("Bug", description="The name of an issue type of the project. Default: Bug.")
    labels: tuple[OneWord, ...] = Field((), description="Labels of every ticket. Default: none beside our own.")
    components: tuple[Text, ...] = Field(
        (), description="The names of components of the project, whose default assignee Jira may take. Default: none."
    )
    priority: dict[SevName, Text] = Field(
        {}, description="The name of Jira's priority for a SEV. Default: what Jira gives a new issue."
    )


def _typed(default: str) -> Callable[[object], object]:
    def with_type(written: object) -> object:
        return {"type": default, **written} if isinstance(written, dict) else written

    return with_type


CallChoice = Annotated[Providers, NOT_EMPTY]
SlackChoice = Annotated[
    Annotated[Slack | Console, Field(discriminator="type")],
    BeforeValidator(_typed("slack")),
]
JiraChoice = Annotated[
    Annotated[Jira | Console, Field(discriminator="type")],
    BeforeValidator(_typed("jira")),
]


class Integrations(Section):
    """What is told of incidents. At least one; any of them may be `{type: console}`."""

    call: CallChoice | None = Field(
        None,
        description="Calls people: pagerduty, twilio, pagertree, webhook, apprise or console; or a list of these, of "
        "which the next one calls where one cannot. Default: none.",
    )
    slack: SlackChoice | None = Field(None, description="Tells a channel: slack or console. Default: none.")
    jira: JiraChoice | None = Field(None, description="Files tickets: jira or console. Default: none.")


class SourceBasic(Section):
    """Basic authentication to what is asked: Prometheus, Alertmanager."""

    username: Text = Field(description="The user. Required.")
    password_file: Text | None = Field(
        None, description="A file that holds the password. Required; read again when it changes."
    )
    password: InlineSecretText | None = Field(
        None, description="The password itself. Default: none. Only with `allow_inline_secrets`."
    )


class Prometheus(Section):
    """Where the queries of rules are asked: Prometheus, or what speaks like it (Thanos, Mimir, VictoriaMetrics)."""

    url: Url = Field(description="The address, without /api/v1. Required.")
    bearer_token_file: Text | None = Field(
        None, description="A file that holds a token. Default: none; read again when it changes."
    )
    bearer_token: InlineSecretText | None = Field(
        None, description="The token itself. Default: none. Only with `allow_inline_secrets`."
    )
    basic: SourceBasic | None = Field(None, description="A user and a password. Default: none.")
    timeout: Patience = Field(
        timedelta(seconds=10), description="A duration, from 1s to 15s. Default: 10s. How long an answer may take."
    )
    unsure_after: Duration = Field(
        timedelta(minutes=1),
        description="A duration. Default: 1m. How long nothing may be answered before that is an incident of its own.",
    )


class HeartbeatOut(Section):
    """An outside monitor that is told, by a GET of its address, that we live; it notices when that stops."""

    url_file: Text | None = Field(
        None, description="A file that holds the address. Required, or `url`; read again when it changes."
    )
    url: SecretUrl | None = Field(
        None,
        description="The address itself, http(s). Default: none. It is shown nowhere: with many services, who "
        "knows it can use it.",
    )
    every: Interval = Field(
        timedelta(seconds=30), description="A duration, from 1s to 1h. Default: 30s. How often the address is asked."
    )


def _base_address(value: str) -> str:
    if value.rstrip("/").endswith(("/api", "/api/v1", "/api/v2", "/api/v2/alerts")):
        raise FieldError("holds the path of the API", "the address only, without /api/v2")
    if "?" in value or "#" in value:
        raise FieldError("holds more than an address", "the address only; secrets have their own fields")
    return value


class Alertmanager(Section):
    """An Alertmanager that is asked what fires. One address by itself is written as that."""

    url: Annotated[Url, AfterValidator(_base_address)] = Field(
        description="The address, without /api/v2. Required. Of a cluster each replica is one, not what balances them."
    )
    bearer_token_file: Text | None = Field(
        None, description="A file that holds a token. Default: none; read again when it changes."
    )
    bearer_token: InlineSecretText | None = Field(
        None, description="The token itself. Default: none. Only with `allow_inline_secrets`."
    )
    basic: SourceBasic | None = Field(None, description="A user and a password. Default: none.")
    receivers: tuple[Text, ...] = Field(
        (),
        description="Names of its receivers that send to us. Default: none; then every alert there is meant for us, "
        "also one that a mistyped route sends elsewhere.",
    )


def _address_alone(written: object) -> object:
    return {"url": written} if isinstance(written, str) else written


AlertmanagerEntry = Annotated[Alertmanager, BeforeValidator(_address_alone)]


def _each_once(entries: tuple[Alertmanager, ...]) -> tuple[Alertmanager, ...]:
    if len({each.url.rstrip("/") for each in entries}) < len(entries):
        raise FieldError("holds an address twice", "keep one of them")
    return entries


Alertmanagers = Annotated[tuple[AlertmanagerEntry, ...], AfterValidator(_each_once)]


class Reconcile(Section):
    """How what the Alertmanagers show is held against what they sent."""

    every: Interval = Field(
        timedelta(seconds=30), description="A duration, from 1s to 1h. Default: 30s. How often all of them are asked."
    )
    missed_after: Window = Field(
        timedelta(minutes=6),
        description="A duration, at most 1d. Default: 6m, more than a group_interval of 5m: until then it may still be "
        "sent. For how long an alert fires there without reaching us before it is taken in; 0s turns that off.",
    )


class History(Section):
    """What is kept of the past."""

    retention: Retention = Field(
        timedelta(days=35),
        description="A duration, at least 1d. Default: 35d, so that a whole month can be replayed through another "
        "configuration.",
    )


class Delivery(Section):
    """How long a delivery is tried."""

    give_up_after: Deadline = Field(
        timedelta(hours=24),
        description="A duration, at least 1m. Default: 24h. What is undelivered then becomes a dead letter.",
    )


class Basic(Section):
    """Basic authentication of whoever sends webhooks."""

    username: Text = Field(description="The user. Required.")
    password_files: SecretFiles | None = Field(
        None, description="Files that hold a password each. Required; each is valid, so that they can be rotated."
    )
    passwords: InlineSecrets | None = Field(
        None, description="The passwords themselves. Default: none. Only with `allow_inline_secrets`."
    )


class Auth(Section):
    """Who may send webhooks. One of them suffices where both are given."""

    bearer_token_files: SecretFiles | None = Field(
        None, description="Files that hold a token each. Default: none. Each is valid, so that they can be rotated."
    )
    bearer_tokens: InlineSecrets | None = Field(
        None, description="The tokens themselves. Default: none. Only with `allow_inline_secrets`."
    )
    basic: Basic | None = Field(None, description="A user and passwords. Default: none.")


def _usable_limit(value: int) -> int:
    if not 64 * KiB <= value <= 4 * GiB:
        raise FieldError("is not between 64KiB and 4GiB", "Alertmanager does not send again what is too large")
    return value


class Webhook(Section):
    """What may be sent to us."""

    max_body: Annotated[Size, AfterValidator(_usable_limit)] = Field(
        256 * MiB,
        description="A size. Default: 256MiB. A larger body is refused (413) and counted, and nobody sends it again.",
    )
    auth: Auth | None = Field(None, description="Who may send webhooks. Default: everybody who reaches the port.")


class Api(Section):
    """What people and their tools may say over HTTP: that they own an incident, or that it is over."""

    auth: Auth | None = Field(
        None, description="Who may say so. Default: who may send webhooks; where everybody may, nobody may say so."
    )
