"""What a configuration says about the world around the daemon: whom it asks, who may send, how long.

Each field's description holds its unit, its default and why. Must not know how an integration is spoken to.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from sevrouter.config.fields import (
    Deadline,
    Duration,
    InlineSecrets,
    InlineSecretText,
    Interval,
    Patience,
    Retention,
    SecretFiles,
    SecretUrl,
    Section,
    Size,
    Text,
    Url,
    Window,
)
from sevrouter.config.problem import FieldError

KiB, MiB, GiB = 2**10, 2**20, 2**30


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
