"""Who is on call by turns: people who hand over to one another at a local time, and exceptions to that.

Turns are counted on the clock on the wall, so that a handoff at 09:00 stays one at 09:00 when the clocks change. As
in iCalendar, a time that the clocks skip is as long after the last one that was there as it would have been (02:30
becomes 03:30), and of a time that comes twice the first is meant. Pure: knows no calendar and no clock of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# By how much two clocks of one place may differ: no zone has ever skipped more than a day.
_FURTHEST_APART = timedelta(hours=26)


@dataclass(frozen=True, slots=True)
class Override:
    """Somebody else is on call, from a time on the wall until another."""

    person: str
    starts: datetime
    ends: datetime


@dataclass(frozen=True, slots=True)
class Turn:
    """Who is on call; `until` is when the next person is, and `then` who that is. None where it is nobody else."""

    person: str
    until: datetime | None = None
    then: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """People who take turns of a length `every`, in their order, the first of them from `starts` on.

    `starts` and the times of overrides are times on the wall of `zone`, without one of their own. Turns go on in both
    directions, so that there is always exactly one person. Of overrides that overlap the one that is written last
    counts.
    """

    people: tuple[str, ...]
    starts: datetime
    every: timedelta
    zone: tzinfo
    overrides: tuple[Override, ...] = ()

    def at(self, moment: datetime) -> Turn:
        """Who is on call at a moment, and who is next."""
        person = self.person_at(moment)
        for change in self._changes_after(moment):
            after = self.person_at(change)
            if after != person:
                return Turn(person, change, after)
        return Turn(person)

    def person_at(self, moment: datetime) -> str:
        """Who is on call at a moment."""
        override = self._override_at(moment)
        return override.person if override is not None else self.people[self._turn(moment) % len(self.people)]

    def handoff(self, number: int) -> datetime:
        """When a turn begins, in UTC; number 0 is the first person's first."""
        return self._moment(self.starts + number * self.every)

    def next_handoff(self, moment: datetime) -> datetime:
        """When the next turn begins after a moment, whoever has it."""
        turn = self._turn(moment)
        return min(self.handoff(turn + ahead) for ahead in range(1, self._doubtful() + 1))

    def _turn(self, moment: datetime) -> int:
        """The last turn that has begun."""
        on_the_wall = moment.astimezone(self.zone).replace(tzinfo=None)
        about = (on_the_wall - self.starts) // self.every
        # Where the clocks were changed, the nearest turn on the wall may not have begun yet, or another one has.
        near = range(about + self._doubtful(), about - self._doubtful() - 1, -1)
        return next(number for number in near if self.handoff(number) <= moment)

    def _doubtful(self) -> int:
        """How many turns there may be between two clocks of one place."""
        return -(-_FURTHEST_APART // self.every) + 1

    def _override_at(self, moment: datetime) -> Override | None:
        held = (each for each in reversed(self.overrides) if self._begins(each) <= moment < self._ends(each))
        return next(held, None)

    def _changes_after(self, moment: datetime) -> Iterator[datetime]:
        """When somebody else may be on call, until everybody has been or nothing changes any more."""
        edges = sorted({edge for each in self.overrides for edge in (self._begins(each), self._ends(each))})
        turns = 0
        while True:
            edge = next((each for each in edges if each > moment), None)
            if self._override_at(moment) is not None:
                # Handoffs happen behind its back. It has an end, which is an edge.
                assert edge is not None
                moment = edge
            elif turns <= len(self.people):
                handoff = self.next_handoff(moment)
                turns += 1
                moment = handoff if edge is None else min(edge, handoff)
            elif edge is None:
                return
            else:
                moment = edge
            yield moment

    def _begins(self, override: Override) -> datetime:
        return self._moment(override.starts)

    def _ends(self, override: Override) -> datetime:
        return self._moment(override.ends)

    def _moment(self, on_the_wall: datetime) -> datetime:
        return on_the_wall.replace(tzinfo=self.zone, fold=0).astimezone(UTC)
