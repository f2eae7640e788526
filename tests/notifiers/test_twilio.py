"""Twilio: what places a call, what comes of it, what is told of it when its answer is lost, and how it is ended."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from sevrouter.domain.delivery import OutcomeReason, Rejected, Retry, Unknown
from sevrouter.domain.ringing import Rang, RingEnd, Script
from sevrouter.notifiers import twilio_call as call_module
from sevrouter.notifiers.http import open_transport
from sevrouter.notifiers.twilio import Twilio
from sevrouter.notifiers.twilio_account import STATUSES
from tests.notifiers.talking import ANA, TEXT, Talk, a_ring
from tests.standins import twilio as standin
from tests.standins.fixtures import twilio
from tests.standins.server import a_server
from tests.standins.twilio_call import Person

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sevrouter.notifiers.http import Transport

__all__ = ["twilio"]

R = OutcomeReason
ANSWERS = Person(answers=True)


@pytest_asyncio.fixture
async def transport() -> AsyncIterator[Transport]:
    async with open_transport() as opened:
        yield opened


async def a_moment(_seconds: float) -> None:
    """Wait no longer than the test's other tasks need."""
    await asyncio.sleep(0.002)


@pytest.fixture
def make(twilio: standin.Twilio, transport: Transport) -> Callable[..., Twilio]:
    def make(**changes: Any) -> Twilio:
        given: dict[str, Any] = {
            "url": f"{twilio.url}/",
            "account_sid": standin.ACCOUNT_SID,
            "auth_token": lambda: standin.AUTH_TOKEN,
            "caller": standin.CALLER,
            "clock": lambda: datetime.now(UTC),
            "pause": a_moment,
        }
        return Twilio(transport, **given | changes)

    return make


@pytest.fixture
def phone(make: Callable[..., Twilio]) -> Twilio:
    return make()


async def test_a_call_speaks_twice_and_says_where_to_acknowledge(phone: Twilio, twilio: standin.Twilio) -> None:
    twilio.people[ANA] = ANSWERS
    talk = Talk()
    assert await phone.ring(a_ring(), talk) == Rang(RingEnd.NO_KEY, "Twilio: completed")
    call = await twilio.expect_call(ANA)
    assert talk.references == [call.sid]
    assert [heard.startswith(TEXT) for heard in call.heard] == [True, True]
    assert "on Slack or on the incident's page" in call.text
    assert call.form["Timeout"] == ["30"]
    assert not phone.takes_keys


async def test_what_was_said_says_what_the_call_has_come_to(phone: Twilio, twilio: standin.Twilio) -> None:
    twilio.people[ANA] = ANSWERS
    outcome = await phone.ring(a_ring(), Talk(script=Script("a drill", end=RingEnd.ACKNOWLEDGED)))
    assert isinstance(outcome, Rang)
    assert outcome.end is RingEnd.ACKNOWLEDGED
    await twilio.expect_call()


async def test_with_a_public_address_the_call_asks_for_callbacks(
    make: Callable[..., Twilio], twilio: standin.Twilio
) -> None:
    twilio.people[ANA] = ANSWERS
    phone = make(public_url="http://127.0.0.1:9/", name="main line")
    assert phone.takes_keys
    await phone.ring(a_ring(), Talk())
    call = await twilio.expect_call()
    base = "http://127.0.0.1:9/callbacks/twilio/main%20line/7/t0ken-of-the-ring/"
    assert call.form["StatusCallback"] == [f"{base}progress"]
    assert call.form["StatusCallbackEvent"] == ["initiated", "ringing", "answered", "completed"]
    assert re.findall('action="([^"]*)"', call.document) == [f"{base}pressed"]
    assert f"{base}again/2" in call.document
    # Nobody is there to be asked, and what was to be heard was heard.
    assert (call.heard, len(call.errors)) == ([TEXT], 1)


@pytest.mark.parametrize(
    ("status", "end"),
    [("busy", RingEnd.BUSY), ("no-answer", RingEnd.NO_ANSWER), ("failed", RingEnd.BAD_NUMBER)],
)
async def test_what_is_not_answered_is_told_apart(
    phone: Twilio, twilio: standin.Twilio, status: str, end: RingEnd
) -> None:
    twilio.people[ANA] = Person(answers=False, status=status)
    assert await phone.ring(a_ring(), Talk()) == Rang(end, f"Twilio: {status}")
    await twilio.expect_call()


@pytest.mark.parametrize("code", [21211, 21214, 21217, 13224])
async def test_a_bad_number_is_no_fault_of_twilio(phone: Twilio, twilio: standin.Twilio, code: int) -> None:
    twilio.people[ANA] = Person(refused=code)
    twilio.allow_refusals()
    outcome = await phone.ring(a_ring(), Talk())
    assert isinstance(outcome, Rang)
    assert (outcome.end, "not a valid phone number" in outcome.detail) == (RingEnd.BAD_NUMBER, True)


@pytest.mark.parametrize("code", [21215, 21216, 21219, 21210])
async def test_what_the_account_may_not_is_left_to_another_provider(
    phone: Twilio, twilio: standin.Twilio, code: int
) -> None:
    twilio.people[ANA] = Person(refused=code)
    twilio.allow_refusals()
    outcome = await phone.ring(a_ring(), Talk())
    assert (type(outcome), getattr(outcome, "reason", None)) == (Rejected, R.REFUSED)


MATRIX = [
    (200, Unknown, R.UNREADABLE_ANSWER),
    (400, Rejected, R.REFUSED),
    (401, Rejected, R.UNAUTHORISED),
    (403, Rejected, R.UNAUTHORISED),
    (404, Rejected, R.NOT_FOUND),
    (408, Unknown, R.TIMED_OUT),
    (422, Rejected, R.REFUSED),
    (429, Retry, R.RATE_LIMITED),
    (500, Unknown, R.SERVER_ERROR),
    (502, Unknown, R.SERVER_ERROR),
    (503, Unknown, R.SERVER_ERROR),
    (504, Unknown, R.SERVER_ERROR),
]


@pytest.mark.parametrize(("status", "kind", "reason"), MATRIX)
async def test_every_status_says_whether_it_may_ring(
    phone: Twilio, twilio: standin.Twilio, status: int, kind: type, reason: OutcomeReason
) -> None:
    twilio.fail_next(status, body=f'{{"message": "no {standin.AUTH_TOKEN} t0ken-of-the-ring"}}')
    outcome = await phone.ring(a_ring(), Talk())
    assert (type(outcome), getattr(outcome, "reason", None)) == (kind, reason)
    assert standin.AUTH_TOKEN not in repr(outcome)
    assert "t0ken" not in repr(outcome)


def test_the_matrix_covers_what_is_known() -> None:
    assert {status for status in STATUSES if status > 9} <= {status for status, _, _ in MATRIX}


async def test_a_wish_to_wait_is_kept_by_every_call(phone: Twilio, twilio: standin.Twilio) -> None:
    twilio.fail_next(429, headers={"Retry-After": "60"})
    for _ in range(2):
        outcome = await phone.ring(a_ring(), Talk())
        assert isinstance(outcome, Retry)
        assert outcome.not_before is not None
        assert timedelta(seconds=50) < outcome.not_before - datetime.now(UTC) <= timedelta(seconds=60)
    assert len(twilio.requests) == 1


async def test_several_calls_are_placed_one_a_second(make: Callable[..., Twilio], twilio: standin.Twilio) -> None:
    waited: list[float] = []

    async def pause(seconds: float) -> None:
        if seconds != call_module.POLL_EVERY:
            waited.append(seconds)
        await a_moment(seconds)

    twilio.people[ANA] = ANSWERS
    phone = make(pause=pause)
    await asyncio.gather(*(phone.ring(a_ring(id=number), Talk()) for number in range(3)))
    assert [round(each) for each in waited] == [1, 2]
    for _ in range(3):
        await twilio.expect_call()


async def test_where_nobody_listens_nothing_was_placed(make: Callable[..., Twilio]) -> None:
    outcome = await make(url="http://127.0.0.1:9").ring(a_ring(), Talk())
    assert (type(outcome), getattr(outcome, "reason", None)) == (Retry, R.UNREACHABLE)


async def test_a_time_out_may_ring(make: Callable[..., Twilio], twilio: standin.Twilio) -> None:
    async def listen(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with a_server(listen) as url, open_transport(answer_within=0.1) as impatient:
        phone = make(url=url)
        phone._account._transport = impatient
        outcome = await phone.ring(a_ring(), Talk())
    assert (type(outcome), getattr(outcome, "reason", None)) == (Unknown, R.TIMED_OUT)


@pytest.mark.parametrize("secret", ["", "with\nline"])
async def test_a_secret_that_cannot_be_used_is_not_sent(
    make: Callable[..., Twilio], twilio: standin.Twilio, secret: str
) -> None:
    outcome = await make(auth_token=lambda: secret).ring(a_ring(), Talk())
    assert (type(outcome), getattr(outcome, "reason", None)) == (Retry, R.SECRET_UNREADABLE)
    assert twilio.requests == []


# An answer that was lost


async def test_a_call_whose_answer_was_lost_is_found_and_stayed_with(phone: Twilio, twilio: standin.Twilio) -> None:
    twilio.lose_answer()
    ring, talk = a_ring(), Talk()
    outcome = await phone.ring(ring, talk)
    assert (type(outcome), talk.references) == (Unknown, [])
    call = await twilio.expect_call()
    call.answer()
    found = await phone.look_for(ring, talk)
    assert (found, talk.references) == (Rang(RingEnd.NO_KEY, "Twilio: completed"), [call.sid])


async def test_a_call_that_is_not_shown_yet_is_unknown_and_then_found(phone: Twilio, twilio: standin.Twilio) -> None:
    twilio.listing_lag = 1
    twilio.people[ANA] = Person(answers=False, status="busy")
    twilio.garble_answer()
    ring, talk = a_ring(), Talk()
    assert isinstance(await phone.ring(ring, talk), Unknown)
    await twilio.expect_call()
    outcome = await phone.look_for(ring, talk)
    assert (type(outcome), getattr(outcome, "reason", None)) == (Unknown, R.NOT_VISIBLE_YET)
    assert await phone.look_for(ring, talk) == Rang(RingEnd.BUSY, "Twilio: busy")


async def test_a_call_that_waits_in_their_queue_is_found_though_it_has_not_begun(
    phone: Twilio, twilio: standin.Twilio
) -> None:
    twilio.every = 60.0
    twilio._next_at = asyncio.get_running_loop().time() + 60
    twilio.lose_answer()
    ring, talk = a_ring(), Talk()
    assert isinstance(await phone.ring(ring, talk), Unknown)
    talk.stopped.set()
    assert await phone.look_for(ring, talk) == Rang(RingEnd.CANCELLED, "Twilio: canceled")
    assert (await twilio.expect_call()).statuses == ["queued", "canceled"]


async def test_what_was_never_placed_is_known_to_be_so_after_twenty_seconds(
    make: Callable[..., Twilio], twilio: standin.Twilio
) -> None:
    ahead = timedelta()
    phone = make(clock=lambda: datetime.now(UTC) + ahead)
    twilio.reset_before()
    ring, talk = a_ring(), Talk()
    assert isinstance(await phone.ring(ring, talk), Unknown)
    assert isinstance(await phone.look_for(ring, talk), Unknown)
    ahead = timedelta(seconds=21)
    outcome = await phone.look_for(ring, talk)
    assert (type(outcome), getattr(outcome, "reason", None)) == (Retry, R.NOT_FOUND)


async def test_time_is_counted_from_when_it_was_asked_for_not_from_when_it_waited(
    phone: Twilio, twilio: standin.Twilio
) -> None:
    twilio.reset_before()
    ring = a_ring(began_at=datetime.now(UTC) - timedelta(seconds=40))
    assert isinstance(await phone.ring(ring, Talk()), Unknown)
    assert isinstance(await phone.look_for(ring, Talk()), Unknown)


async def test_an_earlier_call_to_the_same_number_is_not_taken_for_this_one(
    phone: Twilio, twilio: standin.Twilio
) -> None:
    twilio.clock = lambda: datetime.now(UTC) - timedelta(seconds=60)
    twilio.people[ANA] = ANSWERS
    await phone.ring(a_ring(), Talk())
    await twilio.expect_call()
    talk = Talk()
    outcome = await phone.look_for(a_ring(id=8, began_at=datetime.now(UTC) - timedelta(seconds=30)), talk)
    assert (type(outcome), talk.references) == (Retry, [])


async def test_after_a_restart_a_known_call_is_stayed_with(
    phone: Twilio, make: Callable[..., Twilio], twilio: standin.Twilio
) -> None:
    first = asyncio.create_task(phone.ring(a_ring(), Talk()))
    call = await twilio.expect_call()
    talk = Talk()
    second = asyncio.create_task(make().look_for(a_ring(reference=call.sid), talk))
    call.answer()
    assert await second == Rang(RingEnd.NO_KEY, "Twilio: completed")
    assert talk.references == []
    await first


async def test_a_call_that_they_do_not_know_is_lost(phone: Twilio, twilio: standin.Twilio) -> None:
    twilio.allow_refusals()
    outcome = await phone.look_for(a_ring(reference="CA" + "0" * 32), Talk())
    assert isinstance(outcome, Rang)
    assert outcome.end is RingEnd.LOST


@pytest.mark.parametrize("reference", [None, "CA" + "0" * 32])
async def test_who_gets_no_answer_cannot_say_that_it_was_never_placed(
    phone: Twilio, twilio: standin.Twilio, reference: str | None
) -> None:
    for status in (429, 500, 401):
        twilio.fail_next(status)
        old = datetime.now(UTC) - timedelta(minutes=5)
        assert isinstance(await phone.look_for(a_ring(reference=reference, began_at=old), Talk()), Unknown)


# The end of a call


async def test_a_call_that_is_needed_no_more_before_it_is_placed_is_not_placed(
    phone: Twilio, twilio: standin.Twilio
) -> None:
    talk = Talk()
    talk.stopped.set()
    outcome = await phone.ring(a_ring(), talk)
    assert isinstance(outcome, Rang)
    assert (outcome.end, twilio.requests) == (RingEnd.CANCELLED, [])


async def test_a_ringing_call_that_is_needed_no_more_stops_ringing(phone: Twilio, twilio: standin.Twilio) -> None:
    talk = Talk()
    ringing = asyncio.create_task(phone.ring(a_ring(), talk))
    call = await twilio.expect_call()
    await call.until("ringing")
    talk.stopped.set()
    assert await ringing == Rang(RingEnd.CANCELLED, "Twilio: canceled")
    assert call.heard == []


async def test_somebody_who_listens_is_told_that_it_is_over(
    make: Callable[..., Twilio], twilio: standin.Twilio
) -> None:
    phone, talk = make(public_url="http://127.0.0.1:9"), Talk()
    ringing = asyncio.create_task(phone.ring(a_ring(), talk))
    call = await twilio.expect_call()
    call.answer()
    await call.until_heard(TEXT)
    talk.stopped.set()
    assert await ringing == Rang(RingEnd.ACKNOWLEDGED, "Twilio: completed, after the farewell")
    assert call.heard == [TEXT, "Resolved. Goodbye."]


async def test_a_stop_is_heard_at_once_not_at_the_next_question(
    make: Callable[..., Twilio], twilio: standin.Twilio
) -> None:
    asleep = asyncio.Event()

    async def pause(_seconds: float) -> None:
        if not talk.stopped.is_set():
            asleep.set()
            await asyncio.Event().wait()

    talk = Talk()
    ringing = asyncio.create_task(make(pause=pause).ring(a_ring(), talk))
    call = await twilio.expect_call()
    await asleep.wait()
    talk.stopped.set()
    assert await ringing == Rang(RingEnd.CANCELLED, "Twilio: canceled")
    assert call.status == "canceled"


async def test_a_cancelled_ring_hangs_up(phone: Twilio, twilio: standin.Twilio) -> None:
    ringing = asyncio.create_task(phone.ring(a_ring(), Talk()))
    call = await twilio.expect_call()
    await twilio.expect_requests(2)
    ringing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ringing
    assert call.status == "canceled"


async def test_a_question_without_an_answer_is_asked_again(phone: Twilio, twilio: standin.Twilio) -> None:
    twilio.people[ANA] = ANSWERS
    talk = Talk()
    talk.on_placed = lambda: twilio.fail_next(500, times=3)
    assert await phone.ring(a_ring(), talk) == Rang(RingEnd.NO_KEY, "Twilio: completed")
    await twilio.expect_call()


async def test_who_hears_nothing_for_long_does_not_know(phone: Twilio, twilio: standin.Twilio) -> None:
    talk = Talk()
    talk.on_placed = lambda: twilio.fail_next(503, times=100)
    outcome = await phone.ring(a_ring(), talk)
    assert (type(outcome), getattr(outcome, "reason", None)) == (Unknown, R.SERVER_ERROR)
    assert len(twilio.requests) == 1 + call_module.UNHEARD_FOR / call_module.POLL_EVERY
    (await twilio.expect_call()).decline()


async def test_a_call_that_waits_in_their_queue_for_too_long_is_left_to_another_provider(
    phone: Twilio, twilio: standin.Twilio
) -> None:
    twilio._next_at = asyncio.get_running_loop().time() + 3_600
    outcome = await phone.ring(a_ring(), Talk())
    assert (type(outcome), getattr(outcome, "reason", None)) == (Retry, R.RATE_LIMITED)
    assert (await twilio.expect_call()).statuses == ["queued", "canceled"]
