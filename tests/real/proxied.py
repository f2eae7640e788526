"""One connection through a proxy: its bytes both ways, and how it comes to an end.

Knows bytes, and neither a protocol nor who listens.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias

NOTICED_WITHIN = 20.0  # seconds
_CHUNK = 65_536  # bytes
# Chunks that are on their way in one direction; who sends more waits.
_UNDERWAY = 64
_LONGEST_PATTERN = 256  # bytes

# What is done with a client before anything is forwarded.
Greeting: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Direction(enum.Enum):
    """Whose bytes they are."""

    TO_SERVER = enum.auto()
    TO_CLIENT = enum.auto()


@dataclass(slots=True)
class Counts:
    """What went through a proxy: connections, bytes that arrived at it, and those of them that went nowhere."""

    accepted: int = 0
    open: int = 0
    from_client: int = 0
    from_server: int = 0
    swallowed: int = 0


@dataclass(slots=True, eq=False)
class Loss:
    """A connection that is going to end as soon as its client sends certain bytes.

    `answer` is None where they are not forwarded; otherwise it is what the server has to have sent before the end.
    """

    pattern: bytes
    answer: bytes | None
    reset: bool
    _done: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        assert 0 < len(self.pattern) <= _LONGEST_PATTERN, f"a pattern has 1 to {_LONGEST_PATTERN} bytes"

    @property
    def happened(self) -> bool:
        """Tell whether a connection has ended by it."""
        return self._done.is_set()

    async def wait(self, *, within: float = NOTICED_WITHIN) -> None:
        """Wait until a connection has ended by it."""
        async with asyncio.timeout(within):
            await self._done.wait()

    def finish(self) -> None:
        """Say that a connection has ended by it."""
        self._done.set()

    def is_completed_by(self, chunk: bytes, before: bytes) -> bool:
        """Tell whether the pattern ends in a chunk, though it may have begun before."""
        begun = len(self.pattern) - 1
        return self.pattern in before[max(0, len(before) - begun) :] + chunk


@dataclass(slots=True)
class Wire:
    """What the connections of one proxy share: the faults of the moment, and the counts."""

    delay: dict[Direction, float] = field(default_factory=lambda: dict.fromkeys(Direction, 0.0))
    silent: bool = False
    losses: list[Loss] = field(default_factory=list)
    # Set while bytes may pass.
    flowing: asyncio.Event = field(default_factory=asyncio.Event)
    counts: Counts = field(default_factory=Counts)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def changed(self) -> None:
        """Wake who waits for a count."""
        async with self.news:
            self.news.notify_all()

    async def arrived(self, direction: Direction, size: int) -> None:
        """Take note of bytes that have come as far as the proxy."""
        if direction is Direction.TO_SERVER:
            self.counts.from_client += size
        else:
            self.counts.from_server += size
        await self.changed()

    async def swallowed(self, size: int) -> None:
        """Take note of bytes that come no further."""
        self.counts.swallowed += size
        await self.changed()

    def take_loss(self, chunk: bytes, before: bytes) -> Loss | None:
        """Find the first loss that these bytes of a client complete; it is over for other connections."""
        for loss in self.losses:
            if loss.is_completed_by(chunk, before):
                self.losses.remove(loss)
                return loss
        return None


class Connection:
    """A client's connection, and ours to the server for it."""

    def __init__(self, wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Bytes of it were swallowed, so that it can never be whole again.
        self.lossy = False
        self._wire = wire
        self._reader = reader
        self._writers = [writer]
        self._ended = False
        self._reset = False
        self._loss: Loss | None = None
        # The last bytes that the client sent, and those that the server answered to a loss.
        self._sent = b""
        self._answered = b""
        self._work: asyncio.Task[None] | None = None

    async def run(self, target: tuple[str, int], greet: Greeting) -> None:
        """Forward until both sides have ended, or one has failed, or `end` is called; then close both."""
        if not self._ended:
            self._work = asyncio.create_task(self._forward(target, greet))
        try:
            if self._work is not None:
                await asyncio.wait({self._work})
        finally:
            await self._close()
        if self._work is not None and not self._work.cancelled():
            self._work.result()

    def end(self, *, reset: bool) -> None:
        """End it at once, with what is underway lost; `run` returns when that is done."""
        if self._ended:
            return
        self._ended, self._reset = True, reset
        if self._work is not None:
            self._work.cancel()

    async def _forward(self, target: tuple[str, int], greet: Greeting) -> None:
        client = self._writers[0]
        try:
            if self._wire.silent:
                await self._swallow()
                return
            await greet(self._reader, client)
            reader, server = await asyncio.open_connection(*target)
            self._writers.append(server)
            async with asyncio.TaskGroup() as lanes:
                lanes.create_task(self._pass(Direction.TO_SERVER, self._reader, server))
                lanes.create_task(self._pass(Direction.TO_CLIENT, reader, client))
            for writer in self._writers:
                writer.close()
                await writer.wait_closed()
        except* OSError:
            # One side has failed, and the other one is to see it.
            self._reset = True

    async def _swallow(self) -> None:
        self.lossy = True
        while chunk := await self._reader.read(_CHUNK):
            await self._wire.arrived(Direction.TO_SERVER, len(chunk))
            await self._wire.swallowed(len(chunk))
        # A dead peer does not notice an end.
        await asyncio.Event().wait()

    async def _pass(self, direction: Direction, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        underway: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_UNDERWAY)
        async with asyncio.TaskGroup() as both:
            both.create_task(self._take(direction, source, underway))
            both.create_task(self._give(direction, underway, sink))

    async def _take(
        self, direction: Direction, source: asyncio.StreamReader, underway: asyncio.Queue[tuple[float, bytes]]
    ) -> None:
        chunk = b"?"
        while chunk:
            # An empty chunk is the end, and takes as long as the others.
            chunk = await source.read(_CHUNK)
            await self._wire.arrived(direction, len(chunk))
            await underway.put((_now() + self._wire.delay[direction], chunk))

    async def _give(
        self, direction: Direction, underway: asyncio.Queue[tuple[float, bytes]], sink: asyncio.StreamWriter
    ) -> None:
        while not self._ended:
            due, chunk = await underway.get()
            if (early := due - _now()) > 0:
                await asyncio.sleep(early)
            await self._wire.flowing.wait()
            if self._swallows(direction, chunk):
                await self._wire.swallowed(len(chunk))
            else:
                await _send(chunk, sink)
            if not chunk:
                return

    def _swallows(self, direction: Direction, chunk: bytes) -> bool:
        if self._wire.silent:
            self.lossy = True
            return True
        if direction is Direction.TO_CLIENT:
            return self._swallows_answer(chunk)
        if self._loss is None:
            self._loss = self._wire.take_loss(chunk, self._sent)
        self._sent = (self._sent + chunk)[-_LONGEST_PATTERN:]
        if self._loss is None or self._loss.answer is not None:
            return False
        self.end(reset=self._loss.reset)
        return True

    def _swallows_answer(self, chunk: bytes) -> bool:
        if self._loss is None or self._loss.answer is None:
            return False
        self._answered += chunk
        # An end of the server's side is an answer, too: there will be no other.
        if not chunk or self._loss.answer in self._answered:
            self.end(reset=self._loss.reset)
        return True

    async def _close(self) -> None:
        for writer in self._writers:
            if self._reset:
                _reset_on_close(writer)
            writer.transport.abort()
        # Those that fail have been closed, too.
        await asyncio.gather(*(writer.wait_closed() for writer in self._writers), return_exceptions=True)
        if self._loss is not None:
            self._loss.finish()


async def _send(chunk: bytes, sink: asyncio.StreamWriter) -> None:
    if chunk:
        sink.write(chunk)
        await sink.drain()
    elif sink.can_write_eof():
        sink.write_eof()
    else:
        # TLS cannot be closed by halves.
        sink.close()


def _reset_on_close(writer: asyncio.StreamWriter) -> None:
    no_lingering = struct.pack("ii", 1, 0)
    # The socket that has failed is closed already.
    with contextlib.suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_lingering)


def _now() -> float:
    return asyncio.get_running_loop().time()
