"""When an incident will be worse than it is, as far as its readings or its age say so.

Knows thresholds and time; what tells a trend from noise is another module's business, and what is done about a
forecast is not known here. A forecast is a reason to look and never a grade: no SEV rises by it.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from msgspec import Struct

from sevrouter.domain.measure import Threshold
from sevrouter.domain.sev import Sev
from sevrouter.domain.trend import find_trend

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from sevrouter.domain.trend import Trend

# How far ahead a trend is drawn, as a share of the time that it was seen for.
FARTHEST_AHEAD = 0.5
# Intervals without a reading after which nobody knows where it stands: one may be lost, and one be on its way.
MOST_MISSED = 3
# What is read every few seconds is not old because a machine was busy for some.
SOONEST_STALE = timedelta(minutes=1)

_RISING, _FALLING = frozenset({">", ">="}), frozenset({"<", "<="})


class Forecast(Struct, frozen=True, gc=False):
    """The next worse SEV, and when: `crosses_in` from now, at most `horizon`.

    `value` is the last reading, in the measure's own unit, and `slope` what it changes by per second; it was seen to
    do so for `seen_for`. Of an incident's age these are seconds, 1, and the age.
    """

    sev: Sev
    threshold: Threshold
    value: float
    slope: float
    crosses_in: timedelta
    seen_for: timedelta
    horizon: timedelta

    def text(self) -> str:
        """`3.8, SEV-2 at >= 5 in about 12 min at this slope`."""
        when = in_words(self.crosses_in)
        return f"{_number(self.value)}, {self.sev} at {self.threshold.text} in about {when} at this slope"

    def duration_text(self, rule: str) -> str:
        """`becomes SEV-1 in 20 min: firing for >= 4h (breaking the SLA)`, with the rule's name."""
        return f"becomes {self.sev} in {in_words(self.crosses_in)}: firing for {self.threshold.text} ({rule})"


def forecast(
    readings: Iterable[tuple[datetime, float]],
    thresholds: Iterable[Threshold],
    sev: Sev | None,
    *,
    now: datetime,
    horizon: timedelta,
    find: Callable[[Iterable[tuple[float, float]]], Trend | None] = find_trend,
) -> Forecast | None:
    """When the readings of one measure cross the next threshold that is worse than `sev`; None: nobody can say.

    The readings may come in any order, more than once and with gaps, all in aware datetimes. What is later than
    `now` is not known yet. `==` is never forecast, nor is what the last reading crosses already.
    `find` tells the trend in them, where somebody knows it already.
    """
    known = {(at, value) for at, value in readings if at <= now and not math.isnan(value)}
    last = max((at for at, _ in known), default=now)
    if _is_stale({at for at, _ in known}, now):
        return None
    value = median(value for at, value in known if at == last)
    ahead = list(_ahead(thresholds, sev, value))
    if not ahead or not math.isfinite(value):
        return None
    trend = find(((at - last).total_seconds(), value) for at, value in known)
    if trend is None:
        return None
    return _next(
        Forecast(each.sev, each, value, trend.slope, when, timedelta(seconds=trend.span), horizon)
        for each in ahead
        if (when := _crossing(each, trend, age=now - last, horizon=horizon)) is not None
    )


def forecast_duration(
    since: datetime, thresholds: Iterable[Threshold], sev: Sev | None, *, now: datetime, horizon: timedelta
) -> Forecast | None:
    """When something that fires since then crosses the next threshold, in seconds, that is worse than `sev`.

    This one is certain if it goes on firing. None where no threshold is crossed within the horizon.
    """
    age = max(now - since, timedelta(0))
    left = ((each, each.bound - age.total_seconds()) for each in _ahead(thresholds, sev, age.total_seconds()))
    return _next(
        Forecast(each.sev, each, age.total_seconds(), 1.0, timedelta(seconds=seconds), age, horizon)
        for each, seconds in left
        if each.operator in _RISING and seconds <= horizon.total_seconds()
    )


def _is_stale(times: Collection[datetime], now: datetime) -> bool:
    if len(times) < 2:
        return True
    ordered = sorted(times)
    interval = median((after - before).total_seconds() for before, after in pairwise(ordered))
    return now - ordered[-1] > max(MOST_MISSED * timedelta(seconds=interval), SOONEST_STALE)


def _ahead(thresholds: Iterable[Threshold], sev: Sev | None, value: float) -> Iterator[Threshold]:
    for each in thresholds:
        if each.sev.is_worse_than(sev) and not each.is_crossed_by(value):
            yield each


def _crossing(threshold: Threshold, trend: Trend, *, age: timedelta, horizon: timedelta) -> timedelta | None:
    """How long from now the line takes to the bound; `age` is how old the last reading is."""
    if threshold.operator not in (_RISING if trend.slope > 0 else _FALLING):
        return None
    left = threshold.bound - trend.level
    soon, late = (max(0.0, left / slope - age.total_seconds()) for slope in (trend.slope, trend.slowest))
    # It has to be within reach even at the slowest that the slope may be.
    if late > min(horizon.total_seconds(), FARTHEST_AHEAD * trend.span):
        return None
    return timedelta(seconds=soon)


def _next(forecasts: Iterable[Forecast]) -> Forecast | None:
    return min(forecasts, key=lambda each: (each.crosses_in, each.sev.rank), default=None)


def in_words(span: timedelta) -> str:
    """As people say it, never less than ten seconds: `40 s`, `12 min`, `1 h 30 min`, `14 h`, `3 d`."""
    seconds = span.total_seconds()
    if seconds < 55:
        return f"{max(10, round(seconds / 10) * 10)} s"
    if (minutes := round(seconds / 60)) < 60:
        return f"{minutes} min"
    if (hours := round(seconds / 3600)) >= 48:
        return f"{round(seconds / 86400)} d"
    if hours >= 10:
        return f"{hours} h"
    hours, minutes = divmod(round(seconds / 300) * 5, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def _number(value: float) -> str:
    for prefix, factor in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e4)):
        if abs(value) >= factor:
            return f"{value / (1e3 if prefix == 'k' else factor):.4g}{prefix}"
    return f"{value:.4g}"
