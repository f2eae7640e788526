"""The statistics themselves, where their numbers can be had in another way."""

from __future__ import annotations

import math
from itertools import combinations

import pytest

from sevrouter.domain.trend import find_trend

ZIGZAG = (0.0, 9.0, 3.0, 12.0, 5.0, 8.0, 1.0, 11.0, 6.0, 13.0, 4.0, 14.0)


def test_twelve_readings_have_the_slope_and_the_interval_of_theil_and_sen() -> None:
    points = [(float(at), 6.0 * at + stray) for at, stray in enumerate(ZIGZAG)]
    slopes = sorted((value - before) / (at - was) for (was, before), (at, value) in combinations(points, 2))
    found = find_trend(points)
    assert found is not None
    assert found.slope == pytest.approx((slopes[32] + slopes[33]) / 2)
    # Kendall's S of twelve strays by sqrt(12 * 11 * 29 / 18) = 14.58, so by 37.6 in 99 % of all cases: 28.4 / 2 of 66.
    assert found.slowest == pytest.approx(slopes[14])
    assert found.span == 11


def test_what_falls_is_what_rises_upside_down() -> None:
    points = [(float(at), 6.0 * at + stray) for at, stray in enumerate(ZIGZAG)]
    up, down = find_trend(points), find_trend((at, -value) for at, value in points)
    assert up is not None
    assert down is not None
    assert (down.slope, down.slowest, down.level, down.span) == (-up.slope, -up.slowest, -up.level, up.span)


def test_where_it_levels_off_the_slope_at_the_end_is_the_slowest() -> None:
    found = find_trend((float(at), at - 0.0015 * at**2) for at in range(-60, 1))
    assert found is not None
    assert found.slope == pytest.approx(1.09, rel=0.01)
    assert found.slowest == pytest.approx(1.0, rel=0.01)


def test_last_readings_that_the_noise_explains_do_not_end_a_trend() -> None:
    strays = [0.1 * (at * 7 % 11 - 5) for at in range(58)] + [-0.4] * 3
    assert find_trend((float(at), 0.1 * at + stray) for at, stray in enumerate(strays)) is not None
    strays[-3:] = [-0.9] * 3
    assert find_trend((float(at), 0.1 * at + stray) for at, stray in enumerate(strays)) is None


def test_two_numbers_of_one_moment_count_as_the_one_between_however_often_each_was_read() -> None:
    points = [(float(at), 6.0 * at) for at in range(12)]
    above = [(at, value + 2) for at, value in points]
    assert find_trend(points + above) == find_trend([*points, *above, *above])
    assert find_trend(points + above) == find_trend((at, value + 1) for at, value in points)


def test_what_is_not_finite_counts_for_nothing() -> None:
    points = [(float(at), 6.0 * at) for at in range(12)]
    wild = [(at + 0.5, (math.inf, -math.inf)[at % 2]) for at in range(8)]
    assert find_trend(points + wild) == find_trend(points) is not None
    assert find_trend(points[1:] + wild) is None


@pytest.mark.parametrize("step", [28, 34, 37, 40])
@pytest.mark.parametrize("height", [2, 4])
def test_a_step_in_a_slow_rise_is_no_fast_rise(step: int, height: int) -> None:
    strays = [0.04 * (at * 7 % 11 - 5) for at in range(61)]
    points = [(float(at), 0.01 * at + stray + (height if at >= step else 0)) for at, stray in enumerate(strays)]
    found = find_trend(points)
    assert found is None or found.slope == pytest.approx(0.01, rel=0.5)
