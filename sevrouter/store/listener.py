"""Hears from PostgreSQL what other replicas have put into the outbox. Only a hint: nothing depends on it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import asyncpg
import structlog
import tenacity

from sevrouter.store.outbox import CHANNEL

if TYPE_CHECKING:
    from collections.abc import Callable

    from sevrouter.store.connector import Connector

log = structlog.get_logger()

# The last one says that no host takes writes: a failover.
_AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


class Listener:
    """Tells `wake` the integrations that have something to deliver."""

    def __init__(self, connector: Connector, wake: Callable[[set[str]], None]) -> None:
        self._connector = connector
        self._wake = wake

    async def run(self) -> None:
        """Listen until cancelled; a connection that is lost is opened again."""
        between = tenacity.wait_exponential_jitter(multiplier=0.5, max=15)
        while True:
            async for attempt in tenacity.AsyncRetrying(wait=between, retry=tenacity.retry_if_exception_type(_AWAY)):
                with attempt:
                    await self._listen()

    async def _listen(self) -> None:
        connection = await self._connector.connect()
        gone = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _connection: gone.set())
            await connection.add_listener(CHANNEL, self._hear)
            log.debug("outbox_listening")
            await gone.wait()
        finally:
            connection.terminate()

    def _hear(self, _connection: Any, _process: int, _channel: str, payload: object) -> None:
        self._wake({*str(payload).split(",")})
