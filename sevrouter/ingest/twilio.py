"""`POST /callbacks/twilio/…`: Twilio says that a key was pressed or how a call goes, and is told what to say next.

Believes nobody who cannot sign it. What it means is found out from what is stored, so that any replica may be asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qsl

import structlog
from aiohttp import web

from sevrouter.engine.callback_address import CallbackAddress, routes
from sevrouter.engine.ports import NotStoredError
from sevrouter.ingest.body import Refusals, read_body
from sevrouter.ingest.twilio_signature import HEADER, is_signed
from sevrouter.ingest.webhook import Refused, refusing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sevrouter.domain.ringing import Script
    from sevrouter.engine.calling_ports import Callbacks

log = structlog.get_logger()

VENDOR = "twilio"
MOST_FIELDS = 200
# Seconds. They wait for fifteen, and somebody holds a telephone meanwhile.
SLOWEST_BODY = 5.0

# What is answered to who signs rightly and asks for a call that nobody knows: it tells nothing.
NOBODY = '<?xml version="1.0" encoding="UTF-8"?><Response><Hangup/></Response>'
NOTED = '<?xml version="1.0" encoding="UTF-8"?><Response/>'

_KEY = re.compile(r"[0-9*#]", re.ASCII)
_SID = re.compile(r"CA[0-9a-fA-F]{32}", re.ASCII)


class Render(Protocol):
    """Makes TwiML of a script: `action` is told of a key, `again` is asked where none was pressed."""

    def __call__(self, script: Script, *, action: str | None, again: str | None) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TwilioCaller:
    """One provider of this kind: the secret that it signs with, asked for at each request, and how it speaks."""

    auth_token: Callable[[], str]
    render: Render


class TwilioCallbacks:
    """Handles the callbacks of every provider of this kind, which are known by name. `public_url` is where they believe
    to reach us: behind a proxy nothing else tells."""

    def __init__(self, callbacks: Callbacks, *, public_url: str, callers: Mapping[str, TwilioCaller]) -> None:
        self._callbacks = callbacks
        self._refusals = Refusals(log.warning, log.debug, "callback_refused", vendor=VENDOR)
        self.use(callers, public_url=public_url)

    def use(self, callers: Mapping[str, TwilioCaller], *, public_url: str) -> None:
        """Believe these from now on, at this address."""
        self._callers = callers
        self._public_url = public_url.rstrip("/")

    def add_to(self, application: web.Application) -> None:
        """Add the route."""
        application.router.add_route("*", routes(VENDOR), self.handle)

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one callback with TwiML."""
        try:
            form = await _form(request)
            caller = self._authenticated(request, form)
            document = await self._answer(request, dict(form), caller)
        except Refused as refused:
            return self._refuse(request, refused)
        self._refusals.end()
        return web.Response(text=document, content_type="text/xml")

    def _authenticated(self, request: web.Request, form: list[tuple[str, str]]) -> TwilioCaller:
        caller = self._callers.get(request.match_info["provider"])
        given = request.headers.getall(HEADER, [])
        if caller is None or len(given) != 1:
            raise Refused(403, "not signed by a provider that is configured")
        try:
            auth_token = caller.auth_token()
        except (OSError, ValueError) as error:
            # Not the error's text: it may hold what was read.
            raise Refused(503, f"the secret cannot be read: {type(error).__name__}") from None
        if not auth_token or not is_signed(self._public_url + request.raw_path, form, given[0], auth_token=auth_token):
            raise Refused(403, "not signed by a provider that is configured")
        return caller

    async def _answer(self, request: web.Request, form: Mapping[str, str], caller: TwilioCaller) -> str:
        address = CallbackAddress(
            root=self._public_url,
            vendor=VENDOR,
            provider=request.match_info["provider"],
            ring_id=int(request.match_info["ring_id"]),
            token=request.match_info["token"],
        )
        what, _, time = request.match_info["what"].partition("/")
        try:
            if what == "progress":
                return await self._progress(address, form)
            script = await self._script(address, form.get("Digits", "") if what == "pressed" else "")
        except NotStoredError as error:
            raise Refused(503, f"it could not be stored, send it again: {error}") from None
        except Exception as error:
            log.exception("callback_not_stored", vendor=VENDOR, error=repr(error))
            raise Refused(503, "it could not be stored, send it again") from None
        if script is None:
            return NOBODY
        # Who pressed a key listens, and is told everything again from the start.
        again = address.again(int(time) + 1 if time else 2)
        return caller.render(script, action=address.pressed, again=again)

    async def _script(self, address: CallbackAddress, digits: str) -> Script | None:
        if _KEY.fullmatch(digits):
            return await self._callbacks.pressed(address.ring_id, address.token, digits)
        return await self._callbacks.script(address.ring_id, address.token)

    async def _progress(self, address: CallbackAddress, form: Mapping[str, str]) -> str:
        # They arrive in any order. All that is taken from them is what the call is called, which never changes.
        reference = form.get("CallSid", "")
        if _SID.fullmatch(reference):
            await self._callbacks.progressed(address.ring_id, address.token, reference)
        return NOTED

    def _refuse(self, request: web.Request, refused: Refused) -> web.Response:
        self._refusals.log(request, refused)
        return refusing(web.Response(status=refused.status, text=refused.reason + "\n"))


async def _form(request: web.Request) -> list[tuple[str, str]]:
    if request.method != "POST":
        raise Refused(405, "send it by POST")
    body = await read_body(request, within=SLOWEST_BODY)
    if request.content_type != "application/x-www-form-urlencoded":
        raise Refused(415, "send a form")
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise Refused(400, "the form cannot be read") from None
