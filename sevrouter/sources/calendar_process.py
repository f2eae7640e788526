"""Expands a calendar in a process of its own, which is ended when it takes too long or too much.

A rule of one line can keep a program busy for ever, and a large calendar would keep a thread of ours from answering
webhooks for seconds. Run as a program, this module is that process: a request on its input, an answer on its output.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import warnings
import zoneinfo
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from sevrouter.sources.calendar_events import Expanded

# Seconds. Ten megabytes of events take six on a slow machine.
EXPANDED_WITHIN = 20.0
# Bytes of memory, and seconds of a processor: should we be gone, nobody else ends it.
_MEMORY = 2 * 2**30
_PROCESSOR = 60
# Processes at once. They are slow, and there is always time until somebody is called by what they say.
_AT_ONCE = 2


class Request(Struct, frozen=True):
    """What is to be expanded; `zone` is a name of the IANA's."""

    text: str
    starts: datetime
    ends: datetime
    zone: str | None


class Failed(Struct, frozen=True):
    """Why it could not be."""

    problem: str


class Expander:
    """Expands calendars in other processes, a few at once. `within` is in seconds."""

    def __init__(self, *, within: float = EXPANDED_WITHIN) -> None:
        self._within = within
        self._free = asyncio.Semaphore(_AT_ONCE)

    async def expand(self, request: Request) -> Expanded | Failed:
        """The events. Whatever goes wrong is said, never an exception."""
        async with self._free:
            try:
                async with asyncio.timeout(self._within):
                    code, said = await _run(msgspec.json.encode(request))
            except TimeoutError:
                return Failed(f"takes longer than {self._within:g} s to expand")
            except OSError as error:
                return Failed(f"no process to expand it: {error.strerror or type(error).__name__}")
        if code != 0:
            return Failed(f"cannot be expanded (its process ended with {code})")
        return _read(said)


def _read(said: bytes) -> Expanded | Failed:
    from sevrouter.sources.calendar_events import Expanded  # noqa: PLC0415  which takes time to import

    with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
        return msgspec.json.decode(said, type=Expanded)
    with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
        return msgspec.json.decode(said, type=Failed)
    return Failed("cannot be expanded (its process said nothing that can be read)")


async def _run(request: bytes) -> tuple[int, bytes]:
    # It has to find the same modules that we run on.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONSAFEPATH": "1"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "sevrouter.sources.calendar_process",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=environment,
    )
    try:
        said, _ = await process.communicate(request)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await asyncio.shield(process.wait())
        raise
    assert process.returncode is not None  # it has ended
    return process.returncode, said


def _limit() -> None:
    import resource  # noqa: PLC0415  there is none on Windows

    for what, most in ((resource.RLIMIT_AS, _MEMORY), (resource.RLIMIT_CPU, _PROCESSOR)):
        _, hard = resource.getrlimit(what)
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (allowed, hard))


def main() -> None:
    """Be the process."""
    from sevrouter.sources.calendar_events import CalendarError, expand  # noqa: PLC0415  as above

    with contextlib.suppress(ImportError, OSError, ValueError):
        _limit()
    # What a library thinks of a stranger's calendar is of no interest, and may repeat it.
    warnings.simplefilter("ignore")
    try:
        request = msgspec.json.decode(sys.stdin.buffer.read(), type=Request)
        zone = zoneinfo.ZoneInfo(request.zone) if request.zone is not None else None
        answer: Expanded | Failed = expand(request.text, request.starts, request.ends, zone)
    except CalendarError as error:
        answer = Failed(str(error))
    except Exception as error:  # noqa: BLE001  a stranger's text may bring about any
        answer = Failed(f"cannot be expanded: {type(error).__name__}")
    sys.stdout.buffer.write(msgspec.json.encode(answer))


if __name__ == "__main__":
    main()
