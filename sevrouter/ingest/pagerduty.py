"""`POST /callbacks/pagerduty/{name}`: PagerDuty says by its webhooks (V3) that somebody owns an incident, or ended it.

Believes nobody who cannot sign it. The same again, late, or in another order is harmless: what is said twice is said
once, and of what is over nothing is said.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import structlog
from aiohttp import web

from sevrouter.domain.acknowledging import LONGEST_NAME
from sevrouter.domain.moments import read_moment
from sevrouter.domain.text import one_line
from sevrouter.engine.ports import NotStoredError
from sevrouter.ingest.body import Refusals, read_body
from sevrouter.ingest.webhook import Refused, refusing

if TYPE_CHECKING:
    from datetime import datetime

    from sevrouter.engine.acknowledging import Acknowledging

log = structlog.get_logger()

VENDOR = "pagerduty"
PATH = "/callbacks/pagerduty/{provider}"
HEADER, SCHEME = "X-PagerDuty-Signature", "v1="
LARGEST_BODY = 256 * 1024  # bytes
MOST_SIGNATURES = 10
# What is done for an event. Whatever else there is says nothing of who owns it.
PEOPLE = frozenset({"user", "user_reference"})
ACKNOWLEDGED, RESOLVED = "incident.acknowledged", "incident.resolved"

Secrets = Sequence[Callable[[], str]]


class PagerDutyCallbacks:
    """Handles the webhooks of every provider of this kind; `receivers` are the secrets of each, by its name."""

    def __init__(self, acknowledging: Acknowledging, *, receivers: Mapping[str, Secrets]) -> None:
        self._acknowledging = acknowledging
        self._refusals = Refusals(log.warning, log.debug, "callback_refused", vendor=VENDOR)
        self.receivers = receivers

    def add_to(self, application: web.Application) -> None:
        """Add the route."""
        application.router.add_route("*", PATH, self.handle)

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one webhook."""
        try:
            provider, body = await self._authenticated(request)
            done = await self._take(provider, body)
        except Refused as refused:
            self._refusals.log(request, refused)
            return refusing(web.Response(status=refused.status, text=refused.reason + "\n"))
        self._refusals.end()
        return web.Response(text=f"{done}\n")

    async def _authenticated(self, request: web.Request) -> tuple[str, bytes]:
        if request.method != "POST":
            raise Refused(405, "send it by POST")
        provider = request.match_info["provider"]
        body = await read_body(request, largest=LARGEST_BODY)
        given = request.headers.getall(HEADER, [])
        try:
            secrets = [secret() for secret in self.receivers.get(provider, ())]
        except (OSError, ValueError) as error:
            # Not the error's text: it may hold what was read.
            raise Refused(503, f"the secret cannot be read: {type(error).__name__}") from None
        if len(given) != 1 or not is_signed(body, given[0], secrets):
            raise Refused(403, "not signed by a provider that is configured")
        return provider, body

    async def _take(self, provider: str, body: bytes) -> str:
        event = _event(body)
        kind, key, at = event.get("event_type"), _key(event), _at(event)
        by = _person(event)
        # What an integration has done, we have done ourselves mostly: ended an alert in whose place another one rings.
        if key is None or at is None or by is None or kind not in (ACKNOWLEDGED, RESOLVED):
            return "nothing to do"
        say = self._acknowledging.acknowledge if kind == ACKNOWLEDGED else self._acknowledging.resolve
        try:
            said = await say(key, by=by, how=provider, at=at)
        except NotStoredError as error:
            raise Refused(503, f"it could not be stored, send it again: {error}") from None
        except Exception as error:
            log.exception("callback_not_stored", vendor=VENDOR, error=repr(error))
            raise Refused(503, "it could not be stored, send it again") from None
        log.info("callback_taken", vendor=VENDOR, provider=provider, event_type=kind, result=said.taken.value)
        return said.taken.value


def is_signed(body: bytes, header: str, secrets: Sequence[str]) -> bool:
    """Whether one of the signatures is by one of the secrets; all are compared, so that the time tells nothing."""
    given = [each.strip().removeprefix(SCHEME) for each in header.split(",", MOST_SIGNATURES)]
    found = False
    for secret in secrets:
        own = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest().encode()
        for each in given:
            found |= bool(secret) and hmac.compare_digest(own, each.encode("utf-8", "surrogateescape"))
    return found


def _event(body: bytes) -> Mapping[str, Any]:
    """The event; empty where we cannot read it. It is signed, and to refuse it often has them send nothing any more."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    event = document.get("event") if isinstance(document, dict) else None
    if not isinstance(event, dict):
        log.warning("callback_unreadable", vendor=VENDOR, size=len(body))
        return {}
    return event


def _key(event: Mapping[str, Any]) -> str | None:
    data = event.get("data")
    key = data.get("incident_key") if isinstance(data, dict) else None
    return key if isinstance(key, str) else None


def _at(event: Mapping[str, Any]) -> datetime | None:
    at = event.get("occurred_at")
    return read_moment(at) if isinstance(at, str) else None


def _person(event: Mapping[str, Any]) -> str | None:
    """Who did it; None where that is nobody, but an integration."""
    agent = event.get("agent")
    if not isinstance(agent, dict) or agent.get("type") not in PEOPLE:
        return None
    name = agent.get("summary")
    return one_line(name, LONGEST_NAME) if isinstance(name, str) and name.strip() else "somebody at PagerDuty"
