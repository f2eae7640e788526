"""Alertmanager's times: RFC 3339 with up to nine fraction digits, any offset, and the year 1 for "not yet"."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

# A start further ahead than this is no clock that runs fast but nonsense, and would make every later one stale.
FURTHEST_AHEAD = timedelta(days=1)
_EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)


@lru_cache(maxsize=4_096)
def _read(value: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment if moment > _EARLIEST else None


def read_moment(value: Any) -> datetime | None:
    """An aware time in UTC; None where there is none (the year 1, while an alert fires) or it cannot be read."""
    if not isinstance(value, str) or len(value) > 64:
        return None
    # The alerts of a webhook share most of their times.
    return _read(value)


def read_start(value: Any, *, received_at: datetime) -> datetime:
    """When an alert began; the time of receipt where that cannot be read or believed."""
    moment = read_moment(value)
    if moment is None or moment > received_at + FURTHEST_AHEAD:
        return received_at
    return moment
