"""sevrouter's endpoints as the composition root builds them, on a port of their own."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest_asyncio
from aiohttp import web

from sevrouter.app import Options, _listen, _operations
from sevrouter.config import ConfigurationKeeper, load
from tests.ingest.door import Door
from tests.real.ports import free_port
from tests.stores import empty_database, empty_postgres, postgres_copy, postgresql_store, sqlite_store, store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sevrouter.store.sqlite import SqliteStore

__all__ = ["empty_database", "empty_postgres", "postgres_copy", "postgresql_store", "sqlite_store", "store"]

MINIMAL = """\
rules: [{name: all, sev: SEV-2}]
responses: {SEV-2: [call]}
integrations: {call: {type: console}}
"""


@dataclass
class Operated:
    """What answers, and what it looks into."""

    port: int
    session: aiohttp.ClientSession
    door: Door
    config: Path
    keeper: ConfigurationKeeper
    draining: asyncio.Event

    async def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
        """The status and the text of an answer."""
        url = f"http://127.0.0.1:{self.port}{path}"
        async with self.session.request(method, url, headers=headers) as answer:
            return answer.status, await answer.text()


@pytest_asyncio.fixture
async def operated(tmp_path: Path, sqlite_store: SqliteStore) -> AsyncIterator[Operated]:
    """The endpoints, all well."""
    config = tmp_path / "sevrouter.yaml"
    config.write_text(MINIMAL)
    store = sqlite_store
    door = Door(store)
    metrics = door.stage.metrics
    keeper = ConfigurationKeeper(load(config), on_change=lambda _: None, on_reload=metrics.reload_successful.set)
    draining = asyncio.Event()
    async with AsyncExitStack() as stack:
        server = web.Application()
        _operations(store, metrics, keeper, door.handler, lambda _: lambda: None, draining).add_to(server)
        port = free_port()
        await _listen(stack, server, Options(host="127.0.0.1", port=port))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield Operated(port, session, door, config, keeper, draining)
