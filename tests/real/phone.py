"""A real telephone for a test: another process that is called by SIP, and whose recordings can be compared."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import sys
from operator import itemgetter, mul
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sevrouter.notifiers.sound import Sound, resampled, samples_of
from tests.real.binaries import do_without
from tests.real.ports import free_port

if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable
    from types import TracebackType

RATE = 8_000
WITHIN = 30.0  # seconds
# What is heard is what was said, but for its coding; and for a packet that a busy machine loses.
ALIKE = 0.9
_ROOT = Path(__file__).resolve().parents[2]
# Samples over which loudness is measured: 10 ms.
_FRAME = 80
# Samples that are looked for together, and when there is no need to look further.
_PART = RATE // 10
_SURE = 0.95
# Less alike than this in its loudness alone, it is something else.
_ROUGH = 0.7


class Phone:
    """A telephone on a port of its own. `mode` says how its keys travel: "rtp", or "info" (in SIP messages);
    "srtp" is "rtp" encrypted.

    It is called by one transport. For "tls" it needs a `certificate`, a PEM file that holds its key as well.
    """

    def __init__(
        self, directory: Path, *, mode: str = "rtp", transport: str = "udp", certificate: Path | None = None
    ) -> None:
        self.port = free_port()
        self.mode = mode
        self._transport = transport
        self._certificate = certificate
        self.directory = directory / f"phone-{self.port}"
        self.events: list[dict[str, Any]] = []
        self._seen = 0
        self._news = asyncio.Condition()
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    @property
    def server(self) -> str:
        """Where it is called."""
        # TLS is served beside the rest, and wants a name.
        return f"localhost:{self.port + 1}" if self._transport == "tls" else f"127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self.directory.mkdir(parents=True)
        arguments = (str(self.port), str(self.directory), self.mode, self._transport, str(self._certificate or ""))
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "tests.real.phone_process", *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(_ROOT)},
        )  # fmt: skip
        self._reader = asyncio.create_task(self._read())
        await self.expect("ready", call=None)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._reader is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), WITHIN)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reader

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            async with self._news:
                self.events.append(json.loads(line))
                self._news.notify_all()

    # What happens to it.

    async def expect(
        self, event: str, *, call: int | None = 1, that: Callable[[dict[str, Any]], bool] = lambda _: True
    ) -> dict[str, Any]:
        """Wait until something has happened to a call of it."""

        def found() -> dict[str, Any] | None:
            return next(
                (each for each in self.events if each["event"] == event and each.get("call") == call and that(each)),
                None,
            )

        async with self._news:
            try:
                await asyncio.wait_for(self._news.wait_for(lambda: found() is not None), WITHIN)
            except TimeoutError:
                raise AssertionError(f"no {event!r} within {WITHIN:g} s: {self.events}") from None
        happened = found()
        assert happened is not None
        return happened

    async def expect_heard(self, seconds: float, *, call: int = 1) -> None:
        """Wait until it has heard so much of a call."""
        await self.expect("heard", call=call, that=lambda each: each["seconds"] >= seconds)

    async def expect_said(self, sound: Sound, *, call: int = 1) -> None:
        """Wait until it has heard all of this in a call."""
        heard, best = sound.seconds, 0.0
        async with asyncio.timeout(2 * WITHIN):
            while best < ALIKE:
                try:
                    await self.expect_heard(heard, call=call)
                except AssertionError:
                    raise AssertionError(f"it was not said; most like it was {best:.2f}") from None
                heard = len(self.recording(call=call)) / RATE + 0.5
                best = max(best, likeness(self.recording(call=call), sound))

    @property
    def rung(self) -> int:
        """How many times it was called."""
        return sum(each["event"] == "rings" for each in self.events)

    # What its owner does.

    async def answer(self, *, call: int = 1) -> None:
        """Wait until it rings, and answer."""
        await self.expect("rings", call=call)
        await self._order("answer", call)
        await self.expect("established", call=call)

    async def reject(self, *, call: int = 1) -> None:
        """Wait until it rings, and be busy."""
        await self.expect("rings", call=call)
        await self._order("reject", call)

    async def hang_up(self, *, call: int = 1) -> None:
        """Hang up."""
        await self._order("hang_up", call)

    async def press(self, keys: str, *, call: int = 1) -> None:
        """Press keys."""
        await self._order("press", call, keys=keys)

    async def say(self, sound: Sound, *, call: int = 1) -> None:
        """Say something, several times."""
        file = self.directory / "said.raw"
        file.write_bytes(b"".join(resampled(sound, RATE, piece=RATE)))
        await self._order("say", call, file=str(file))

    async def _order(self, do: str, call: int, **more: object) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, "call": call, **more}).encode() + b"\n")
        await self._process.stdin.drain()

    async def kill(self) -> None:
        """Its battery is empty."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    # What was heard.

    def recording(self, *, call: int = 1) -> array[int]:
        """What it has heard of a call so far."""
        data = (self.directory / f"{call}.raw").read_bytes()
        return samples_of(data[: len(data) // 2 * 2])


def require_baresip() -> None:
    """Fail in CI, and skip elsewhere, where there is nothing to call with."""
    if importlib.util.find_spec("baresip") is None:
        do_without("there is no baresip-python: install the extra sevrouter[sip]")


def likeness(recording: array[int], sound: Sound) -> float:
    """How much a recording holds of a sound, from its beginning to its end, wherever that begins: 1 is all of it.

    A busy machine now and then sends a packet late, and what follows is heard later: that is still the same. On an idle
    one it is 0.9999, and what was not said stays below 0.7.
    """
    said = samples_of(b"".join(resampled(sound, RATE, piece=RATE)))
    if len(recording) < len(said):
        return 0.0
    loud, said_loud = _loudness(recording), _loudness(said)
    best = _best(loud, said_loud)
    roughly = _correlation(loud[best : best + len(said_loud)], said_loud)
    if roughly < _ROUGH:
        return roughly / 2
    at = best * _FRAME
    alike = total = 0.0
    for begin in range(0, len(said), _PART):
        part = said[begin : begin + _PART]
        if not any(part):
            continue
        at, likeness_of_part = _found(recording, part, at + begin)
        at -= begin
        energy = sum(map(mul, part, part))
        alike, total = alike + energy * likeness_of_part, total + energy
    return alike / total


def _found(recording: array[int], part: array[int], near: int) -> tuple[int, float]:
    """Where a part begins, not far from where it should, and how much alike it is."""
    best = near, 0.0
    for reach in (2, 2 * _FRAME, 10 * _FRAME):
        lags = range(max(0, near - reach), max(1, min(near + reach, len(recording) - len(part)) + 1))
        best = max(((at, _correlation(recording[at : at + len(part)], part)) for at in lags), key=itemgetter(1))
        if best[1] > _SURE:
            break
    return best


def _best(heard: list[float], said: list[float]) -> int:
    """Where the loudness is most alike."""
    lags = range(max(1, len(heard) - len(said) + 1))
    return max(lags, key=lambda at: _correlation(heard[at : at + len(said)], said))


def _loudness(samples: array[int]) -> list[float]:
    frames = (samples[at : at + _FRAME] for at in range(0, len(samples), _FRAME))
    return [sum(map(mul, frame, frame)) ** 0.5 for frame in frames]


def _correlation(one: array[int] | list[float], other: array[int] | list[float]) -> float:
    both = sum(map(mul, one, one)) * sum(map(mul, other, other))
    return sum(map(mul, one, other)) / both**0.5 if both else 0.0
