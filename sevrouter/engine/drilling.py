"""Drills: calls everybody so often while nothing is wrong, and whomever somebody asks for; one after the other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from sevrouter.domain.drill import NEVER, Drill, DrillPlan
from sevrouter.domain.ringing import RingEnd
from sevrouter.engine.timer import Timer

if TYPE_CHECKING:
    from datetime import datetime

    from sevrouter.engine.ports import Clock, CurrentRouting, StorePort
    from sevrouter.engine.ringer import Ringer

log = structlog.get_logger()


class Drilling:
    """Drills people through the phones of a ringer. `plan` is None where nobody is drilled but on demand."""

    def __init__(self, store: StorePort, routing: CurrentRouting, ringer: Ringer, *, clock: Clock) -> None:
        self._store = store
        self._routing = routing
        self._ringer = ringer
        self._clock = clock
        self._calls: dict[str, asyncio.Task[None]] = {}
        self.plan: DrillPlan | None = None
        self._timer = Timer("drills", self.drill, clock=clock)
        self.rounds = self._timer.rounds

    def wake(self) -> None:
        """There may be something to drill."""
        self._timer.wake()

    async def run(self) -> None:
        """Drill, until cancelled; what is under way goes on."""
        await self._timer.run()

    async def drill(self) -> datetime | None:
        """Begin the drills that are due, one a person, and say when it is time for the next."""
        now, known = self._clock(), await self._store.read(lambda tx: tx.drills.known())
        for person, provider in self.pairs():
            if person not in self._calls and self._is_due(known.get((person, provider), NEVER), now):
                await self._begin(person, provider, now)
        return None if self.plan is None else self.plan.next_at(now)

    def pairs(self) -> list[tuple[str, str]]:
        """Who can be drilled, by what."""
        calling = self._routing().calling
        if calling is None:
            return []
        providers = [each.name for each in calling.providers if each.name in self._ringer.phones]
        return [
            (name, provider)
            for name, person in calling.people.items()
            if person.phone is not None
            for provider in providers
        ]

    def _is_due(self, drill: Drill, now: datetime) -> bool:
        return drill.is_asked_for(now) or (self.plan is not None and self.plan.is_due(drill, now))

    async def _begin(self, person: str, provider: str, now: datetime) -> None:
        ring = await self._ringer.drill(person, provider, lambda drill: self._is_due(drill, now))
        if ring is None:
            return
        log.info("drill_begun", person=person, provider=provider, ring=ring.id)

        async def until_over() -> None:
            over = await self._ringer.over(ring)
            end = None if over is None or over.end is None else over.end
            tell = log.info if end is RingEnd.ACKNOWLEDGED else log.warning
            tell("drilled", person=person, provider=provider, end=None if end is None else end.value)

        task = self._calls[person] = asyncio.create_task(until_over(), name=f"drill-{person}")
        task.add_done_callback(lambda _: self._ended(person))

    def _ended(self, person: str) -> None:
        del self._calls[person]
        self.wake()
