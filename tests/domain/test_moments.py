"""Times as Alertmanager, Grafana and others write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sevrouter.domain.moments import FURTHEST_AHEAD, read_moment, read_start
from tests.domain.building import at

NOW = at(0)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01T12:00:00Z", at(0)),
        ("2026-03-01T12:00:00.123456789Z", at(0).replace(microsecond=123_456)),
        ("2026-03-01T12:00:00.1Z", at(0).replace(microsecond=100_000)),
        ("2026-03-02T02:00:00+14:00", at(0)),
        ("2026-03-01T00:00:00-12:00", at(0)),
        ("2026-03-01T12:00:00", at(0)),
        ("9999-12-31T23:59:59Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_into_utc(text: str, moment: datetime) -> None:
    read = read_moment(text)
    assert read == moment
    assert read is not None
    assert read.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "value",
    [
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "1970-01-01T00:00:00Z",
        "",
        "now",
        "2026-13-01T00:00:00Z",
        "2026-03-01T12:00:00." + "1" * 100_000 + "Z",
        1_772_366_400,
        None,
        [],
        True,
    ],
)
def test_what_is_no_time_is_none(value: object) -> None:
    assert read_moment(value) is None
    assert read_start(value, received_at=NOW) == NOW


def test_a_clock_that_runs_fast_is_believed_but_not_nonsense() -> None:
    ahead = NOW + FURTHEST_AHEAD
    assert read_start(ahead.isoformat(), received_at=NOW) == ahead
    assert read_start((ahead + timedelta(seconds=1)).isoformat(), received_at=NOW) == NOW


def test_an_end_may_be_in_the_future() -> None:
    assert read_moment("2030-01-01T00:00:00Z") == datetime(2030, 1, 1, tzinfo=UTC)


@given(st.text(max_size=80))
@settings(deadline=None, max_examples=200)
def test_no_text_is_an_error(text: str) -> None:
    read = read_moment(text)
    assert read is None or read.tzinfo is UTC


@given(st.datetimes(min_value=datetime(1971, 1, 1), timezones=st.timezones()))  # noqa: DTZ001  the zone is drawn
@settings(deadline=None, max_examples=100)
def test_what_is_written_is_read(moment: datetime) -> None:
    try:
        expected = moment.astimezone(UTC)
    except OverflowError:
        return
    assert read_moment(moment.isoformat()) == expected
