"""What the daemon runs on, as one immutable value: routing, people, settings of the integrations.

Knows plain values only; must not know YAML, and not how an integration is spoken to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Literal

from sevrouter.config.call_settings import CallSettings
from sevrouter.config.problem import Problem
from sevrouter.config.schedules import ScheduleSettings
from sevrouter.config.secret import Secret
from sevrouter.config.store_url import APPLICATION, postgres_url
from sevrouter.domain.drill import DrillPlan
from sevrouter.domain.ownership import Person, Team
from sevrouter.domain.rehearsal import Rehearsal
from sevrouter.domain.routing import Routing
from sevrouter.domain.sev import Sev


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackSettings:
    """Tells channels on Slack; `channel` is for teams without one.

    Buttons are shown where we hear of them: by requests that `signing_secret` signs, or over a connection that we open
    with `app_token`.
    """

    url: str
    token: Secret
    channel: str | None
    signing_secret: Secret | None = None
    app_token: Secret | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitionSettings:
    """A transition by its `id` or by Jira's key of the `category` that it leads to; `fields` as Jira takes them."""

    id: str | None
    category: str | None
    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class JiraSettings:
    """Files tickets in Jira; `project` is for teams without one."""

    url: str
    deployment: Literal["auto", "cloud", "data-center"]
    email: str | None
    token: Secret
    project: str | None
    issue_type: str
    labels: tuple[str, ...]
    components: tuple[str, ...]
    priorities: Mapping[Sev, str]
    on_resolve: TransitionSettings | None
    on_reopen: TransitionSettings | None
    wont_fix: tuple[str, ...]
    update: tuple[str, ...]


IntegrationSettings = CallSettings | SlackSettings | JiraSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusSettings:
    """Where queries are asked: with a token, with a user and a password, or as anybody."""

    url: str
    bearer_token: Secret | None
    username: str | None
    password: Secret | None
    timeout: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatOutSettings:
    """An address to ask for every so often, so that who keeps it knows that we live. It is a secret."""

    url: Secret
    every: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertmanagerSettings:
    """Who is asked what fires; `receivers` are those of its receivers that are us, all where there are none."""

    url: str
    bearer_token: Secret | None = None
    username: str | None = None
    password: Secret | None = None
    receivers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileSettings:
    """How often the Alertmanagers are asked, and when an alert was missed; zero is never."""

    every: timedelta
    missed_after: timedelta


@dataclass(frozen=True, slots=True)
class SqliteSettings:
    """Keeps incidents in one file, for one process."""

    path: Path

    def in_shadow(self) -> SqliteSettings:
        """A file beside it: what a shadow opens must not hide from the real one later."""
        return SqliteSettings(self.path.with_name(self.path.name + ".shadow"))

    def __str__(self) -> str:
        return f"sqlite:{self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """How a connection is encrypted. Without `ca_file` those are trusted whom the system trusts.

    The files may be replaced while we run, so they are to be read at each connection.
    """

    mode: Literal["require", "verify-ca", "verify-full"]
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresSettings:
    """Keeps incidents in PostgreSQL, for several processes.

    A host is a name, an address, or the directory of a Unix socket; without `tls` nothing is encrypted. Without
    `schema` it is the first of the role's search_path. `password` is to be asked for at each connection. As text it
    is the address, which holds no secret.
    """

    hosts: tuple[tuple[str, int], ...]
    database: str
    user: str | None = None
    password: Secret | None = None
    tls: TlsSettings | None = None
    schema: str | None = None
    application_name: str = APPLICATION
    connect_timeout: timedelta
    statement_timeout: timedelta
    lock_timeout: timedelta

    def in_shadow(self) -> PostgresSettings:
        """The same database, in a schema of its own."""
        return replace(self, schema=f"{self.schema or APPLICATION}_shadow")

    def __str__(self) -> str:
        return postgres_url(self.hosts, self.database, self.user)


StoreSettings = SqliteSettings | PostgresSettings


def changed_settings(new: StoreSettings, old: StoreSettings) -> list[str]:
    """The settings, as they are called in the file, that make two stores different."""
    if type(new) is not type(old):
        return ["store.url"]
    changed = [each.name for each in fields(new) if getattr(new, each.name) != getattr(old, each.name)]
    return list(dict.fromkeys(_WRITTEN.get(name, f"store.{name}") for name in changed))


_WRITTEN = dict.fromkeys(("path", "hosts", "database", "user", "application_name"), "store.url")
_WRITTEN["password"] = "store.password_file"  # noqa: S105  the name of a setting


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthSettings:
    """Who is let in: any of these secrets will do."""

    bearer_tokens: tuple[Secret, ...] = ()
    basic_username: str | None = None
    basic_passwords: tuple[Secret, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    """What may be sent to us: bytes of a body, and who may send. Everybody where there is no secret at all."""

    max_body: int
    auth: AuthSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A test of the configuration: what is played through, and what has to come of it. None: anything will do.

    With a `payload` the alerts of the rehearsal are those in that file, which nobody has read yet.
    """

    name: str
    rehearsal: Rehearsal
    payload: Path | None
    sev: Sev | None
    unsure: bool | None
    owner: str | None
    responses: tuple[str, ...] | None
    incidents: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """A checked configuration. `hash` is the first 12 hexadecimal digits of the SHA-256 of the file.

    `integrations` has the keys that are configured, of `call`, `slack` and `jira`; the first provider is `call`.
    `api` says who may say something of incidents; where it holds nothing, nobody may.
    `providers` are all that can call, by their names, in the order in which they are tried.
    """

    path: Path
    hash: str
    routing: Routing
    teams: Mapping[str, Team]
    people: Mapping[str, Person]
    on_call: Mapping[str, ScheduleSettings]
    integrations: Mapping[str, IntegrationSettings]
    providers: Mapping[str, CallSettings]
    drills: DrillPlan | None
    public_url: str | None
    prometheus: PrometheusSettings | None
    heartbeat_out: HeartbeatOutSettings | None
    alertmanagers: tuple[AlertmanagerSettings, ...]
    reconcile: ReconcileSettings
    store: StoreSettings
    retention: timedelta
    webhook: WebhookSettings
    api: AuthSettings
    tests: tuple[Expected, ...] = ()
    warnings: tuple[Problem, ...] = ()
