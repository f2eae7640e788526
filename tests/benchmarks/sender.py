"""The measuring process's side of the load generator: hands it orders, and what it answers back."""

from __future__ import annotations

import asyncio
import json
import math
import sys
from collections.abc import Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT = Path(__file__).resolve().parents[2]
CONNECTIONS = 16
# Bytes: an answer says for every request when it was offered.
_LONGEST_ANSWER = 2**24


class LoadFailedError(Exception):
    """The load generator could not send everything, or was not answered with a success."""


@dataclass(frozen=True, slots=True)
class Sent:
    """How long it took, in seconds, and when each was offered, carried and answered on the monotonic clock.

    NaN is the time of what was cut off.
    """

    seconds: float
    offered: Sequence[float]
    carried: Sequence[float]
    answered: Sequence[float]

    @property
    def count(self) -> int:
        """Count what was answered."""
        return len(self.answers())

    def answers(self) -> list[float]:
        """List the seconds from each offer to its answer: what a sender sees that does not wait for answers."""
        return _differences(self.offered, self.answered)

    def services(self) -> list[float]:
        """List the seconds that each request was on a connection: what a sender sees that waits for each answer."""
        return _differences(self.carried, self.answered)


def _differences(starts: Sequence[float], ends: Sequence[float]) -> list[float]:
    return [end - start for start, end in zip(starts, ends, strict=True) if not math.isnan(end)]


class Sender:
    """Sends requests through the load generator, one order at a time."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self._process = process
        self._file = folder / "requests"

    async def send(
        self,
        requests: Sequence[bytes],
        port: int,
        *,
        rate: float | None = None,
        longest: float | None = None,
        connections: int = CONNECTIONS,
    ) -> Sent:
        """Send requests to a port of 127.0.0.1, at a rate a second or as fast as they are answered.

        What is not under way after the `longest` time, in seconds, is left out.
        """
        await asyncio.to_thread(self._file.write_bytes, b"".join(requests))
        order = {
            "file": str(self._file),
            "lengths": [len(request) for request in requests],
            "port": port,
            "connections": min(connections, len(requests)),
            "rate": rate,
            "longest": longest,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        await self._process.stdin.drain()
        answer = json.loads(await self._process.stdout.readline() or '{"error": "the load generator ended"}')
        if "error" in answer:
            raise LoadFailedError(answer["error"])
        return Sent(**answer)


@asynccontextmanager
async def open_sender(folder: Path) -> AsyncIterator[Sender]:
    """Start a load generator, and end it; the folder, which is made where there is none, holds its orders."""
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.benchmarks.load",
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LONGEST_ANSWER,
    )
    try:
        yield Sender(process, folder)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()
