"""An Alertmanager's API as if it had been running for long: nobody waits for minutes until one is believed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Self

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

if TYPE_CHECKING:
    from tests.real.alertmanager import RealAlertmanager


class Aged:
    """Hands on what is asked, and the answers as they are, but for since when it runs."""

    def __init__(self, alertmanager: RealAlertmanager) -> None:
        app = web.Application()
        app.router.add_get("/{path:.*}", self._hand_on)
        self._alertmanager = alertmanager
        self._server = TestServer(app)

    @property
    def url(self) -> str:
        """Where it is asked."""
        return str(self._server.make_url("")).rstrip("/")

    async def __aenter__(self) -> Self:
        await self._server.start_server()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.close()

    async def _hand_on(self, request: web.Request) -> web.Response:
        try:
            async with self._alertmanager.session.get(f"{self._alertmanager.url}{request.rel_url}") as answer:
                body = await answer.read()
        except aiohttp.ClientError:
            return web.Response(status=502)
        if request.path.endswith("/status"):
            body = json.dumps({**json.loads(body), "uptime": "2020-01-01T00:00:00Z"}).encode()
        return web.Response(status=answer.status, body=body, content_type="application/json")
