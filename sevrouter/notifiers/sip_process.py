"""The process that makes one call by SIP, as the daemon sees it: it is started, told, listened to, and ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import sevrouter
from sevrouter.notifiers.sip_words import encoded, read_news

if TYPE_CHECKING:
    from sevrouter.notifiers.sip_words import News, Order

# Where this package lies, so that the process takes the same one.
_ROOT = str(Path(sevrouter.__file__).resolve().parents[1])
MODULE = "sevrouter.notifiers.sip_line"
# Seconds, for it to take an order, and to end the call once nobody gives it orders any more.
TAKEN_WITHIN, GONE_WITHIN = 5.0, 5.0
# Bytes of one line of news.
LONGEST_NEWS = 65_536


class LineError(Exception):
    """The process could not be started; the message says why."""


class Line(Protocol):
    """A telephone line, for one call."""

    async def tell(self, order: Order, sound: bytes = b"") -> None:
        """Give an order. What comes too late for a call that is over is lost, which its news tell."""
        ...

    async def news(self) -> News | None:
        """What happens next; None where nothing will any more."""
        ...

    async def close(self) -> None:
        """End the call if it is not over, and the line."""
        ...


class ProcessLine:
    """A line in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        assert process.stdin is not None
        assert process.stdout is not None
        self._orders, self._news = process.stdin, process.stdout

    @classmethod
    async def start(cls) -> ProcessLine:
        """Start one. Raises LineError."""
        paths = os.pathsep.join(filter(None, (_ROOT, os.environ.get("PYTHONPATH"))))
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", MODULE,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": paths},
                limit=LONGEST_NEWS,
                # A signal for the daemon's group is not for it: the daemon ends it, after it has said good-bye.
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise LineError(f"no process for the call: {error}") from error
        return cls(process)

    async def tell(self, order: Order, sound: bytes = b"") -> None:
        """Give an order; a process that hangs and takes none is ended, which its news tell."""
        try:
            async with asyncio.timeout(TAKEN_WITHIN):
                self._orders.write(encoded(order, sound))
                await self._orders.drain()
        except TimeoutError:
            self.kill()
        except (OSError, RuntimeError):
            return

    async def news(self) -> News | None:
        """What happens next."""
        return await read_news(self._news)

    async def close(self) -> None:
        """End the call and the process: it hangs up once it is told nothing more; by force where it does not."""
        with contextlib.suppress(OSError, RuntimeError):
            self._orders.close()
        try:
            await asyncio.wait_for(self._drained(), GONE_WITHIN)
        except TimeoutError:
            self.kill()
            await self._process.wait()

    def kill(self) -> None:
        """End the process, which has no time to hang up."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def _drained(self) -> None:
        # A full pipe that nobody reads would keep it from ending.
        while await self._news.read(LONGEST_NEWS):
            pass
        await self._process.wait()
