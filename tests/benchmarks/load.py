"""The load generator, a process of its own: writes requests that were made before, reads answers, takes the time.

Each line on stdin is an order, each line on stdout what came of it. Knows no more of HTTP than it needs, and imports
little, so that it is not what limits.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Run:
    """Requests and the connections that carry them, one request at a time each; every answer must be a success.

    By request, on the monotonic clock: when it was `offered`, when a connection was free to carry it, when it was
    answered; NaN where it never was.
    """

    def __init__(self, requests: list[bytes], longest: float) -> None:
        self._requests = requests
        self._until = time.monotonic() + longest
        self._unanswered = len(requests)
        self._waiting: deque[int] = deque()
        self._idle: list[Connection] = []
        self.offered, self.carried, self.answered = ([math.nan] * len(requests) for _ in range(3))
        self.done: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    async def offer(self, rate: float | None) -> None:
        """Offer the requests at a rate a second, whether or not answers keep up; None: as fast as they do."""
        started = time.monotonic()
        for number in range(len(self._requests)):
            if rate is not None:
                await asyncio.sleep(max(0.0, started + number / rate - time.monotonic()))
            self.offered[number] = time.monotonic()
            if self._idle:
                self._carry(self._idle.pop(), number)
            else:
                self._waiting.append(number)

    def free(self, connection: Connection) -> None:
        """Give a connection something to do."""
        if time.monotonic() > self._until:
            self._unanswered -= len(self._waiting)
            self._waiting.clear()
        if self._waiting:
            self._carry(connection, self._waiting.popleft())
        else:
            self._idle.append(connection)

    def _carry(self, connection: Connection, number: int) -> None:
        self.carried[number] = time.monotonic()
        connection.send(number, self._requests[number])

    def answer(self, connection: Connection, head: bytes) -> None:
        """Take note of an answer."""
        self._unanswered -= 1
        self.answered[connection.number] = time.monotonic()
        if head[9:10] != b"2":
            self.fail(f"it answered {head[:500]!r}")
        self.free(connection)
        if not self._unanswered and not self.done.done():
            self.done.set_result(time.monotonic())

    def fail(self, reason: str) -> None:
        """Give up, unless all is done."""
        if not self.done.done():
            self.done.set_exception(ConnectionError(reason))


class Connection(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._received = b""
        self._transport: asyncio.Transport | None = None
        self.number = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be ready for a request."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._run.free(self)

    def send(self, number: int, request: bytes) -> None:
        """Send a request of a number."""
        assert self._transport is not None
        self.number = number
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Collect an answer until it is whole."""
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        length = _LENGTH.search(head)
        if length is None:
            self._run.fail(f"an answer without a length: {head!r}")
        elif len(body) >= int(length[1]):
            self._received = b""
            self._run.answer(self, head)

    def connection_lost(self, error: Exception | None) -> None:
        """Nobody closes a connection that is in use."""
        self._run.fail(f"the connection was lost: {error}")

    def close(self) -> None:
        """Close it."""
        assert self._transport is not None
        self._transport.close()


async def send(
    requests: list[bytes], *, port: int, connections: int, rate: float | None, longest: float | None
) -> dict[str, Any]:
    """Send requests to 127.0.0.1 and say how long it took, and when each was offered, carried and answered."""
    loop = asyncio.get_running_loop()
    run = Run(requests, math.inf if longest is None else longest)
    opened = [(await loop.create_connection(lambda: Connection(run), "127.0.0.1", port))[1] for _ in range(connections)]
    try:
        started = time.monotonic()
        await run.offer(rate)
        seconds = await run.done - started
        return {"seconds": seconds, "offered": run.offered, "carried": run.carried, "answered": run.answered}
    finally:
        for connection in opened:
            connection.close()


def carry_out(order: dict[str, Any]) -> dict[str, Any]:
    """Carry one order out; what fails is said."""
    content, requests, start = Path(order["file"]).read_bytes(), [], 0
    for length in order["lengths"]:
        requests.append(content[start : start + length])
        start += length
    try:
        return asyncio.run(send(requests, **{name: order[name] for name in ("port", "connections", "rate", "longest")}))
    except OSError as error:
        return {"error": str(error)}


def main() -> None:
    """Take orders until there are no more."""
    for line in sys.stdin:
        sys.stdout.write(json.dumps(carry_out(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
