"""`/-/healthy`, `/-/ready`, `/-/reload`, `/metrics`. Knows callables only, not what they look into."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Operations:
    """The endpoints of operation.

    `unready` gives the reason why alerts cannot be taken now, or None. `reload` gives the reason why the
    configuration was refused, or None. `metrics` gives Prometheus' page. `may_change` gives the reason why a
    request may not change anything, or None.
    """

    def __init__(
        self,
        *,
        unready: Callable[[], Awaitable[str | None]],
        reload: Callable[[], Awaitable[str | None]],
        metrics: Callable[[], Awaitable[bytes]],
        may_change: Callable[[web.Request], str | None],
    ) -> None:
        self._unready = unready
        self._reload = reload
        self._metrics = metrics
        self._may_change = may_change

    def add_to(self, application: web.Application) -> None:
        """Add the routes."""
        application.router.add_get("/-/healthy", self._healthy)
        application.router.add_get("/-/ready", self._ready)
        application.router.add_post("/-/reload", self._reloaded)
        application.router.add_get("/metrics", self._scraped)

    @staticmethod
    async def _healthy(_request: web.Request) -> web.Response:
        return web.Response(text="sevrouter is healthy.\n")

    async def _ready(self, _request: web.Request) -> web.Response:
        reason = await self._unready()
        if reason is not None:
            return web.Response(status=503, text=f"not ready: {reason}\n")
        return web.Response(text="sevrouter is ready.\n")

    async def _reloaded(self, request: web.Request) -> web.Response:
        refused = self._may_change(request)
        if refused is not None:
            return web.Response(status=401, text=refused + "\n")
        reason = await self._reload()
        if reason is not None:
            return web.Response(status=422, text=reason + "\n")
        return web.Response(text="reloaded\n")

    async def _scraped(self, _request: web.Request) -> web.Response:
        return web.Response(body=await self._metrics(), headers={"Content-Type": METRICS_TYPE})
