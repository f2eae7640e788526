"""What is ahead of an incident by one rule: a trend that nears a bound, a time that runs out, the last one left."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from msgspec import Struct

from sevrouter.domain.forecast import FARTHEST_AHEAD, forecast, forecast_duration
from sevrouter.domain.likelihood import Likelihood
from sevrouter.domain.redundancy import one_less_crosses, redundancy_text
from sevrouter.domain.sev import Sev
from sevrouter.domain.trend import FEWEST_POINTS, Trend, find_trend

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sevrouter.domain.measure import Threshold
    from sevrouter.domain.readings import Past, Trail
    from sevrouter.domain.timed import Watched

NOW = timedelta(0)
# As a share of how far readings have moved, how much further a trend in them is ever drawn, with room for noise: four
# times what a straight line moves in the time that is looked ahead.
FARTHEST_MOVE = 4 * FARTHEST_AHEAD


class Foreseen(Struct, frozen=True, gc=False):
    """Something worse that may come, and one line that says what, when and by which rule."""

    sev: Sev
    crosses_in: timedelta
    horizon: timedelta
    text: str


def by_readings(
    rule: str, scale: Watched, past: Past, sev: Sev, *, now: datetime, horizon: timedelta
) -> Iterator[Foreseen]:
    """What the readings of a rule say is ahead of an incident of this SEV."""
    ahead = [each for each in scale.thresholds if each.sev.is_worse_than(sev)]
    # Most of what is read is read of incidents that cannot get worse by it, or not yet.
    if not ahead or past.number is None:
        return
    if len(past.trail) >= FEWEST_POINTS and _is_in_reach(past.trail, ahead):
        trail = past.trail
        found = forecast(past.points(), ahead, sev, now=now, horizon=horizon, find=lambda _: _trend_in(trail))
        if found is not None:
            yield Foreseen(found.sev, found.crosses_in, horizon, f"{rule}: {found.text()}")
    if (last := one_less_crosses(past.number, ahead, sev)) is not None:
        yield Foreseen(last.sev, NOW, horizon, f"{redundancy_text(last)} ({rule})")


def _is_in_reach(trail: Trail, ahead: Iterable[Threshold]) -> bool:
    """Whether a bound is so near that any trend in these readings could come to it: what has not moved cannot."""
    numbers = [number for _, number in trail]
    reach = FARTHEST_MOVE * (max(numbers) - min(numbers))
    return any(abs(each.bound - numbers[-1]) <= reach for each in ahead)


@lru_cache(maxsize=512)
def _trend_in(trail: Trail) -> Trend | None:
    # Incidents that ask alike have the same readings, and to look at them is what costs.
    return find_trend((float(at), number) for at, number in trail)


def by_time(
    rule: str, scale: Watched, since: datetime, sev: Sev, *, now: datetime, horizon: timedelta
) -> Iterator[Foreseen]:
    """What going on is ahead of an incident of this SEV."""
    found = forecast_duration(since, scale.thresholds, sev, now=now, horizon=horizon)
    if found is not None:
        yield Foreseen(found.sev, found.crosses_in, horizon, found.duration_text(rule))


def mentioned_at(crossed_at: datetime, horizon: timedelta) -> Iterator[datetime]:
    """When something that is sure to come becomes likely enough to be mentioned, and likelier."""
    yield from (crossed_at - horizon * each.within for each in Likelihood)
