"""One call of Twilio's that is under way: asked about until it is over, and ended where it is needed no more.

Knows what their words for a call mean. Must not know how a call comes about.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sevrouter.domain.delivery import OutcomeReason, Retry, Unknown
from sevrouter.domain.ringing import Rang, RingEnd, Then
from sevrouter.notifiers.twilio_account import Call
from sevrouter.notifiers.twiml import twiml

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sevrouter.engine.calling_ports import Conversation
    from sevrouter.notifiers.answers import Failure
    from sevrouter.notifiers.twilio_account import TwilioAccount
    from sevrouter.notifiers.twiml import Voice

    Pause = Callable[[float], Awaitable[None]]

# Seconds.
POLL_EVERY = 2.0
# Who gets no answer for so long does not know any more whether it rings.
UNHEARD_FOR = 30.0
# They queue calls beyond their rate for up to a day; another provider is faster than that.
QUEUED_FOR = 40.0
FAREWELL_WITHIN = 30.0

# Of a call that failed they say that most likely the number does not exist.
ENDS = {
    "busy": RingEnd.BUSY,
    "no-answer": RingEnd.NO_ANSWER,
    "failed": RingEnd.BAD_NUMBER,
    "canceled": RingEnd.CANCELLED,
}


class CallUnderWay:
    """`end` is what it has come to if it is answered and nothing else becomes known."""

    def __init__(
        self,
        account: TwilioAccount,
        call: Call,
        conversation: Conversation,
        *,
        voice: Voice,
        pause: Pause,
        end: RingEnd,
    ) -> None:
        self._account = account
        self._call = call
        self._conversation = conversation
        self._voice = voice
        self._pause = pause
        self._end = end
        self._elapsed = 0.0
        self._heard_at = 0.0
        self._told_at: float | None = None
        self._gave_up = False

    async def until_over(self) -> Rang | Retry | Unknown:
        """Stay with it. Retry: it waited in their queue for too long, and never rang."""
        clock = asyncio.get_running_loop().time
        while not self._call.is_over:
            begun = clock()
            await self._intervene()
            await self._wait()
            heard = await self._account.fetch(self._call.sid)
            # Whichever is longer: tests do not really wait, and a request may take its time.
            self._elapsed += max(POLL_EVERY, clock() - begun)
            if isinstance(heard, Call):
                self._call, self._heard_at = heard, self._elapsed
            elif (lost := self._lost(heard)) is not None:
                return lost
        return self._over()

    async def hang_up(self) -> None:
        """End it, whatever it is doing."""
        await self._account.update(self._call.sid, Status="completed")

    async def _wait(self) -> None:
        """Until it is time to ask again, or the call is needed no more."""
        waiting: set[asyncio.Future[Any]] = {asyncio.ensure_future(self._pause(POLL_EVERY))}
        if not self._conversation.stopped.is_set():
            waiting.add(asyncio.ensure_future(self._conversation.stopped.wait()))
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def _intervene(self) -> None:
        if self._conversation.stopped.is_set():
            changed = await self._stop()
        elif self._call.status == "queued" and self._elapsed >= QUEUED_FOR:
            self._gave_up = True
            changed = await self._account.update(self._call.sid, Status="canceled")
        else:
            return
        # What they refuse has come too late: it is asked about again soon.
        if isinstance(changed, Call):
            self._call = changed

    async def _stop(self) -> Call | Failure:
        sid = self._call.sid
        if self._call.is_waiting:
            return await self._account.update(sid, Status="canceled")
        if self._told_at is None:
            farewell = twiml(replace(self._conversation.farewell, then=Then.HANG_UP), voice=self._voice)
            changed = await self._account.update(sid, Twiml=farewell)
            if isinstance(changed, Call):
                self._told_at = self._elapsed
            return changed
        if self._elapsed - self._told_at >= FAREWELL_WITHIN:
            return await self._account.update(sid, Status="completed")
        return self._call

    def _lost(self, failure: Failure) -> Rang | Unknown | None:
        if failure.reason is OutcomeReason.NOT_FOUND:
            return Rang(RingEnd.LOST, f"Twilio knows this call no more: {failure.detail}")
        if self._elapsed - self._heard_at >= UNHEARD_FOR:
            return Unknown(failure.reason, f"nothing is heard of the call: {failure.detail}")
        return None

    def _over(self) -> Rang | Retry:
        status = self._call.status
        if status == "canceled" and self._gave_up:
            return Retry(
                OutcomeReason.RATE_LIMITED, f"waited in Twilio's queue for {QUEUED_FOR:g} s, and was cancelled"
            )
        if status != "completed":
            return Rang(ENDS[status], f"Twilio: {status}")
        if self._told_at is not None:
            return Rang(self._conversation.farewell.end, "Twilio: completed, after the farewell")
        return Rang(self._end, "Twilio: completed")
