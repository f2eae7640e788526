"""A calendar in a file or at an address: read, expanded, and kept, so that what was read well once goes on counting.

An address that does not answer, or answers with something else, changes nothing: what it said last does count, also
after a restart. The address is a secret, of which nothing is told.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from sevrouter.engine.calendar_ports import Reading, Unread
from sevrouter.sources.calendar_process import Failed, Request

if TYPE_CHECKING:
    from collections.abc import Hashable

    from sevrouter.sources.calendar_process import Expander

# What is looked at before and after now, and how old a look at the same calendar may become.
BEHIND, AHEAD = timedelta(days=1), timedelta(days=60)
LOOKED_AGAIN = timedelta(hours=12)
# After how long a text is tried again that could not be expanded: the machine may have been busy.
TRIED_AGAIN = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Said:
    """The text of a calendar, and when it said so."""

    text: str
    at: datetime


class Origin(Protocol):
    """Where the text of a calendar comes from. Never raises for an expected failure."""

    @property
    def identity(self) -> Hashable:
        """What two of them have in common that give the same calendar."""
        ...

    @property
    def every(self) -> timedelta:
        """How often it is to be asked."""
        ...

    async def ask(self, now: datetime) -> Said | Unread:
        """The text as it is now."""
        ...

    async def recall(self) -> Said | Unread:
        """The text that is on this machine: where that is not the same, the last that was worth keeping."""
        ...

    async def keep(self) -> None:
        """The text that was given last is a calendar, and worth keeping."""
        ...

    def forget(self) -> None:
        """It is none, so that it is to be given again, and not called unchanged."""
        ...


class Calendar:
    """A calendar; `zone` (a name of the IANA's) is that of times without one, by default the calendar's own, or UTC."""

    def __init__(self, origin: Origin, expander: Expander, *, zone: str | None = None) -> None:
        self._origin = origin
        self._expander = expander
        self._zone = zone
        self._held: tuple[bytes, Reading] | None = None
        self._failed: tuple[bytes, datetime, Unread] | None = None
        # What is read takes turns: the answer to an older question must not replace that to a newer one.
        self._turn = asyncio.Lock()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Calendar) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    @property
    def _identity(self) -> tuple[Hashable, str | None]:
        return self._origin.identity, self._zone

    @property
    def every(self) -> timedelta:
        """How often it is to be read."""
        return self._origin.every

    async def read(self, now: datetime) -> Reading | Unread:
        """What it says around a time; what it said before where it cannot be read, with the trouble."""
        async with self._turn:
            said = await self._origin.ask(now)
            if isinstance(said, Unread):
                return await self._old(now, said.problem)
            read = await self._expand(said, now)
            if isinstance(read, Unread):
                self._origin.forget()
                return await self._old(now, read.problem)
            await self._origin.keep()
            return read

    async def recall(self, now: datetime) -> Reading | Unread:
        """What it says by what is on this machine."""
        async with self._turn:
            said = await self._origin.recall()
            if isinstance(said, Unread):
                return said
            read = await self._expand(said, now)
            if isinstance(read, Reading):
                await self._origin.keep()
            return read

    async def _old(self, now: datetime, trouble: str) -> Reading | Unread:
        """What it said before, with why that is all that is known."""
        if self._held is not None and _covers(self._held[1], now):
            return replace(self._held[1], trouble=trouble)
        said = await self._origin.recall()
        if isinstance(said, Said):
            read = await self._expand(said, now)
            if isinstance(read, Reading):
                return replace(read, trouble=trouble)
        return Unread(trouble)

    async def _expand(self, said: Said, now: datetime) -> Reading | Unread:
        digest = hashlib.sha256(said.text.encode(errors="surrogatepass")).digest()
        if self._held is not None and self._held[0] == digest and _covers(self._held[1], now):
            self._held = digest, replace(self._held[1], as_of=said.at)
            return self._held[1]
        if self._failed is not None and self._failed[0] == digest and now - self._failed[1] < TRIED_AGAIN:
            return self._failed[2]
        starts, ends = now - BEHIND, now + AHEAD
        expanded = await self._expander.expand(Request(said.text, starts, ends, self._zone))
        if isinstance(expanded, Failed):
            unread = Unread(expanded.problem)
            self._failed = digest, now, unread
            return unread
        reading = Reading(events=expanded.events, starts=starts, ends=ends, as_of=said.at, notes=expanded.notes)
        self._held = digest, reading
        return reading


def _covers(reading: Reading, now: datetime) -> bool:
    """Whether a look around another time shows enough of what is around this one."""
    return abs(now - (reading.starts + BEHIND)) < LOOKED_AGAIN
