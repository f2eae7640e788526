"""Twilio's callbacks: believed where they are signed, answered from what is stored, harmless when they come again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from multidict import MultiDict
from structlog.testing import capture_logs
from twilio.request_validator import RequestValidator

from sevrouter.domain.ringing import Rang, RingEnd, Script, Then
from sevrouter.engine.ports import NotStoredError
from sevrouter.ingest import twilio as twilio_module
from sevrouter.ingest.body import LARGEST_BODY
from sevrouter.ingest.twilio import TwilioCallbacks, TwilioCaller
from sevrouter.ingest.twilio_signature import is_signed, signature
from sevrouter.notifiers.http import open_transport
from sevrouter.notifiers.twilio import Twilio
from sevrouter.notifiers.twiml import Voice, twiml
from tests.notifiers.talking import ANA, TEXT, Talk, a_ring
from tests.real.ports import free_port
from tests.standins import twilio as standin
from tests.standins.fixtures import twilio
from tests.standins.twilio_call import Person
from tests.standins.twilio_documents import parse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from tests.standins.twilio_call import Placed

__all__ = ["twilio"]

RING, TOKEN = 7, "t0ken-of-the-ring"
BASE = f"/callbacks/twilio/main/{RING}/{TOKEN}"
SID = "CA" + "0" * 31 + "1"
ACKNOWLEDGED = Script("Thank you, it is yours. Press 4 for the bridge.", end=RingEnd.ACKNOWLEDGED)
CONNECTING = Script("Connecting you.", Then.CONNECT, "+49301234,,77#", end=RingEnd.CONNECTED)


@dataclass
class Stored:
    """What a store would answer: one ring, whose keys mean something once, however often they come."""

    keys: list[str] = field(default_factory=list)
    references: list[str] = field(default_factory=list)
    asked: int = 0
    is_away: bool = False
    error: Exception | None = None

    def _knows(self, ring_id: int, token: str) -> bool:
        if self.is_away:
            raise NotStoredError("disk full")
        if self.error is not None:
            raise self.error
        return (ring_id, token) == (RING, TOKEN)

    async def script(self, ring_id: int, token: str) -> Script | None:
        if not self._knows(ring_id, token):
            return None
        self.asked += 1
        return Script(f"{TEXT} And one more.")

    async def pressed(self, ring_id: int, token: str, key: str) -> Script | None:
        if not self._knows(ring_id, token):
            return None
        self.keys.append(key)
        return {"1": ACKNOWLEDGED, "4": CONNECTING}.get(key, Script(TEXT))

    async def progressed(self, ring_id: int, token: str, reference: str) -> bool:
        if not self._knows(ring_id, token):
            return False
        self.references.append(reference)
        return True


class Site:
    """A web server with the handler alone, and somebody who sends to it."""

    def __init__(self) -> None:
        self.stored = Stored()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.handler = TwilioCallbacks(
            self.stored,
            public_url=f"{self.url}/",
            callers={
                "main": TwilioCaller(auth_token=lambda: standin.AUTH_TOKEN, render=partial(twiml, voice=Voice())),
                "other": TwilioCaller(auth_token=lambda: "another", render=partial(twiml, voice=Voice())),
            },
        )
        self.session = aiohttp.ClientSession()

    def believe(self, auth_token: Callable[[], str]) -> None:
        """Go by another secret from now on."""
        caller = TwilioCaller(auth_token=auth_token, render=partial(twiml, voice=Voice()))
        self.handler.use({"main": caller}, public_url=self.url)

    async def send(
        self,
        path: str,
        form: Mapping[str, str],
        *,
        token: str = standin.AUTH_TOKEN,
        signed: str | None = None,
        body: bytes | None = None,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, str]:
        """Send a form that is signed, as if it were `signed` where that is given; return status and text."""
        url = f"{self.url}{path}"
        given = RequestValidator(token).compute_signature(signed or url, dict(form))
        typed = {"Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": given} | dict(headers or {})
        data = urlencode(form).encode() if body is None else body
        async with self.session.request(method, url, data=data, headers=typed) as response:
            return response.status, await response.text()


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    """A site that is open."""
    site = Site()
    application = web.Application()
    site.handler.add_to(application)
    runner = web.AppRunner(application, shutdown_timeout=1, lingering_time=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", site.port).start()
    yield site
    await site.session.close()
    await runner.cleanup()


# Signatures


FORMS = st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), max_size=6).filter(
    lambda pairs: all(c < "\ud800" or c > "\udfff" for pair in pairs for part in pair for c in part)
)
URLS = st.builds(
    "{}://{}{}/callbacks/{}".format,
    st.sampled_from(["http", "https"]),
    st.sampled_from(["sevrouter.example.com", "10.0.0.1"]),
    st.sampled_from(["", ":80", ":443", ":8443"]),
    # Not with a bare question mark at its end, which their library signs and then does not believe.
    st.from_regex(r"[a-z0-9%+?=&/]{0,20}", fullmatch=True).filter(lambda path: not path.endswith("?")),
)


@given(url=URLS, form=FORMS, token=st.text("abcdef0123456789", min_size=1, max_size=32))
def test_a_signature_is_the_one_that_their_own_library_makes(url: str, form: list[tuple[str, str]], token: str) -> None:
    validator = RequestValidator(token)
    theirs = validator.compute_signature(url, MultiDict(form))
    assert signature(url, form, auth_token=token) == theirs
    assert is_signed(url, form, theirs, auth_token=token)
    assert validator.validate(url, MultiDict(form), signature(url, form, auth_token=token))


@given(
    url=URLS,
    form=FORMS,
    given_signature=st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=30),
    other=FORMS,
)
def test_what_their_own_library_refuses_is_refused(
    url: str, form: list[tuple[str, str]], given_signature: str, other: list[tuple[str, str]]
) -> None:
    validator = RequestValidator("t")
    for candidate in (given_signature, signature(url, other, auth_token="t"), signature(url, form, auth_token="u")):
        assert is_signed(url, form, candidate, auth_token="t") == validator.validate(url, MultiDict(form), candidate)


@pytest.mark.parametrize(
    ("known", "theirs"),
    [
        ("https://x.example/c", "https://x.example:443/c"),
        ("https://x.example:443/c", "https://x.example/c"),
        ("http://x.example/c", "http://x.example:80/c"),
        ("https://x.example:8443/c", "https://x.example/c"),
    ],
)
def test_an_address_is_known_with_and_without_its_port(known: str, theirs: str) -> None:
    given_signature = RequestValidator("t").compute_signature(theirs, {})
    assert is_signed(known, [], given_signature, auth_token="t")
    assert RequestValidator("t").validate(known, {}, given_signature)


# Who is believed


@pytest.mark.parametrize(
    "how",
    [
        {"token": "wrong"},
        {"token": ""},
        {"signed": f"https://elsewhere.example{BASE}/pressed"},
        {"body": b"CallSid=CA1&Digits=1"},
        {"body": b"Digits=1&Digits=4"},
        {"headers": {"X-Twilio-Signature": ""}},
        {"headers": {"X-Twilio-Signature": "\xff\xfe"}},
    ],
)
async def test_a_forged_key_press_acknowledges_nothing(site: Site, how: dict[str, str]) -> None:
    with capture_logs() as lines:
        status, answer = await site.send(f"{BASE}/pressed", {"Digits": "2"}, **how)  # type: ignore[arg-type]
    assert (status, site.stored.keys) == (403, [])
    assert TOKEN not in answer + repr(lines)
    assert standin.AUTH_TOKEN not in answer + repr(lines)


async def test_a_signature_of_one_provider_says_nothing_for_another(site: Site) -> None:
    path = f"/callbacks/twilio/other/{RING}/{TOKEN}/pressed"
    assert (await site.send(path, {"Digits": "1"}))[0] == 403
    assert (await site.send(path.replace("other", "nobody"), {"Digits": "1"}))[0] == 403
    assert (await site.send(path, {"Digits": "1"}, token="another"))[0] == 200


async def test_a_signature_of_one_call_says_nothing_for_another(site: Site) -> None:
    other = f"{site.url}/callbacks/twilio/main/8/{TOKEN}/pressed"
    assert (await site.send(f"{BASE}/pressed", {"Digits": "1"}, signed=other))[0] == 403
    assert site.stored.keys == []


@pytest.mark.parametrize("path", [f"/callbacks/twilio/main/8/{TOKEN}", f"/callbacks/twilio/main/{RING}/guessed"])
async def test_a_call_that_nobody_knows_is_hung_up_on_and_tells_nothing(site: Site, path: str) -> None:
    for what in ("pressed", "again/2"):
        status, answer = await site.send(f"{path}/{what}", {"Digits": "1", "CallSid": SID})
        assert (status, [verb.tag for verb in parse(answer)]) == (200, ["Hangup"])
    assert (await site.send(f"{path}/progress", {"CallSid": SID}))[0] == 200
    assert (site.stored.keys, site.stored.references) == ([], [])


@pytest.mark.parametrize(
    "path",
    [
        f"/callbacks/twilio/main/{RING}/{TOKEN}/else",
        f"/callbacks/twilio/main/x/{TOKEN}/pressed",
        f"/callbacks/twilio/main/{'9' * 19}/{TOKEN}/pressed",
        f"/callbacks/twilio/main/{RING}//pressed",
    ],
)
async def test_what_is_no_address_of_ours_is_not_found(site: Site, path: str) -> None:
    assert (await site.send(path, {}))[0] == 404


# What is answered


async def test_a_key_is_taken_and_what_it_means_is_said(site: Site) -> None:
    status, answer = await site.send(f"{BASE}/pressed", {"CallSid": SID, "Digits": "1"})
    assert (status, site.stored.keys) == (200, ["1"])
    [gather, redirect] = parse(answer)
    assert gather[0].text == ACKNOWLEDGED.text
    assert gather.get("action") == f"{site.url}{BASE}/pressed"
    assert redirect.text == f"{site.url}{BASE}/again/2"


@pytest.mark.parametrize("digits", ["", "1#<script>", "11", " 1", "\uff11", "a", "1\n"])
async def test_what_is_no_key_has_no_effect(site: Site, digits: str) -> None:
    status, _ = await site.send(f"{BASE}/pressed", {"CallSid": SID, "Digits": digits})
    assert (status, site.stored.keys) == (200, [])


async def test_it_is_said_three_times_and_not_for_ever(site: Site) -> None:
    said = []
    for time in (2, 3, 4, 999):
        _, answer = await site.send(f"{BASE}/again/{time}", {"CallSid": SID})
        said.append([verb.tag for verb in parse(answer)])
    assert said == [["Gather", "Redirect"], *[["Gather", "Hangup"]] * 3]


@pytest.mark.parametrize("sid", ["", "CA1", "CA" + "x" * 32, SID + "0", "../" + SID])
async def test_progress_of_what_is_no_call_is_not_noted(site: Site, sid: str) -> None:
    assert (await site.send(f"{BASE}/progress", {"CallSid": sid}))[0] == 200
    assert site.stored.references == []


@pytest.mark.parametrize("what", ["pressed", "again/2", "progress"])
@pytest.mark.parametrize("error", [None, ZeroDivisionError("of ours")])
async def test_while_the_store_is_away_it_is_asked_for_again(site: Site, what: str, error: Exception | None) -> None:
    site.stored.is_away, site.stored.error = error is None, error
    with capture_logs() as lines:
        status, answer = await site.send(f"{BASE}/{what}", {"CallSid": SID, "Digits": "1"})
    assert (status, "send it again" in answer, "of ours" in answer) == (503, True, False)
    assert ("callback_not_stored" in [line["event"] for line in lines]) is (error is not None)


async def test_a_secret_that_cannot_be_read_is_no_error_of_theirs(site: Site) -> None:
    def unreadable() -> str:
        raise OSError(f"cannot read {standin.AUTH_TOKEN}")

    site.handler.use(
        {"main": TwilioCaller(auth_token=unreadable, render=partial(twiml, voice=Voice()))}, public_url=site.url
    )
    status, answer = await site.send(f"{BASE}/pressed", {"Digits": "1"})
    assert (status, standin.AUTH_TOKEN in answer) == (503, False)


async def test_an_empty_secret_lets_nobody_in(site: Site) -> None:
    site.handler.use(
        {"main": TwilioCaller(auth_token=lambda: "", render=partial(twiml, voice=Voice()))}, public_url=site.url
    )
    assert (await site.send(f"{BASE}/pressed", {"Digits": "1"}, token=""))[0] == 403
    assert site.stored.keys == []


# What is no form


@pytest.mark.parametrize(
    ("how", "status"),
    [
        ({"method": "GET"}, 405),
        ({"method": "PUT"}, 405),
        ({"body": b"x" * (LARGEST_BODY + 1)}, 413),
        ({"body": b"&".join([b"a=1"] * 201)}, 400),
        ({"body": b"\xff"}, 400),
        ({"headers": {"Content-Type": "application/json"}}, 415),
    ],
)
async def test_what_is_no_form_is_refused(site: Site, how: dict[str, str], status: int) -> None:
    assert (await site.send(f"{BASE}/pressed", {"Digits": "1"}, **how))[0] == status  # type: ignore[arg-type]
    assert site.stored.keys == []


async def test_a_body_that_never_ends_is_cut_off(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio_module, "SLOWEST_BODY", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(f"POST {BASE}/pressed HTTP/1.1\r\nHost: x\r\nContent-Length: 60\r\n\r\nDigits".encode())
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert b" 408 " in answer


async def test_a_sender_that_is_refused_again_and_again_is_logged_once(site: Site) -> None:
    with capture_logs() as lines:
        for token in ("wrong", "wrong", standin.AUTH_TOKEN, "wrong"):
            await site.send(f"{BASE}/pressed", {"Digits": "1"}, token=token)
    refused = [line["log_level"] for line in lines if line["event"] == "callback_refused"]
    assert refused == ["warning", "debug", "warning"]


# The whole way: a call is placed, and Twilio asks us


async def call(site: Site, vendor: standin.Twilio) -> tuple[Rang, Placed]:
    """Ring ana through Twilio, and return what came of it."""

    async def a_moment(_seconds: float) -> None:
        await asyncio.sleep(0.002)

    async with open_transport() as transport:
        phone = Twilio(
            transport,
            url=vendor.url,
            account_sid=standin.ACCOUNT_SID,
            auth_token=lambda: standin.AUTH_TOKEN,
            caller=standin.CALLER,
            clock=lambda: a_ring().began_at,
            name="main",
            public_url=site.url,
            pause=a_moment,
        )
        outcome = await phone.ring(a_ring(id=RING, token=TOKEN), Talk())
    assert isinstance(outcome, Rang)
    placed = await vendor.expect_call(ANA)
    while vendor._tasks:
        await asyncio.gather(*vendor._tasks)
    return outcome, placed


async def test_a_person_acknowledges_and_is_connected(site: Site, twilio: standin.Twilio) -> None:
    twilio.people[ANA] = Person(answers=True, keys=("1", "4"))
    outcome, placed = await call(site, twilio)
    assert (outcome.end, site.stored.keys, placed.errors) == (RingEnd.NO_KEY, ["1", "4"], [])
    assert placed.heard == [TEXT, ACKNOWLEDGED.text, CONNECTING.text]
    assert placed.dialled == [("+49301234", "wwwwwwww77#")]
    assert set(twilio.answers) == {200}


async def test_a_voicemail_hears_it_three_times_and_acknowledges_nothing(site: Site, twilio: standin.Twilio) -> None:
    twilio.people[ANA] = Person(answers=True)
    outcome, placed = await call(site, twilio)
    assert (outcome.end, site.stored.keys, placed.errors) == (RingEnd.NO_KEY, [], [])
    # What came in the meantime is said the next time.
    assert placed.heard == [TEXT, f"{TEXT} And one more.", f"{TEXT} And one more."]


@pytest.mark.parametrize(("how", "count"), [("normal", 4), ("doubled", 8), ("backwards", 4), ("lost", 0)])
async def test_progress_in_whatever_order_names_the_call(
    site: Site, twilio: standin.Twilio, how: str, count: int
) -> None:
    twilio.progress = how
    twilio.people[ANA] = Person(answers=True, keys=("1",))
    _, placed = await call(site, twilio)
    assert site.stored.references == [placed.sid] * count
    assert site.stored.keys == ["1"]


async def test_a_site_that_is_away_leaves_a_call_without_a_key(site: Site, twilio: standin.Twilio) -> None:
    site.stored.is_away = True
    twilio.people[ANA] = Person(answers=True, keys=("1",))
    outcome, placed = await call(site, twilio)
    assert (outcome.end, site.stored.keys, placed.heard) == (RingEnd.NO_KEY, [], [TEXT])
    assert placed.errors == [f"no document from {site.url}{BASE}/pressed"]
