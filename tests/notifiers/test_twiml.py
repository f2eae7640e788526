"""TwiML: what a script becomes, and that nothing in a text becomes a verb. The vendor's own classes write the same."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.twiml.voice_response import Dial, Gather, VoiceResponse

from sevrouter.domain.ringing import Script, Then
from sevrouter.notifiers.twiml import LONGEST_DOCUMENT, NO_KEYS, Voice, twiml
from tests.notifiers.notices import INJECTIONS
from tests.standins.twilio_documents import parse

VOICE = Voice(language="de-DE", voice="Polly.Vicki", caller="+15005550006")
ACTION = "https://sevrouter.example/callbacks/twilio/main/7/t/pressed"
AGAIN = "https://sevrouter.example/callbacks/twilio/main/7/t/again/2"


def same(document: str, response: VoiceResponse) -> bool:
    """Whether two documents hold the same verbs, whatever the order of their attributes."""
    return ElementTree.canonicalize(document) == ElementTree.canonicalize(str(response))


def test_what_listens_gathers_one_key_and_asks_again() -> None:
    expected = VoiceResponse()
    gather = Gather(input="dtmf", num_digits=1, finish_on_key="", timeout=6, action=ACTION, method="POST")
    gather.say("a & b", language="de-DE", voice="Polly.Vicki")
    expected.append(gather)
    expected.redirect(AGAIN, method="POST")
    assert same(twiml(Script("a & b"), voice=VOICE, action=ACTION, again=AGAIN), expected)


def test_the_last_time_it_hangs_up() -> None:
    document = twiml(Script("a"), voice=VOICE, action=ACTION)
    assert [verb.tag for verb in parse(document)] == ["Gather", "Hangup"]


def test_what_cannot_listen_says_it_twice_and_where_to_acknowledge() -> None:
    expected = VoiceResponse()
    expected.say(f"down {NO_KEYS}", language="en-US", loop=2)
    expected.hangup()
    assert same(twiml(Script("down"), voice=Voice()), expected)


def test_a_farewell_hangs_up() -> None:
    expected = VoiceResponse()
    expected.say("bye", language="en-US")
    expected.hangup()
    assert same(twiml(Script("bye", Then.HANG_UP), voice=Voice(), action=ACTION), expected)


def test_the_bridge_is_dialled_and_its_digits_are_sent_after_a_pause() -> None:
    expected = VoiceResponse()
    expected.say("connecting", language="de-DE", voice="Polly.Vicki")
    dial = Dial(caller_id="+15005550006")
    dial.number("+49301234", send_digits="wwwwwwww77#")
    expected.append(dial)
    expected.hangup()
    assert same(twiml(Script("connecting", Then.CONNECT, "+49301234,,77#"), voice=VOICE, action=ACTION), expected)


@pytest.mark.parametrize("dial", [None, "", "meet.example", "+49<Say>", "tel:+49301234", "+49301234,,77#" + "1" * 99])
def test_a_bridge_that_is_no_dial_string_is_not_dialled(dial: str | None) -> None:
    assert [verb.tag for verb in parse(twiml(Script("x", Then.CONNECT, dial), voice=VOICE))] == ["Say", "Hangup"]


@pytest.mark.parametrize("text", [*INJECTIONS, "\x00\x1b[31m\ufffe\uffff\ud800\u2028x"])
def test_no_text_becomes_a_verb(text: str) -> None:
    [gather, redirect] = parse(twiml(Script(text), voice=VOICE, action=ACTION, again=AGAIN))
    assert [each.tag for each in gather] == ["Say"]
    assert redirect.text == AGAIN


@given(
    text=st.text(st.characters(), max_size=300).map(lambda text: f"a{text}")
    | st.sampled_from(["&" * 9_000, "ü" * 9_000]),
    then=st.sampled_from(Then),
    keys=st.booleans(),
)
def test_every_text_fits_and_can_be_read(text: str, then: Then, *, keys: bool) -> None:
    script = Script(text, then, "+49301234,,77#")
    document = twiml(script, voice=VOICE, action=ACTION if keys else None, again=AGAIN if keys else None)
    assert len(document) <= LONGEST_DOCUMENT
    assert {verb.tag for verb in parse(document)} <= {"Gather", "Say", "Redirect", "Hangup", "Dial"}


def test_what_is_cut_is_cut_between_characters_and_marked() -> None:
    [say, _] = parse(twiml(Script("&" * 9_000, Then.HANG_UP), voice=Voice()))
    assert say.text is not None
    assert set(say.text[:-1]) == {"&"}
    assert say.text.endswith("…")
    assert len(say.text) > 700
