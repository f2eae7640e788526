"""A fake server of one calendar, at a secret address: it knows ETags, and misbehaves when it is told to."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Self

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

SECRET = "private-hunter2-key"
PATH = f"/calendar/ical/{SECRET}/basic.ics"


class CalendarServer:
    """The server. `text` is the calendar; `misbehave`, where it is set, answers in its place."""

    def __init__(self, text: str = "") -> None:
        self.text = text
        self.misbehave: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None
        # What came, by the status that it was answered with; 0 for what was misbehaved to.
        self.answered: list[int] = []
        self.refusals: list[str] = []
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """The address of the calendar, which nobody must see."""
        return f"http://127.0.0.1:{self._port}{PATH}"

    async def __aenter__(self) -> Self:
        await self.come_back()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.go_down()

    async def come_back(self) -> None:
        """Listen, on the same port as before."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True).start()
        self._port = int(self._runner.addresses[0][1])

    async def go_down(self) -> None:
        """Refuse connections."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    # Misbehaviour, until `misbehave` is None again

    def fail(self, status: int, body: str = "", headers: Mapping[str, str] | None = None) -> None:
        """Answer with this, whatever is asked."""

        async def answer(_: web.Request) -> web.StreamResponse:
            return web.Response(status=status, text=body, content_type="text/html", headers=headers)

        self.misbehave = answer

    def never_end(self, chunk: bytes = b"X-JUNK:" + b"x" * 65_000 + b"\r\n") -> None:
        """Begin a calendar that has no end."""

        async def answer(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            while True:
                await response.write(chunk)

        self.misbehave = answer

    def hang(self) -> None:
        """Say nothing."""

        async def answer(_: web.Request) -> web.StreamResponse:
            await asyncio.Event().wait()
            raise AssertionError

        self.misbehave = answer

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        wrong = self._wrong(request)
        if wrong is not None:
            self.refusals.append(wrong)
            return web.Response(status=400)
        if self.misbehave is not None:
            self.answered.append(0)
            return await self.misbehave(request)
        etag = f'"{hashlib.sha256(self.text.encode()).hexdigest()[:16]}"'
        if request.headers.get("If-None-Match") == etag:
            self.answered.append(304)
            return web.Response(status=304, headers={"ETag": etag})
        self.answered.append(200)
        return web.Response(text=self.text, content_type="text/calendar", headers={"ETag": etag})

    @staticmethod
    def _wrong(request: web.Request) -> str | None:
        if request.method != "GET" or request.path != PATH:
            return f"{request.method} {request.path}"
        if not request.headers.get("Accept", "").startswith("text/calendar"):
            return "does not accept a calendar"
        return None if request.headers.get("User-Agent", "").startswith("sevrouter/") else "does not say who it is"
