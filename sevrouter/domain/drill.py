"""Drills: calls that prove, while nothing is wrong, that a person can be reached. When which of them is due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo

from sevrouter.domain.ringing import RingEnd

# Only so long after its time of the day is a drill begun: nobody is woken because we were down in the morning.
BEGINS_WITHIN = timedelta(hours=1)
# What somebody asked for, and nobody did, for so long is not wanted any more.
ASKED_FOR = timedelta(minutes=2)
# Days are counted from call to call, and a call comes a little later each time.
_SLACK = timedelta(hours=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """What is known of calls to one person by one provider, None where there was none. `end` is that of the last."""

    drilled_at: datetime | None = None
    end: RingEnd | None = None
    succeeded_at: datetime | None = None
    asked_at: datetime | None = None

    def is_asked_for(self, now: datetime) -> bool:
        """Whether somebody asks for it, and it was not begun since."""
        if self.asked_at is None or not timedelta() <= now - self.asked_at < ASKED_FOR:
            return False
        return self.drilled_at is None or self.drilled_at < self.asked_at


NEVER = Drill()


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillPlan:
    """Everybody is called so often (whole days), at this time of the day by the clock of a zone."""

    every: timedelta
    at: time
    zone: tzinfo

    def is_due(self, drill: Drill, now: datetime) -> bool:
        """Whether it is time, and not past it."""
        if not self.moment(now) <= now < self.moment(now) + BEGINS_WITHIN:
            return False
        return drill.drilled_at is None or now - drill.drilled_at >= self.every - _SLACK

    def moment(self, now: datetime) -> datetime:
        """The time of the day, on the day that it is there."""
        return datetime.combine(now.astimezone(self.zone).date(), self.at, tzinfo=self.zone)

    def next_at(self, now: datetime) -> datetime:
        """When it is that time of the day again."""
        today = self.moment(now)
        if now < today:
            return today
        tomorrow = now.astimezone(self.zone).date() + timedelta(days=1)
        return datetime.combine(tomorrow, self.at, tzinfo=self.zone)
