"""The watcher: wakes when a quiet time runs out, and resolves what stayed quiet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sevrouter.domain.incident import settle
from sevrouter.engine.announcing import Announced, announce
from sevrouter.engine.timer import Timer

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sevrouter.engine.ports import Clock, CurrentRouting, StorePort, TransactionPort

# Incidents settled in one transaction, so that intake never waits long.
TOGETHER = 200


class Watcher:
    """Resolves incidents whose quiet time has run out. `wake` is told who has something to deliver."""

    def __init__(
        self, store: StorePort, routing: CurrentRouting, *, clock: Clock, wake: Callable[[set[str]], None]
    ) -> None:
        self._store = store
        self._routing = routing
        self._clock = clock
        self._wake_integrations = wake
        self._timer = Timer("watcher", self.settle_due, clock=clock)
        self.rounds = self._timer.rounds

    def wake(self) -> None:
        """There is a new due time."""
        self._timer.wake()

    async def run(self) -> None:
        """Settle what is due, until cancelled."""
        await self._timer.run()

    async def settle_due(self) -> datetime | None:
        """Settle what is due now, and return when the next is due."""
        if await self._store.read(lambda tx: tx.incidents.due(self._clock(), most=1)):
            announced = await self._store.write(self._settle)
            announced.follow_up(self._wake_integrations)
        return await self._store.read(lambda tx: tx.incidents.next_due_at())

    def _settle(self, tx: TransactionPort) -> Announced:
        now = self._clock()
        due = tx.incidents.due(now, most=TOGETHER)
        return announce(tx, self._routing(), [(each, settle(each, now=now)) for each in due], now=now)
