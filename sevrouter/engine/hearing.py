"""Keeps an ear on open incidents: notes when something was heard of them, and says of which nothing is any more.

Most webhooks repeat what is known and write nothing, so what they say is remembered here and written now and then.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from sevrouter.domain.hearing import heard, missed
from sevrouter.engine.announcing import Announced, announce
from sevrouter.engine.timer import Timer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sevrouter.engine.ports import Clock, CurrentRouting, StorePort, TransactionPort

# Incidents that are written in one transaction, so that intake never waits long.
TOGETHER = 200
# What was heard is written this often, as a share of the time after which silence is news, within these bounds.
SHARE, SOONEST, LATEST = 24, timedelta(seconds=1), timedelta(hours=1)


class Hearing:
    """`wake` is told who has something to deliver."""

    def __init__(
        self, store: StorePort, routing: CurrentRouting, *, clock: Clock, wake: Callable[[set[str]], None]
    ) -> None:
        self._store = store
        self._routing = routing
        self._clock = clock
        self._wake_integrations = wake
        self._heard: dict[int, datetime] = {}
        self._next_at: datetime | None = None
        self._timer = Timer("hearing", self.listen, clock=clock)
        self.rounds = self._timer.rounds

    def note(self, incidents: Iterable[int]) -> None:
        """Something was heard of these just now."""
        now = self._clock()
        self._heard.update((number, now) for number in incidents)

    async def run(self) -> None:
        """Listen, until cancelled."""
        await self._timer.run()

    async def listen(self) -> datetime:
        """Write what was heard, and say what has been silent for too long, where it is time for that."""
        now, stale_after = self._clock(), self._routing().stale_after
        every = min(LATEST, max(SOONEST, stale_after / SHARE))
        # A reload may have made it sooner.
        if self._next_at is None or now >= min(self._next_at, now + every):
            await self._write()
            while stale_after and await self._mark(now - stale_after - every) == TOGETHER:
                pass
            self._next_at = now + every
        self._next_at = min(self._next_at, now + every)
        return self._next_at

    async def _write(self) -> None:
        # What is heard meanwhile is written next time; what could not be written is, too.
        waiting = [*self._heard.items()]
        for start in range(0, len(waiting), TOGETHER):
            part = dict(waiting[start : start + TOGETHER])
            (await self._store.write(partial(self._hear, heard_at=part))).follow_up(self._wake_integrations)
            self._heard = {number: at for number, at in self._heard.items() if part.get(number) != at}

    def _hear(self, tx: TransactionPort, heard_at: Mapping[int, datetime]) -> Announced:
        now = self._clock()
        known = tx.incidents.by_id(heard_at)
        folds = [(each, heard(each, heard_at[number], now=now)) for number, each in known.items()]
        return announce(tx, self._routing(), folds, now=now)

    async def _mark(self, before: datetime) -> int:
        """Mark what was not heard of since then, and return how many there were, at most `TOGETHER`."""
        if not await self._store.read(lambda tx: tx.incidents.unheard(before, most=1)):
            return 0
        count, announced = await self._store.write(lambda tx: self._miss(tx, before))
        announced.follow_up(self._wake_integrations)
        return count

    def _miss(self, tx: TransactionPort, before: datetime) -> tuple[int, Announced]:
        now, routing = self._clock(), self._routing()
        silent = tx.incidents.unheard(before, most=TOGETHER)
        folds = [(each, missed(each, now=now, stale_after=routing.stale_after)) for each in silent]
        return len(silent), announce(tx, routing, folds, now=now)
