"""A rise of likelihood is mentioned once, whatever the forecast does around a border."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sevrouter.domain.forecast import Forecast
from sevrouter.domain.likelihood import Likelihood, Mention, likelihood_of, weigh
from sevrouter.domain.measure import parse_threshold
from sevrouter.domain.sev import Sev
from tests.domain.building import at

HOUR = timedelta(hours=1)


def ahead(minutes: float, sev: Sev = Sev.SEV_2) -> Forecast:
    return Forecast(sev, parse_threshold(sev, ">= 5"), 3.8, 0.1, timedelta(minutes=minutes), HOUR, HOUR)


def told(story: list[float | None], *, every: float = 1) -> list[float]:
    """The forecasts of one SEV, in minutes and one each `every` minutes, that are mentioned."""
    mentions: dict[Sev, Mention] = {}
    mentioned = []
    for tick, minutes in enumerate(story):
        forecasts = [] if minutes is None else [ahead(minutes)]
        mentions, news = weigh(mentions, forecasts, now=at(tick * every), horizon=HOUR)
        mentioned += [each.crosses_in / timedelta(minutes=1) for each in news]
    return mentioned


@pytest.mark.parametrize(
    ("minutes", "level"),
    [
        (0, Likelihood.LIKELY),
        (15, Likelihood.LIKELY),
        (15.1, Likelihood.POSSIBLE),
        (60, Likelihood.POSSIBLE),
        (61, None),
    ],
)
def test_what_is_nearer_is_likelier(minutes: float, level: Likelihood | None) -> None:
    assert likelihood_of(ahead(minutes)) is level


def test_likelier_is_more_than_possible_and_anything_is_more_than_nothing() -> None:
    assert Likelihood.LIKELY.is_more_than(Likelihood.POSSIBLE)
    assert not Likelihood.POSSIBLE.is_more_than(Likelihood.LIKELY)
    assert not Likelihood.POSSIBLE.is_more_than(Likelihood.POSSIBLE)
    assert Likelihood.POSSIBLE.is_more_than(None)


def test_each_rise_is_mentioned_once() -> None:
    assert told([None, 50, 40, 30, 20, 14, 10, 5, 1]) == [50, 14]


def test_what_is_near_at_once_is_mentioned_once() -> None:
    assert told([10, 9, 8]) == [10]


def test_to_and_fro_across_the_border_is_no_news_however_long() -> None:
    assert told([14, 20] * 200) == [14]


def test_a_forecast_that_comes_and_goes_is_no_news() -> None:
    assert told([50, None, None, 50, None] * 50) == [50]


def test_what_was_gone_for_a_quarter_of_the_horizon_is_news_again() -> None:
    assert told([50, *[None] * 15, 50]) == [50]
    assert told([50, *[None] * 16, 50]) == [50, 50]


def test_what_was_clearly_farther_for_as_long_is_news_when_it_is_near_again() -> None:
    assert told([14, *[40.0] * 16, 14]) == [14, 14]
    assert told([14, *[22.0] * 100, 14]) == [14]


def test_what_falls_is_never_news() -> None:
    assert told([14, *[40.0] * 100]) == [14]


def test_each_sev_is_mentioned_for_itself_the_worst_first_and_the_soonest_of_each() -> None:
    mentions, news = weigh({}, [ahead(20), ahead(50, Sev.SEV_1), ahead(10)], now=at(0), horizon=HOUR)
    assert news == (ahead(50, Sev.SEV_1), ahead(10))
    assert mentions == {Sev.SEV_1: Mention(Likelihood.POSSIBLE), Sev.SEV_2: Mention(Likelihood.LIKELY)}


def test_nothing_new_is_nothing_to_store() -> None:
    mentions, _ = weigh({}, [ahead(50)], now=at(0), horizon=HOUR)
    again, news = weigh(mentions, [ahead(45)], now=at(1), horizon=HOUR)
    assert (again, news) == (mentions, ())
    below, _ = weigh(mentions, [], now=at(2), horizon=HOUR)
    assert below == {Sev.SEV_2: Mention(Likelihood.POSSIBLE, at(2))}
    still, _ = weigh(below, [], now=at(3), horizon=HOUR)
    assert still == below
    gone, _ = weigh(below, [], now=at(17), horizon=HOUR)
    assert gone == {}


@given(st.lists(st.one_of(st.none(), st.integers(0, 60)), max_size=120))
def test_a_quarter_of_the_horizon_hears_of_a_level_at_most_once(story: list[float | None]) -> None:
    mentioned = told(story)
    spells = len(story) // 15 + 1
    assert sum(each <= 15 for each in mentioned) <= spells
    assert sum(each > 15 for each in mentioned) <= spells
