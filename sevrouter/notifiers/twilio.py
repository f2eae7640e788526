"""Calls by telephone through Twilio: places one, and stays with it until it is over.

With a public address the pressed keys come by callbacks, which the web server takes, on whichever replica; without one
the call only speaks. Either way it is asked how the call stands. Must not know what a key means.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sevrouter.domain.delivery import OutcomeReason, Retry, Unknown
from sevrouter.domain.ringing import Rang, RingEnd
from sevrouter.engine.callback_address import CallbackAddress
from sevrouter.notifiers.answers import Answer, judge
from sevrouter.notifiers.twilio_account import STATUSES, URL, Call, TwilioAccount, read_call
from sevrouter.notifiers.twilio_call import CallUnderWay
from sevrouter.notifiers.twiml import Voice, twiml

if TYPE_CHECKING:
    from sevrouter.domain.delivery import Rejected
    from sevrouter.domain.ringing import Ring, Script
    from sevrouter.engine.calling_ports import Conversation
    from sevrouter.engine.ports import Clock
    from sevrouter.notifiers.answers import Failure
    from sevrouter.notifiers.base import Secret
    from sevrouter.notifiers.http import Transport
    from sevrouter.notifiers.twilio_call import Pause

VENDOR = "twilio"

RING_FOR = timedelta(seconds=30)
# Seconds: less does not ring, and more they do not take.
SHORTEST_RING, LONGEST_RING = 5, 600

# Seconds between two calls that are placed: what an account may do by default.
PLACE_EVERY = 1.0

# What they list is behind what they do, for so long at most.
VISIBLE_WITHIN = timedelta(seconds=20)
# Their clock and ours are never further apart.
SKEW = timedelta(seconds=5)

# Their codes for a number that cannot be called by anybody: not valid, not reachable, or a service number. That the
# account may not call a country (21215, 21216, 13227), or only numbers that were verified (21219), is no fault of the
# number, and another provider may be allowed to.
BAD_NUMBERS = frozenset({13_223, 13_224, 21_201, 21_202, 21_211, 21_214, 21_217})

PROGRESS_EVENTS = ("initiated", "ringing", "answered", "completed")


class Twilio:
    """One account. `caller` is the number that calls (E.164), `name` the provider's own name.

    `public_url` is where they reach us, None where they cannot.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        account_sid: str,
        auth_token: Secret,
        caller: str,
        clock: Clock,
        name: str = VENDOR,
        url: str = URL,
        public_url: str | None = None,
        ring_for: timedelta = RING_FOR,
        voice: Voice | None = None,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self._account = TwilioAccount(transport, account_sid=account_sid, auth_token=auth_token, url=url)
        self._caller = caller
        self._clock = clock
        self._name = name
        self._public_url = public_url
        self._ring_for = min(max(SHORTEST_RING, round(ring_for.total_seconds())), LONGEST_RING)
        self._voice = voice or Voice(caller=caller)
        self._pause = pause
        self._pace = _Pace(pause)
        self._asked_at: dict[int, datetime] = {}

    @property
    def takes_keys(self) -> bool:
        """Whether anybody hears of a key that is pressed."""
        return self._public_url is not None

    async def ring(self, ring: Ring, conversation: Conversation) -> Rang | Retry | Unknown | Rejected:
        """Place a call, and stay with it."""
        limited = await self._pace.turn()
        if limited is not None:
            return limited
        script = await conversation.script()
        if conversation.stopped.is_set():
            return Rang(RingEnd.CANCELLED, "needed no more before it was placed")
        self._asked_at[ring.id] = self._clock()
        answer = await self._account.create(self._form(ring, script), secrets=(ring.token,))
        call = read_call(answer.document) if isinstance(answer, Answer) and answer.status == 201 else None
        outcome = None if call is not None else self._not_placed(answer)
        if not isinstance(outcome, Unknown):
            del self._asked_at[ring.id]
        if call is not None:
            return await self._stay(call, conversation, end=script.end, is_new=True)
        assert outcome is not None
        return outcome

    async def look_for(self, ring: Ring, conversation: Conversation) -> Rang | Retry | Unknown | Rejected:
        """Find the call that a ring has become, and stay with it."""
        if ring.reference is not None:
            return await self._go_on(ring.reference, conversation)
        asked_at = self._asked_at.get(ring.id, ring.began_at)
        calls = await self._account.newest(to=ring.number, caller=self._caller)
        if not isinstance(calls, list):
            return Unknown(calls.reason, calls.detail)
        # There is at most one call at a time to a number, so the newest since then is this one.
        found = next((call for call in calls if _is_since(call, ring.began_at - SKEW)), None)
        if found is None and self._clock() - asked_at < VISIBLE_WITHIN:
            return Unknown(OutcomeReason.NOT_VISIBLE_YET, "Twilio lists no call to this number yet")
        self._asked_at.pop(ring.id, None)
        if found is None:
            return Retry(OutcomeReason.NOT_FOUND, "never placed: Twilio lists no call to this number since")
        return await self._stay(found, conversation, end=RingEnd.NO_KEY, is_new=True)

    async def _go_on(self, reference: str, conversation: Conversation) -> Rang | Retry | Unknown:
        call = await self._account.fetch(reference)
        if isinstance(call, Call):
            return await self._stay(call, conversation, end=RingEnd.NO_KEY, is_new=False)
        if call.reason is OutcomeReason.NOT_FOUND:
            return Rang(RingEnd.LOST, f"Twilio knows this call no more: {call.detail}")
        return Unknown(call.reason, call.detail)

    async def _stay(
        self, call: Call, conversation: Conversation, *, end: RingEnd, is_new: bool
    ) -> Rang | Retry | Unknown:
        under_way = CallUnderWay(self._account, call, conversation, voice=self._voice, pause=self._pause, end=end)
        try:
            if is_new:
                await conversation.placed(call.sid)
            return await under_way.until_over()
        except asyncio.CancelledError:
            await under_way.hang_up()
            raise

    def _form(self, ring: Ring, script: Script) -> list[tuple[str, str]]:
        form = [("To", ring.number), ("From", self._caller), ("Timeout", str(self._ring_for))]
        if self._public_url is None:
            return [*form, ("Twiml", twiml(script, voice=self._voice))]
        address = CallbackAddress(
            root=self._public_url, vendor=VENDOR, provider=self._name, ring_id=ring.id, token=ring.token
        )
        return [
            *form,
            # Spoken from what is sent along, so that it is heard even if they do not reach us just then.
            ("Twiml", twiml(script, voice=self._voice, action=address.pressed, again=address.again(2))),
            ("StatusCallback", address.progress),
            ("StatusCallbackMethod", "POST"),
            *(("StatusCallbackEvent", event) for event in PROGRESS_EVENTS),
        ]

    def _not_placed(self, answer: Answer | Failure) -> Rang | Failure:
        if not isinstance(answer, Answer):
            return answer
        if answer.status == 400 and answer.document.get("code") in BAD_NUMBERS:
            return Rang(RingEnd.BAD_NUMBER, answer.detail)
        if answer.status == 429 and answer.not_before is not None:
            self._pace.hold(answer.not_before)
        return judge(answer, STATUSES)


class _Pace:
    """No two calls within a second, and none before a time that they asked for."""

    def __init__(self, pause: Pause) -> None:
        self._pause = pause
        self._next_at = 0.0
        self._held_until: datetime | None = None

    async def turn(self) -> Retry | None:
        """Wait for a turn; Retry where they asked not to be asked."""
        if self._held_until is not None and datetime.now(UTC) < self._held_until:
            return Retry(OutcomeReason.RATE_LIMITED, "Twilio asked to wait", self._held_until)
        now = asyncio.get_running_loop().time()
        at = max(now, self._next_at)
        self._next_at = at + PLACE_EVERY
        if at > now:
            await self._pause(at - now)
        return None

    def hold(self, until: datetime) -> None:
        """Let nobody through until then."""
        self._held_until = until


def _is_since(call: Call, begun: datetime) -> bool:
    # One without any time has not begun, or is told of badly; one that is over and has none says nothing.
    return call.created_at >= begun if call.created_at is not None else not call.is_over
