"""Calls by SIP that nobody answers: what a server's last word means, asked of a real SIP library."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from sevrouter.domain.delivery import OutcomeReason, Rejected, Retry
from sevrouter.domain.ringing import Rang, RingEnd, Script, Then
from sevrouter.notifiers import sip_process
from sevrouter.notifiers.sip import Sip
from sevrouter.notifiers.sip_call import Timing
from sevrouter.notifiers.sip_process import LineError, ProcessLine
from sevrouter.notifiers.sound import Sound
from sevrouter.notifiers.speaking import Speech
from tests.notifiers.talking import ANA, Talk, a_ring
from tests.real.ports import free_port
from tests.standins.sip import PASSWORD, USER, SipServer

if TYPE_CHECKING:
    from pathlib import Path

    from sevrouter.notifiers.base import Secret
    from sevrouter.notifiers.sip_process import Line

R = OutcomeReason
PATIENCE = 30


class Beep:
    """Says everything in the same short way."""

    async def speak(self, text: str) -> Sound:
        """A tenth of a second."""
        return Sound(8_000, bytes(1_600))


def a_sip(
    address: str,
    *,
    username: str | None = None,
    password: Secret | None = None,
    ring_for: float = 10,
    silent_for: float = 5,
    transport: str = "udp",
) -> Sip:
    return Sip(
        server=address,
        interface="127.0.0.1",
        caller="+4930999",
        username=username,
        password=password,
        transport="tcp" if transport == "tcp" else "udp",
        ring_for=timedelta(seconds=ring_for),
        speech=Beep(),
        timing=Timing(silent_for=silent_for),
    )


@pytest.mark.parametrize(
    ("status", "end"),
    [
        ("404 Not Found", RingEnd.BAD_NUMBER),
        ("408 Request Timeout", RingEnd.NO_ANSWER),
        ("480 Temporarily Unavailable", RingEnd.NO_ANSWER),
        ("484 Address Incomplete", RingEnd.BAD_NUMBER),
        ("486 Busy Here", RingEnd.BUSY),
        ("600 Busy Everywhere", RingEnd.BUSY),
        ("603 Decline", RingEnd.DECLINED),
        ("604 Does Not Exist Anywhere", RingEnd.BAD_NUMBER),
    ],
)
async def test_a_last_word_on_whom_we_call(baresip: None, status: str, end: RingEnd) -> None:
    talk = Talk()
    async with SipServer(status) as server:
        outcome = await asyncio.wait_for(a_sip(server.address).ring(a_ring(), talk), PATIENCE)
        invite = await server.expect_invite(ANA)

        assert outcome == Rang(end, f"SIP: {status}")
        assert invite.caller == "+4930999"
        assert talk.references == [invite.call_id]
        await asyncio.wait_for(invite.acknowledged.wait(), PATIENCE)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("401 Unauthorized", Rejected(R.UNAUTHORISED, "SIP: 401 Unauthorized")),
        ("403 Forbidden", Rejected(R.UNAUTHORISED, "SIP: 403 Forbidden")),
        ("488 Not Acceptable Here", Rejected(R.REFUSED, "SIP: 488 Not Acceptable Here")),
        ("500 Server Internal Error", Retry(R.SERVER_ERROR, "SIP: 500 Server Internal Error")),
        ("503 Service Unavailable", Retry(R.SERVER_ERROR, "SIP: 503 Service Unavailable")),
    ],
)
async def test_a_last_word_on_ourselves_or_on_the_server(baresip: None, status: str, outcome: Rejected | Retry) -> None:
    async with SipServer(status) as server:
        assert await asyncio.wait_for(a_sip(server.address).ring(a_ring(), Talk()), PATIENCE) == outcome
        await server.expect_invite(ANA)


async def test_a_telephone_network_says_more(baresip: None) -> None:
    reason = 'Reason: Q.850;cause=21;text="Call Rejected"\r\n'
    async with SipServer("403 Forbidden", headers=reason) as server:
        outcome = await asyncio.wait_for(a_sip(server.address).ring(a_ring(), Talk()), PATIENCE)
        await server.expect_invite(ANA)

    assert isinstance(outcome, Rang)
    assert outcome.end is RingEnd.DECLINED


async def test_a_phone_that_rang_has_rung_whatever_the_server_says_then(baresip: None) -> None:
    async with SipServer("503 Service Unavailable", provisional=("100 Trying", "180 Ringing")) as server:
        outcome = await asyncio.wait_for(a_sip(server.address).ring(a_ring(), Talk()), PATIENCE)
        await server.expect_invite(ANA)

    assert outcome == Rang(RingEnd.NO_ANSWER, "it rang, and then: SIP: 503 Service Unavailable")


async def test_a_server_that_asks_who_we_are_is_told(baresip: None) -> None:
    async with SipServer("486 Busy Here", asks_who=True) as server:
        sip = a_sip(server.address, username=USER, password=lambda: PASSWORD)
        assert (await asyncio.wait_for(sip.ring(a_ring(), Talk()), PATIENCE)) == Rang(
            RingEnd.BUSY, "SIP: 486 Busy Here"
        )
        await server.expect_invite(ANA)


async def test_a_wrong_password_is_a_person_s_business(baresip: None) -> None:
    async with SipServer("486 Busy Here", asks_who=True) as server:
        sip = a_sip(server.address, username=USER, password=lambda: "another")
        outcome = await asyncio.wait_for(sip.ring(a_ring(), Talk()), PATIENCE)
        await server.expect_invite(ANA)

    assert isinstance(outcome, Rejected)
    assert outcome.reason is R.UNAUTHORISED


async def test_what_nobody_answers_is_cancelled(baresip: None) -> None:
    async with SipServer(None, provisional=("100 Trying", "180 Ringing")) as server:
        outcome = await asyncio.wait_for(a_sip(server.address, ring_for=0.3).ring(a_ring(), Talk()), PATIENCE)
        invite = await server.expect_invite(ANA)

        assert outcome == Rang(RingEnd.NO_ANSWER, "nobody answered within 0.3 s")
        await asyncio.wait_for(invite.cancelled.wait(), PATIENCE)


async def test_a_server_that_says_nothing_is_not_there(baresip: None) -> None:
    talk = Talk()
    async with SipServer(None, provisional=()) as server:
        outcome = await asyncio.wait_for(a_sip(server.address, silent_for=1).ring(a_ring(), talk), PATIENCE)

        assert outcome == Retry(R.TIMED_OUT, "the server did not answer within 1 s")
        assert server.asked > 1
    assert not talk.references


async def test_a_server_that_refuses_connections_is_down(baresip: None) -> None:
    sip = a_sip(f"127.0.0.1:{free_port()}", transport="tcp")

    outcome = await asyncio.wait_for(sip.ring(a_ring(), Talk()), PATIENCE)

    assert isinstance(outcome, Retry)
    assert outcome.reason is R.UNREACHABLE
    assert "refused" in outcome.detail


async def test_a_server_whose_name_is_unknown_is_down(baresip: None) -> None:
    outcome = await asyncio.wait_for(a_sip("nowhere.invalid").ring(a_ring(), Talk()), PATIENCE)

    assert isinstance(outcome, Retry)


class Kept:
    """Keeps the processes that it starts, for a test that kills them."""

    def __init__(self) -> None:
        self.lines: list[ProcessLine] = []

    async def start(self) -> Line:
        """Start one."""
        self.lines.append(await ProcessLine.start())
        return self.lines[-1]


async def test_a_process_that_dies_takes_its_call_with_it_and_nothing_else(baresip: None) -> None:
    kept = Kept()
    async with SipServer(None, provisional=("100 Trying", "180 Ringing")) as server:
        sip = Sip(server=server.address, interface="127.0.0.1", speech=Beep(), start=kept.start)
        call = asyncio.create_task(sip.ring(a_ring(), Talk()))
        await server.expect_invite(ANA)
        kept.lines[0].kill()
        outcome = await asyncio.wait_for(call, PATIENCE)

    assert outcome == Rang(RingEnd.LOST, "the process that made the call ended before it")


# What a process does as soon as it loads the library, and what is told of it.
@pytest.mark.parametrize(
    ("library", "outcome"),
    [
        (
            "raise ImportError('no module named baresip')",
            Rejected(R.NOT_CONFIGURED, "calls by SIP need the extra sevrouter[sip]: no module named baresip"),
        ),
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
            Retry(R.INTERNAL_ERROR, "the process that made the call ended before it"),
        ),
        (
            "import time; time.sleep(60)",
            Retry(R.INTERNAL_ERROR, "no process made the call within 1 s"),
        ),
    ],
    ids=["missing", "crashes", "hangs"],
)
async def test_a_library_that_is_missing_or_mad_costs_one_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str, outcome: Rejected | Retry
) -> None:
    (tmp_path / "baresip.py").write_text(library)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(sip_process, "GONE_WITHIN", 0.2)
    timing = Timing(starts_within=1, ended_within=0.1)
    sip = Sip(server="127.0.0.1", interface="127.0.0.1", speech=Beep(), timing=timing)

    assert await asyncio.wait_for(sip.ring(a_ring(), Talk()), PATIENCE) == outcome


async def test_twenty_at_once(baresip: None) -> None:
    numbers = [f"+49301{number:02}" for number in range(20)]
    async with SipServer("486 Busy Here") as server:
        sip = a_sip(server.address)
        calls = [sip.ring(a_ring(number=number), Talk()) for number in numbers]
        outcomes = await asyncio.wait_for(asyncio.gather(*calls), 2 * PATIENCE)
        for number in numbers:
            await server.expect_invite(number)

    assert outcomes == [Rang(RingEnd.BUSY, "SIP: 486 Busy Here")] * 20


async def test_a_call_whose_process_is_gone_may_have_rung() -> None:
    sip = a_sip("127.0.0.1")

    for reference in (None, "a-call-id"):
        outcome = await sip.look_for(a_ring(reference=reference), Talk())
        assert isinstance(outcome, Rang)
        assert outcome.end is RingEnd.LOST


async def never() -> Line:
    raise AssertionError("no call is to be made")


async def test_nobody_is_called_who_would_hear_nothing() -> None:
    sip = Sip(server="127.0.0.1", speech=Speech(("/nowhere/speak",)), start=never)

    outcome = await sip.ring(a_ring(), Talk())

    assert isinstance(outcome, Retry)
    assert outcome.reason is R.NOT_CONFIGURED
    assert outcome.detail.startswith("cannot speak: /nowhere/speak cannot be run")


@pytest.mark.parametrize("server", ["192.0.2.7", "192.0.2.7:5061", "[2001:db8::7]", "[2001:db8::7]:5061"])
async def test_a_server_whose_certificate_nobody_would_check_is_not_called(server: str) -> None:
    sip = Sip(server=server, transport="tls", speech=Beep(), start=never)

    outcome = await sip.ring(a_ring(), Talk())

    assert isinstance(outcome, Rejected)
    assert outcome.reason is R.NOT_CONFIGURED


async def test_a_number_that_is_none_is_not_called() -> None:
    sip = Sip(server="127.0.0.1", speech=Beep(), start=never)

    outcome = await sip.ring(a_ring(number="+49;transport=tcp"), Talk())

    assert isinstance(outcome, Rang)
    assert outcome.end is RingEnd.BAD_NUMBER


@pytest.mark.parametrize("password", ['with "quotes"', "with\\backslash", "", "umläut"])
async def test_a_password_that_cannot_be_passed_on_is_said_and_not_shown(password: str) -> None:
    sip = Sip(server="127.0.0.1", username="u", password=lambda: password, speech=Beep(), start=never)

    outcome = await sip.ring(a_ring(), Talk())

    assert isinstance(outcome, Retry)
    assert outcome.reason is R.SECRET_UNREADABLE
    assert not password or password not in repr(outcome)


async def test_a_call_needed_no_more_is_not_placed() -> None:
    sip, stopped = Sip(server="127.0.0.1", speech=Beep(), start=never), Talk()
    stopped.stopped.set()
    over = Talk(script=Script("It is over.", Then.HANG_UP, end=RingEnd.CANCELLED))

    for talk in (stopped, over):
        outcome = await sip.ring(a_ring(), talk)
        assert isinstance(outcome, Rang)
        assert outcome.end is RingEnd.CANCELLED


async def test_a_line_that_cannot_be_had_is_no_call() -> None:
    async def no_line() -> Line:
        raise LineError("no process for the call: no memory")

    outcome = await Sip(server="127.0.0.1", speech=Beep(), start=no_line).ring(a_ring(), Talk())

    assert outcome == Retry(R.INTERNAL_ERROR, "no process for the call: no memory")


async def test_a_setting_that_cannot_be_used_is_a_person_s_business(baresip: None) -> None:
    sip = Sip(server="127.0.0.1", caller='a "name"', speech=Beep())

    outcome = await asyncio.wait_for(sip.ring(a_ring(), Talk()), PATIENCE)

    assert isinstance(outcome, Rejected)
    assert outcome.reason is R.NOT_CONFIGURED


async def test_an_interface_that_is_none_is_said(baresip: None) -> None:
    sip = Sip(server="192.0.2.77", interface="eth77", speech=Beep(), timing=Timing(silent_for=1))

    outcome = await asyncio.wait_for(sip.ring(a_ring(), Talk()), PATIENCE)

    assert isinstance(outcome, Retry)
