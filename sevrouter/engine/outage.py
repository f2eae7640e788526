"""Notices that nothing can be measured at all: one incident of its own, and not one for each that is watched."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sevrouter.domain.alert import Alert, AlertStatus
from sevrouter.domain.promql import QueryProblem
from sevrouter.domain.timed import UNSURE_AFTER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sevrouter.domain.promql import QueryAnswer

# The labels of the alert that sevrouter raises itself while no query is answered.
LABELS = {"alertname": "SevrouterCannotMeasure", "job": "sevrouter"}
# What is wrong with Prometheus, or the way to it, and not with what was asked.
_SOURCE_PROBLEMS = {QueryProblem.AWAY, QueryProblem.TIMED_OUT, QueryProblem.REFUSED}
# Another replica may have raised it, and may be gone by now.
_LOOK_AGAIN = timedelta(minutes=5)


class Outage:
    """What the answers of one replica say about Prometheus itself."""

    def __init__(self) -> None:
        self._since: datetime | None = None
        self._fine_since: datetime | None = None

    def note(self, answers: Mapping[str, QueryAnswer], now: datetime) -> Alert | None:
        """Take note of answers, at least one; returns the alert of our own that there is to take, if any."""
        if is_away(answers):
            self._since, self._fine_since = self._since or now, None
            if now - self._since < UNSURE_AFTER:
                return None
            detail = next(iter(answers.values())).detail
            summary = f"sevrouter cannot measure: no query is answered ({detail})"
            return Alert(labels=LABELS, annotations={"summary": summary}, starts_at=self._since)
        self._since = None
        if self._fine_since is not None and now - self._fine_since < _LOOK_AGAIN:
            return None
        self._fine_since = now
        return Alert(labels=LABELS, status=AlertStatus.RESOLVED, starts_at=now, ends_at=now)


def is_away(answers: Mapping[str, QueryAnswer]) -> bool:
    """Whether not one of the queries was answered, and none is to blame for it."""
    return bool(answers) and all(each.problem in _SOURCE_PROBLEMS for each in answers.values())
