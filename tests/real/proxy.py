"""A TCP proxy that does to connections what networks do: slow, silent, cut, refused.

Knows bytes, and no protocol. It lives in the event loop that entered it: a test that blocks that loop blocks the proxy.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from tests.real.ports import free_port
from tests.real.proxied import NOTICED_WITHIN, Connection, Counts, Direction, Loss, Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType


class TcpProxy:
    """Stands on a port of its own before a server; use it as an async context manager.

    Every fault lasts until `heal`. Where the server itself refuses, its client is accepted and then reset.
    """

    def __init__(self, target_host: str, target_port: int) -> None:
        self.target = (target_host, target_port)
        self.address = ("127.0.0.1", free_port())
        self._wire = Wire()
        self._wire.flowing.set()
        self._connections: dict[Connection, asyncio.Task[None]] = {}
        self._listener: asyncio.Server | None = None
        self._left = False

    @property
    def counts(self) -> Counts:
        """Count its connections and bytes, now."""
        return self._wire.counts

    async def wait_for(self, holds: Callable[[Counts], bool], *, within: float = NOTICED_WITHIN) -> None:
        """Wait until something is true of its counts."""
        async with asyncio.timeout(within), self._wire.news:
            await self._wire.news.wait_for(lambda: holds(self._wire.counts))

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left = True
        self.refuse()
        await self.reset()

    def delay(self, *, to_server: float = 0.0, to_client: float = 0.0) -> None:
        """Let what is sent from now on arrive that many seconds later."""
        self._wire.delay = {Direction.TO_SERVER: to_server, Direction.TO_CLIENT: to_client}

    def hold(self) -> None:
        """Let nothing pass, and lose nothing: what was sent meanwhile arrives after `heal`."""
        self._wire.flowing.clear()

    def blackhole(self) -> None:
        """Be a dead peer: take connections and bytes, and never answer."""
        self._wire.silent = True

    def refuse(self) -> None:
        """Refuse new connections; those that there are go on."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def cut(self) -> None:
        """Close every connection, and wait until that is done."""
        await self._end([*self._connections], reset=False)

    async def reset(self) -> None:
        """Reset every connection (RST), and wait until that is done."""
        await self._end([*self._connections], reset=True)

    async def heal(self) -> None:
        """Undo every fault; a connection that lost bytes is reset, as by a peer that came back and has forgotten it."""
        self._wire.losses.clear()
        self._wire.silent = False
        self.delay()
        await self._end([connection for connection in self._connections if connection.lossy], reset=True)
        self._wire.flowing.set()
        if self._listener is None:
            await self._listen()

    def lose_request(self, pattern: bytes, *, reset: bool = True) -> Loss:
        """End the next connection whose client sends these bytes, before they are forwarded; once.

        Nothing of what arrived together with them is forwarded either. Without `reset` it is closed.
        """
        return self._arm(Loss(pattern, answer=None, reset=reset))

    def lose_answer(self, pattern: bytes, *, answer: bytes = b"", reset: bool = True) -> Loss:
        """Forward these bytes of a client, swallow what the server sends then, and end the connection; once.

        It ends when the server has sent `answer` (by default: anything), so that what was asked is done by then.
        """
        return self._arm(Loss(pattern, answer=answer, reset=reset))

    async def greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Do with a client what comes before the forwarding; an OSError ends its connection instead."""

    def _arm(self, loss: Loss) -> Loss:
        self._wire.losses.append(loss)
        return loss

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(self._serve, *self.address)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if self._left:
            writer.transport.abort()
            return
        connection = Connection(self._wire, reader, writer)
        self._connections[connection] = task
        self._wire.counts.accepted += 1
        self._wire.counts.open += 1
        try:
            await self._wire.changed()
            await connection.run(self.target, self.greet)
        finally:
            del self._connections[connection]
            self._wire.counts.open -= 1
            await self._wire.changed()

    async def _end(self, connections: Sequence[Connection], *, reset: bool) -> None:
        tasks = [self._connections[connection] for connection in connections]
        for connection in connections:
            connection.end(reset=reset)
        if tasks:
            await asyncio.wait(tasks)
