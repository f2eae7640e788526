"""How recordings are compared: the same is alike wherever it begins, and what is missing is noticed."""

from __future__ import annotations

import random
from array import array

from sevrouter.notifiers.sound import Sound, bytes_of
from tests.real.phone import RATE, likeness


def a_sound(seed: int, seconds: float = 2.0) -> array[int]:
    """Noise that rises and falls as speech does."""
    chance = random.Random(seed)  # noqa: S311  noise
    loud = [chance.randint(3_000, 8_000) for _ in range(round(seconds * 10) + 1)]
    return array("h", (chance.randint(-1, 1) * loud[at * 10 // RATE] for at in range(round(seconds * RATE))))


SAID = a_sound(1)
SOUND = Sound(RATE, bytes_of(SAID))
SILENCE = array("h", bytes(2 * RATE))


def test_the_same_is_alike_wherever_it_begins() -> None:
    assert likeness(SAID, SOUND) > 0.999
    assert likeness(SILENCE[:777] + SAID + SILENCE, SOUND) > 0.999
    assert likeness(a_sound(2) + SAID + a_sound(3, 0.3), SOUND) > 0.999


def test_what_came_a_little_late_is_the_same() -> None:
    assert likeness(SILENCE + SAID[:8_000] + SILENCE[:160] + SAID[8_000:] + SILENCE, SOUND) > 0.999


def test_something_else_is_not_alike() -> None:
    assert likeness(SILENCE * 3, SOUND) == 0
    assert likeness(a_sound(2, 3.0), SOUND) < 0.5
    assert likeness(SAID[:-1], SOUND) == 0


def test_what_is_missing_is_noticed() -> None:
    cut = array("h", SAID)
    cut[4_000:6_400] = SILENCE[:2_400]

    assert likeness(SILENCE + cut + SILENCE, SOUND) < 0.97
