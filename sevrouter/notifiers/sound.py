"""Speech as samples: read from a WAV file, and converted to the rate of a telephone.

Pure. Must not know where the sound comes from, or who hears it.
"""

from __future__ import annotations

import io
import math
import sys
import wave
from array import array
from dataclasses import dataclass
from functools import cache
from itertools import islice
from operator import mul
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Samples a second that make sense for speech.
SLOWEST_RATE, FASTEST_RATE = 8_000, 48_000
# A tap of the filter for each zero crossing of it on either side.
_CROSSINGS = 8
LOUDEST = 32_767


class SoundError(ValueError):
    """It is no sound that can be said; the message says why."""


@dataclass(frozen=True, slots=True)
class Sound:
    """`samples` are 16 bits each, little-endian, of one channel; `rate` is how many of them a second has."""

    rate: int
    samples: bytes

    @property
    def seconds(self) -> float:
        """How long it takes to say."""
        return len(self.samples) / 2 / self.rate


def read_wav(data: bytes) -> Sound:
    """The sound in a WAV file of 16 bits; several channels become one. Raises SoundError.

    Programs that write to a pipe do not know its length beforehand, so what the header says of it is not believed.
    """
    try:
        with wave.open(io.BytesIO(data)) as file:
            width, channels, rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
            frames = file.readframes(file.getnframes())
    # The standard library's reader raises all of these for a file that is cut or lies about its parts.
    except (wave.Error, EOFError, RuntimeError, ValueError, ArithmeticError) as error:
        raise SoundError(f"this is no WAV file: {error}") from error
    if width != 2 or channels not in (1, 2) or not SLOWEST_RATE <= rate <= FASTEST_RATE:
        raise SoundError(
            f"16 bits in one or two channels at {SLOWEST_RATE} to {FASTEST_RATE} Hz can be said, "
            f"not {width * 8} bits in {channels} at {rate} Hz"
        )
    frames = frames[: len(frames) - len(frames) % (2 * channels)]
    if not frames:
        raise SoundError("nothing is said in it")
    return Sound(rate, frames if channels == 1 else _mixed(frames))


def _mixed(frames: bytes) -> bytes:
    both = samples_of(frames)
    return bytes_of(array("h", ((left + right) >> 1 for left, right in zip(both[::2], both[1::2], strict=True))))


def samples_of(data: bytes) -> array[int]:
    """Bytes as numbers."""
    samples = array("h", data)
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


def bytes_of(samples: array[int]) -> bytes:
    """Numbers as bytes."""
    if sys.byteorder == "big":
        samples = array("h", samples)
        samples.byteswap()
    return samples.tobytes()


def resampled(sound: Sound, rate: int, *, piece: int) -> Iterator[bytes]:
    """The sound at another rate, in pieces of so many samples, each made when it is asked for."""
    numbers = iter(_resampled(samples_of(sound.samples), sound.rate, rate))
    while part := array("h", islice(numbers, piece)):
        yield bytes_of(part)


def _resampled(samples: array[int], given: int, wanted: int) -> Iterator[int]:
    if given == wanted:
        yield from samples
        return
    divisor = math.gcd(given, wanted)
    step, phases = given // divisor, wanted // divisor
    reach = len(_taps(given, wanted, 0)) // 2
    padded = array("h", bytes(2 * reach)) + samples + array("h", bytes(2 * reach))
    for number in range(len(samples) * phases // step):
        whole, phase = divmod(number * step, phases)
        taps = _taps(given, wanted, phase)
        # The first tap is for the sample `reach - 1` before this one, and the padding has moved that by `reach`.
        value = sum(map(mul, padded[whole + 1 : whole + 1 + len(taps)], taps))
        yield max(-LOUDEST, min(LOUDEST, round(value)))


@cache
def _taps(given: int, wanted: int, phase: int) -> Sequence[float]:
    """A low-pass filter around a moment between two samples: a sinc under a Hann window.

    What is above half of the lower rate would be heard as something else, and is left out.
    """
    cutoff = min(1.0, wanted / given) * 0.95
    reach = math.ceil(_CROSSINGS / cutoff)
    between = phase / (wanted // math.gcd(given, wanted))
    taps = [_tap((place - between) * cutoff) for place in range(1 - reach, reach + 1)]
    return [tap / sum(taps) for tap in taps]


def _tap(x: float) -> float:
    if abs(x) >= _CROSSINGS:
        return 0.0
    sinc = 1.0 if x == 0 else math.sin(math.pi * x) / (math.pi * x)
    return sinc * (0.5 + 0.5 * math.cos(math.pi * x / _CROSSINGS))
