"""A webhook receiver that keeps what it is sent, for what is tested without sevrouter."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web

from tests.real.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


class WebhookReceiver:
    """Answers 200 to every POST and keeps its JSON."""

    def __init__(self) -> None:
        self.payloads: list[dict[str, Any]] = []
        self.url = f"http://127.0.0.1:{(port := free_port())}/webhook"
        self._port = port
        self._news = asyncio.Condition()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/webhook", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def wait_for(self, wanted: Callable[[dict[str, Any]], bool], *, within: float = 20.0) -> dict[str, Any]:
        """Wait for a payload like this, and return it; those that came already count."""
        async with asyncio.timeout(within), self._news:
            while True:
                for payload in self.payloads:
                    if wanted(payload):
                        return payload
                await self._news.wait()

    async def _take(self, request: web.Request) -> web.Response:
        payload = await request.json()
        async with self._news:
            self.payloads.append(payload)
            self._news.notify_all()
        return web.Response()
