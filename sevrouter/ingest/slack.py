"""`POST /callbacks/slack`: Slack says that a button was pressed, by a request that it signs.

Believes nobody who cannot sign it, or who is late. The same again is harmless: what is owned stays owned.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import structlog
from aiohttp import web

from sevrouter.engine.ports import NotStoredError
from sevrouter.ingest.body import Refusals, read_body
from sevrouter.ingest.webhook import Refused, refusing

if TYPE_CHECKING:
    from collections.abc import Callable

    from sevrouter.engine.ports import Clock
    from sevrouter.ingest.slack_actions import SlackActions

log = structlog.get_logger()

PATH = "/callbacks/slack"
SIGNATURE, TIMESTAMP, SCHEME = "X-Slack-Signature", "X-Slack-Request-Timestamp", "v0"
# Bytes. The message that holds the button comes with it.
LARGEST_BODY = 512 * 1024
# Seconds between when they signed it and now, either way.
LATEST = 300


class SlackCallbacks:
    """Handles what is pressed. `signing_secret` is None where nobody is believed; a reload replaces it."""

    def __init__(self, actions: SlackActions, *, clock: Clock) -> None:
        self._actions = actions
        self._clock = clock
        self._refusals = Refusals(log.warning, log.debug, "callback_refused", vendor="slack")
        self.signing_secret: Callable[[], str] | None = None

    def add_to(self, application: web.Application) -> None:
        """Add the route."""
        application.router.add_route("*", PATH, self.handle)

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request."""
        try:
            payload = _payload(await self._authenticated(request))
            await self._actions.take(payload)
        except NotStoredError as error:
            return self._refuse(request, Refused(503, f"it could not be stored: {error}"))
        except Refused as refused:
            return self._refuse(request, refused)
        self._refusals.end()
        return web.Response()

    async def _authenticated(self, request: web.Request) -> bytes:
        if request.method != "POST":
            raise Refused(405, "send it by POST")
        body = await read_body(request, largest=LARGEST_BODY)
        signed, stamps = request.headers.getall(SIGNATURE, []), request.headers.getall(TIMESTAMP, [])
        try:
            secret = None if self.signing_secret is None else self.signing_secret()
        except (OSError, ValueError) as error:
            # Not the error's text: it may hold what was read.
            raise Refused(503, f"the secret cannot be read: {type(error).__name__}") from None
        is_one = secret and len(signed) == len(stamps) == 1
        if not is_one or not is_signed(body, stamps[0], signed[0], secret=secret or "", now=self._clock().timestamp()):
            raise Refused(403, "not signed by Slack just now")
        return body

    def _refuse(self, request: web.Request, refused: Refused) -> web.Response:
        self._refusals.log(request, refused)
        return refusing(web.Response(status=refused.status, text=refused.reason + "\n"))


def is_signed(body: bytes, stamp: str, signature: str, *, secret: str, now: float) -> bool:
    """Whether it was signed by a secret, and not long ago."""
    if not (stamp.isascii() and stamp.isdecimal() and len(stamp) <= 12) or abs(now - int(stamp)) > LATEST:
        return False
    own = hmac.new(secret.encode(), f"{SCHEME}:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(f"{SCHEME}={own}".encode(), signature.encode("utf-8", "surrogateescape"))


def _payload(body: bytes) -> object:
    try:
        (text,) = parse_qs(body.decode(), max_num_fields=10).get("payload", [])
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Refused(400, "no payload of theirs") from None
