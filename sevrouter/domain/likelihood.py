"""How likely it is that an incident gets worse, and whether that is news: one mention per rise, not one per tick.

Knows forecasts; who is told, and how, is not known here. A forecast comes and goes at a border, so what was mentioned
stays mentioned until it has been clearly below its level for a while; then a new rise is news again.
"""

from __future__ import annotations

import enum
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol, TypeVar

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sevrouter.domain.sev import Sev

# A level is left only this much beyond its border, so that to and fro across the border is no news.
MARGIN = 1.5
# The share of the horizon for which it has to be below, so that a trend lost for some readings is no news when found.
FORGOTTEN_AFTER = 0.25


class Ahead(Protocol):
    """Something worse that may come: a SEV, when, and how far ahead is looked at all."""

    @property
    def sev(self) -> Sev: ...
    @property
    def crosses_in(self) -> timedelta: ...
    @property
    def horizon(self) -> timedelta: ...


A = TypeVar("A", bound=Ahead)


class Likelihood(enum.Enum):
    """How likely: the bound is crossed within this share of the horizon. What is beyond the horizon has none."""

    within: float

    POSSIBLE = ("possible", 1.0)
    LIKELY = ("likely", 0.25)

    def __new__(cls, word: str, within: float) -> Likelihood:
        likelihood = object.__new__(cls)
        likelihood._value_ = word
        likelihood.within = within
        return likelihood

    def is_more_than(self, other: Likelihood | None) -> bool:
        """Whether this is more likely than `other`; any likelihood is more than None."""
        return other is None or self.within < other.within


class Mention(Struct, frozen=True, gc=False):
    """What was mentioned of one SEV that an incident may become, and since when it is no longer as likely, if so."""

    likelihood: Likelihood
    below_since: datetime | None = None


def likelihood_of(forecast: Ahead) -> Likelihood | None:
    """The likelihood of a forecast; None where it is beyond its own horizon."""
    fitting = (each for each in Likelihood if forecast.crosses_in <= each.within * forecast.horizon)
    return min(fitting, key=lambda each: each.within, default=None)


def weigh(
    mentions: Mapping[Sev, Mention], forecasts: Iterable[A], *, now: datetime, horizon: timedelta
) -> tuple[dict[Sev, Mention], tuple[A, ...]]:
    """What is to be remembered of one incident, and the forecasts that are news, the worst SEV's first.

    Of several forecasts of one SEV the soonest counts, whichever rule it is by. What is remembered equals what was
    as long as nothing has to be stored.
    """
    soonest: dict[Sev, A] = {}
    for each in sorted(forecasts, key=lambda forecast: forecast.crosses_in):
        soonest.setdefault(each.sev, each)
    remembered: dict[Sev, Mention] = {}
    news: list[A] = []
    for sev in sorted({*mentions, *soonest}, key=lambda sev: sev.rank):
        before, found = mentions.get(sev), soonest.get(sev)
        after = _next(before, found, now=now, horizon=horizon)
        if after is not None:
            remembered[sev] = after
            if found is not None and after.likelihood.is_more_than(before.likelihood if before else None):
                news.append(found)
    return remembered, tuple(news)


def _next(before: Mention | None, found: Ahead | None, *, now: datetime, horizon: timedelta) -> Mention | None:
    level = None if found is None else likelihood_of(found)
    present = None if level is None else Mention(level)
    if before is None or (level is not None and level.is_more_than(before.likelihood)):
        return present
    if found is not None and found.crosses_in <= MARGIN * before.likelihood.within * found.horizon:
        return Mention(before.likelihood)
    since = before.below_since or now
    return present if now - since >= FORGOTTEN_AFTER * horizon else Mention(before.likelihood, since)
