"""The janitor: forgets what is older than the retention, and rescues lost deliveries, now and then."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from sevrouter.engine.ports import NotStoredError
from sevrouter.engine.rounds import Rounds

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from sevrouter.engine.dispatcher import Dispatcher
    from sevrouter.engine.ports import Clock, StorePort

log = structlog.get_logger()

# Rows of a kind that go in one transaction, and the pause after it, so that intake never waits long.
TOGETHER = 500
PAUSE = 0.2
# Seconds between two looks for leases that ran out, and between two rounds of forgetting.
RESCUE_EVERY = 15.0
FORGET_EVERY = 3_600.0


class Janitor:
    """Keeps the database bounded and the outbox moving."""

    def __init__(
        self, store: StorePort, dispatcher: Dispatcher, retention: Callable[[], timedelta], *, clock: Clock
    ) -> None:
        self._store = store
        self._dispatcher = dispatcher
        self._retention = retention
        self._clock = clock
        self.rounds = Rounds("janitor", clock=clock)

    async def run(self) -> None:
        """Tidy until cancelled."""
        rounds = 0
        while True:
            try:
                await self._dispatcher.rescue()
                await self._dispatcher.give_up_orphans()
                if rounds % int(FORGET_EVERY / RESCUE_EVERY) == 0:
                    await self.forget()
                self.rounds.came()
            except Exception as error:
                # A traceback helps to find a mistake of ours, and that the store is away is none.
                is_ours = not isinstance(error, NotStoredError)
                log.error("janitor_failing", error=repr(error), exc_info=is_ours)  # noqa: TRY400  as said
            rounds += 1
            await asyncio.sleep(RESCUE_EVERY)

    async def forget(self) -> int:
        """Delete what is older than the retention, and return how many rows went."""
        before = self._clock() - self._retention()
        total = 0
        while gone := await self._store.write(lambda tx: tx.retention.forget(before, most=TOGETHER)):
            total += gone
            # After a long pause there may be hours of it to do, and it does get on.
            self.rounds.came()
            await asyncio.sleep(PAUSE)
        if total:
            log.info("history_forgotten", rows=total, before=before.isoformat())
        return total
