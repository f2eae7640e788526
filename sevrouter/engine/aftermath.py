"""What has to happen once a transaction is committed, whoever wrote it: deliveries, timers, and what is said of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sevrouter.engine.ports import Lanes
    from sevrouter.engine.tally import Tally
    from sevrouter.telemetry.metrics import Metrics


class Aftermath:
    """`lanes` get what there is to deliver, `due` and `watched` are told of a new due time.

    `heard` is told of which incidents something was heard that changes nothing.
    """

    def __init__(
        self,
        metrics: Metrics,
        *,
        lanes: Lanes,
        due: Callable[[], None],
        watched: Callable[[], None],
        heard: Callable[[Iterable[int]], None],
    ) -> None:
        self._metrics = metrics
        self._lanes = lanes
        self._due = due
        self._watched = watched
        self.heard = heard

    def takes(self, integration: str) -> bool:
        """Whether a new delivery would be sent at once; asked in the store's thread."""
        return self._lanes.takes(integration)

    def wake(self, integrations: set[str]) -> None:
        """There is something new in the outbox for these."""
        self._lanes.wake(integrations)

    def follow_up(self, tally: Tally) -> None:
        """See to it that what was committed happens."""
        tally.follow_up(self._lanes, due=self._due)
        if tally.has_watched:
            self._watched()
        if tally.heard:
            self.heard(tally.heard)

    def follow(self, tally: Tally) -> None:
        """First what has to happen, then what is said of it."""
        self.follow_up(tally)
        tally.report(self._metrics)
