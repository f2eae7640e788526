"""Asks paging services who owns an incident, where they cannot tell us: there is no public address.

Asks only while something is called for there that nobody owns, the worst first, and a few at a time.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

import structlog

from sevrouter.domain.plan import incident_key
from sevrouter.engine.timer import Timer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sevrouter.engine.acknowledging import Acknowledging
    from sevrouter.engine.ports import Clock, CurrentRouting, StorePort, TransactionPort

log = structlog.get_logger()

EVERY = timedelta(seconds=15)
# What failed is asked again after so long, twice as long each time, up to this.
LONGEST = timedelta(minutes=5)
# Seconds that all answers together may take.
WITHIN = 20.0
# Incidents that are asked about at once; of more, each has its turn.
TOGETHER = 20


@dataclass(frozen=True, slots=True)
class OpenThere:
    """An incident that a service was told of: its key, and what its notifier calls it by now."""

    key: str
    reference: str


@dataclass(frozen=True, slots=True)
class Owned:
    """Somebody owns an incident there since then, or has ended it."""

    key: str
    by: str
    at: datetime
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class NotAsked:
    """It could not be asked; `reason` is safe to show."""

    reason: str


class AckSource(Protocol):
    """A paging service that can be asked. One attempt, bounded; never raises for an expected failure."""

    async def owned(self, asked: Sequence[OpenThere]) -> Sequence[Owned] | NotAsked:
        """Which of these somebody owns there, or has ended, since it last rang."""
        ...


@dataclass(slots=True)
class _Asked:
    due_at: datetime | None = None
    wait: timedelta = EVERY
    last: int = 0


class AckPolling:
    """Asks each of `sources`, which are known by the name of their provider; a reload replaces them."""

    def __init__(
        self, store: StorePort, routing: CurrentRouting, acknowledging: Acknowledging, *, clock: Clock
    ) -> None:
        self._store = store
        self._routing = routing
        self._acknowledging = acknowledging
        self._clock = clock
        self._asked: dict[str, _Asked] = {}
        self.sources: Mapping[str, AckSource] = {}
        self._timer = Timer("ack_polling", self.poll, clock=clock)
        self.rounds = self._timer.rounds

    def wake(self) -> None:
        """There may be other sources."""
        self._timer.wake()

    async def run(self) -> None:
        """Ask, until cancelled."""
        await self._timer.run()

    async def poll(self) -> datetime | None:
        """Ask each source that it is time for, and say when it is the next time."""
        now = self._clock()
        self._asked = {name: self._asked.get(name, _Asked()) for name in self.sources}
        due = [name for name, each in self._asked.items() if each.due_at is None or each.due_at <= now]
        await asyncio.gather(*(self._ask(name, now) for name in due))
        return min((each.due_at for each in self._asked.values() if each.due_at is not None), default=None)

    async def _ask(self, name: str, now: datetime) -> None:
        state = self._asked[name]
        open_there = await self._store.read(lambda tx: _open_there(tx, name, after=state.last))
        state.last = max(open_there, default=0)
        found: Sequence[Owned] | NotAsked = ()
        if open_there:
            try:
                async with asyncio.timeout(WITHIN):
                    found = await self.sources[name].owned([*open_there.values()])
            except TimeoutError:
                found = NotAsked(f"did not answer within {WITHIN:g} s")
        if isinstance(found, NotAsked):
            if state.wait == EVERY:
                log.error("ack_polling_failed", provider=name, reason=found.reason)
            state.wait = min(LONGEST, state.wait * 2)
        else:
            state.wait = EVERY
            for each in found:
                say = self._acknowledging.resolve if each.is_over else self._acknowledging.acknowledge
                await say(each.key, by=each.by, how=name, at=each.at)
        state.due_at = now + state.wait


def _open_there(tx: TransactionPort, provider: str, *, after: int) -> dict[int, OpenThere]:
    """The incidents that a provider was told of, and that nobody owns; by their numbers."""
    ringing = tx.escalations.paged(provider, after=after, most=TOGETHER)
    if not ringing and after:
        ringing = tx.escalations.paged(provider, after=0, most=TOGETHER)
    if not ringing:
        return {}
    known = tx.outbox.references(provider, [each.incident_id for each in ringing])
    found = tx.incidents.by_id(known)
    return {number: OpenThere(incident_key(each), known[number]) for number, each in found.items() if each.is_open}
