"""The sweep: all that fires is graded anew by a configuration that begins to run.

Alertmanager sends nothing for a reload, and what it sent before may not be sent again for hours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from sevrouter.engine.timer import Timer

if TYPE_CHECKING:
    from datetime import datetime

    from sevrouter.engine.intake import Intake
    from sevrouter.engine.ports import Clock, StorePort

log = structlog.get_logger()

# Alerts that go in one transaction, so that intake never waits long.
TOGETHER = 200


class Sweep:
    """Grades what fires: once when the process starts, and once each time that it is told to begin again."""

    def __init__(self, store: StorePort, intake: Intake, *, clock: Clock) -> None:
        self._store = store
        self._intake = intake
        # The id of the last alert that was graded; None once all are.
        self._after: int | None = 0
        self._round = 0
        self._graded = 0
        self._timer = Timer("sweep", self.sweep, clock=clock)
        self.rounds = self._timer.rounds

    def begin(self) -> None:
        """Grade all of it (again): another configuration is in force from now on."""
        self._after, self._graded = 0, 0
        self._round += 1
        self._timer.wake()

    async def run(self) -> None:
        """Grade what is left to grade, until cancelled."""
        await self._timer.run()

    async def sweep(self) -> datetime | None:
        """Grade all that is left; nothing is due by time. Raises what the store raises, and goes on from there."""
        while (after := self._after) is not None:
            this = self._round
            ids = await self._next(after)
            if ids:
                await self._intake.grade_anew(ids)
            # What was graded before another round began counts for nothing.
            if this == self._round:
                self._note(ids)
        return None

    async def _next(self, after: int) -> list[int]:
        return await self._store.read(lambda tx: tx.firing.ids(after=after, most=TOGETHER))

    def _note(self, ids: list[int]) -> None:
        self._graded += len(ids)
        self._after = ids[-1] if ids else None
        if not ids:
            log.info("alerts_graded_anew", count=self._graded)
