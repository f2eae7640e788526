"""Text made audible: by espeak-ng, or by whatever program the configuration names. Must not know who hears it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import OrderedDict
from typing import TYPE_CHECKING, Protocol

from sevrouter.domain.text import one_line
from sevrouter.notifiers.sound import Sound, SoundError, read_wav

if TYPE_CHECKING:
    from collections.abc import Sequence

# Seconds. espeak-ng takes a tenth of one.
SPOKEN_WITHIN = 10.0
# A call says the same again and again, and several people are told the same.
REMEMBERED = 32
# Bytes; more is no text that anybody would listen to.
LONGEST_WAV = 32_000_000


class SpeechError(Exception):
    """It could not be made audible; the message says why."""


class Speaks(Protocol):
    """What makes a text audible."""

    async def speak(self, text: str) -> Sound:
        """The text as sound. Raises SpeechError."""
        ...


def espeak(language: str = "en", program: str = "espeak-ng") -> tuple[str, ...]:
    """espeak-ng's command; a little slower than it speaks by default, for this is a telephone, and it is 3 a.m."""
    return (program, "--stdin", "--stdout", "-s", "155", "-v", language)


class Speech:
    """`command` reads text from its standard input and writes a WAV file to its standard output.

    Without one it is espeak-ng, in `language`. What was said last is remembered.
    """

    def __init__(self, command: Sequence[str] = (), *, language: str = "en", within: float = SPOKEN_WITHIN) -> None:
        self._command = tuple(command) or espeak(language)
        self._within = within
        self._spoken: OrderedDict[str, Sound] = OrderedDict()

    async def speak(self, text: str) -> Sound:
        """The text as sound, from memory where it was said before. Raises SpeechError."""
        sound = self._spoken.pop(text, None)
        if sound is None:
            sound = await self._run(text)
        self._spoken[text] = sound
        while len(self._spoken) > REMEMBERED:
            self._spoken.popitem(last=False)
        return sound

    async def _run(self, text: str) -> Sound:
        name = self._command[0]
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise SpeechError(f"{name} cannot be run: {error}") from error
        try:
            async with asyncio.timeout(self._within):
                data, complaint = await process.communicate(text.encode())
        except TimeoutError as error:
            raise SpeechError(f"{name} did not speak within {self._within:g} s") from error
        finally:
            await _end(process)
        if process.returncode:
            raise SpeechError(
                f"{name} ended with {process.returncode}: {one_line(complaint.decode(errors='replace'), 200)}"
            )
        if len(data) > LONGEST_WAV:
            raise SpeechError(f"{name} spoke for too long")
        try:
            return read_wav(data)
        except SoundError as error:
            raise SpeechError(f"{name}: {error}") from error


async def _end(process: asyncio.subprocess.Process) -> None:
    """Nothing of it is left running, nor what it has started."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
