"""Makes of a configuration what goes out and who is let in: notifiers, phones, and whose callbacks are believed."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, assert_never

from sevrouter.config import (
    AppriseSettings,
    AuthSettings,
    CallSettings,
    Configuration,
    ConsoleSettings,
    IntegrationSettings,
    JiraSettings,
    PagerDutySettings,
    PagerTreeSettings,
    PagerTreeWebhookSettings,
    SipSettings,
    SlackSettings,
    TransitionSettings,
    TwilioSettings,
    WebhookOutSettings,
)
from sevrouter.domain.delivery import CALL
from sevrouter.domain.policy import ProviderKind
from sevrouter.engine.lane import Route
from sevrouter.ingest.authentication import Credentials
from sevrouter.ingest.twilio import TwilioCaller
from sevrouter.notifiers import apprise, console, jira, pagerduty, pagertree, pagertree_webhook, slack, webhook
from sevrouter.notifiers.jira_life import Life, Move
from sevrouter.notifiers.jira_ticket import Form
from sevrouter.notifiers.pagerduty_rest import PagerDutyRest
from sevrouter.notifiers.sip import Sip
from sevrouter.notifiers.speaking import Speech
from sevrouter.notifiers.twilio import Twilio
from sevrouter.notifiers.twiml import Voice, twiml

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence

    from sevrouter.engine.ack_polling import AckSource
    from sevrouter.engine.calling_ports import Phone
    from sevrouter.engine.ports import Clock
    from sevrouter.notifiers.base import Secret
    from sevrouter.notifiers.http import Transports


def _move(settings: TransitionSettings | None) -> Move | None:
    return None if settings is None else Move(id=settings.id, category=settings.category, fields=settings.fields)


class Routes:
    """Makes them. What a reload does not change goes on as it is: with what it knows of calls under way."""

    def __init__(self, transports: Transports, *, clock: Clock) -> None:
        self._transports = transports
        self._clock = clock
        self._preparing: set[asyncio.Task[None]] = set()
        self._services: dict[str, tuple[CallSettings, Route]] = {}
        self._phones: dict[str, tuple[tuple[SipSettings | TwilioSettings, str | None], Phone]] = {}

    def lanes(self, configuration: Configuration, *, shadow: bool) -> dict[str, Route]:
        """What is delivered to by itself, by the name of its lane. A shadow delivers nothing, when it would."""
        calls = configuration.routing.calling is not None
        routes = {
            name: self._integration(name, settings, configuration)
            for name, settings in configuration.integrations.items()
            if not (calls and name == CALL)
        }
        if shadow:
            without = {name: Route(None, route.schedule) for name, route in routes.items()}
            return without | ({CALL: Route(None, pagerduty.SCHEDULE)} if calls else {})
        if not calls:
            return routes
        made, self._services = self._services, {}
        for name, settings in configuration.providers.items():
            if isinstance(settings, SipSettings | TwilioSettings):
                continue
            before, route = made.get(name, (None, None))
            # What prints names people and teams, who may be others by now.
            if route is None or before != settings or isinstance(settings, ConsoleSettings):
                route = self._service(name, settings, configuration)
            self._services[name] = (settings, route)
        return routes | {name: route for name, (_, route) in self._services.items()}

    def phones(self, configuration: Configuration) -> dict[str, Phone]:
        """What phones people whom we choose, by its name."""
        made, self._phones = self._phones, {}
        for name, settings in configuration.providers.items():
            if isinstance(settings, SipSettings | TwilioSettings):
                by = settings, configuration.public_url
                before = made.get(name)
                known = before[1] if before is not None and before[0] == by else None
                self._phones[name] = by, known or self._phone(name, *by)
        return {name: phone for name, (_, phone) in self._phones.items()}

    def ack_sources(self, configuration: Configuration) -> dict[str, AckSource]:
        """Which paging services are asked who owns an incident, by name."""
        sources: dict[str, AckSource] = {}
        for name, settings in configuration.providers.items():
            match settings:
                case PagerDutySettings(api_url=url, api_token=token) if token is not None:
                    sources[name] = PagerDutyRest(self._transports[f"{name} api"], url=url, api_token=token)
                case PagerTreeSettings():
                    sources[name] = self._pagertree(f"{name} api", settings)
                case _:
                    pass
        return sources

    def _integration(self, name: str, settings: IntegrationSettings, configuration: Configuration) -> Route:
        teams = configuration.teams
        match settings:
            case SlackSettings(url=url, token=token, channel=channel):
                heard = settings.signing_secret is not None or settings.app_token is not None
                notifier = slack.Slack(
                    self._transports[name], url=url, token=token, channel=channel, teams=teams, buttons=heard
                )
                return Route(notifier, slack.SCHEDULE)
            case JiraSettings():
                tickets = jira.Jira(
                    self._transports[name],
                    url=settings.url,
                    deployment=settings.deployment,
                    email=settings.email,
                    token=settings.token,
                    project=settings.project,
                    form=Form(
                        issue_type=settings.issue_type,
                        labels=settings.labels,
                        components=settings.components,
                        priorities=settings.priorities,
                    ),
                    life=Life(
                        on_resolve=_move(settings.on_resolve),
                        on_reopen=_move(settings.on_reopen),
                        wont_fix=frozenset(settings.wont_fix),
                        update=frozenset(settings.update),
                    ),
                    teams=teams,
                )
                return Route(tickets, jira.SCHEDULE)
            case ConsoleSettings():
                return Route(console.Console(teams=teams, people=configuration.people), console.SCHEDULE)
            case _:
                return self._service(name, settings, configuration)

    def _service(self, name: str, settings: CallSettings, configuration: Configuration) -> Route:
        transport = self._transports[name]
        match settings:
            case ConsoleSettings():
                printer = console.Console(teams=configuration.teams, people=configuration.people, is_call=True)
                return Route(printer, console.SCHEDULE)
            case PagerDutySettings(url=url, routing_key=key):
                return Route(pagerduty.PagerDuty(transport, url=url, routing_key=key), pagerduty.SCHEDULE)
            case PagerTreeSettings():
                return Route(self._pagertree(name, settings), pagertree.SCHEDULE)
            case PagerTreeWebhookSettings(url=secret_url, token=webhook_token):
                hook = pagertree_webhook.PagerTreeWebhook(transport, url=secret_url, token=webhook_token)
                return Route(hook, pagertree.SCHEDULE)
            case WebhookOutSettings():
                poster = webhook.Webhook(
                    transport,
                    url=settings.url,
                    secrets=settings.secrets,
                    bearer_token=settings.bearer_token,
                    clock=self._clock,
                )
                return Route(poster, webhook.SCHEDULE)
            case AppriseSettings(urls=urls):
                everything = apprise.Apprise(urls=urls)
                self._begin(everything.prepare())
                return Route(everything, apprise.SCHEDULE)
            case SipSettings() | TwilioSettings():
                # Without a policy nobody is there to be phoned; the configuration was checked.
                raise AssertionError(name)
            case _:
                assert_never(settings)

    def _begin(self, preparation: Coroutine[None, None, None]) -> None:
        """Have something prepared that nobody waits for."""
        task = asyncio.create_task(preparation)
        self._preparing.add(task)
        task.add_done_callback(self._preparing.discard)

    def _pagertree(self, name: str, settings: PagerTreeSettings) -> pagertree.PagerTree:
        ids = pagertree.Destinations(
            teams=settings.teams, routers=settings.routers, account_users=settings.account_users
        )
        return pagertree.PagerTree(
            self._transports[name], api_token=settings.api_token, destinations=ids, url=settings.url
        )

    def _phone(self, name: str, settings: SipSettings | TwilioSettings, public_url: str | None) -> Phone:
        if isinstance(settings, SipSettings):
            return _sip(name, settings)
        return Twilio(
            self._transports[name],
            account_sid=settings.account_sid,
            auth_token=settings.auth_token,
            caller=settings.caller,
            clock=self._clock,
            name=name,
            url=settings.url,
            public_url=public_url,
            ring_for=settings.ring_for,
            voice=_voice(settings),
        )


def _sip(name: str, settings: SipSettings) -> Phone:
    return Sip(
        name=name,
        server=settings.server,
        transport=settings.transport,
        username=settings.username,
        password=settings.password,
        caller=settings.caller,
        ring_for=settings.ring_for,
        speech=Speech(settings.speech, language=settings.language),
        interface=settings.interface,
        srtp=settings.srtp,
        authorities=None if settings.authorities is None else str(settings.authorities),
    )


def twilio_callers(providers: Mapping[str, CallSettings]) -> dict[str, TwilioCaller]:
    """Whose callbacks are believed, by name."""
    return {
        name: TwilioCaller(auth_token=each.auth_token, render=partial(twiml, voice=_voice(each)))
        for name, each in providers.items()
        if isinstance(each, TwilioSettings)
    }


def lanes_of(configuration: Configuration) -> list[str]:
    """The paging services that have lanes of their own, by name."""
    calling = configuration.routing.calling
    providers = () if calling is None else calling.providers
    return [each.name for each in providers if each.kind is ProviderKind.SERVICE]


def credentials_of(settings: AuthSettings) -> Credentials:
    """Who is let in."""
    return Credentials(
        bearer_tokens=settings.bearer_tokens,
        basic_username=settings.basic_username,
        basic_passwords=settings.basic_passwords,
    )


def pagerduty_receivers(providers: Mapping[str, CallSettings]) -> dict[str, Sequence[Secret]]:
    """By what secrets PagerDuty's webhooks are believed, by the name of the provider."""
    return {
        name: each.webhook_secrets
        for name, each in providers.items()
        if isinstance(each, PagerDutySettings) and each.webhook_secrets
    }


def _voice(settings: TwilioSettings) -> Voice:
    return Voice(language=settings.language, voice=settings.voice, caller=settings.caller)
