"""That nothing can be measured at all is one incident of its own, and not one for each that is watched."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sevrouter.domain.alert import Alert, AlertStatus
from sevrouter.domain.own import CANNOT_MEASURE

if TYPE_CHECKING:
    from datetime import datetime

    from sevrouter.domain.promql import QueryAnswer

# How often is looked whether it is over, also where nothing is left to be asked; and whether one is open that this
# process knows nothing of: who raised it may be gone.
SOON, SELDOM = timedelta(seconds=30), timedelta(minutes=5)


class Outage:
    """What one replica has seen of Prometheus itself."""

    def __init__(self) -> None:
        self._since: datetime | None = None
        self._looked_at: datetime | None = None
        self._said_over_at: datetime | None = None

    def is_due(self, now: datetime) -> bool:
        """Whether somebody should look, though no query is due."""
        every = SELDOM if self._since is None else SOON
        return self._looked_at is None or now - self._looked_at >= every

    def note(self, outage: QueryAnswer | None, now: datetime) -> Alert | None:
        """Take note of why nobody answers, if so; returns the alert of our own that there is to take, if any.

        How long it has to last before it is an incident is not known here: that wait has to outlive this process.
        """
        self._looked_at = now
        if outage is not None:
            self._since, self._said_over_at = self._since or now, None
            summary = f"sevrouter cannot measure: no query is answered ({outage.detail})"
            return Alert(labels=CANNOT_MEASURE, annotations={"summary": summary}, starts_at=self._since)
        self._since = None
        if self._said_over_at is not None and now - self._said_over_at < SELDOM:
            return None
        self._said_over_at = now
        return Alert(labels=CANNOT_MEASURE, status=AlertStatus.RESOLVED, starts_at=now, ends_at=now)
