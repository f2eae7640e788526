"""`POST /api/v1/incidents/{id}/acknowledge` and `/resolve`: who owns an incident says so, over HTTP.

Lets nobody in where no credentials are configured: whoever could reach the port could keep people from being called.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import structlog
from aiohttp import web

from sevrouter.domain.acknowledging import LONGEST_NAME, is_name
from sevrouter.engine.acknowledging import Said, Taken
from sevrouter.engine.ports import NotStoredError
from sevrouter.ingest.authentication import Credentials, refusal, user_of
from sevrouter.ingest.body import Refusals, read_body
from sevrouter.ingest.webhook import Refused, refusing

if TYPE_CHECKING:
    from collections.abc import Callable

    from sevrouter.engine.acknowledging import Acknowledging

log = structlog.get_logger()

PATH = "/api/v1/incidents/{incident}/{wish:acknowledge|resolve}"
HOW = "api"
LARGEST_BODY = 4 * 1024  # bytes
# What the answer says, and with which status; what is already so is as good as done.
_ANSWERS = {
    Taken.ACKNOWLEDGED: (200, "acknowledged"),
    Taken.OWNED: (200, "acknowledged"),
    Taken.RESOLVED: (200, "resolved"),
    Taken.FIRING: (409, "acknowledged"),
    Taken.OVER: (409, "resolved"),
    Taken.UNKNOWN: (404, None),
}
_WORDS = {
    Taken.FIRING: "it still fires: it is over once its alerts are",
    Taken.OVER: "it is over already",
    Taken.UNKNOWN: "there is no such incident",
}


class IncidentsHandler:
    """Handles what people, or their tools, say of incidents. `credentials` may be replaced by a reload."""

    def __init__(
        self, acknowledging: Acknowledging, *, credentials: Credentials, is_draining: Callable[[], bool]
    ) -> None:
        self._acknowledging = acknowledging
        self._is_draining = is_draining
        self._refusals = Refusals(log.warning, log.debug, "acknowledgement_refused")
        self.credentials = credentials

    def add_to(self, application: web.Application) -> None:
        """Add the routes."""
        application.router.add_route("*", PATH, self.handle)

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request, by whatever method."""
        try:
            headers = self._admit(request)
            by = _name(await read_body(request, largest=LARGEST_BODY), user_of(headers, self.credentials))
            said = await self._say(request.match_info["incident"], request.match_info["wish"], by)
        except Refused as refused:
            self._refusals.log(request, refused)
            return refusing(web.json_response({"error": refused.reason}, status=refused.status))
        self._refusals.end()
        return _answer(said, by)

    def _admit(self, request: web.Request) -> list[str]:
        if request.method != "POST":
            raise Refused(405, "send it by POST")
        if not self.credentials.are_required:
            raise Refused(403, "nobody may say this: the configuration has neither api.auth nor webhook.auth")
        headers = request.headers.getall("Authorization", [])
        reason = refusal(headers, self.credentials)
        if reason is not None:
            raise Refused(401, f"authorization is {reason}")
        if self._is_draining():
            raise Refused(503, "shutting down")
        if "Content-Encoding" in request.headers:
            raise Refused(415, "a Content-Encoding is not accepted")
        return headers

    async def _say(self, incident: str, wish: str, by: str) -> Said:
        say = self._acknowledging.acknowledge if wish == "acknowledge" else self._acknowledging.resolve
        try:
            return await say(incident, by=by, how=HOW)
        except NotStoredError as error:
            raise Refused(503, f"it could not be stored, send it again: {error}") from None
        except Exception as error:
            log.exception("acknowledgement_not_stored", error=repr(error))
            raise Refused(503, "it could not be stored, send it again") from None


def _name(body: bytes, user: str | None) -> str:
    """Who says it: as the body names them, or as they have logged in."""
    if not body.strip():
        return user or HOW
    try:
        document: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(400, "the body is not JSON") from None
    if not isinstance(document, dict) or document.keys() - {"by"}:
        raise Refused(400, 'the body is not as {"by": "ana"}')
    name = document.get("by", user or HOW)
    if not isinstance(name, str) or not is_name(name):
        raise Refused(400, f"by is no printable name of at most {LONGEST_NAME} characters")
    return name.strip()


def _answer(said: Said, by: str) -> web.Response:
    status, state = _ANSWERS[said.taken]
    if state is None:
        return web.json_response({"error": _WORDS[said.taken]}, status=status)
    answer: dict[str, object] = {"incident": said.incident_id, "state": state}
    if said.owner is not None:
        answer |= {"by": said.owner, "how": said.how}
    elif said.taken is Taken.RESOLVED:
        answer |= {"by": by, "how": HOW}
    if said.taken in _WORDS:
        answer["error"] = _WORDS[said.taken]
    return web.json_response(answer, status=status)
