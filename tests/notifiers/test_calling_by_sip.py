"""One call by SIP, event by event: what is said when, what a key does to it, how long it waits, how it ends."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

import pytest

from sevrouter.domain.delivery import OutcomeReason, Rejected, Retry
from sevrouter.domain.ringing import Rang, RingEnd, Script, Then
from sevrouter.notifiers.sip_call import UNREACHABLE_BRIDGE, CallBySip, Timing
from sevrouter.notifiers.sip_words import (
    Answered,
    Connect,
    Connected,
    Dial,
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
from sevrouter.notifiers.sound import Sound
from sevrouter.notifiers.speaking import SpeechError
from tests.notifiers.talking import TEXT, Talk

if TYPE_CHECKING:
    from collections.abc import Callable

    from sevrouter.notifiers.sip_words import News, Order

DIAL = Dial(server="pbx.example", transport="udp", caller="+4930999", number="+4930123456", password="hush")
RINGS = (Sent(), Heard(100, "id-1"), Heard(180, "id-1"))
THANKS = Script("Thank you.", Then.HANG_UP, end=RingEnd.ACKNOWLEDGED)
BRIDGE = Script("Connecting.", Then.CONNECT, dial="+49301234;77#", end=RingEnd.CONNECTED)
PATIENCE = 10
# So short that a test does not wait, where waiting is what it is about.
SOON = 0.03


class Voice:
    """Makes a text its own sound, so that a test reads what was said. What is in `mute` it cannot say."""

    def __init__(self) -> None:
        self.mute: set[str] = set()

    async def speak(self, text: str) -> Sound:
        """The text."""
        if text in self.mute:
            raise SpeechError("hoarse")
        return Sound(8_000, text.encode("utf-16-le"))


class FakeLine:
    """A line whose other end does, for each order, what a test has planned: news by what was ordered or said."""

    def __init__(self, plan: dict[str, list[News | None]]) -> None:
        self._plan = {name: deque(news) for name, news in plan.items()}
        self._news: asyncio.Queue[News | None] = asyncio.Queue()
        self.said: list[str] = []
        self.orders: list[Order] = []
        self.on_say: Callable[[str], None] = lambda _: None

    async def tell(self, order: Order, sound: bytes = b"") -> None:
        """Take an order."""
        self.orders.append(order)
        match order:
            case Say(number):
                text = sound.decode("utf-16-le")
                assert order.size == len(sound)
                self.said.append(text)
                self._follow(text, said=number)
                self.on_say(text)
            case HangUp():
                self._follow("hang up", default=[Over(None, "")])
            case Connect():
                self._follow("connect")
            case Dial():
                self._follow("dial")

    def _follow(self, name: str, *, said: int | None = None, default: list[News] | None = None) -> None:
        planned = self._plan.get(name)
        if planned is None:
            for each in default if default is not None else [] if said is None else [Said(said)]:
                self.happens(each)
            return
        while planned:
            event = planned.popleft()
            if event is None:
                return
            # What is planned does not know by what number it is said.
            self.happens(Said(said) if isinstance(event, Said) and said is not None else event)

    def happens(self, event: News) -> None:
        """Something happens."""
        self._news.put_nowait(event)

    async def news(self) -> News | None:
        """Tell of it."""
        event = await self._news.get()
        return None if isinstance(event, Failed) and event.detail == "crash" else event

    async def close(self) -> None:
        """Nothing is to be closed."""


CRASH = Failed("crash")


class Keys(Talk):
    """A conversation whose keys make scripts of it."""

    def __init__(self, **scripts: Script) -> None:
        super().__init__()
        self.scripts = {name.removeprefix("key"): script for name, script in scripts.items()}
        self.farewell = Script("It is resolved.", Then.HANG_UP, end=RingEnd.CANCELLED)

    async def pressed(self, key: str) -> Script:
        """What is said of it."""
        self.keys.append(key)
        return self.scripts.get(key, self.said)


async def call(line: FakeLine, talk: Talk, *, voice: Voice | None = None, **timing: float) -> Rang | Retry | Rejected:
    timed = Timing(**{"key_within": SOON, "ended_within": 1.0, **timing})  # type: ignore[arg-type]
    first = await talk.script(), Sound(8_000, TEXT.encode("utf-16-le"))
    by_sip = CallBySip(line, talk, speech=voice or Voice(), timing=timed, first=first)
    return await asyncio.wait_for(by_sip.until_over(DIAL), PATIENCE)


def after_dialling(*news: News) -> dict[str, list[News | None]]:
    return {"dial": [*RINGS, *news]}


async def test_a_key_is_answered_and_then_it_is_over() -> None:
    line, talk = FakeLine(after_dialling(Answered("id-1"), Pressed("1"))), Keys(key1=THANKS)

    assert await call(line, talk) == Rang(RingEnd.ACKNOWLEDGED, "answered; we hung up")
    assert line.said == [TEXT, THANKS.text]
    assert talk.references == ["id-1"]
    assert talk.keys == ["1"]


async def test_the_password_is_told_to_the_line_and_shown_to_nobody() -> None:
    line = FakeLine(after_dialling(Over(486, "486 Busy Here")))
    await call(line, Keys())

    (dial,) = line.orders
    assert isinstance(dial, Dial)
    assert dial.password == "hush"
    assert "hush" not in repr(dial)


async def test_it_is_said_three_times_and_once_more_after_any_key() -> None:
    line, talk = FakeLine(after_dialling(Answered("id-1"))), Keys()

    assert await call(line, talk) == Rang(RingEnd.NO_KEY, "answered; we hung up")
    assert line.said == [TEXT] * 3

    line = FakeLine({**after_dialling(Answered("id-1")), TEXT: [Said(0), None, Said(0), Pressed("2"), None]})
    line.on_say = lambda _: line.happens(Said(99))  # Of something that was said before: it means nothing.
    assert (await call(line, talk, times=2, ended_within=SOON)) == Rang(RingEnd.NO_KEY, "answered; we hung up")
    assert len(line.said) == 3


async def test_what_it_says_again_is_what_is_so_by_then() -> None:
    line, talk = FakeLine(after_dialling(Answered("id-1"))), Keys()

    def grow(_: str) -> None:
        talk.said = Script("And one more.")

    line.on_say = grow
    await call(line, talk, times=2)

    assert line.said == [TEXT, "And one more."]


@pytest.mark.parametrize("pressed", [False, True])
async def test_who_hangs_up_has_done_what_was_last_said(*, pressed: bool) -> None:
    keys = [Pressed("1")] if pressed else []
    line = FakeLine({**after_dialling(Answered("id-1")), TEXT: [*keys, Over(None, "bye")], THANKS.text: []})

    outcome = await call(line, Keys(key1=THANKS))

    assert outcome == Rang(RingEnd.ACKNOWLEDGED if pressed else RingEnd.NO_KEY, "answered; they hung up")


async def test_a_key_before_anything_was_said_counts() -> None:
    line, talk = FakeLine(after_dialling(Pressed("1"), Answered("id-1"))), Keys(key1=THANKS)

    assert (await call(line, talk)) == Rang(RingEnd.ACKNOWLEDGED, "answered; we hung up")
    assert line.said == [THANKS.text]


async def test_an_answer_without_a_ring_is_placed_as_well() -> None:
    line, talk = FakeLine({"dial": [Sent(), Answered("id-2"), Over(None, "bye"), Heard(100, "id-2")]}), Keys()

    assert await call(line, talk) == Rang(RingEnd.NO_KEY, "answered; they hung up")
    assert talk.references == ["id-2"]


async def test_nobody_answers() -> None:
    line = FakeLine(after_dialling())

    assert await call(line, Keys(), ring_for=SOON) == Rang(RingEnd.NO_ANSWER, f"nobody answered within {SOON:g} s")
    assert isinstance(line.orders[-1], HangUp)


async def test_a_server_that_says_nothing_is_given_up_but_heard_if_it_speaks_after_all() -> None:
    line = FakeLine({"dial": [Sent()]})
    assert await call(line, Keys(), silent_for=SOON) == Retry(
        OutcomeReason.TIMED_OUT, f"the server did not answer within {SOON:g} s"
    )

    line = FakeLine({"dial": [Sent()], "hang up": [Over(486, "486 Busy Here")]})
    assert await call(line, Keys(), silent_for=SOON) == Rang(RingEnd.BUSY, "SIP: 486 Busy Here")


async def test_a_server_that_takes_it_and_lets_nothing_ring_has_no_way_to_that_phone() -> None:
    line = FakeLine({"dial": [*RINGS[:2]], "hang up": [Over(487, "487 Request Terminated")]})
    outcome = await call(line, Keys(), rings_within=SOON)
    assert outcome == Rang(RingEnd.LOST, f"the server took it, and nothing rang within {SOON:g} s")

    line = FakeLine({"dial": [*RINGS[:2]], "hang up": [Over(404, "404 Not Found")]})
    assert await call(line, Keys(), rings_within=SOON) == Rang(RingEnd.BAD_NUMBER, "SIP: 404 Not Found")


async def test_a_phone_that_rings_late_rings_as_long_as_any() -> None:
    line = FakeLine(after_dialling())
    outcome = await call(line, Keys(), rings_within=60, ring_for=SOON)
    assert outcome == Rang(RingEnd.NO_ANSWER, f"nobody answered within {SOON:g} s")


async def test_nobody_agrees_that_it_is_over() -> None:
    line = FakeLine({**after_dialling(), "hang up": []})
    assert await call(line, Keys(), ring_for=SOON, ended_within=SOON) == Rang(
        RingEnd.NO_ANSWER, f"nobody answered within {SOON:g} s"
    )

    line = FakeLine({**after_dialling(Answered("id-1"), Pressed("1")), "hang up": []})
    assert await call(line, Keys(key1=THANKS), ended_within=SOON) == Rang(
        RingEnd.ACKNOWLEDGED, "answered; nobody agreed that it is over"
    )


async def test_a_line_that_is_lost_after_all_was_said_loses_nothing() -> None:
    line = FakeLine({**after_dialling(Answered("id-1")), "hang up": [CRASH]})

    assert await call(line, Keys(), times=1) == Rang(RingEnd.NO_KEY, f"answered; {LOST.detail}")


async def test_a_key_in_the_last_moment_counts() -> None:
    line = FakeLine({**after_dialling(Answered("id-1")), "hang up": [Pressed("1"), Over(None, "bye")]})
    talk = Keys(key1=THANKS)

    assert await call(line, talk, times=1) == Rang(RingEnd.ACKNOWLEDGED, "answered; we hung up")
    assert line.said == [TEXT]
    assert talk.keys == ["1"]


async def test_a_machine_that_is_too_busy_to_call() -> None:
    assert await call(FakeLine({"dial": []}), Keys(), starts_within=SOON) == Retry(
        OutcomeReason.INTERNAL_ERROR, f"no process made the call within {SOON:g} s"
    )


async def test_a_call_that_hangs_while_it_speaks_is_ended() -> None:
    line = FakeLine({**after_dialling(Answered("id-1")), TEXT: []})

    assert await call(line, Keys(), ended_within=SOON) == Rang(RingEnd.NO_KEY, "answered; we hung up")


async def test_who_keeps_pressing_is_not_listened_to_for_ever() -> None:
    line = FakeLine(after_dialling(Answered("id-1")))
    line.on_say = lambda _: line.happens(Pressed("2"))

    assert await call(line, Keys(), talk_for=0.2) == Rang(RingEnd.NO_KEY, "answered; we hung up")


async def test_needed_no_more_before_anybody_answered() -> None:
    line, talk = FakeLine(after_dialling()), Keys()
    talk.on_placed = talk.stopped.set

    assert await call(line, talk) == Rang(RingEnd.CANCELLED, "needed no more before anybody answered")
    assert not line.said


async def test_needed_no_more_while_it_is_said() -> None:
    line, talk = FakeLine({**after_dialling(Answered("id-1")), TEXT: []}), Keys()
    line.on_say = lambda _: talk.stopped.set()

    assert await call(line, talk) == Rang(RingEnd.CANCELLED, "answered; we hung up")
    assert line.said == [TEXT, talk.farewell.text]


async def test_who_is_being_thanked_is_not_interrupted() -> None:
    line, talk = FakeLine(after_dialling(Answered("id-1"), Pressed("1"))), Keys(key1=THANKS)
    line.on_say = lambda text: talk.stopped.set() if text == THANKS.text else None

    assert (await call(line, talk)) == Rang(RingEnd.ACKNOWLEDGED, "answered; we hung up")
    assert line.said[-1] == THANKS.text


async def test_the_bridge_goes_on_whatever_happens_to_the_incident() -> None:
    talk = Keys(key4=BRIDGE)
    line = FakeLine({**after_dialling(Answered("id-1"), Pressed("4")), "connect": [Connected()]})
    ringing = asyncio.create_task(call(line, talk, talk_for=0.5, ring_for=SOON, silent_for=SOON))
    await until(lambda: any(isinstance(each, Connect) for each in line.orders))
    talk.stopped.set()
    line.happens(Pressed("7"))
    await asyncio.sleep(0)
    line.happens(NotConnected("it has ended"))

    assert await ringing == Rang(RingEnd.CONNECTED, "answered; we hung up")
    assert line.said == [TEXT, BRIDGE.text]
    assert talk.keys == ["4"]
    assert Connect("+49301234", ",77#") in line.orders


async def test_who_is_on_the_way_to_the_bridge_is_not_interrupted() -> None:
    talk = Keys(key4=BRIDGE)
    line = FakeLine({**after_dialling(Answered("id-1"), Pressed("4")), "connect": []})
    ringing = asyncio.create_task(call(line, talk))
    await until(lambda: any(isinstance(each, Connect) for each in line.orders))
    talk.stopped.set()
    await asyncio.sleep(0)
    line.happens(Connected())
    line.happens(NotConnected("it has ended"))

    assert await ringing == Rang(RingEnd.CONNECTED, "answered; we hung up")
    assert line.said == [TEXT, BRIDGE.text]


@pytest.mark.parametrize("dial", [None, "sip:evil@elsewhere", "+49301234 ,1"])
async def test_a_bridge_that_cannot_be_dialled(dial: str | None) -> None:
    bridge = Script("Connecting.", Then.CONNECT, dial=dial, end=RingEnd.CONNECTED)
    line = FakeLine(after_dialling(Answered("id-1"), Pressed("4")))

    assert await call(line, Keys(key4=bridge), times=1) == Rang(RingEnd.NO_KEY, "answered; we hung up")
    assert line.said == [TEXT, bridge.text, UNREACHABLE_BRIDGE + TEXT]
    assert not any(isinstance(each, Connect) for each in line.orders)


async def test_what_cannot_be_spoken_is_replaced_by_what_could() -> None:
    voice = Voice()
    voice.mute = {THANKS.text}
    line = FakeLine(after_dialling(Answered("id-1"), Pressed("1")))

    outcome = await call(line, Keys(key1=THANKS), voice=voice)

    assert outcome == Rang(RingEnd.ACKNOWLEDGED, "answered; we hung up")
    assert line.said == [TEXT, TEXT]


NO_TLS = "SIP: Protocol error [71]: is its certificate trusted here?"
LOST = Rang(RingEnd.LOST, "the process that made the call ended before it")


@pytest.mark.parametrize(
    ("news", "outcome"),
    [
        ([], Retry(OutcomeReason.INTERNAL_ERROR, LOST.detail)),
        ([Sent()], LOST),
        ([*RINGS], LOST),
        ([*RINGS, Answered("id-1")], LOST),
        ([*RINGS, Pressed("1")], Rang(RingEnd.ACKNOWLEDGED, f"answered; {LOST.detail}")),
    ],
    ids=["before", "asked", "ringing", "answered", "acknowledged"],
)
async def test_a_line_that_is_lost(news: list[News | None], outcome: Rang | Retry) -> None:
    line = FakeLine({"dial": [*news, CRASH], TEXT: [], THANKS.text: []})

    assert await call(line, Keys(key1=THANKS)) == outcome


@pytest.mark.parametrize(
    ("news", "outcome"),
    [
        ([Failed("no address")], Retry(OutcomeReason.UNREACHABLE, "no address")),
        ([Sent(), Failed("no address")], Retry(OutcomeReason.UNREACHABLE, "no address")),
        ([Failed("no extra", is_ours=True)], Rejected(OutcomeReason.NOT_CONFIGURED, "no extra")),
        ([Sent(), Over(None, "Connection refused")], Retry(OutcomeReason.UNREACHABLE, "SIP: Connection refused")),
        ([*RINGS[:2], Over(None, "Connection reset")], Rang(RingEnd.LOST, "SIP: Connection reset")),
        ([*RINGS, Over(None, "")], Rang(RingEnd.NO_ANSWER, "it rang, and then: SIP: no reason given")),
        ([*RINGS[:2], Over(302, "302 Moved")], Rang(RingEnd.NO_ANSWER, "forwarded: SIP: 302 Moved")),
        ([*RINGS[:2], Over(429, "429 Slow")], Retry(OutcomeReason.RATE_LIMITED, "SIP: 429 Slow")),
        ([Sent(), Over(None, "Protocol error [71]")], Retry(OutcomeReason.UNREACHABLE, NO_TLS)),
    ],
)  # fmt: skip
async def test_a_call_that_does_not_come_about(news: list[News | None], outcome: Rang | Retry | Rejected) -> None:
    assert await call(FakeLine({"dial": news}), Keys()) == outcome


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            if happened():
                return
            await asyncio.sleep(0)
