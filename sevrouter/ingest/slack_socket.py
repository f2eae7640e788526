"""Socket Mode: Slack says what was pressed over a connection that we open, so nobody has to reach us.

The library connects, is told where to, and connects again; its log may hold an address that is a secret, so it is
silenced, and what goes wrong is logged here.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, cast

import aiohttp
import structlog
from slack_sdk.errors import SlackApiError
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from sevrouter.engine.ports import NotStoredError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
    from slack_sdk.socket_mode.request import SocketModeRequest

    from sevrouter.ingest.slack_actions import SlackActions

    _Async = Callable[[], Awaitable[None]]

log = structlog.get_logger()

# Seconds until it is tried again where there is no connection, and between two looks at whether the token is another.
AGAIN, LOOK_EVERY = 10.0, 5.0
# Seconds that a connection may take to be made, and looks for which it may be gone: the library connects again itself.
CONNECTED_WITHIN, GONE_LOOKS = 30.0, 6
_SILENT = logging.getLogger("sevrouter.silent")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False
_ERRORS = (SlackApiError, aiohttp.ClientError, OSError, ValueError, TimeoutError)


class SlackSocket:
    """Listens while `app_token` is there; a reload replaces it. `url` is that of Slack's Web API."""

    def __init__(self, actions: SlackActions, *, again: float = AGAIN, look_every: float = LOOK_EVERY) -> None:
        self._actions = actions
        self._again = again
        self._look_every = look_every
        self._changed = asyncio.Event()
        self._is_failing = False
        self._app_token: Callable[[], str] | None = None
        self._url = ""

    def use(self, app_token: Callable[[], str] | None, *, url: str) -> None:
        """Listen with this from now on."""
        if (app_token, url) != (self._app_token, self._url):
            self._app_token, self._url = app_token, url
            self._changed.set()

    async def run(self) -> None:
        """Listen, until cancelled."""
        while True:
            self._changed.clear()
            if self._app_token is None:
                await self._changed.wait()
                continue
            try:
                await self._listen(self._app_token, self._url)
            except _ERRORS as error:
                self._fail(error)
                await self._wait(self._again)

    async def _listen(self, app_token: Callable[[], str], url: str) -> None:
        token = app_token()
        web_client = AsyncWebClient(base_url=url, logger=_SILENT)
        client = SocketModeClient(app_token=token, web_client=web_client, logger=_SILENT)
        client.socket_mode_request_listeners.append(self._heard)
        connect, close = cast("_Async", client.connect), cast("_Async", client.close)
        try:
            async with asyncio.timeout(CONNECTED_WITHIN):
                # Asked for here, because the library would ask again and again, and never say that it is refused.
                client.wss_uri = await client.issue_new_wss_url()
                await connect()
            log.info("slack_socket_connected")
            self._is_failing, gone = False, 0
            while not self._changed.is_set() and app_token() == token:
                await self._wait(self._look_every)
                gone = 0 if await client.is_connected() else gone + 1
                if gone > GONE_LOOKS:
                    raise TimeoutError
        finally:
            await close()

    async def _heard(self, client: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        if request.type == "interactive":
            try:
                await self._actions.take(request.payload)
            except NotStoredError as error:
                # Not answered, it is shown as failed to who pressed.
                log.error("slack_press_not_stored", error=repr(error))  # noqa: TRY400  it is no mistake of ours
                return
        await client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))

    def _fail(self, error: Exception) -> None:
        reason = type(error).__name__
        if isinstance(error, SlackApiError) and isinstance(error.response.get("error"), str):
            reason = str(error.response["error"])
        if not self._is_failing:
            log.error("slack_socket_failing", reason=reason)
        self._is_failing = True

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            pass
