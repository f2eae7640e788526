"""The floor, a process of its own: decodes a webhook into typed structures, answers 200, keeps nothing.

No daemon on the same HTTP server and decoder can be quicker.
"""

from __future__ import annotations

import sys

import msgspec
from aiohttp import web


class _Alert(msgspec.Struct, gc=False):
    labels: dict[str, str]
    annotations: dict[str, str]
    status: str
    startsAt: str  # noqa: N815  Alertmanager's name
    endsAt: str  # noqa: N815  Alertmanager's name
    generatorURL: str  # noqa: N815  Alertmanager's name


class _Webhook(msgspec.Struct, gc=False):
    alerts: list[_Alert]
    version: str
    truncatedAlerts: int  # noqa: N815  Alertmanager's name


_decoder = msgspec.json.Decoder(_Webhook)


async def _take(request: web.Request) -> web.Response:
    _decoder.decode(await request.read())
    return web.Response(text="ok\n")


async def _ready(_request: web.Request) -> web.Response:
    return web.Response(text="ok\n")


def main(port: int) -> None:
    """Serve on 127.0.0.1 until it is told to stop."""
    server = web.Application(client_max_size=2**30)
    server.router.add_post("/webhook", _take)
    server.router.add_get("/-/ready", _ready)
    server.router.add_get("/-/healthy", _ready)
    web.run_app(server, host="127.0.0.1", port=port, access_log=None, print=None, shutdown_timeout=1.0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
