"""Durations and sizes as people write them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sevrouter.config.problem import FieldError
from sevrouter.config.quantity import LONGEST, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("5m", 300),
        ("4h", 14400),
        ("7d", 604800),
        ("1h30m", 5400),
        ("1d1h1m1s", 90061),
        ("0s", 0),
        ("90m", 5400),
    ],
)
def test_a_duration_is_read(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "m",
        "5mm",
        "5M",
        "5 m",
        "5min",
        "1.5h",
        "30m1h",
        "5m5m",
        "-5m",
        "+5m",
        "5m ",
        "1w",
        "\u096bm",
        "5m\n",
        "forever",
    ],
)
def test_what_is_no_duration_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(FieldError, match="is not a duration") as refused:
        parse_duration(text)

    assert refused.value.hint == "write 30s, 5m, 4h, 7d or 1h30m"


@pytest.mark.parametrize("text", ["5", "0", "1.5", "-3"])
def test_a_number_without_a_unit_is_refused_with_the_units(text: str) -> None:
    with pytest.raises(FieldError, match="has no unit") as refused:
        parse_duration(text)

    assert f"{text}m" in refused.value.hint


@pytest.mark.parametrize("text", ["3651d", "99999999d", "999999999h"])
def test_a_duration_that_no_date_could_be_computed_with_is_refused(text: str) -> None:
    with pytest.raises(FieldError, match="is longer than 3650d"):
        parse_duration(text)


def test_the_longest_duration_is_read() -> None:
    assert parse_duration("3650d") == LONGEST


@given(st.text(max_size=20))
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    try:
        duration = parse_duration(text)
    except FieldError:
        return
    assert timedelta(0) <= duration <= LONGEST


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("1048576", 2**20),
        ("256MiB", 2**28),
        ("1GB", 10**9),
        ("1 GiB", 2**30),
        ("64KiB", 2**16),
        ("5kB", 5000),
        ("7B", 7),
        ("0", 0),
    ],
)
def test_a_size_is_read(text: str, count: int) -> None:
    assert parse_size(text) == count


@pytest.mark.parametrize("text", ["", "MiB", "1.5GB", "-1", "1Mi", "1M", "1 TB", "1e6", "\u0661", "9" * 30])
def test_what_is_no_size_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(FieldError, match="is not a size") as refused:
        parse_size(text)

    assert "256MiB" in refused.value.hint
