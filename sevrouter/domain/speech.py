"""What is said on the phone: what is broken, how bad it is and why, and which key does what. Plain text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sevrouter.domain.explanation import title_of
from sevrouter.domain.ringing import RingEnd, Script, Then
from sevrouter.domain.sev import sev_name
from sevrouter.domain.text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from sevrouter.domain.incident import Incident
    from sevrouter.domain.policy import Bridge

# Nobody listens for longer than that to what a stranger has written.
_LONGEST_SUMMARY, _LONGEST_REASON = 200, 240
# What a voice would spell out: characters that are no words.
_UNSPOKEN = re.compile(r"([^\w\s.,:;!?%+\-/'()&=<>°€$£§@]|_)+")
ACKNOWLEDGE, AGAIN, PASS_ON, CONNECT = "1", "2", "3", "4"


def call_text(told: Sequence[Incident], count: int, bridge: Bridge, *, now: datetime) -> Script:
    """What a call says that is about so many incidents, of which these are known, the worst first."""
    if not told:
        return farewell("What this call was about is over.")
    worst = told[0]
    others = max(count, len(told)) - 1
    parts = [_incident(worst, now)]
    if others:
        parts.append(_others(told[1:], others))
    text = " ".join(parts)
    return Script(f"{text} {menu(bridge)}", keyless=text)


def _incident(incident: Incident, now: datetime) -> str:
    unsure = ", though this is not sure" if incident.unsure else ""
    system = incident.system or "an unknown system"
    title = title_of(incident.evidence.alert, None)
    parts = [
        f"This is sevrouter. {sev_name(incident.sev)}{unsure}, on {spoken(system, 60)}.",
        f"{spoken(title, _LONGEST_SUMMARY)}.",
    ]
    because = _because(incident)
    if because:
        parts.append(f"It is a {sev_name(incident.sev)} because {because}.")
    parts.append(f"It has been so for {lasting(now - incident.opened_at)}.")
    return " ".join(parts)


def _because(incident: Incident) -> str:
    said = incident.standing.set_sev
    if said is not None:
        return spoken(f"{said.by} has set it: {said.reason}", _LONGEST_REASON)
    grades = incident.evidence.verdict.grades
    return spoken(grades[0].why, _LONGEST_REASON) if grades else ""


def _others(known: Sequence[Incident], count: int) -> str:
    more = "one more incident" if count == 1 else f"{count} more incidents"
    if not known:
        return f"And {more}."
    worst = known[0]
    return f"And {more}, the worst a {sev_name(worst.sev)} on {spoken(worst.system or 'an unknown system', 60)}."


def menu(bridge: Bridge) -> str:
    """Which keys do what."""
    keys = "Press 1 to acknowledge, 2 to hear it again, 3 to pass it on"
    return f"{keys}, 4 to be connected to the bridge." if bridge.dial else f"{keys}."


def acknowledged_text(count: int, bridge: Bridge) -> Script:
    """What is said once the key was pressed."""
    what = "it" if count == 1 else f"all {count}"
    text = f"Thank you. You own {what} now."
    if bridge.dial:
        return Script(f"{text} Press 4 to be connected to the bridge.", end=RingEnd.ACKNOWLEDGED)
    return Script(f"{text} Good bye.", Then.HANG_UP, end=RingEnd.ACKNOWLEDGED)


def passed_on_text() -> Script:
    """What is said to somebody who passes it on."""
    return Script("It is passed on to the next. Good bye.", Then.HANG_UP, end=RingEnd.PASSED_ON)


def connecting_text(dial: str, end: RingEnd) -> Script:
    """What is said to somebody who is connected to the bridge."""
    return Script("You are being connected to the bridge.", Then.CONNECT, dial=dial, end=end)


def not_stored_text(text: str) -> Script:
    """What is said where a key was pressed and that could not be written down."""
    return Script(f"This could not be stored just now. Please press the key again. {text}")


def farewell(why: str) -> Script:
    """What is said where a call is needed no more."""
    return Script(f"{why} Good bye.", Then.HANG_UP, end=RingEnd.CANCELLED)


def no_longer_needed(last: Incident | None) -> Script:
    """The farewell of a call whose last incident is this by now."""
    if last is None or last.is_open is False:
        what = "It" if last is None else spoken(title_of(last.evidence.alert, last.system), _LONGEST_SUMMARY)
        return farewell(f"{what} is resolved. You need not do anything.")
    owned = last.standing.acknowledged
    if owned is not None:
        return farewell(f"{spoken(owned.by, 60)} owns it. You need not do anything.")
    return farewell("You are not needed any more.")


def drill_text() -> Script:
    """What a drill says: as a real call, and that it is none."""
    text = "This is a drill by sevrouter: nothing is wrong."
    return Script(f"{text} Press 1 to confirm that a call reaches you.", keyless=text)


def drilled_text() -> Script:
    """What is said once a drill was confirmed."""
    return Script("Thank you. The drill has succeeded. Good bye.", Then.HANG_UP, end=RingEnd.ACKNOWLEDGED)


def unreadable_text() -> Script:
    """What is said where the store is away, so that nobody can say what it is about."""
    return Script("This is sevrouter. There is a major incident, and its details cannot be read just now. " + _LATER)


_LATER = "Please look at Slack, or press 2 to try again."


def spoken(text: str, limit: int) -> str:
    """A stranger's text as a voice can say it: one line without what is no word, and without its own full stop."""
    return one_line(_UNSPOKEN.sub(" ", one_line(text, limit * 2)), limit).rstrip(" .…") or "something"


_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def lasting(duration: timedelta) -> str:
    """A duration in words, in its largest unit: `12 minutes`."""
    seconds = max(1, int(duration.total_seconds()))
    size, unit = next((size, unit) for size, unit in _UNITS if seconds >= size)
    count = seconds // size
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
