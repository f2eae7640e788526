"""Speech as samples: what WAV files can be said, and that another rate leaves of it what a telephone can carry."""

from __future__ import annotations

import io
import math
import struct
import wave
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sevrouter.notifiers.sound import LOUDEST, Sound, SoundError, bytes_of, read_wav, resampled, samples_of

RATE = 8_000


def a_wav(samples: list[int], *, rate: int = 22_050, channels: int = 1, width: int = 2) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(width)
        writer.setframerate(rate)
        writer.writeframes(b"".join(each.to_bytes(width, "little", signed=width > 1) for each in samples))
    return file.getvalue()


def a_tone(hertz: float, *, rate: int = 22_050, seconds: float = 0.5) -> Sound:
    steps = range(round(rate * seconds))
    return Sound(rate, bytes_of(array("h", (round(10_000 * math.sin(2 * math.pi * hertz * n / rate)) for n in steps))))


def loudness(samples: array[int]) -> float:
    return math.sqrt(sum(each * each for each in samples) / len(samples)) * math.sqrt(2)


def at_telephone(sound: Sound) -> array[int]:
    return samples_of(b"".join(resampled(sound, RATE, piece=800)))


def test_a_wav_file_is_read() -> None:
    sound = read_wav(a_wav([1, -2, 3]))

    assert sound == Sound(22_050, struct.pack("<3h", 1, -2, 3))
    assert sound.seconds == pytest.approx(3 / 22_050)


def test_two_channels_become_one() -> None:
    assert list(samples_of(read_wav(a_wav([100, 200, -32_768, -32_768], channels=2)).samples)) == [150, -32_768]


def test_a_length_that_nobody_knew_beforehand_is_not_believed() -> None:
    data = bytearray(a_wav([1, 2, 3]))
    data[4:8] = data[40:44] = b"\xff\xff\xff\x7f"

    assert list(samples_of(read_wav(bytes(data) + b"\x07").samples)) == [1, 2, 3]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no WAV file"),
        (b"<html>no voice</html>", "no WAV file"),
        (a_wav([1])[:30], "no WAV file"),
        (a_wav([]), "nothing is said"),
        (a_wav([1], width=1), "not 8 bits"),
        (a_wav([1], width=3), "not 24 bits"),
        (a_wav([1, 2, 3], channels=3), "in 3"),
        (a_wav([1], rate=4_000), "4000 Hz"),
        (a_wav([1], rate=96_000), "96000 Hz"),
    ],
)
def test_what_cannot_be_said_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(SoundError, match=why):
        read_wav(data)


@given(st.binary(max_size=200))
def test_nothing_but_a_sound_error_comes_of_rubbish(data: bytes) -> None:
    for each in (data, a_wav([1, 2])[:20] + data, a_wav([1, 2])[:36] + data):
        try:
            assert read_wav(each).samples
        except SoundError:
            continue


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000])
def test_another_rate_says_the_same_for_as_long(rate: int) -> None:
    samples = at_telephone(a_tone(1_000, rate=rate))

    assert len(samples) == pytest.approx(RATE / 2, abs=1)
    expected = samples_of(a_tone(1_000, rate=RATE).samples)
    # But for the ends, where the filter looks at silence.
    worst = max(abs(one - other) for one, other in zip(samples[100:-100], expected[100:-100], strict=False))
    assert worst < 100


@pytest.mark.parametrize(("hertz", "heard"), [(300, 1.0), (3_000, 1.0), (5_000, 0.0), (7_600, 0.0), (10_000, 0.0)])
def test_what_a_telephone_cannot_carry_is_not_heard_as_something_else(hertz: float, heard: float) -> None:
    assert loudness(at_telephone(a_tone(hertz))[100:-100]) / 10_000 == pytest.approx(heard, abs=0.02)


def test_what_is_as_loud_as_can_be_stays_so() -> None:
    loud = Sound(16_000, bytes_of(array("h", [LOUDEST, -LOUDEST - 1] * 10 + [LOUDEST] * 100)))

    assert max(abs(each) for each in at_telephone(loud)) <= LOUDEST


def test_pieces_are_as_long_as_asked_for_but_the_last() -> None:
    pieces = [len(each) // 2 for each in resampled(Sound(RATE, bytes(2 * 2_000)), RATE, piece=800)]

    assert pieces == [800, 800, 400]
