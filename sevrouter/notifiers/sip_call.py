"""One call by SIP that is under way: spoken, listened to, and ended where it is needed no more.

Knows what to do when. Must not know how a call is made, nor what a key means.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, assert_never

import structlog

from sevrouter.domain.delivery import OutcomeReason, Rejected, Retry
from sevrouter.domain.ringing import Rang, RingEnd, Script, Then
from sevrouter.notifiers.sip_answers import judge
from sevrouter.notifiers.sip_words import (
    Answered,
    Connect,
    Connected,
    Failed,
    HangUp,
    Heard,
    NotConnected,
    Over,
    Pressed,
    Said,
    Say,
    Sent,
)
from sevrouter.notifiers.speaking import SpeechError

if TYPE_CHECKING:
    from sevrouter.engine.calling_ports import Conversation
    from sevrouter.notifiers.sip_process import Line
    from sevrouter.notifiers.sip_words import Dial, News
    from sevrouter.notifiers.sound import Sound
    from sevrouter.notifiers.speaking import Speaks

log = structlog.get_logger()

_DIAL = re.compile(r"(\+?[0-9]{2,20})([0-9*#,;wWpP]{0,60})", re.ASCII)
_PAUSES = str.maketrans(";wWpP", ",,,,,")

UNREACHABLE_BRIDGE = "The bridge cannot be reached from here. "


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long a call waits for what, in seconds, and how many times it says the same.

    `starts_within`: a machine that does not get to it by then is too busy to call anybody. `silent_for`: a server that
    does not even say that it sees to the call, by when it was asked four times, is not there. `rings_within`: one that
    sees to it for so long, and nothing rings, has no way to that phone. `key_within`: for a key, after all was said.
    `talk_for`: whatever is pressed, no longer than this. `ended_within`: until everybody agrees that a call is over.
    """

    ring_for: float = 30.0
    starts_within: float = 15.0
    silent_for: float = 8.0
    rings_within: float = 20.0
    key_within: float = 8.0
    times: int = 3
    talk_for: float = 900.0
    ended_within: float = 5.0


class _Signal(enum.Enum):
    STOPPED = "stopped"
    LATE = "late"
    GONE = "gone"


class _Stage(enum.Enum):
    """asked → sent → taken → ringing → (speaking ⇄ listening) → connected; ending from anywhere."""

    ASKED = "asked"
    SENT = "sent"
    TAKEN = "taken"
    RINGING = "ringing"
    SPEAKING = "speaking"
    LISTENING = "listening"
    CONNECTED = "connected"
    ENDING = "ending"


_BEFORE_ANSWER = frozenset({_Stage.ASKED, _Stage.SENT, _Stage.TAKEN, _Stage.RINGING})
# What a server says when a phone rings, or when whoever is behind it is heard.
_RINGING = frozenset({180, 183})
_CANCELLED = 487


class CallBySip:
    """One call on a line. `first` is what its conversation says at its beginning, and how that sounds."""

    def __init__(
        self,
        line: Line,
        conversation: Conversation,
        *,
        speech: Speaks,
        timing: Timing,
        first: tuple[Script, Sound],
        provider: str = "sip",
    ) -> None:
        self._line = line
        self._provider = provider
        self._conversation = conversation
        self._speech = speech
        self._timing = timing
        self._script, self._spare = first
        self._stage = _Stage.ASKED
        self._clock = asyncio.get_running_loop().time
        self._late_at = 0.0
        self._over_at = 0.0
        self._is_taken = self._has_rung = self._is_answered = False
        # What is said now, by a number of its own, and how many times it has been said.
        self._number = self._times = 0
        # What it comes to whatever is said of its end, since it was us who ended it.
        self._verdict: Rang | Retry | None = None

    async def until_over(self, dial: Dial) -> Rang | Retry | Rejected:
        """Have it made, and stay with it."""
        events: asyncio.Queue[News | _Signal] = asyncio.Queue()
        pumps = [asyncio.create_task(self._hand_on(events)), asyncio.create_task(self._signal_stop(events))]
        self._wait(self._timing.starts_within)
        try:
            await self._line.tell(dial)
            while True:
                outcome = await self._meet(await self._next(events))
                if outcome is not None:
                    return outcome
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _hand_on(self, events: asyncio.Queue[News | _Signal]) -> None:
        while (news := await self._line.news()) is not None:
            events.put_nowait(news)
        events.put_nowait(_Signal.GONE)

    async def _signal_stop(self, events: asyncio.Queue[News | _Signal]) -> None:
        await self._conversation.stopped.wait()
        events.put_nowait(_Signal.STOPPED)

    async def _next(self, events: asyncio.Queue[News | _Signal]) -> News | _Signal:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(self._late_at):
                return await events.get()
        return _Signal.LATE

    def _wait(self, seconds: float) -> None:
        self._late_at = self._clock() + seconds

    async def _meet(self, event: News | _Signal) -> Rang | Retry | Rejected | None:
        """Do what follows; the outcome where it is over."""
        match event:
            case Over():
                return self._over(event)
            case Failed(detail, is_ours):
                return Rejected(OutcomeReason.NOT_CONFIGURED, detail) if is_ours else self._failed(detail)
            case _Signal.GONE:
                return self._gone()
            case _Signal.LATE if self._stage is _Stage.ENDING:
                return self._verdict or self._answered_end("nobody agreed that it is over")
            case Sent() | Heard():
                await self._on_progress(event)
            case _ if self._stage is not _Stage.ENDING:
                await self._talk(event)
            case Pressed(key) if self._is_answered:
                # Nothing is said any more, but whoever pressed it in the last moment means it.
                self._script = await self._conversation.pressed(key)
            case _:
                pass  # It comes too late to matter.
        return None

    async def _on_progress(self, event: Sent | Heard) -> None:
        if isinstance(event, Heard):
            await self._on_taken(event.call_id)
        if self._stage not in _BEFORE_ANSWER:
            return
        if isinstance(event, Sent):
            self._stage = _Stage.SENT
            self._wait(self._timing.silent_for)
            return
        if event.status in _RINGING and not self._has_rung:
            self._has_rung, self._stage = True, _Stage.RINGING
            self._wait(self._timing.ring_for)
        elif self._stage in (_Stage.ASKED, _Stage.SENT):
            self._stage = _Stage.TAKEN
            self._wait(self._timing.rings_within)

    async def _on_taken(self, call_id: str) -> None:
        if not self._is_taken:
            self._is_taken = True
            await self._conversation.placed(call_id)

    async def _talk(self, event: Answered | Pressed | Said | Connected | NotConnected | _Signal) -> None:
        match event:
            case Answered(call_id) if self._stage in _BEFORE_ANSWER:
                self._answer()
                await self._on_taken(call_id)
                await self._speak(await self._conversation.script())
            case Pressed(key) if self._stage is not _Stage.CONNECTED:
                self._answer()
                await self._speak(await self._conversation.pressed(key))
            case Said(number) if number == self._number and self._stage is _Stage.SPEAKING:
                await self._on_said()
            case Connected():
                self._stage = _Stage.CONNECTED
                self._late_at = self._over_at = float("inf")
            case NotConnected(detail):
                await self._on_not_connected(detail)
            case _Signal.STOPPED:
                await self._stop()
            case _Signal.LATE:
                await self._on_late()
            case _:
                pass  # It was answered already, or something else is said by now.

    def _answer(self) -> None:
        if not self._is_answered:
            self._is_answered = True
            self._over_at = self._clock() + self._timing.talk_for

    # What is said.

    async def _speak(self, script: Script) -> None:
        self._times = 0
        await self._say(script)

    async def _say(self, script: Script) -> None:
        self._script = script
        self._stage = _Stage.SPEAKING
        self._times += 1
        self._number += 1
        sound = await self._sound_of(script)
        # Twice as long, should the process that says it hang.
        self._late_at = min(self._over_at, self._clock() + 2 * sound.seconds + self._timing.ended_within)
        await self._line.tell(Say(self._number, sound.rate, len(sound.samples)), sound.samples)

    async def _sound_of(self, script: Script) -> Sound:
        try:
            sound = await self._speech.speak(script.text)
        except SpeechError as error:
            # Better what was right a moment ago than silence.
            log.warning("speech_failed", provider=self._provider, error=str(error))
            return self._spare
        if script.then is Then.LISTEN:
            self._spare = sound
        return sound

    async def _on_said(self) -> None:
        match self._script.then:
            case Then.LISTEN:
                self._stage = _Stage.LISTENING
                self._late_at = min(self._over_at, self._clock() + self._timing.key_within)
            case Then.HANG_UP:
                await self._hang_up(None)
            case Then.CONNECT:
                await self._connect()
            case _:
                assert_never(self._script.then)

    async def _connect(self) -> None:
        match = _DIAL.fullmatch(self._script.dial or "")
        if match is None:
            await self._on_not_connected("its dial string cannot be dialled")
            return
        self._late_at = self._over_at
        await self._line.tell(Connect(match[1], match[2].translate(_PAUSES)))

    async def _on_not_connected(self, detail: str) -> None:
        if self._stage is _Stage.CONNECTED:
            await self._hang_up(None)
            return
        log.warning("bridge_not_reached", provider=self._provider, detail=detail)
        script = await self._conversation.script()
        await self._speak(replace(script, text=UNREACHABLE_BRIDGE + script.text))

    # How it ends.

    async def _stop(self) -> None:
        if self._stage in _BEFORE_ANSWER and not self._is_answered:
            await self._hang_up(Rang(RingEnd.CANCELLED, "needed no more before anybody answered"))
        elif self._script.then is Then.LISTEN:
            # Nobody is interrupted who is being thanked, or is on the way to the bridge.
            await self._speak(replace(self._conversation.farewell, then=Then.HANG_UP, dial=None))

    async def _on_late(self) -> None:
        timing = self._timing
        if self._stage is _Stage.ASKED:
            detail = f"no process made the call within {timing.starts_within:g} s"
            await self._hang_up(Retry(OutcomeReason.INTERNAL_ERROR, detail))
        elif self._stage is _Stage.SENT:
            detail = f"the server did not answer within {timing.silent_for:g} s"
            await self._hang_up(Retry(OutcomeReason.TIMED_OUT, detail))
        elif self._stage is _Stage.TAKEN:
            # It may have rung without a word, so that this is not for certain; another provider is tried at once.
            await self._hang_up(
                Rang(RingEnd.LOST, f"the server took it, and nothing rang within {timing.rings_within:g} s")
            )
        elif self._stage in _BEFORE_ANSWER:
            await self._hang_up(Rang(RingEnd.NO_ANSWER, f"nobody answered within {timing.ring_for:g} s"))
        elif self._stage is _Stage.LISTENING and self._times < timing.times and self._clock() < self._over_at:
            await self._say(await self._conversation.script())
        else:
            await self._hang_up(None)

    async def _hang_up(self, verdict: Rang | Retry | None) -> None:
        self._stage, self._verdict = _Stage.ENDING, verdict
        self._wait(self._timing.ended_within)
        await self._line.tell(HangUp())

    def _over(self, over: Over) -> Rang | Retry | Rejected:
        if self._verdict is not None and not self._says_more(over):
            return self._verdict
        if self._is_answered:
            return self._answered_end("we hung up" if self._stage is _Stage.ENDING else "they hung up")
        return judge(over, has_rung=self._has_rung, heard=self._is_taken)

    def _says_more(self, over: Over) -> bool:
        """Whether a last word came after all where there was none; that we cancelled it says nothing new."""
        is_guess = isinstance(self._verdict, Retry) or (self._verdict is not None and self._verdict.end is RingEnd.LOST)
        return is_guess and over.status not in (None, _CANCELLED)

    def _answered_end(self, who: str) -> Rang:
        # Whoever hung up before anything was said has pressed no key.
        return Rang(self._script.end if self._number else RingEnd.NO_KEY, f"answered; {who}")

    def _failed(self, detail: str) -> Rang | Retry:
        return self._gone() if self._is_taken else Retry(OutcomeReason.UNREACHABLE, detail)

    def _gone(self) -> Rang | Retry:
        """The line is lost, and with it how it went on."""
        if self._verdict is not None:
            return self._verdict
        detail = "the process that made the call ended before it"
        if self._stage is _Stage.ASKED:
            return Retry(OutcomeReason.INTERNAL_ERROR, detail)
        if self._is_answered and (self._stage is _Stage.ENDING or self._script.end is not RingEnd.NO_KEY):
            return self._answered_end(detail)
        return Rang(RingEnd.LOST, detail)
