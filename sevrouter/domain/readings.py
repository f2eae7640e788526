"""What a query has given so far: its last number, why there is none, and a bounded trail of its numbers."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from msgspec import Struct

from sevrouter.domain.promql import QueryAnswer, QueryProblem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sevrouter.domain.measure import Threshold

# Readings that are kept of one query; beyond it every second one of the older half is dropped. An hour of them, each
# half minute, is whole.
MOST_READINGS = 120
# What is kept as a number of JSON, which knows no infinity.
BEYOND_ALL = sys.float_info.max

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)

# (whole seconds since 1970, number), the oldest first. The times are those of the beats that readings are due at, so
# that all who read the same have the same trail.
Trail = tuple[tuple[int, float], ...]


class Past(Struct, frozen=True, gc=False, omit_defaults=True):
    """What one query gave by one rule: its last number, and since when it has given none, and why.

    `is_told`: that there is none has counted as the worst.
    """

    number: float | None = None
    problem: QueryProblem | None = None
    since: datetime | None = None
    is_told: bool = False
    trail: Trail = ()

    def then(
        self,
        answer: QueryAnswer,
        thresholds: Sequence[Threshold],
        *,
        now: datetime,
        every: timedelta,
        kept_for: timedelta,
    ) -> Past:
        """What it gave by now. Of several series the one counts that is worst.

        It is read `every` so often, and what it gave is kept for so long.
        """
        if answer.problem is not None:
            return Past(self.number, answer.problem, self.since or now, self.is_told, self.trail)
        numbers = [float(min(max(each.number, -BEYOND_ALL), BEYOND_ALL)) for each in answer.series]
        number = min(numbers, key=lambda each: _place(thresholds, each))
        return Past(number, trail=_longer(self.trail, number, now - (now - _EPOCH) % every, kept_for))

    def is_unsure(self, unsure_after: timedelta, now: datetime) -> bool:
        """Whether it has given no number for so long that this counts as the worst."""
        return self.since is not None and now - self.since >= unsure_after

    def points(self) -> Iterator[tuple[datetime, float]]:
        """The trail with its times."""
        return ((_EPOCH + timedelta(seconds=at), number) for at, number in self.trail)


# By rule and query.
Readings = Mapping[str, Past]


def _place(thresholds: Sequence[Threshold], number: float) -> int:
    return next((place for place, each in enumerate(thresholds) if each.is_crossed_by(number)), len(thresholds))


def _longer(trail: Trail, number: float, now: datetime, kept_for: timedelta) -> Trail:
    at = (now - _EPOCH) // _SECOND
    if not kept_for:
        return ()
    # What was read twice between two beats is one reading, and what lies beyond all numbers is no point of a line.
    if abs(number) == BEYOND_ALL or (trail and trail[-1][0] >= at):
        return trail
    oldest = at - kept_for // _SECOND
    kept = (*(each for each in trail if each[0] >= oldest), (at, number))
    if len(kept) <= MOST_READINGS:
        return kept
    half = len(kept) // 2
    return (*kept[:half:2], *kept[half:])


def number_text(number: float) -> str:
    """A number in six digits, `+Inf` beyond all numbers."""
    if abs(number) == BEYOND_ALL:
        return "+Inf" if number > 0 else "-Inf"
    return f"{number:.6g}"
