"""Logs: one line per fact with a stable event key; JSON unless a person watches on a terminal."""

from __future__ import annotations

import io
import logging
import sys
from typing import TYPE_CHECKING, cast

import structlog

if TYPE_CHECKING:
    from typing import TextIO

    from structlog.typing import EventDict, WrappedLogger

# A label value of a megabyte is cut wherever it leaves, the log included.
LONGEST_VALUE = 1_000
_UNSAFE = {number: f"\\x{number:02x}" for number in (*range(32), *range(0x7F, 0xA0))} | {
    0x2028: "\\u2028",
    0x2029: "\\u2029",
}


# What a reader's eye looks for comes first.
_FIRST = ("timestamp", "level", "event")


def _ordered(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    for key, value in event.items():
        if isinstance(value, str) and len(value) > LONGEST_VALUE and key != "exception":
            event[key] = value[:LONGEST_VALUE]
    first = {key: event[key] for key in _FIRST if key in event}
    return {**first, **event}


def _one_line(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    # For a terminal; JSON writes such characters as numbers anyway.
    for key, value in event.items():
        if isinstance(value, str) and key != "exception":
            event[key] = value.translate(_UNSAFE)
    return event


class _Sturdy:
    """A stream whose failures are counted and go no further: a full disk or a closed pipe must decide nothing."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.lost = 0
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except (OSError, ValueError):
            self.lost += 1
            return 0

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, ValueError):
            self.lost += 1


_streams: list[_Sturdy] = []


def lost_lines() -> int:
    """How often the log could not be written."""
    return sum(each.lost for each in _streams)


def set_up(*, stream: TextIO | None = None, level: str = "info", as_json: bool | None = None) -> None:
    """Log to a stream (standard error if none is given), as JSON where it is no terminal."""
    target = sys.stderr if stream is None else stream
    as_json = not target.isatty() if as_json is None else as_json
    sturdy = _Sturdy(target)
    _streams[:] = [sturdy]
    renderer = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([structlog.processors.format_exc_info, _ordered] if as_json else [_ordered, _one_line]),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", sturdy)),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_Forward()], level=logging.WARNING, force=True)


class _Forward(logging.Handler):
    """Libraries log by the standard way: their warnings become lines like ours, their chatter nothing."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        structlog.get_logger().log(
            record.levelno,
            "library_warning",
            library=record.name,
            text=record.getMessage(),
            error=repr(error) if error else None,
        )
