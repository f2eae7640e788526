"""Real telephone calls by SIP on loopback: another process is the phone, and what it heard is what was said."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from sevrouter.domain.delivery import OutcomeReason, Rejected, Retry, Unknown
from sevrouter.domain.ringing import Rang, RingEnd, Script, Then
from sevrouter.notifiers.sip import Sip
from sevrouter.notifiers.sip_call import UNREACHABLE_BRIDGE, Timing
from sevrouter.notifiers.speaking import Speech, espeak
from tests.notifiers.talking import Talk, a_ring
from tests.real.phone import ALIKE, Phone, likeness
from tests.real.tls import make_certificate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TEXT = "SEV-1, on checkout. Press 1."
THANKS = "You own it now. Good bye."
PATIENCE = 45
ROOT = str(Path(__file__).resolve().parents[2])


class Menu(Talk):
    """A conversation in which 1 acknowledges and 3 passes on; anything else says it again."""

    def __init__(self) -> None:
        super().__init__(TEXT)
        self.farewell = Script("It is resolved. Good bye.", Then.HANG_UP, end=RingEnd.CANCELLED)

    async def pressed(self, key: str) -> Script:
        """What a key makes of it."""
        self.keys.append(key)
        if key == "1":
            return Script(THANKS, Then.HANG_UP, end=RingEnd.ACKNOWLEDGED)
        if key == "3":
            return Script("Passed on.", Then.HANG_UP, end=RingEnd.PASSED_ON)
        return self.said


@pytest.fixture
def speech(espeak_binary: Path) -> Speech:
    return Speech(espeak(program=str(espeak_binary)))


@pytest_asyncio.fixture
async def phone(tmp_path: Path, baresip: None) -> AsyncIterator[Phone]:
    async with Phone(tmp_path) as started:
        yield started


def a_sip(phone: Phone, speech: Speech, *, ring_for: float = 20, timing: Timing | None = None) -> Sip:
    return Sip(
        server=phone.server,
        interface="127.0.0.1",
        caller="+4930999",
        ring_for=timedelta(seconds=ring_for),
        speech=speech,
        timing=timing,
    )


async def ended(call: asyncio.Task[Rang | Retry | Unknown | Rejected]) -> Rang:
    """What a call has come to that was placed."""
    outcome = await asyncio.wait_for(call, PATIENCE)
    assert isinstance(outcome, Rang)
    return outcome


async def test_what_was_said_is_heard_and_a_key_owns_it(phone: Phone, speech: Speech) -> None:
    talk = Menu()
    call = asyncio.create_task(a_sip(phone, speech).ring(a_ring(), talk))
    await phone.answer()
    await phone.expect_said(await speech.speak(TEXT))
    await phone.press("1")

    assert await asyncio.wait_for(call, PATIENCE) == Rang(RingEnd.ACKNOWLEDGED, "answered; we hung up")
    await phone.expect("over")
    assert talk.keys == ["1"]
    assert talk.references == [(await phone.expect("rings"))["call_id"]]
    assert likeness(phone.recording(), await speech.speak(THANKS)) > ALIKE


async def test_a_key_ends_the_sentence(phone: Phone, speech: Speech) -> None:
    call = asyncio.create_task(a_sip(phone, speech).ring(a_ring(), Menu()))
    await phone.answer()
    await phone.expect_heard(1)
    await phone.press("1")

    assert await asyncio.wait_for(call, PATIENCE) == Rang(RingEnd.ACKNOWLEDGED, "answered; we hung up")
    await phone.expect("over")
    assert likeness(phone.recording(), await speech.speak(THANKS)) > ALIKE
    assert likeness(phone.recording(), await speech.speak(TEXT)) < 0.7


async def test_a_key_may_come_in_a_message(tmp_path: Path, baresip: None, speech: Speech) -> None:
    async with Phone(tmp_path, mode="info") as phone:
        call = asyncio.create_task(a_sip(phone, speech).ring(a_ring(), Menu()))
        await phone.answer()
        await phone.expect_heard(1)
        await phone.press("3")

        assert (await ended(call)).end is RingEnd.PASSED_ON


async def test_who_presses_nothing_hears_it_again_and_is_not_taken_for_a_person(phone: Phone, speech: Speech) -> None:
    timing = Timing(key_within=0.5, times=2)
    call = asyncio.create_task(a_sip(phone, speech, timing=timing).ring(a_ring(), Menu()))
    await phone.answer()

    assert await asyncio.wait_for(call, PATIENCE) == Rang(RingEnd.NO_KEY, "answered; we hung up")
    await phone.expect("over")
    said, recording = await speech.speak(TEXT), phone.recording()
    half = len(recording) // 2
    assert likeness(recording[: half + 2_000], said) > ALIKE
    assert likeness(recording[half - 2_000 :], said) > ALIKE


async def test_busy(phone: Phone, speech: Speech) -> None:
    call = asyncio.create_task(a_sip(phone, speech).ring(a_ring(), Menu()))
    await phone.reject()

    assert await asyncio.wait_for(call, PATIENCE) == Rang(RingEnd.BUSY, "SIP: 486 Busy Here")


async def test_nobody_answers_and_it_rings_no_more(phone: Phone, speech: Speech) -> None:
    call = asyncio.create_task(a_sip(phone, speech, ring_for=1).ring(a_ring(), Menu()))
    await phone.expect("rings")

    assert await asyncio.wait_for(call, PATIENCE) == Rang(RingEnd.NO_ANSWER, "nobody answered within 1 s")
    await phone.expect("over")


async def test_hanging_up_midway_is_no_key(phone: Phone, speech: Speech) -> None:
    call = asyncio.create_task(a_sip(phone, speech).ring(a_ring(), Menu()))
    await phone.answer()
    await phone.expect_heard(1)
    await phone.hang_up()

    assert await asyncio.wait_for(call, PATIENCE) == Rang(RingEnd.NO_KEY, "answered; they hung up")


async def test_hanging_up_at_once_is_no_key(phone: Phone, speech: Speech) -> None:
    call = asyncio.create_task(a_sip(phone, speech).ring(a_ring(), Menu()))
    await phone.answer()
    await phone.hang_up()

    assert (await ended(call)).end is RingEnd.NO_KEY


async def test_a_call_needed_no_more_is_cancelled_while_it_rings(phone: Phone, speech: Speech) -> None:
    talk = Menu()
    call = asyncio.create_task(a_sip(phone, speech).ring(a_ring(), talk))
    await phone.expect("rings")
    talk.stopped.set()

    assert (await ended(call)).end is RingEnd.CANCELLED
    await phone.expect("over")


async def test_a_call_needed_no_more_says_so(phone: Phone, speech: Speech) -> None:
    talk = Menu()
    call = asyncio.create_task(a_sip(phone, speech).ring(a_ring(), talk))
    await phone.answer()
    await phone.expect_heard(1)
    talk.stopped.set()

    assert (await ended(call)).end is RingEnd.CANCELLED
    await phone.expect("over")
    assert likeness(phone.recording(), await speech.speak(talk.farewell.text)) > ALIKE


async def test_whoever_gives_up_a_call_hangs_up(phone: Phone, speech: Speech) -> None:
    call = asyncio.create_task(a_sip(phone, speech).ring(a_ring(), Menu()))
    await phone.answer()
    await phone.expect_heard(1)
    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(call, PATIENCE)
    await phone.expect("over")


_DAEMON = """
import asyncio, sys
from sevrouter.notifiers.sip import Sip
from sevrouter.notifiers.speaking import Speech, espeak
from tests.notifiers.talking import Talk, a_ring
sip = Sip(server=sys.argv[1], interface="127.0.0.1", speech=Speech(espeak(program=sys.argv[2])))
asyncio.run(sip.ring(a_ring(), Talk()))
"""


async def test_a_daemon_that_is_killed_does_not_leave_a_call_behind(phone: Phone, espeak_binary: Path) -> None:
    daemon = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-c", _DAEMON, phone.server, str(espeak_binary), env={**os.environ, "PYTHONPATH": ROOT}
    )
    await phone.answer()
    await phone.expect_heard(1)
    daemon.kill()
    await daemon.wait()

    await phone.expect("over")


async def test_two_phones_ring_at_once(tmp_path: Path, phone: Phone, speech: Speech) -> None:
    async with Phone(tmp_path) as other:
        talks = Menu(), Menu()
        calls = [
            asyncio.create_task(a_sip(each, speech).ring(a_ring(), talk))
            for each, talk in zip((phone, other), talks, strict=True)
        ]
        # Both have to ring before either is answered.
        await asyncio.gather(phone.expect("rings"), other.expect("rings"))
        await asyncio.gather(phone.answer(), other.answer())
        await asyncio.gather(phone.expect_heard(1), other.expect_heard(1))
        await asyncio.gather(phone.press("1"), other.press("3"))

        assert [(await ended(each)).end for each in calls] == [RingEnd.ACKNOWLEDGED, RingEnd.PASSED_ON]


class ToTheBridge(Menu):
    """A conversation in which a key connects to a bridge, which has a code."""

    async def pressed(self, key: str) -> Script:
        """Connect."""
        self.keys.append(key)
        return Script("You are being connected.", Then.CONNECT, dial="+49301234,77#", end=RingEnd.CONNECTED)


async def test_the_bridge_is_called_its_code_pressed_and_each_hears_the_other(phone: Phone, speech: Speech) -> None:
    call = asyncio.create_task(a_sip(phone, speech).ring(a_ring(), ToTheBridge()))
    await phone.answer()
    await phone.expect_heard(1)
    await phone.press("4")
    await phone.answer(call=2)
    for key in "77#":
        await phone.expect("key", call=2, that=lambda each, key=key: each["key"] == key)  # type: ignore[misc]
    await phone.press("*6", call=1)
    for key in "*6":
        await phone.expect("key", call=2, that=lambda each, key=key: each["key"] == key)  # type: ignore[misc]
    question, answer = await speech.speak("What is broken?"), await speech.speak("Nobody can pay.")
    await phone.say(question, call=1)
    await phone.expect_said(question, call=2)
    await phone.say(answer, call=2)
    await phone.expect_said(answer, call=1)
    await phone.hang_up(call=2)

    assert await asyncio.wait_for(call, PATIENCE) == Rang(RingEnd.CONNECTED, "answered; we hung up")


async def test_a_bridge_that_is_busy_is_told_and_the_menu_said_again(phone: Phone, speech: Speech) -> None:
    call = asyncio.create_task(a_sip(phone, speech).ring(a_ring(), ToTheBridge()))
    await phone.answer()
    await phone.press("4")
    await phone.reject(call=2)
    await phone.expect_said(await speech.speak(UNREACHABLE_BRIDGE + TEXT))
    await phone.hang_up()

    assert await asyncio.wait_for(call, PATIENCE) == Rang(RingEnd.NO_KEY, "answered; they hung up")


async def test_a_call_by_tcp(tmp_path: Path, baresip: None, speech: Speech) -> None:
    async with Phone(tmp_path, transport="tcp") as phone:
        sip = Sip(server=phone.server, interface="127.0.0.1", transport="tcp", speech=speech)
        call = asyncio.create_task(sip.ring(a_ring(), Menu()))
        await phone.answer()
        await phone.expect_heard(1)
        await phone.press("1")

        assert (await ended(call)).end is RingEnd.ACKNOWLEDGED


async def test_a_call_that_is_encrypted(tmp_path: Path, baresip: None, speech: Speech) -> None:
    async with Phone(tmp_path, mode="srtp") as phone:
        sip = Sip(server=phone.server, interface="127.0.0.1", srtp=True, speech=speech)
        call = asyncio.create_task(sip.ring(a_ring(), Menu()))
        await phone.answer()
        await phone.expect_said(await speech.speak(TEXT))
        await phone.press("1")

        assert (await ended(call)).end is RingEnd.ACKNOWLEDGED


async def test_who_cannot_be_called_encrypted_is_not_called(phone: Phone, speech: Speech) -> None:
    sip = Sip(server=phone.server, interface="127.0.0.1", srtp=True, speech=speech)

    outcome = await asyncio.wait_for(sip.ring(a_ring(), Menu()), PATIENCE)

    assert outcome == Rejected(OutcomeReason.REFUSED, "SIP: 488 Not Acceptable Here")


def a_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate for a name, with its key in the same file; and without, as the authority that vouches for it."""
    made = make_certificate(folder, names=f"DNS:{name}")
    both = folder / "both.pem"
    both.write_bytes(made.key.read_bytes() + made.certificate.read_bytes())
    return both, made.certificate


@pytest_asyncio.fixture
async def secure(tmp_path: Path, baresip: None) -> AsyncIterator[tuple[Phone, Path]]:
    """A phone that is called by TLS, and the authority that vouches for it."""
    both, authority = a_certificate(tmp_path, "localhost")
    async with Phone(tmp_path, transport="tls", certificate=both) as started:
        yield started, authority


def by_tls(phone: Phone, speech: Speech, authorities: Path | None) -> Sip:
    return Sip(
        server=phone.server,
        interface="127.0.0.1",
        transport="tls",
        speech=speech,
        authorities=None if authorities is None else str(authorities),
    )


async def test_a_call_by_tls(secure: tuple[Phone, Path], speech: Speech) -> None:
    phone, authority = secure
    call = asyncio.create_task(by_tls(phone, speech, authority).ring(a_ring(), Menu()))
    await phone.answer()
    await phone.expect_heard(1)
    await phone.press("1")

    assert (await ended(call)).end is RingEnd.ACKNOWLEDGED


async def test_a_server_that_nobody_vouches_for_is_not_called(secure: tuple[Phone, Path], speech: Speech) -> None:
    phone, _ = secure

    outcome = await asyncio.wait_for(by_tls(phone, speech, None).ring(a_ring(), Menu()), PATIENCE)

    assert isinstance(outcome, Retry)
    assert outcome.reason is OutcomeReason.UNREACHABLE
    assert not phone.rung


async def test_a_server_with_another_s_certificate_is_not_called(tmp_path: Path, baresip: None, speech: Speech) -> None:
    both, authority = a_certificate(tmp_path, "elsewhere.example")
    async with Phone(tmp_path, transport="tls", certificate=both) as phone:
        call = asyncio.create_task(by_tls(phone, speech, authority).ring(a_ring(), Menu()))
        outcome = await asyncio.wait_for(call, PATIENCE)

        assert isinstance(outcome, Retry)
        assert not phone.rung
