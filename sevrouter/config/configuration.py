"""What the daemon runs on, as one immutable value: routing, people, settings of the integrations.

Knows plain values only; must not know YAML, and not how an integration is spoken to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sevrouter.config.problem import Problem
from sevrouter.config.secret import Secret
from sevrouter.domain.ownership import Person, Team
from sevrouter.domain.routing import Routing


@dataclass(frozen=True, slots=True)
class ConsoleSettings:
    """Prints."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PagerDutySettings:
    """Calls by PagerDuty's Events API v2."""

    url: str
    routing_key: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackSettings:
    """Tells channels on Slack; `channel` is for teams without one."""

    url: str
    token: Secret
    channel: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JiraSettings:
    """Files tickets in Jira Cloud; `project` is for teams without one."""

    url: str
    email: str | None
    token: Secret
    project: str | None
    issue_type: str
    labels: tuple[str, ...]


IntegrationSettings = ConsoleSettings | PagerDutySettings | SlackSettings | JiraSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    """What may be sent to us: bytes of a body, and who may send. Everybody where there is no secret at all."""

    max_body: int
    bearer_tokens: tuple[Secret, ...] = ()
    basic_username: str | None = None
    basic_passwords: tuple[Secret, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """A checked configuration. `hash` is the first 12 hexadecimal digits of the SHA-256 of the file.

    `integrations` has the keys that are configured, of `call`, `slack` and `jira`.
    """

    path: Path
    hash: str
    routing: Routing
    teams: Mapping[str, Team]
    people: Mapping[str, Person]
    integrations: Mapping[str, IntegrationSettings]
    store_path: Path
    retention: timedelta
    webhook: WebhookSettings
    warnings: tuple[Problem, ...] = ()
