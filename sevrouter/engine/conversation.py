"""One call as its phone sees it: what to say, and what a key means; also while the store is away."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from sevrouter.domain import speech
from sevrouter.engine.ports import NotStoredError

if TYPE_CHECKING:
    from sevrouter.domain.ringing import Ring, Script
    from sevrouter.engine.talking import Talking

log = structlog.get_logger()


class RingConversation:
    """What is said in one ring, by what is stored of it."""

    def __init__(self, ring: Ring, talking: Talking) -> None:
        self._ring = ring
        self._talking = talking
        self._said: Script | None = None
        self._stopped = asyncio.Event()
        self._farewell = speech.no_longer_needed(None)
        # What the provider calls it, also where that could not be stored.
        self.reference: str | None = ring.reference

    @property
    def stopped(self) -> asyncio.Event:
        """Set once the call is needed no more."""
        return self._stopped

    @property
    def farewell(self) -> Script:
        """What is said then."""
        return self._farewell

    def stop(self, farewell: Script) -> None:
        """It is needed no more."""
        self._farewell = farewell
        self._stopped.set()

    async def placed(self, reference: str) -> None:
        """The provider took it, and calls it this."""
        self.reference = reference
        try:
            await self._talking.progressed(self._ring.id, self._ring.token, reference)
        except NotStoredError as error:
            self._complain(error)

    async def script(self) -> Script:
        """What to say now."""
        try:
            said = await self._talking.script(self._ring.id, self._ring.token)
        except NotStoredError as error:
            self._complain(error)
            return self._said or speech.unreadable_text()
        return self._keep(said)

    async def pressed(self, key: str) -> Script:
        """What a key makes of it; where that cannot be stored the person is asked to press it again."""
        try:
            said = await self._talking.pressed(self._ring.id, self._ring.token, key)
        except NotStoredError as error:
            self._complain(error)
            return speech.not_stored_text(self._said.text if self._said is not None else "")
        return self._keep(said)

    def _keep(self, said: Script | None) -> Script:
        self._said = said or speech.no_longer_needed(None)
        return self._said

    def _complain(self, error: Exception) -> None:
        log.error("call_without_store", ring=self._ring.id, error=repr(error))
