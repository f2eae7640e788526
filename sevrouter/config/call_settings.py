"""What each thing that can call people runs on, as immutable values. Must not know how it is spoken to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

from sevrouter.config.secret import Secret


@dataclass(frozen=True, slots=True)
class ConsoleSettings:
    """Prints."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PagerDutySettings:
    """Calls by PagerDuty's Events API v2. `webhook_secrets` sign what it tells us, it is asked with `api_token`."""

    url: str
    routing_key: Secret
    webhook_secrets: tuple[Secret, ...] = ()
    api_url: str = "https://api.pagerduty.com"
    api_token: Secret | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TwilioSettings:
    """Phones people by Twilio's Calls API; `caller` is the number that calls (E.164)."""

    url: str
    account_sid: str
    auth_token: Secret
    caller: str
    ring_for: timedelta
    language: str
    voice: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SipSettings:
    """Phones people by a SIP server: a trunk, or a PBX. Without `password` it does not ask who we are.

    `speech` is the command that speaks, espeak-ng in `language` where it is empty; `authorities` a file of those who
    vouch for the server by TLS.
    """

    server: str
    transport: Literal["udp", "tcp", "tls"]
    username: str | None
    password: Secret | None
    caller: str | None
    ring_for: timedelta
    language: str
    speech: tuple[str, ...]
    interface: str | None
    authorities: Path | None
    srtp: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PagerTreeSettings:
    """Calls by PagerTree's API v4; whom an alert goes to is said by their ids."""

    url: str
    api_token: Secret
    teams: tuple[str, ...]
    routers: tuple[str, ...]
    account_users: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PagerTreeWebhookSettings:
    """Calls by a webhook integration of PagerTree."""

    url: Secret
    token: Secret | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookOutSettings:
    """Calls by a signed POST of ours; the first of `secrets` signs."""

    url: Secret
    secrets: tuple[Secret, ...]
    bearer_token: Secret | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AppriseSettings:
    """Notifies by whatever Apprise can reach."""

    urls: tuple[Secret, ...]


CallSettings = (
    ConsoleSettings
    | PagerDutySettings
    | TwilioSettings
    | SipSettings
    | PagerTreeSettings
    | PagerTreeWebhookSettings
    | WebhookOutSettings
    | AppriseSettings
)
