"""What a configuration says about each thing that can call people.

Each field's description holds its unit, its default and why. Must not know how a provider is spoken to, nor in which
order they are asked.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Literal, assert_never

from pydantic import AfterValidator, BeforeValidator, Field

from sevrouter.config.bounds import lasting
from sevrouter.config.call_settings import (
    AppriseSettings,
    ConsoleSettings,
    PagerDutySettings,
    PagerTreeSettings,
    PagerTreeWebhookSettings,
    SipSettings,
    TwilioSettings,
    WebhookOutSettings,
)
from sevrouter.config.fields import (
    Duration,
    InlineSecrets,
    InlineSecretText,
    OneWord,
    Phone,
    SecretFiles,
    SecretUrl,
    Section,
    Text,
    Url,
)
from sevrouter.config.problem import FieldError
from sevrouter.config.secret import one_secret, optional_secret, secrets_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sevrouter.config.call_settings import CallSettings
    from sevrouter.config.secret import Secret

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,30}", re.ASCII)
_TAKEN = ("call", "slack", "jira")
_SERVER = re.compile(r"([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?", re.ASCII)
_SID = re.compile(r"AC[0-9a-fA-F]{32}", re.ASCII)


def _name(value: str) -> str:
    if _NAME.fullmatch(value) is None:
        raise FieldError(f"{value!r} is not the name of a provider", "small letters, digits, - and _, at most 31")
    if value in _TAKEN:
        raise FieldError(f"{value!r} is the name of an integration", "choose another one")
    return value


def _server(value: str) -> str:
    if _SERVER.fullmatch(value) is None:
        raise FieldError("is not the name or the address of a host", "write sip.example.com, or sip.example.com:5061")
    return value


def _account_sid(value: str) -> str:
    if _SID.fullmatch(value) is None:
        raise FieldError("is not the SID of an account", "it is AC and 32 hexadecimal digits")
    return value


RingFor = Annotated[Duration, lasting(timedelta(seconds=5), timedelta(minutes=2))]


class Provider(Section):
    """What can call people."""

    name: Annotated[Text, AfterValidator(_name)] | None = Field(
        None,
        description="What it is called in the log, in metrics and in the address of its callbacks. Default: its type; "
        "of two of one type each needs its own.",
    )


class Console(Provider):
    """Prints instead of telling anybody: for a demo and for trying out."""

    type: Literal["console"] = Field(description="`console`. Required.")


class PagerDuty(Provider):
    """Calls people through PagerDuty (Events API v2)."""

    type: Literal["pagerduty"] = Field(description="`pagerduty`. Required.")
    url: Url = Field(
        "https://events.pagerduty.com",
        description="An address. Default: https://events.pagerduty.com. For the EU: https://events.eu.pagerduty.com.",
    )
    routing_key_file: Text | None = Field(
        None, description="A file that holds the integration key of the service. Required; read again when it changes."
    )
    routing_key: InlineSecretText | None = Field(
        None, description="The key itself. Default: none. Only with `allow_inline_secrets`."
    )
    webhook_secret_files: SecretFiles | None = Field(
        None,
        description="Files that hold a secret each that its webhooks (V3) are signed with, to hear who owns what. "
        "Default: none; read again when they change.",
    )
    webhook_secrets: InlineSecrets | None = Field(
        None, description="The secrets themselves. Default: none. Only with `allow_inline_secrets`."
    )
    api_url: Url = Field(
        "https://api.pagerduty.com",
        description="An address. Default: https://api.pagerduty.com. For the EU: https://api.eu.pagerduty.com.",
    )
    api_token_file: Text | None = Field(
        None,
        description="A file that holds a token that may read incidents, to ask who owns what, where webhooks do not "
        "reach us. Default: none; read again when it changes.",
    )
    api_token: InlineSecretText | None = Field(
        None, description="The token itself. Default: none. Only with `allow_inline_secrets`."
    )


class Twilio(Provider):
    """Phones people through Twilio."""

    type: Literal["twilio"] = Field(description="`twilio`. Required.")
    url: Url = Field("https://api.twilio.com", description="An address. Default: https://api.twilio.com.")
    account_sid: Annotated[Text, AfterValidator(_account_sid)] = Field(description="The account's SID (AC…). Required.")
    auth_token_file: Text | None = Field(
        None, description="A file that holds the auth token. Required; read again when it changes."
    )
    auth_token: InlineSecretText | None = Field(
        None, description="The token itself. Default: none. Only with `allow_inline_secrets`."
    )
    caller: Phone = Field(description="The number that calls, in E.164. Required; the account has to own it.")
    ring_for: RingFor = Field(
        timedelta(seconds=30), description="A duration, from 5s to 2m. Default: 30s. For how long a phone rings."
    )
    language: Text = Field("en-US", description="The language of the voice. Default: en-US, which the texts are in.")
    voice: Text | None = Field(None, description="The name of a voice of Twilio's. Default: the one of the language.")


class Sip(Provider):
    """Phones people through a SIP server: any trunk or PBX. Needs `pip install sevrouter[sip]`, and espeak-ng."""

    type: Literal["sip"] = Field(description="`sip`. Required.")
    server: Annotated[OneWord, AfterValidator(_server)] = Field(
        description="The host of the server, with a port where it is not the usual one. Required."
    )
    transport: Literal["udp", "tcp", "tls"] = Field("udp", description="udp, tcp or tls. Default: udp.")
    username: OneWord | None = Field(
        None, description="Who we are there. Default: none; then the server knows us by our address."
    )
    password_file: Text | None = Field(
        None, description="A file that holds the password. Default: none; read again when it changes."
    )
    password: InlineSecretText | None = Field(
        None, description="The password itself. Default: none. Only with `allow_inline_secrets`."
    )
    caller: OneWord | None = Field(
        None, description="Who is said to call, a number mostly. Default: username, or sevrouter."
    )
    ring_for: RingFor = Field(timedelta(seconds=30), description="A duration, from 5s to 2m. Default: 30s.")
    language: OneWord = Field("en", description="The language that espeak-ng speaks in. Default: en, as the texts are.")
    speech: tuple[Text, ...] = Field(
        (),
        description="A command with its arguments that reads text and writes a WAV file. Default: espeak-ng.",
    )
    interface: OneWord | None = Field(
        None, description="The local address, or the network interface, to call from. Default: as the system decides."
    )
    ca_file: Text | None = Field(
        None, description="A file of certificates that vouch for the server by TLS. Default: the system's."
    )
    srtp: bool = Field(False, description="Whether what is said is encrypted (SRTP). Default: false.")


class PagerTree(Provider):
    """Calls people through PagerTree: by its API, or by a webhook integration of it."""

    type: Literal["pagertree"] = Field(description="`pagertree`. Required.")
    url: Url = Field("https://api.pagertree.com", description="The API's address. Default: https://api.pagertree.com.")
    api_token_file: Text | None = Field(
        None,
        description="A file that holds a token of the API. Required, or `integration_url_file`; read again when it "
        "changes.",
    )
    api_token: InlineSecretText | None = Field(
        None, description="The token itself. Default: none. Only with `allow_inline_secrets`."
    )
    teams: tuple[OneWord, ...] = Field((), description="Ids of teams (tem_…) that alerts go to. Default: none.")
    routers: tuple[OneWord, ...] = Field((), description="Ids of routers (rtr_…) that alerts go to. Default: none.")
    account_users: tuple[OneWord, ...] = Field(
        (),
        description="Ids of users (acu_…) that alerts go to. Default: none. One of the three is required with a token.",
    )
    integration_url_file: Text | None = Field(
        None,
        description="A file that holds the address of a webhook integration, instead of a token; it can give no answer "
        "back. Default: none; read again when it changes.",
    )
    integration_url: SecretUrl | None = Field(
        None, description="The address itself, which is shown nowhere: who knows it can use it. Default: none."
    )
    integration_token_file: Text | None = Field(
        None,
        description="A file that holds the token that the webhook integration asks for. Default: none; read again when "
        "it changes.",
    )
    integration_token: InlineSecretText | None = Field(
        None, description="The token itself. Default: none. Only with `allow_inline_secrets`."
    )


class WebhookOut(Provider):
    """Calls people through whatever takes a signed POST of ours (docs/webhook-out.md)."""

    type: Literal["webhook"] = Field(description="`webhook`. Required.")
    url_file: Text | None = Field(
        None, description="A file that holds the address. Required, or `url`; read again when it changes."
    )
    url: SecretUrl | None = Field(
        None, description="The address itself, http(s), which is shown nowhere. Default: none."
    )
    secret_files: SecretFiles | None = Field(
        None, description="Files that hold a key each. Required; the first signs. Read again when they change."
    )
    secrets: InlineSecrets | None = Field(
        None, description="The keys themselves. Default: none. Only with `allow_inline_secrets`."
    )
    bearer_token_file: Text | None = Field(
        None, description="A file that holds a token to be sent along. Default: none; read again when it changes."
    )
    bearer_token: InlineSecretText | None = Field(
        None, description="The token itself. Default: none. Only with `allow_inline_secrets`."
    )


class Apprise(Provider):
    """Notifies people through whatever Apprise can reach. Needs `pip install sevrouter[apprise]`."""

    type: Literal["apprise"] = Field(description="`apprise`. Required.")
    url_files: SecretFiles | None = Field(
        None, description="Files that hold an address of Apprise's each. Required; read again when they change."
    )
    urls: InlineSecrets | None = Field(
        None, description="The addresses themselves. Default: none. Only with `allow_inline_secrets`."
    )


AnyProvider = Sip | Twilio | PagerDuty | PagerTree | WebhookOut | Apprise | Console
# The types of those that phone people whom we choose.
PHONES = frozenset({"sip", "twilio"})
TYPES = ("sip", "twilio", "pagerduty", "pagertree", "webhook", "apprise", "console")


def _listed(written: object) -> object:
    return [written] if isinstance(written, dict) else written


Providers = Annotated[
    tuple[Annotated[AnyProvider, Field(discriminator="type")], ...],
    BeforeValidator(_listed),
]


def name_of(provider: AnyProvider) -> str:
    """What a provider is called."""
    return provider.name or provider.type


def call_settings(provider: AnyProvider, base: Path, open_file: Callable[[str], Secret]) -> CallSettings:  # noqa: PLR0911
    """What a provider runs on; other files than secrets are relative to `base`."""
    match provider:
        case Console():
            return ConsoleSettings()
        case PagerDuty():
            return PagerDutySettings(
                url=provider.url,
                routing_key=one_secret(provider.routing_key_file, provider.routing_key, open_file),
                webhook_secrets=secrets_of(provider.webhook_secret_files, provider.webhook_secrets, open_file),
                api_url=provider.api_url,
                api_token=optional_secret(provider.api_token_file, provider.api_token, open_file),
            )
        case Twilio():
            return TwilioSettings(
                url=provider.url,
                account_sid=provider.account_sid,
                auth_token=one_secret(provider.auth_token_file, provider.auth_token, open_file),
                caller=provider.caller,
                ring_for=provider.ring_for,
                language=provider.language,
                voice=provider.voice,
            )
        case Sip():
            return SipSettings(
                server=provider.server,
                transport=provider.transport,
                username=provider.username,
                password=optional_secret(provider.password_file, provider.password, open_file),
                caller=provider.caller,
                ring_for=provider.ring_for,
                language=provider.language,
                speech=provider.speech,
                interface=provider.interface,
                srtp=provider.srtp,
                authorities=None if provider.ca_file is None else (base / provider.ca_file).absolute(),
            )
        case PagerTree():
            return _pagertree(provider, open_file)
        case WebhookOut():
            return WebhookOutSettings(
                url=one_secret(provider.url_file, provider.url, open_file),
                secrets=secrets_of(provider.secret_files, provider.secrets, open_file),
                bearer_token=optional_secret(provider.bearer_token_file, provider.bearer_token, open_file),
            )
        case Apprise():
            return AppriseSettings(urls=secrets_of(provider.url_files, provider.urls, open_file))
        case _:
            assert_never(provider)


def _pagertree(provider: PagerTree, open_file: Callable[[str], Secret]) -> PagerTreeSettings | PagerTreeWebhookSettings:
    if provider.integration_url_file is not None or provider.integration_url is not None:
        return PagerTreeWebhookSettings(
            url=one_secret(provider.integration_url_file, provider.integration_url, open_file),
            token=optional_secret(provider.integration_token_file, provider.integration_token, open_file),
        )
    return PagerTreeSettings(
        url=provider.url,
        api_token=one_secret(provider.api_token_file, provider.api_token, open_file),
        teams=provider.teams,
        routers=provider.routers,
        account_users=provider.account_users,
    )
