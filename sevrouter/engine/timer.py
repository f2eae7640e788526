"""A loop that does what is due, and sleeps until the next is; it outlives a store that is away."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from sevrouter.engine.ports import NotStoredError
from sevrouter.engine.rounds import Rounds

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from sevrouter.engine.ports import Clock

log = structlog.get_logger()

# Another replica may have written a due time, and may be gone when it comes.
LONGEST_SLEEP = 5.0
# Seconds before what failed is tried again
_AGAIN = 1.0


class Timer:
    """Runs `step`, which does what is due and says when the next is. `name` is what the log calls it."""

    def __init__(self, name: str, step: Callable[[], Awaitable[datetime | None]], *, clock: Clock) -> None:
        self._failure = f"{name}_failing"
        self._step = step
        self._clock = clock
        self._wake = asyncio.Event()
        self._failing = False
        self.rounds = Rounds(name, clock=clock)

    def wake(self) -> None:
        """There is a new due time."""
        self._wake.set()

    async def run(self) -> None:
        """Do what is due, until cancelled."""
        while True:
            self._wake.clear()
            try:
                sleep = self._until(await self._step())
                self._failing = False
                self.rounds.came()
            except Exception as error:
                if not self._failing:
                    # A traceback helps to find a mistake of ours, and that the store is away is none.
                    is_ours = not isinstance(error, NotStoredError)
                    log.error(self._failure, error=repr(error), exc_info=is_ours)  # noqa: TRY400  as said
                self._failing = True
                sleep = _AGAIN
            try:
                async with asyncio.timeout(sleep + 0.001):
                    await self._wake.wait()
            except TimeoutError:
                pass

    def _until(self, due_at: datetime | None) -> float:
        if due_at is None:
            return LONGEST_SLEEP
        return min(LONGEST_SLEEP, max(0.0, (due_at - self._clock()).total_seconds()))
