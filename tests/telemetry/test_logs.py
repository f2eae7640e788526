"""A log line is one line, whatever an alert says; libraries' warnings are lines like ours."""

from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from sevrouter.telemetry import logs

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where the log goes for the length of a test."""
    root, before = logging.getLogger(), logging.getLogger().handlers[:]
    stream = io.StringIO()
    yield stream
    structlog.reset_defaults()
    logs._streams.clear()
    root.handlers[:] = before


def _lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_fact_is_one_json_line_with_time_level_and_event_first(stream: io.StringIO) -> None:
    logs.set_up(stream=stream)
    structlog.get_logger().info("incident_opened", incident=1)
    (line,) = _lines(stream)
    assert list(line) == ["timestamp", "level", "event", "incident"]
    assert (line["level"], line["event"], line["incident"]) == ("info", "incident_opened", 1)


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("hostile", ['x\n{"event": "fake"}', "x\r\x1b[31mred", "x\u2028y", "x\x85y"])
def test_nothing_in_an_alert_makes_a_second_line_or_a_colour(
    hostile: str, stream: io.StringIO, *, as_json: bool
) -> None:
    logs.set_up(stream=stream, as_json=as_json)
    structlog.get_logger().info("incident_opened", title=hostile)
    written = stream.getvalue()
    assert len(written.splitlines()) == 1
    assert "\x1b[31mred" not in written


def test_a_megabyte_of_label_is_cut(stream: io.StringIO) -> None:
    logs.set_up(stream=stream)
    structlog.get_logger().info("incident_opened", title="x" * 1_000_000)
    assert len(stream.getvalue()) < 2_000


def test_what_is_below_the_level_is_left_out(stream: io.StringIO) -> None:
    logs.set_up(stream=stream, level="warning")
    structlog.get_logger().info("delivered")
    structlog.get_logger().warning("delivery_retry")
    assert [line["event"] for line in _lines(stream)] == ["delivery_retry"]


def test_a_library_warns_in_a_line_like_ours_and_chats_in_none(stream: io.StringIO) -> None:
    logs.set_up(stream=stream)
    logging.getLogger("aiohttp.server").info("chatter")
    logging.getLogger("aiohttp.server").error("it broke", exc_info=OSError("broken\npipe"))
    (line,) = _lines(stream)
    assert (line["event"], line["library"], line["text"]) == ("library_warning", "aiohttp.server", "it broke")
    assert "broken" in line["error"]


class _Full(io.StringIO):
    """A log on a disk without room."""

    def write(self, _text: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_log_that_cannot_be_written_is_counted_and_stops_nobody(stream: io.StringIO) -> None:
    assert stream.getvalue() == ""
    logs.set_up(stream=_Full())
    structlog.get_logger().info("incident_opened")
    logging.getLogger("aiohttp.server").error("it broke")
    assert logs.lost_lines() >= 2


def test_a_log_that_is_closed_is_counted_and_stops_nobody(stream: io.StringIO) -> None:
    logs.set_up(stream=stream)
    structlog.get_logger().info("incident_opened")
    assert logs.lost_lines() == 0
    stream.close()
    structlog.get_logger().info("incident_opened")
    assert logs.lost_lines() >= 1
