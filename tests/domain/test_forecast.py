"""A forecast is made of a steady trend and of nothing else, and says the right time."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sevrouter.domain.forecast import Forecast, forecast, forecast_duration, in_words
from sevrouter.domain.measure import Threshold, parse_threshold
from sevrouter.domain.sev import Sev
from tests.domain.building import NOW, at

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

HOUR = timedelta(hours=1)
Readings = list[tuple[datetime, float]]

CUSTOMERS = [
    parse_threshold(Sev.SEV_1, ">= 25"),
    parse_threshold(Sev.SEV_2, ">= 5"),
    parse_threshold(Sev.SEV_3, "> 0"),
]


def minutely(value: Callable[[int], float], *, since: int = -60, until: int = 0) -> Readings:
    """A reading a minute up to now, of a function of the minute."""
    return [(at(minute), value(minute)) for minute in range(since, until + 1)]


def rising(minute: int) -> float:
    return 3.8 + 0.1 * minute


def said(
    readings: Readings,
    thresholds: list[Threshold] | None = None,
    sev: Sev | None = Sev.SEV_3,
    *,
    now: datetime = NOW,
    horizon: timedelta = HOUR,
) -> Forecast | None:
    return forecast(readings, thresholds or CUSTOMERS, sev, now=now, horizon=horizon)


def test_a_steady_rise_is_forecast_with_the_next_worse_sev_and_the_time() -> None:
    found = said(minutely(rising))
    assert found is not None
    assert (found.sev, found.threshold.text, found.value) == (Sev.SEV_2, ">= 5", 3.8)
    assert found.slope == pytest.approx(0.1 / 60)
    assert found.crosses_in.total_seconds() == pytest.approx(12 * 60)
    assert (found.seen_for, found.horizon) == (HOUR, HOUR)
    assert found.text() == "3.8, SEV-2 at >= 5 in about 12 min at this slope"


def test_a_fall_nears_what_lies_below() -> None:
    below = [parse_threshold(Sev.SEV_1, "<= 10"), parse_threshold(Sev.SEV_2, "< 20")]
    found = said(minutely(lambda minute: 22 - 0.1 * minute), below)
    assert found is not None
    assert (found.sev, found.crosses_in) == (Sev.SEV_2, timedelta(minutes=20))
    assert said(minutely(lambda minute: 22 + 0.1 * minute), below) is None
    assert said(minutely(lambda minute: 3.8 - 0.1 * minute)) is None


def test_the_time_counts_from_now_and_not_from_the_last_reading() -> None:
    found = said(minutely(rising), now=at(2))
    assert found is not None
    assert found.crosses_in.total_seconds() == pytest.approx(10 * 60)


def test_what_is_as_bad_as_the_incident_or_better_is_not_forecast() -> None:
    assert said(minutely(rising), sev=Sev.SEV_2) is None
    assert said(minutely(rising), sev=Sev.SEV_1) is None


def test_without_an_incident_every_sev_is_worse() -> None:
    found = said(minutely(lambda minute: -0.5 + 0.1 * minute), sev=None)
    assert found is not None
    assert found.sev is Sev.SEV_3


def test_what_the_last_reading_crosses_already_is_not_forecast_but_the_next_is() -> None:
    found = said(minutely(lambda minute: 20 + 0.5 * minute))
    assert found is not None
    assert (found.sev, found.crosses_in) == (Sev.SEV_1, timedelta(minutes=10))


def test_of_two_within_reach_the_sooner_is_forecast() -> None:
    both = [parse_threshold(Sev.SEV_1, ">= 6"), parse_threshold(Sev.SEV_2, ">= 5")]
    found = said(minutely(rising), both)
    assert found is not None
    assert found.sev is Sev.SEV_2


def test_of_two_that_are_crossed_at_once_the_worse_is_forecast() -> None:
    both = [parse_threshold(Sev.SEV_2, ">= 5"), parse_threshold(Sev.SEV_1, "> 5")]
    found = said(minutely(rising), both)
    assert found is not None
    assert found.sev is Sev.SEV_1


@pytest.mark.parametrize("text", ["== 5", ">= Inf"])
def test_what_no_slope_leads_to_is_not_forecast(text: str) -> None:
    assert said(minutely(rising), [parse_threshold(Sev.SEV_2, text)]) is None


def test_it_looks_half_as_far_ahead_as_it_has_seen_back() -> None:
    assert said(minutely(rising, since=-25)) is not None
    assert said(minutely(rising, since=-23)) is None


def test_it_looks_no_farther_than_the_horizon() -> None:
    assert said(minutely(rising), horizon=timedelta(minutes=13)) is not None
    assert said(minutely(rising), horizon=timedelta(minutes=11)) is None


def test_fewer_than_twelve_readings_are_no_trend() -> None:
    few = [(at(-5 * number), 4.9 - 0.1 * number) for number in range(11)]
    assert said(few) is None
    assert said([*few, (at(-55), 3.8)]) is not None


def test_an_old_last_reading_says_nothing_about_now() -> None:
    assert said(minutely(rising), now=at(3)) is not None
    assert said(minutely(rising), now=at(3.1)) is None


def test_what_is_read_every_second_is_not_old_within_a_minute() -> None:
    secondly = [(NOW - timedelta(seconds=number), 4.9 - 0.001 * number) for number in range(120)]
    assert said(secondly, now=NOW + timedelta(seconds=50)) is not None
    assert said(secondly, now=NOW + timedelta(seconds=61)) is None


def test_what_is_read_after_now_is_not_known_yet() -> None:
    assert said(minutely(rising, until=10)) == said(minutely(rising))


def test_a_gap_in_a_steady_rise_does_no_harm() -> None:
    found = said([each for each in minutely(rising) if not at(-40) < each[0] < at(-25)])
    assert found is not None
    assert found.crosses_in.total_seconds() == pytest.approx(12 * 60)


def test_what_is_not_finite_is_left_out_unless_it_is_the_last() -> None:
    readings = minutely(rising)
    wild = [(when, [math.inf, -math.inf, math.nan][minute % 3]) for minute, (when, _) in enumerate(readings[5::10])]
    steady = [each for each in readings if each[0] not in dict(wild)]
    assert said(steady) is not None
    assert said(steady + wild) == said(steady)
    assert said([*readings[:-1], (NOW, -math.inf)]) is None
    assert said([*readings[:-1], (NOW, math.inf)]) is None


@pytest.mark.parametrize("spike", [-60, -31, -20, -5, -1])
@pytest.mark.parametrize("height", [1.0, -4.0, 400.0])
def test_one_wild_reading_neither_makes_a_forecast_nor_spoils_one(spike: int, height: float) -> None:
    found = said(minutely(lambda minute: rising(minute) + (height if minute == spike else 0)))
    assert found is not None
    assert found.crosses_in.total_seconds() == pytest.approx(12 * 60, rel=0.03)
    assert said(minutely(lambda minute: 3.8 + (height if minute == spike else 0))) is None


def test_what_got_worse_only_lately_is_forecast_at_its_own_slope() -> None:
    found = said(minutely(lambda minute: 1.0 if minute < -30 else 4 + 0.1 * minute, since=-120))
    assert found is not None
    assert found.crosses_in.total_seconds() == pytest.approx(10 * 60)
    assert found.seen_for == timedelta(minutes=30)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(lambda _: 4.9, id="flat"),
        pytest.param(lambda minute: 4.9 - 0.01 * (minute * 7919 % 13), id="noise"),
        pytest.param(lambda minute: 3.0 if minute < -25 else 4.8, id="step"),
        pytest.param(lambda minute: 3.0 if minute < -6 else 4.8, id="late step"),
        pytest.param(lambda minute: 4.5 + 0.01 * minute - (0 if minute > -30 else 1), id="step in a slow rise"),
        pytest.param(lambda minute: 4 + 0.06 * (minute % 15), id="sawtooth"),
        pytest.param(lambda minute: 4.8 + 0.1 * minute + (3 if minute < -30 else 0), id="reset"),
        pytest.param(lambda minute: 4.8 - 0.1 * abs(minute + 20), id="turned"),
        pytest.param(lambda minute: 4.8 + 0.1 * min(minute, -10), id="stopped"),
        pytest.param(lambda minute: 4 + 0.9 * math.sin(minute / 10), id="wave"),
        pytest.param(lambda minute: 4.9 - 3 * math.exp(-(minute + 60) / 20), id="levels off"),
        pytest.param(lambda minute: 4.9 if minute % 17 == 0 else 1.0, id="spikes"),
    ],
)
def test_what_is_no_steady_rise_is_not_forecast(value: Callable[[int], float]) -> None:
    assert said(minutely(value)) is None


def test_nothing_is_forecast_of_nothing() -> None:
    assert said([]) is None
    assert said([(NOW, 4.9)]) is None
    assert said([(NOW, value / 10) for value in range(40)]) is None
    assert said(minutely(rising), [parse_threshold(Sev.SEV_5, ">= 5")]) is None


whole = st.integers(-1000, 1000).map(float)
minutes = st.integers(-240, 0)
any_readings = st.lists(st.tuples(minutes.map(at), whole), max_size=60)
bounds = st.builds(
    lambda sev, operator, bound: parse_threshold(sev, f"{operator} {bound}"),
    st.sampled_from(Sev), st.sampled_from([">=", ">", "<=", "<", "=="]), st.integers(-2000, 2000),
)  # fmt: skip


@st.composite
def trending(draw: st.DrawFn) -> Readings:
    """Whole numbers with some noise, irregular in time: often a trend, often not."""
    slope, noise = draw(st.integers(-5, 5)), draw(st.integers(0, 40))
    strays = st.integers(-noise, noise)
    times = draw(st.lists(minutes, min_size=20, max_size=60, unique=True))
    return [(at(minute), float(slope * minute + draw(strays))) for minute in [*times, 0]]


@given(st.one_of(trending(), any_readings), st.lists(bounds, max_size=5), st.sampled_from([*Sev, None]))
def test_never_is_anything_forecast_but_a_worse_sev_within_the_horizon(
    readings: Readings, thresholds: list[Threshold], sev: Sev | None
) -> None:
    found = forecast(readings, thresholds, sev, now=NOW, horizon=HOUR)
    if found is not None:
        assert found.sev.is_worse_than(sev)
        assert found.threshold in thresholds
        assert found.threshold.sev is found.sev
        assert timedelta(0) <= found.crosses_in <= min(HOUR, found.seen_for / 2)
        assert found.slope > 0 if found.threshold.operator in {">", ">="} else found.slope < 0
        assert not found.threshold.is_crossed_by(found.value)


@given(trending(), st.integers(-2000, 2000), st.sampled_from([">=", "<"]), st.randoms(use_true_random=False))
def test_neither_order_nor_repetition_matters(readings: Readings, bound: int, operator: str, rng: Random) -> None:
    thresholds = [parse_threshold(Sev.SEV_1, f"{operator} {bound}")]
    shuffled = readings + readings[::3] + [(when, value) for when, value in readings[::5]]
    rng.shuffle(shuffled)
    assert said(shuffled, thresholds) == said(readings, thresholds)


@given(trending(), st.integers(-2000, 2000), st.integers(-20, 20), st.integers(-5000, 5000), st.booleans())
def test_neither_the_unit_nor_the_zero_nor_the_direction_matters(
    readings: Readings, bound: int, power: int, shift: int, mirrored: bool
) -> None:
    factor = 2.0**power * (-1 if mirrored else 1)
    plain = said(readings, [Threshold(Sev.SEV_1, ">=", bound, "")])
    operator = "<=" if mirrored else ">="
    other = said(
        [(when, (value + shift) * factor) for when, value in readings],
        [Threshold(Sev.SEV_1, operator, (bound + shift) * factor, "")],
    )
    assert (plain is None) == (other is None)
    if plain is not None and other is not None:
        assert other.crosses_in.total_seconds() == pytest.approx(plain.crosses_in.total_seconds(), abs=0.01)
        assert other.slope == pytest.approx(plain.slope * factor)


@given(
    st.floats(1e-6, 1e6), st.floats(-1e6, 1e6), st.integers(1, 25),
    st.lists(st.integers(-3599, -1), min_size=24, max_size=119, unique=True), st.booleans(),
)  # fmt: skip
def test_a_straight_line_gives_the_very_time(
    slope: float, level: float, left: int, times: list[int], falls: bool
) -> None:
    sign = -1 if falls else 1
    readings = [
        (NOW + timedelta(seconds=each), level + sign * slope * each) for each in [-3600, *times, -60, 0]
    ]  # fmt: skip
    # A line that is lost in the digits of its level is none.
    assume(slope * 3600 > 1e-6 * abs(level))
    found = said(readings, [Threshold(Sev.SEV_1, "<=" if falls else ">=", level + sign * slope * left * 60, "")])
    if found is not None:
        assert found.crosses_in.total_seconds() == pytest.approx(left * 60, abs=1)
    evenly = [(NOW + timedelta(seconds=30 * each), level + sign * slope * 30 * each) for each in range(-119, 1)]
    found = said(evenly, [Threshold(Sev.SEV_1, "<=" if falls else ">=", level + sign * slope * left * 60, "")])
    assert found is not None
    assert found.crosses_in.total_seconds() == pytest.approx(left * 60, abs=1)


@given(st.lists(st.tuples(minutes.map(at), st.floats()), max_size=40), st.floats(allow_nan=False))
def test_no_number_is_too_strange(readings: Readings, bound: float) -> None:
    said(readings, [Threshold(Sev.SEV_1, ">=", bound, ""), Threshold(Sev.SEV_2, "<", -bound, "")])


@pytest.mark.parametrize(
    ("value", "text"),
    [(3.80001, "3.8"), (0.0123456, "0.01235"), (9999.0, "9999"), (123456, "123.5k"), (-2.5e9, "-2.5G"), (4e12, "4T")],
)
def test_a_reading_is_shown_with_four_digits(value: float, text: str) -> None:
    threshold = parse_threshold(Sev.SEV_2, ">= 5")
    found = Forecast(Sev.SEV_2, threshold, value, 1.0, HOUR, HOUR, HOUR)
    assert found.text() == f"{text}, SEV-2 at >= 5 in about 1 h at this slope"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "10 s"), (12, "10 s"), (38, "40 s"), (54, "50 s"), (57, "1 min"), (89, "1 min"), (700, "12 min"),
        (3569, "59 min"), (3571, "1 h"), (3700, "1 h"), (5400, "1 h 30 min"), (5600, "1 h 35 min"), (7190, "2 h"),
        (35900, "10 h"), (50000, "14 h"), (259200, "3 d"),
    ],
)  # fmt: skip
def test_a_time_is_said_as_people_say_it(seconds: float, words: str) -> None:
    assert in_words(timedelta(seconds=seconds)) == words


SLA = [parse_threshold(Sev.SEV_1, ">= 4h"), parse_threshold(Sev.SEV_2, ">= 30m")]


def age(minutes: float, sev: Sev | None, thresholds: list[Threshold] | None = None) -> Forecast | None:
    return forecast_duration(at(-minutes), thresholds or SLA, sev, now=NOW, horizon=HOUR)


def test_what_goes_on_firing_breaks_the_sla_at_a_known_time() -> None:
    found = age(220, Sev.SEV_2)
    assert found is not None
    assert (found.sev, found.crosses_in, found.value) == (Sev.SEV_1, timedelta(minutes=20), 13200)
    assert (found.seen_for, found.slope) == (timedelta(minutes=220), 1)
    assert found.duration_text("breaking the SLA") == "becomes SEV-1 in 20 min: firing for >= 4h (breaking the SLA)"


def test_the_next_duration_is_the_soonest_of_the_worse_ones() -> None:
    found = age(10, Sev.SEV_3)
    assert found is not None
    assert (found.sev, found.crosses_in) == (Sev.SEV_2, timedelta(minutes=20))


def test_no_duration_is_forecast_that_is_past_or_far_or_no_worse_or_only_shrinks() -> None:
    assert age(241, Sev.SEV_2) is None
    assert age(179, Sev.SEV_2) is None
    assert age(10, Sev.SEV_2) is None
    assert age(220, Sev.SEV_1) is None
    for text in ("< 4h", "<= 4h", "== 4h", ">= Inf"):
        assert age(220, Sev.SEV_2, [parse_threshold(Sev.SEV_1, text)]) is None


def test_what_begins_later_has_no_age_yet() -> None:
    found = age(-5, Sev.SEV_3)
    assert found is not None
    assert found.crosses_in == timedelta(minutes=30)
