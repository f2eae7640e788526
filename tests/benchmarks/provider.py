"""The provider at the end of the way, a process of its own: takes note of when it is asked about which instance.

Answers PagerDuty's Events v2 as far as a trigger needs, and Alertmanager's webhook.
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Iterator


class Provider:
    """Keeps what it is asked and when on the monotonic clock; looks into it only when it is asked what came."""

    def __init__(self) -> None:
        self._asked: list[tuple[float, bytes]] = []

    async def enqueue(self, request: web.Request) -> web.Response:
        """Take an event as PagerDuty does."""
        self._asked.append((time.monotonic(), await request.read()))
        return web.json_response({"status": "success", "message": "Event processed", "dedup_key": "-"}, status=202)

    async def webhook(self, request: web.Request) -> web.Response:
        """Take a webhook."""
        self._asked.append((time.monotonic(), await request.read()))
        return web.Response()

    async def count(self, _request: web.Request) -> web.Response:
        """Say how often it was asked."""
        return web.json_response(len(self._asked))

    async def arrivals(self, _request: web.Request) -> web.Response:
        """Say when it was first asked about each instance, and forget it."""
        asked, self._asked = self._asked, []
        first: dict[str, float] = {}
        for at, body in asked:
            for instance in _instances(json.loads(body)):
                first.setdefault(instance, at)
        return web.json_response(first)


async def _ready(_request: web.Request) -> web.Response:
    return web.Response(text="ok\n")


def _instances(document: dict[str, Any]) -> Iterator[str]:
    if "payload" in document:
        yield document["payload"]["source"]
    for alert in document.get("alerts", ()):
        yield alert["labels"]["instance"]


def main(port: int) -> None:
    """Serve on 127.0.0.1 until it is told to stop."""
    provider = Provider()
    server = web.Application(client_max_size=2**26)
    server.router.add_post("/v2/enqueue", provider.enqueue)
    server.router.add_post("/webhook", provider.webhook)
    server.router.add_get("/count", provider.count)
    server.router.add_get("/arrivals", provider.arrivals)
    server.router.add_get("/-/ready", _ready)
    web.run_app(server, host="127.0.0.1", port=port, access_log=None, print=None, shutdown_timeout=1.0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
