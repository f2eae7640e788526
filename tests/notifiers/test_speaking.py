"""Text made audible: by the real espeak-ng, and by programs that fail in every way."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

import pytest

from sevrouter.notifiers import speaking
from sevrouter.notifiers.speaking import Speech, SpeechError, espeak

if TYPE_CHECKING:
    from pathlib import Path

# Writes what it was given as samples, after a line in a file of its own.
_PARROT = """
import io, sys, wave
text = sys.stdin.read()
open(sys.argv[1], "a").write(text + "\\n")
file = io.BytesIO()
with wave.open(file, "wb") as writer:
    writer.setnchannels(1); writer.setsampwidth(2); writer.setframerate(8000)
    writer.writeframes(text.encode("utf-16-le"))
sys.stdout.buffer.write(file.getvalue())
"""


def a_parrot(heard: Path) -> Speech:
    return Speech((sys.executable, "-c", _PARROT, str(heard)))


async def test_espeak_speaks(espeak_binary: Path) -> None:
    speech = Speech(espeak(program=str(espeak_binary)))

    short, longer = await speech.speak("One."), await speech.speak("One, and two, and three, and four.")

    assert 0.2 < short.seconds < longer.seconds < 6


async def test_espeak_takes_a_text_for_a_text(espeak_binary: Path) -> None:
    sound = await Speech(espeak(program=str(espeak_binary))).speak("--help -f /etc/passwd <break time='60s'/>")

    assert 1 < sound.seconds < 20


async def test_what_was_said_is_not_made_again(tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    speech = a_parrot(heard)

    first = await speech.speak("checkout ☎")
    assert await speech.speak("checkout ☎") is first
    assert first.samples.decode("utf-16-le") == "checkout ☎"
    assert heard.read_text() == "checkout ☎\n"


async def test_only_the_last_of_it_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speaking, "REMEMBERED", 2)
    speech = a_parrot(tmp_path / "heard")
    for text in ("a", "b", "a", "c", "a", "b"):
        await speech.speak(text)

    assert (tmp_path / "heard").read_text().split() == ["a", "b", "c", "b"]


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("import sys; sys.exit('no such\\nvoice')", "ended with 1: no such voice"),
        ("print('hello')", "no WAV file"),
        ("pass", "no WAV file"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "ended with -9"),
    ],
)
async def test_a_program_that_fails_says_why(program: str, why: str) -> None:
    with pytest.raises(SpeechError, match=why):
        await Speech((sys.executable, "-c", program)).speak("hello")


async def test_a_program_that_is_not_there() -> None:
    with pytest.raises(SpeechError, match="/nowhere/speak cannot be run"):
        await Speech(("/nowhere/speak",)).speak("hello")


# Starts another, which would keep the pipe open after it.
_SLOW = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"


async def test_a_program_that_takes_for_ever_is_ended_with_all_that_it_started() -> None:
    async with asyncio.timeout(20):
        with pytest.raises(SpeechError, match=r"did not speak within 0\.3 s"):
            await Speech((sys.executable, "-c", _SLOW), within=0.3).speak("hello")


async def test_who_waits_no_more_leaves_no_program_behind(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    program = f"import os, time; open({str(mark)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    speaking_now = asyncio.create_task(Speech((sys.executable, "-c", program)).speak("hello"))
    async with asyncio.timeout(20):
        while not mark.exists() or not mark.read_text():  # noqa: ASYNC110  another process writes it
            await asyncio.sleep(0.01)
    speaking_now.cancel()
    with pytest.raises(asyncio.CancelledError):
        await speaking_now

    # It was waited for, so its number is nobody's.
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.read_text()), 0)
