"""The door as it is in the daemon: a real server, a real store, and the webhook's handler between them."""

from __future__ import annotations

import asyncio
import io
import json
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Self

import aiohttp
from aiohttp import web

from sevrouter.app import Options, _listen
from sevrouter.engine.acknowledging import Acknowledging
from sevrouter.ingest.authentication import Credentials
from sevrouter.ingest.deployments import PATH as DEPLOYMENTS
from sevrouter.ingest.deployments import DeploymentsHandler
from sevrouter.ingest.incidents import IncidentsHandler
from sevrouter.ingest.webhook import WebhookHandler
from tests.building import select
from tests.engine.stage import PATIENCE, Stage
from tests.real.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from sevrouter.domain.delivery import Notice
    from sevrouter.store.sqlite import SqliteStore

MAX_BODY = 8_000_000


class Door:
    """Serves what is sent to us on a port of its own while it is open.

    No lane is open: what would be told stays in the outbox.
    """

    def __init__(self, store: SqliteStore, *, max_body: int = MAX_BODY) -> None:
        self.stage = Stage(store)
        self.store = store
        self.is_draining = False
        self.handler = WebhookHandler(
            self.stage.intake,
            self.stage.metrics,
            clock=self.stage.clock,
            credentials=Credentials(),
            max_body=max_body,
            is_draining=lambda: self.is_draining,
        )
        self.deployments = DeploymentsHandler(
            self.stage.deployments, self.stage.metrics, clock=self.stage.clock, admit=self.handler.admit
        )
        acknowledging = Acknowledging(
            store, lambda: self.stage.routing, clock=self.stage.clock, wake=self.stage.dispatcher.wake
        )
        self.incidents = IncidentsHandler(
            acknowledging, credentials=Credentials(), is_draining=lambda: self.is_draining
        )
        # More that is served, by whoever needs it.
        self.more: list[Any] = []
        self.port = free_port()
        self._stack = AsyncExitStack()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        server = web.Application()
        server.router.add_route("*", "/webhook", self.handler.handle)
        self.deployments.add_to(server)
        for each in (self.incidents, *self.more):
            each.add_to(server)
        await _listen(self._stack, server, Options(host="127.0.0.1", port=self.port))
        self._session = await self._stack.enter_async_context(aiohttp.ClientSession())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def ask(
        self,
        method: str = "POST",
        path: str = "/webhook",
        *,
        body: Any = b"{}",
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Mapping[str, str]]:
        """Send a request, and return the status and the headers of its answer."""
        assert self._session is not None
        url = f"http://127.0.0.1:{self.port}{path}"
        data = io.BytesIO(body) if isinstance(body, bytes) else body
        async with self._session.request(method, url, data=data, headers=headers) as answer:
            await answer.read()
            return answer.status, answer.headers

    async def post(self, body: Any, **headers: str) -> int:
        """Post bytes as they are, anything else as JSON, and return the status."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        status, _ = await self.ask(body=data, headers={"Content-Type": "application/json", **headers})
        return status

    async def report(self, body: Any, **headers: str) -> tuple[int, Any]:
        """Report deployments, bytes as they are and anything else as JSON; return the status and what was answered."""
        assert self._session is not None
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        url = f"http://127.0.0.1:{self.port}{DEPLOYMENTS}"
        async with self._session.post(
            url, data=data, headers={"Content-Type": "application/json", **headers}
        ) as answer:
            return answer.status, await answer.json()

    async def own(self, path: str, body: Any = b"", **headers: str) -> tuple[int, Any]:
        """Say something of an incident; return the status and what was answered."""
        assert self._session is not None
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        url = f"http://127.0.0.1:{self.port}/api/v1/incidents/{path}"
        async with self._session.post(url, data=data, headers=headers) as answer:
            return answer.status, await answer.json()

    async def dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A bare connection, for what no decent client would send."""
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def say(self, sent: bytes, *, then_close: bool = False) -> bytes:
        """Send bytes and return all that comes back until the connection is closed."""
        reader, writer = await self.dial()
        try:
            writer.write(sent)
            await writer.drain()
            if then_close:
                writer.write_eof()
            async with asyncio.timeout(PATIENCE):
                return await reader.read()
        finally:
            writer.close()

    async def labels(self) -> list[dict[str, str]]:
        """The labels of every stored alert, in order."""
        rows = await select(self.store, "SELECT labels FROM alerts ORDER BY id")
        return [json.loads(row["labels"]) for row in rows]

    async def states(self) -> list[dict[str, Any]]:
        """The state of every stored alert, in order."""
        return await select(self.store, "SELECT * FROM alert_states ORDER BY alert_id")

    async def quarantined(self) -> Sequence[tuple[str, bytes]]:
        """Why and what could not be read."""
        kept = await self.store.read(lambda tx: tx.quarantine.listed(most=100))
        return [(each.reason, each.body) for each in kept]

    async def outbox(self) -> list[Notice]:
        """What would be told, each integration's own."""
        heads = await self.store.read(
            lambda tx: [
                head
                for name in ("call", "slack", "jira")
                for head in tx.outbox.heads(name, now=self.stage.clock(), most=1_000)
            ]
        )
        return [head.notice for head in heads]

    def graded(self) -> float:
        """How many alerts were graded."""
        return sum(
            self.stage.metric("alert_grades_total", sev=sev, unsure=unsure)
            for sev in ("SEV-1", "SEV-2", "SEV-3", "SEV-4", "SEV-5", "none")
            for unsure in ("true", "false")
        )
