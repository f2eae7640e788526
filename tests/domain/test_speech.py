"""What is said on the phone: short, in words that a voice can say, and with the keys that do something."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sevrouter.domain import speech
from sevrouter.domain.policy import NO_BRIDGE, Bridge
from sevrouter.domain.ringing import RingEnd, Then
from sevrouter.domain.sev import Sev
from tests.domain.building import at, firing, incident

if TYPE_CHECKING:
    from sevrouter.domain.incident import Incident

BRIDGE = Bridge("https://meet.example.com/1", "+4930,,7#")


def test_a_call_says_what_how_bad_why_and_for_how_long() -> None:
    down = incident(Sev.SEV_1, alert=firing("Down", annotations={"summary": "Nobody can pay"}))
    said = speech.call_text([down], 1, NO_BRIDGE, now=at(12))
    assert said.text.startswith("This is sevrouter. SEV-1, on checkout. Nobody can pay")
    assert "It has been so for 12 minutes." in said.text
    assert said.text.endswith("Press 1 to acknowledge, 2 to hear it again, 3 to pass it on.")
    assert said.keyless == said.text.removesuffix(" Press 1 to acknowledge, 2 to hear it again, 3 to pass it on.")
    assert (said.then, said.end) == (Then.LISTEN, RingEnd.NO_KEY)


def test_a_call_about_many_says_how_many_and_the_worst_of_the_others() -> None:
    worst, other = incident(Sev.SEV_1), incident(Sev.SEV_2, system="search")

    def said(*told: Incident, count: int) -> str:
        return speech.call_text(told, count, NO_BRIDGE, now=at(1)).text

    assert "And 14 more incidents, the worst a SEV-2 on search." in said(worst, other, count=15)
    assert "And one more incident, the worst a SEV-2 on search." in said(worst, other, count=2)
    assert "And 4 more incidents." in said(worst, count=5)
    assert speech.call_text([], 0, NO_BRIDGE, now=at(1)).then is Then.HANG_UP


def test_the_bridge_is_offered_where_there_is_one_to_dial() -> None:
    assert speech.menu(BRIDGE).endswith("4 to be connected to the bridge.")
    assert "4" not in speech.menu(Bridge("https://meet.example.com/1"))
    owned = speech.acknowledged_text(3, BRIDGE)
    assert (owned.then, owned.end) == (Then.LISTEN, RingEnd.ACKNOWLEDGED)
    assert owned.text == "Thank you. You own all 3 now. Press 4 to be connected to the bridge."
    assert speech.acknowledged_text(1, NO_BRIDGE).then is Then.HANG_UP


@given(st.text(max_size=2_000))
def test_a_strangers_text_is_one_short_line_that_says_something(text: str) -> None:
    said = speech.spoken(text, 200)
    assert 0 < len(said) <= 200
    assert said.isprintable()
    assert not set(said) & set("*_`|{}[]~^#\\")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "1 second"),
        (59, "59 seconds"),
        (60, "1 minute"),
        (3_599, "59 minutes"),
        (7_200, "2 hours"),
        (90_000, "1 day"),
    ],
)
def test_durations_are_words(seconds: float, words: str) -> None:
    assert speech.lasting(timedelta(seconds=seconds)) == words
