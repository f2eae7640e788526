"""What is said on the phone, as TwiML: the document that tells Twilio what to do in a call.

Knows their verbs and their limits. Must not know a connection, or what a key means.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, assert_never

from sevrouter.domain.ringing import Then
from sevrouter.domain.text import ELLIPSIS, one_line

if TYPE_CHECKING:
    from sevrouter.domain.ringing import Script

# Characters: a document that is sent along with the call may have 4,000, and what one verb says 4,096.
LONGEST_DOCUMENT = 4_000

# Seconds that a person has for a key after all was said.
KEY_WITHIN = 6
# How often it is said where no key can be waited for.
SAID_WITHOUT_KEYS = 2

NO_KEYS = "This call takes no keys. Acknowledge it on Slack or on the incident's page."

_DIAL = re.compile(r"(\+?[0-9]{2,20})([0-9*#,;wWpP]{0,60})", re.ASCII)
# A phone waits two seconds at a comma, and Twilio half a second at a w.
_PAUSE = "wwww"
_PAUSES = {",": _PAUSE, ";": _PAUSE, "p": _PAUSE, "P": _PAUSE, "W": "ww"}
# XML cannot hold these two at all.
_NO_CHARACTERS = re.compile("[\ufffe\uffff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """How it is said. `voice` is one of Twilio's names, None for their default. `caller` is the number that the bridge
    is dialled from (E.164)."""

    language: str = "en-US"
    voice: str | None = None
    caller: str | None = None


def twiml(script: Script, *, voice: Voice, action: str | None = None, again: str | None = None) -> str:
    """The document that speaks a script; its text is cut where the document would be too long.

    `action` is the address that is told of a key, without which none is waited for; `again` the one that is asked
    what to say where none was pressed, without which the phone hangs up.
    """
    text = _NO_CHARACTERS.sub("", one_line(script.text, LONGEST_DOCUMENT))
    match script.then:
        case Then.LISTEN if action is not None:
            return _fitted(text, _gather(voice, action, again))
        case Then.LISTEN:
            said = _NO_CHARACTERS.sub("", one_line(script.keyless or script.text, LONGEST_DOCUMENT))
            return _fitted(said, (_say(voice, loop=SAID_WITHOUT_KEYS), f" {NO_KEYS}</Say><Hangup/>"))
        case Then.HANG_UP:
            return _fitted(text, (_say(voice), "</Say><Hangup/>"))
        case Then.CONNECT:
            return _fitted(text, (_say(voice), f"</Say>{_dial(script.dial, voice)}<Hangup/>"))
    assert_never(script.then)


def _gather(voice: Voice, action: str, again: str | None) -> tuple[str, str]:
    # Without an end key every key counts, the hash key as well.
    opened = (
        f'<Gather input="dtmf" numDigits="1" finishOnKey="" timeout="{KEY_WITHIN}"'
        f' action="{escape(action)}" method="POST">'
    )
    then = "<Hangup/>" if again is None else f'<Redirect method="POST">{escape(again)}</Redirect>'
    return opened + _say(voice), f"</Say></Gather>{then}"


def _say(voice: Voice, *, loop: int | None = None) -> str:
    attributes = {"language": voice.language, "voice": voice.voice, "loop": None if loop is None else str(loop)}
    return "<Say" + "".join(f' {name}="{escape(value)}"' for name, value in attributes.items() if value) + ">"


def _dial(dial: str | None, voice: Voice) -> str:
    match = _DIAL.fullmatch(dial or "")
    if match is None:
        return ""
    digits = "".join(_PAUSES.get(character, character) for character in match[2])
    sent = f' sendDigits="{digits}"' if digits else ""
    caller = f' callerId="{escape(voice.caller)}"' if voice.caller else ""
    return f"<Dial{caller}><Number{sent}>{match[1]}</Number></Dial>"


def _fitted(text: str, around: tuple[str, str]) -> str:
    before, after = f'<?xml version="1.0" encoding="UTF-8"?><Response>{around[0]}', f"{around[1]}</Response>"
    room = LONGEST_DOCUMENT - len(before) - len(after)
    return before + _escaped(text, room) + after


def _escaped(text: str, room: int) -> str:
    whole = escape(text, quote=False)
    if len(whole) <= room:
        return whole
    kept, left = [], room - len(ELLIPSIS)
    for character in text:
        written = escape(character, quote=False)
        left -= len(written)
        if left < 0:
            break
        kept.append(written)
    return "".join(kept) + ELLIPSIS
