"""One process of a test: started until it is ready, its output read line by line, ended for certain."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING, Self

import aiohttp

from tests.real.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

READY_WITHIN = 20.0  # seconds
ENDED_WITHIN = 30.0  # seconds
_ONE_QUESTION = aiohttp.ClientTimeout(total=2)
_POLL = 0.02
_SHOWN_LINES = 200
_SHOWN_OF_A_LINE = 1_000  # characters


class ProcessFailedError(AssertionError):
    """A process did not do what a test needs of it; the message ends with what it printed."""


class RealProcess:
    """A process that serves HTTP on a port of its own, with a `/-/ready`.

    Use it as an async context manager; inside, it can be stopped, killed and started again, on the same port and
    files. What it prints goes to `<directory>/<name>.log`, and to the report of a test that fails.
    """

    def __init__(self, name: str, *, directory: Path) -> None:
        self.port = free_port()
        self.name = f"{name}-{self.port}"
        self.directory = directory / self.name
        self.output_file = directory / f"{self.name}.log"
        self.lines: list[str] = []
        self._news = asyncio.Condition()
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._ended = False
        self._session: aiohttp.ClientSession | None = None

    def command(self) -> Sequence[str | Path]:
        """Say what to run."""
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        """Say with which environment."""
        return os.environ

    @property
    def url(self) -> str:
        """Say where it serves, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def session(self) -> aiohttp.ClientSession:
        """Lend the HTTP client, which lives as long as the context."""
        assert self._session is not None, f"{self.name} is used outside of its context"
        return self._session

    @property
    def pid(self) -> int:
        """Name the running process."""
        assert self._process is not None, f"{self.name} was not started"
        return self._process.pid

    @property
    def running(self) -> bool:
        """Tell whether it was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    async def __aenter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60))
        try:
            await self.start()
        except BaseException:
            await self._leave()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._leave()

    async def start(self, *, until_ready: bool = True) -> None:
        """Start it, also again after an end, and wait until it is ready."""
        assert not self.running, f"{self.name} runs already"
        self._process = await asyncio.create_subprocess_exec(
            *self.command(),
            cwd=self.directory,
            env=self.environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        self._ended = False
        self._reader = asyncio.create_task(self._read())
        if until_ready:
            await self.wait_ready()

    async def wait_ready(self, within: float = READY_WITHIN) -> None:
        """Ask its `/-/ready` until that is 200."""
        await self.poll(self._is_ready, "was not ready", within=within)

    async def poll(self, asked: Callable[[], Awaitable[bool]], what: str, *, within: float) -> None:
        """Call an async question until its answer is true; an end of the process, or too long a wait, raises."""
        deadline = time.monotonic() + within
        while not await asked():
            if not self.running:
                raise self.failure("ended by itself")
            if time.monotonic() > deadline:
                raise self.failure(f"{what} within {within:g} s")
            await asyncio.sleep(_POLL)

    async def wait_for_line(self, wanted: Callable[[str], bool], *, since: int, within: float, what: str) -> str:
        """Wait for a line of its output, from number `since` on; woken by each new one."""
        async with self._news:
            try:
                async with asyncio.timeout(within):
                    while True:
                        for line in self.lines[since:]:
                            if wanted(line):
                                return line
                        if self._ended:
                            raise self.failure(f"ended without {what}")
                        since = len(self.lines)
                        await self._news.wait()
            except TimeoutError:
                raise self.failure(f"did not print {what} within {within:g} s") from None

    async def stop(self, within: float = ENDED_WITHIN) -> int:
        """Ask it to end (SIGTERM) and return its exit code; kill it, and raise, if it does not end in time."""
        assert self._process is not None, f"{self.name} was not started"
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        return await self.wait_ended(within)

    async def kill(self) -> None:
        """Kill it (SIGKILL), with no time to clean up."""
        assert self._process is not None, f"{self.name} was not started"
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self.wait_ended()

    async def wait_ended(self, within: float = ENDED_WITHIN) -> int:
        """Wait until it ends by itself and return its exit code (negative: the signal)."""
        assert self._process is not None, f"{self.name} was not started"
        assert self._reader is not None
        try:
            async with asyncio.timeout(within):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
            raise self.failure(f"did not end within {within:g} s, and was killed") from None
        finally:
            await self._reader
        assert self._process.returncode is not None
        return self._process.returncode

    def failure(self, what: str) -> ProcessFailedError:
        """Make an error that shows the last of its output."""
        return ProcessFailedError(f"{self.name} {what}; it printed:\n{self._tail()}")

    async def _is_ready(self) -> bool:
        try:
            async with self.session.get(f"{self.url}/-/ready", timeout=_ONE_QUESTION) as answer:
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        # Not line by line from the stream, whose limit on a line's length would lose a long one.
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        rest = ""
        with self.output_file.open("a", encoding="utf-8") as kept:
            while chunk := await self._process.stdout.read(65_536):
                text = decoder.decode(chunk)
                kept.write(text)
                *lines, rest = (rest + text).split("\n")
                await self._take(lines)
        await self._take([rest] if rest else [], ended=True)

    async def _take(self, lines: list[str], *, ended: bool = False) -> None:
        async with self._news:
            self.lines += lines
            self._ended = ended
            self._news.notify_all()

    async def _leave(self) -> None:
        try:
            if self.running:
                await self.stop()
        finally:
            if self._session is not None:
                await self._session.close()
            # Pytest shows this for a test that failed, and for no other.
            sys.stdout.write(f"--- {self.name} printed (all of it: {self.output_file})\n{self._tail()}\n")

    def _tail(self) -> str:
        return "\n".join(line[:_SHOWN_OF_A_LINE] for line in self.lines[-_SHOWN_LINES:])
