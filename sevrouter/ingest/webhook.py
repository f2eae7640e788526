"""`POST /webhook`: checks who sends and how much, reads it, and answers 200 only after all of it is stored."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import structlog
from aiohttp import web

from sevrouter.engine.intake import Webhook
from sevrouter.engine.ports import NotStoredError
from sevrouter.ingest.authentication import Credentials, refusal
from sevrouter.ingest.payload import VERSION, VERSIONS, Payload, read_payload

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sevrouter.engine.intake import Intake
    from sevrouter.engine.ports import Clock
    from sevrouter.telemetry.metrics import Metrics

log = structlog.get_logger()

# A sender that dribbles its body is cut off after this many seconds; others are not kept waiting by it.
SLOWEST_BODY = 30.0
# A larger body is read in a thread, so that health checks are answered meanwhile.
LARGE_BODY = 128 * 1024
# A body that grows beyond this waits for its turn, for so many seconds.
HUGE_BODY = 8 * 1024 * 1024
LONGEST_TURN = 60.0


class Refused(Exception):  # noqa: N818  it is the sender's error, not ours
    """A request that is answered with a 4xx or a 503, and why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class WebhookHandler:
    """Handles webhooks. `credentials` and `max_body` (bytes) may be replaced while it runs."""

    def __init__(
        self,
        intake: Intake,
        metrics: Metrics,
        *,
        clock: Clock,
        credentials: Credentials,
        max_body: int,
        is_draining: Callable[[], bool],
    ) -> None:
        self._intake = intake
        self._metrics = metrics
        self._clock = clock
        self._is_draining = is_draining
        self.credentials = credentials
        self.max_body = max_body
        self._last_refusal: tuple[int, str] | None = None
        self._huge = asyncio.Lock()

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request to the webhook's path, by whatever method."""
        try:
            self._check(request)
            async with AsyncExitStack() as turn:
                await self._take(await self._body(request, turn))
        except Refused as refused:
            return self._refuse(request, refused)
        self._metrics.webhooks.labels("200").inc()
        self._last_refusal = None
        return web.Response(text="ok\n")

    def authorise(self, request: web.Request) -> None:
        """Raise Refused unless the request may change anything."""
        reason = refusal(request.headers.getall("Authorization", []), self.credentials)
        if reason is not None:
            raise Refused(401, f"authorization is {reason}")

    def _check(self, request: web.Request) -> None:
        if request.method != "POST":
            raise Refused(405, "send a webhook by POST")
        self.authorise(request)
        if self._is_draining():
            raise Refused(503, "shutting down")
        if "Content-Encoding" in request.headers:
            raise Refused(415, "a Content-Encoding is not accepted")
        if request.content_type.startswith("multipart/"):
            raise Refused(415, "send JSON, not multipart")
        if request.content_length is not None and request.content_length > self.max_body:
            raise Refused(413, f"larger than {self.max_body} bytes")

    async def _body(self, request: web.Request, turn: AsyncExitStack) -> bytes:
        body, is_huge = bytearray(), False
        try:
            async with asyncio.timeout(SLOWEST_BODY) as limit:
                async for chunk in request.content.iter_any():
                    body += chunk
                    if len(body) > self.max_body:
                        raise Refused(413, f"larger than {self.max_body} bytes")
                    if len(body) > HUGE_BODY and not is_huge:
                        is_huge = True
                        # To wait for its turn is not the sender's slowness.
                        limit.reschedule(None)
                        await self._turn(turn)
                        limit.reschedule(asyncio.get_running_loop().time() + SLOWEST_BODY)
        except TimeoutError:
            raise Refused(408, f"the body took longer than {SLOWEST_BODY:g} s") from None
        except (web.RequestPayloadError, ConnectionError) as error:
            raise Refused(400, f"the body broke off: {type(error).__name__}") from None
        return bytes(body)

    async def _turn(self, turn: AsyncExitStack) -> None:
        # One at a time: a body takes several times its size in memory while it is worked on.
        try:
            async with asyncio.timeout(LONGEST_TURN):
                await turn.enter_async_context(self._huge)
        except TimeoutError:
            raise Refused(503, "other large webhooks are being stored, send it again") from None

    async def _take(self, body: bytes) -> None:
        received_at = self._clock()
        if len(body) > LARGE_BODY:
            payload = await asyncio.to_thread(self._read, body, received_at)
        else:
            payload = self._read(body, received_at)
        self._remark(payload)
        webhook = Webhook(
            payload.alerts,
            payload.truncated,
            _quarantined(payload),
            repeats=payload.repeats,
            whole=lambda: _whole(body, received_at),
        )
        try:
            await self._intake.take(webhook)
        except NotStoredError as error:
            raise Refused(503, f"it could not be stored, send it again: {error}") from None
        except Exception as error:
            log.exception("webhook_not_stored", error=repr(error), alerts=payload.count)
            raise Refused(503, "it could not be stored, send it again") from None

    def _read(self, body: bytes, received_at: datetime) -> Payload:
        return read_payload(body, received_at=received_at, is_remembered=self._intake.remembers)

    def _remark(self, payload: Payload) -> None:
        if payload.truncated:
            self._metrics.truncated.inc()
            log.warning("webhook_truncated", alerts=payload.count)
        if payload.version not in VERSIONS and payload.count:
            log.warning("webhook_version_unknown", version=payload.version, known=VERSION)
        if payload.rejected:
            self._metrics.quarantined.inc(len(payload.rejected))
            log.error("webhook_unreadable", reason=payload.rejected[0].reason, count=len(payload.rejected))

    def _refuse(self, request: web.Request, refused: Refused) -> web.Response:
        self._metrics.webhooks.labels(str(refused.status)).inc()
        # A sender that is refused comes again and again; its first refusal says it all.
        again = self._last_refusal == (refused.status, refused.reason)
        self._last_refusal = (refused.status, refused.reason)
        line = log.debug if again else log.error
        line("webhook_refused", status=refused.status, reason=refused.reason, sender=request.remote)
        response = web.Response(status=refused.status, text=refused.reason + "\n")
        if refused.status == 401:
            response.headers["WWW-Authenticate"] = 'Bearer realm="sevrouter", Basic realm="sevrouter"'
        if refused.status == 405:
            response.headers["Allow"] = "POST"
        if refused.status in (400, 408, 413, 415):
            # The rest of a body that nobody reads must not hold the connection.
            response.force_close()
        return response


def _whole(body: bytes, received_at: datetime) -> Webhook:
    payload = read_payload(body, received_at=received_at)
    return Webhook(payload.alerts, payload.truncated, _quarantined(payload))


def _quarantined(payload: Payload) -> tuple[str, bytes] | None:
    if not payload.rejected:
        return None
    first, count = payload.rejected[0], len(payload.rejected)
    reason = first.reason if count == 1 else f"{first.reason}, and {count - 1} more"
    raw = first.raw if count == 1 else b"[" + b",\n".join(each.raw for each in payload.rejected) + b"]"
    return reason, raw
