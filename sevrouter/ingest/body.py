"""Reads the small bodies of requests that are no webhook of alerts: whole, in time, or refused."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

from sevrouter.ingest.webhook import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

LARGEST_BODY = 64 * 1024  # bytes
# Seconds. A sender that dribbles its body is cut off after that.
SLOWEST_BODY = 10.0


async def read_body(request: web.Request, *, largest: int = LARGEST_BODY, within: float | None = None) -> bytes:
    """The body of a request. Raises Refused where it is too large, takes too long, or breaks off."""
    body, seconds = bytearray(), SLOWEST_BODY if within is None else within
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > largest:
                    raise Refused(413, f"larger than {largest} bytes")
    except TimeoutError:
        raise Refused(408, f"the body took longer than {seconds:g} s") from None
    except (web.RequestPayloadError, ConnectionError) as error:
        raise Refused(400, f"the body broke off: {type(error).__name__}") from None
    return bytes(body)


class Refusals:
    """Logs that requests are refused: a sender comes again and again, and its first refusal says it all."""

    def __init__(self, tell: Callable[..., None], hush: Callable[..., None], event: str, **about: str) -> None:
        self._tell = tell
        self._hush = hush
        self._event = event
        self._about = about
        self._last: tuple[int, str] | None = None

    def end(self) -> None:
        """One was answered."""
        self._last = None

    def log(self, request: web.Request, refused: Refused) -> None:
        """One was refused."""
        line = self._hush if self._last == (refused.status, refused.reason) else self._tell
        self._last = (refused.status, refused.reason)
        line(self._event, status=refused.status, reason=refused.reason, sender=request.remote, **self._about)
