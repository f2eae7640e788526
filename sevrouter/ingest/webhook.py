"""`POST /webhook`: checks who sends and how much, reads it, and answers 200 only after all of it is stored."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING

import structlog
from aiohttp import web

from sevrouter.engine.intake import Unread, Webhook
from sevrouter.engine.ports import NotStoredError
from sevrouter.ingest.authentication import Credentials, refusal
from sevrouter.ingest.payload import VERSION, VERSIONS, Outline, Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Sequence

    from sevrouter.engine.intake import Intake
    from sevrouter.engine.ports import Clock
    from sevrouter.telemetry.metrics import Metrics

log = structlog.get_logger()

# A sender that dribbles its body is cut off after this many seconds; others are not kept waiting by it.
SLOWEST_BODY = 30.0
# A larger body is looked at in a thread, so that health checks are answered meanwhile.
LARGE_BODY = 2 * 1024 * 1024
# A body that grows beyond this waits for its turn, for so many seconds.
HUGE_BODY = 8 * 1024 * 1024
LONGEST_TURN = 60.0
# Bytes of smaller bodies that may wait to be stored; beyond it the sender is asked to come again.
MOST_HELD = 128 * 1024 * 1024


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
        self._held = 0
        self._answered = metrics.webhooks.labels("200")

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request to the webhook's path, by whatever method."""
        try:
            self.admit(request, max_body=self.max_body)
            async with AsyncExitStack() as turn:
                body = await self._body(request, turn)
                with self._hold(len(body)):
                    await self._take(body)
        except Refused as refused:
            return self._refuse(request, refused)
        self._answered.inc()
        self._last_refusal = None
        return web.Response(text="ok\n")

    def authorise(self, request: web.Request) -> None:
        """Raise Refused unless the request may change anything."""
        reason = refusal(request.headers.getall("Authorization", []), self.credentials)
        if reason is not None:
            raise Refused(401, f"authorization is {reason}")

    def admit(self, request: web.Request, *, max_body: int) -> None:
        """Raise Refused unless the request, of which only the head is looked at, may change something now."""
        if request.method != "POST":
            raise Refused(405, "send it by POST")
        self.authorise(request)
        if self._is_draining():
            raise Refused(503, "shutting down")
        if "Content-Encoding" in request.headers:
            raise Refused(415, "a Content-Encoding is not accepted")
        if request.content_type.startswith("multipart/"):
            raise Refused(415, "send JSON, not multipart")
        if request.content_length is not None and request.content_length > max_body:
            raise Refused(413, f"larger than {max_body} bytes")

    async def _body(self, request: web.Request, turn: AsyncExitStack) -> bytes | bytearray:
        body, is_huge = bytearray(), False
        try:
            if request.content.is_eof() and request.content.total_bytes <= min(HUGE_BODY, self.max_body):
                # It came with its head, so nobody has to be waited for.
                return request.content.read_nowait()
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
        # To copy a huge one would hold everybody up.
        return body if is_huge else bytes(body)

    @contextmanager
    def _hold(self, size: int) -> Iterator[None]:
        # A huge one has had its turn.
        counted = size if size <= HUGE_BODY else 0
        if self._held + counted > MOST_HELD:
            raise Refused(503, "too many webhooks wait to be stored, send it again")
        self._held += counted
        try:
            yield
        finally:
            self._held -= counted

    async def _turn(self, turn: AsyncExitStack) -> None:
        # One at a time: a body takes several times its size in memory while it is worked on.
        try:
            async with asyncio.timeout(LONGEST_TURN):
                await turn.enter_async_context(self._huge)
        except TimeoutError:
            raise Refused(503, "other large webhooks are being stored, send it again") from None

    async def _take(self, body: bytes | bytearray) -> None:
        received_at = self._clock()
        if len(body) > LARGE_BODY:
            outline = await asyncio.to_thread(Outline, body, received_at=received_at)
        else:
            outline = Outline(body, received_at=received_at)
        # Only the outline is kept, not what is read of it: that takes several times as much memory.
        rejected: list[Rejected] = []

        def read(remembered: Container[bytes]) -> Webhook:
            payload = outline.read(remembered)
            rejected[:] = payload.rejected
            return Webhook(payload.alerts, payload.truncated, _quarantined(payload.rejected), payload.repeats)

        try:
            await self._intake.take(Unread(read, outline.sightings, is_plain=outline.is_plain))
        except NotStoredError as error:
            raise Refused(503, f"it could not be stored, send it again: {error}") from None
        except Exception as error:
            log.exception("webhook_not_stored", error=repr(error), alerts=outline.count)
            raise Refused(503, "it could not be stored, send it again") from None
        self._remark(outline, rejected)

    def _remark(self, outline: Outline, rejected: Sequence[Rejected]) -> None:
        if outline.truncated:
            self._metrics.truncated.inc()
            log.warning("webhook_truncated", alerts=outline.count)
        if outline.version not in VERSIONS and outline.count:
            log.warning("webhook_version_unknown", version=outline.version, known=VERSION)
        if rejected:
            self._metrics.quarantined.inc(len(rejected))
            log.error("webhook_unreadable", reason=rejected[0].reason, count=len(rejected))

    def _refuse(self, request: web.Request, refused: Refused) -> web.Response:
        self._metrics.webhooks.labels(str(refused.status)).inc()
        # A sender that is refused comes again and again; its first refusal says it all.
        again = self._last_refusal == (refused.status, refused.reason)
        self._last_refusal = (refused.status, refused.reason)
        line = log.debug if again else log.error
        line("webhook_refused", status=refused.status, reason=refused.reason, sender=request.remote)
        return refusing(web.Response(status=refused.status, text=refused.reason + "\n"))


def refusing(response: web.Response) -> web.Response:
    """An answer to a request that is refused, with what its status asks for."""
    if response.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="sevrouter", Basic realm="sevrouter"'
    if response.status == 405:
        response.headers["Allow"] = "POST"
    if response.status in (400, 408, 413, 415):
        # The rest of a body that nobody reads must not hold the connection.
        response.force_close()
    return response


def _quarantined(rejected: Sequence[Rejected]) -> tuple[str, bytes] | None:
    if not rejected:
        return None
    first, count = rejected[0], len(rejected)
    reason = first.reason if count == 1 else f"{first.reason}, and {count - 1} more"
    raw = first.raw if count == 1 else b"[" + b",\n".join(each.raw for each in rejected) + b"]"
    return reason, raw
