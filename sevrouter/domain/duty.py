"""Who is on call by the events of a calendar: what an event's title says, and who that makes responsible when.

- The title is the name of a person, or several names with commas, semicolons, slashes, plus signs, `&` or `and`
  between them. `on call` around a name is left out: "Ana", "ana on call", "On Call - Ana - Shop", "on call: Ana & Ben".
- Where a title names nobody, the event's attendees do, by their name or mail address, if that is a name of ours.
- Upper and lower case are the same.
- Where events overlap, all of their people are on call.
- Where the title of one begins with `override:`, those of the others are not.

Pure: knows no calendar format and no clock.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sevrouter.domain.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

# Names of strangers that are told, and characters of each.
MOST_STRANGERS = 5
LONGEST_NAME = 60

_OVERRIDE = re.compile(r"override\s*:", re.IGNORECASE)
_BETWEEN = re.compile(r"[,;&/+\n]|\band\b", re.IGNORECASE)
_ON_CALL = r"on[\s-]?call"
_DASH = r"-\u2013\u2014"
_AROUND = (
    # "On Call - Ana - Shop", "on call: Ana", "on-call Ana"
    re.compile(rf"^\W*{_ON_CALL}\b(?:\s+for\b)?\s*[{_DASH}:|]?\s*(?P<name>.+?)(?:\s+[{_DASH}(|].*)?$", re.IGNORECASE),
    # "Ana on call", "Ana (on-call)", "Ana is on call for Shop", "[Primary] Ana on call"
    re.compile(rf"^(?:\[[^\]]*\])?\s*(?P<name>.+?)(?:\s+is)?\s*[{_DASH}:(|]?\s*\b{_ON_CALL}\b.*$", re.IGNORECASE),
)


@dataclass(frozen=True, slots=True)
class DutyEvent:
    """One event of a calendar, or one repetition of it, from `starts` until `ends`."""

    starts: datetime
    ends: datetime
    title: str
    attendees: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Duty:
    """Who is on call; `strangers` are named and are none of our people. `until` is when that changes, None where it
    does not as far as is known."""

    people: tuple[str, ...]
    strangers: tuple[str, ...]
    until: datetime | None


def named(event: DutyEvent, people: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The people that an event names, and its words for those who are nobody of ours.

    `people` gives a name as it is written by that name in lower case (casefold).
    """
    title = _OVERRIDE.sub("", event.title.strip(), count=1) if is_override(event) else event.title
    # A name may have any of the signs in it.
    pieces = [title] if _known(title, people) else _pieces(title)
    found = [(piece, _known(piece, people)) for piece in pieces]
    ours = tuple(dict.fromkeys(name for _, name in found if name is not None))
    if not ours:
        attending = (_known(each, people) for each in event.attendees)
        ours = tuple(dict.fromkeys(name for name in attending if name is not None))
    strangers = (one_line(piece, LONGEST_NAME) for piece, name in found if name is None)
    return ours, tuple(dict.fromkeys(strangers))[:MOST_STRANGERS]


def is_override(event: DutyEvent) -> bool:
    """Whether others that overlap do not count."""
    return _OVERRIDE.match(event.title.strip()) is not None


def _pieces(title: str) -> list[str]:
    return [piece.strip() for piece in _BETWEEN.split(title) if piece.strip()] or [title.strip() or "(no title)"]


def _known(words: str, people: Mapping[str, str]) -> str | None:
    candidates = [words, *(found["name"] for each in _AROUND if (found := each.match(words.strip())))]
    return next((people[key] for each in candidates if (key := _folded(each)) in people), None)


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())


class Duties:
    """Who is on call at each time of a calendar. `people` are the names of ours."""

    def __init__(self, events: Iterable[DutyEvent], people: Iterable[str]) -> None:
        by_folded = {_folded(name): name for name in people}
        self._starts: list[datetime] = []
        self._held: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
        for at, ours, strangers in _sweep(list(events), by_folded):
            if not self._held or self._held[-1] != (ours, strangers):
                self._starts.append(at)
                self._held.append((ours, strangers))

    def at(self, moment: datetime) -> Duty:
        """Who is on call at a moment."""
        place = bisect_right(self._starts, moment)
        ours, strangers = self._held[place - 1] if place else ((), ())
        # That strangers change is no change of who is called.
        after = range(place, len(self._starts))
        until = next((self._starts[number] for number in after if self._held[number][0] != ours), None)
        return Duty(ours, strangers, until)

    @property
    def strangers(self) -> tuple[str, ...]:
        """Everybody who is named and none of ours, at a time at which somebody of ours is not."""
        return tuple(dict.fromkeys(name for ours, names in self._held if not ours for name in names))


class _Layer:
    """How often each name is held at a time of the sweep."""

    def __init__(self) -> None:
        self._events = 0
        self._ours = Counter[str]()
        self._strangers = Counter[str]()

    def change(self, names: tuple[Sequence[str], Sequence[str]], by: int) -> None:
        self._events += by
        for counter, each in zip((self._ours, self._strangers), names, strict=True):
            for name in each:
                counter[name] += by
                if not counter[name]:
                    del counter[name]

    @property
    def is_held(self) -> bool:
        return self._events > 0

    @property
    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return tuple(sorted(self._ours)), tuple(sorted(self._strangers)[:MOST_STRANGERS])


def _sweep(
    events: Sequence[DutyEvent], people: Mapping[str, str]
) -> Iterator[tuple[datetime, tuple[str, ...], tuple[str, ...]]]:
    """From each time on at which anything changes: our people and the strangers, in the order of their names."""
    changes: dict[datetime, list[tuple[DutyEvent, int]]] = {}
    for event in events:
        if event.starts < event.ends:
            changes.setdefault(event.starts, []).append((event, 1))
            changes.setdefault(event.ends, []).append((event, -1))
    usual, override = _Layer(), _Layer()
    # A calendar repeats its titles.
    known: dict[tuple[str, tuple[str, ...]], tuple[tuple[str, ...], tuple[str, ...]]] = {}
    for at in sorted(changes):
        for event, by in changes[at]:
            key = event.title, event.attendees
            if key not in known:
                known[key] = named(event, people)
            (override if is_override(event) else usual).change(known[key], by)
        yield at, *(override if override.is_held else usual).names
