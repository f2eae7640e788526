"""The fake Twilio refuses what Twilio refuses, holds to its rate, and believes no document that is not TwiML."""

from __future__ import annotations

import asyncio
import base64
import urllib.parse
from typing import Any

import aiohttp
import pytest

from tests.standins.contract import PLACE
from tests.standins.twilio import ACCOUNT_SID, AUTH_TOKEN, CALLER, Twilio
from tests.standins.twilio_call import Person
from tests.standins.twilio_documents import InvalidDocumentError, parse

TO = "+4930123456"
SAY = "<Response><Say>hello</Say></Response>"
FORM: dict[str, Any] = {"To": TO, "From": CALLER, "Twiml": SAY}


async def ask(
    vendor: Twilio, form: dict[str, Any] | None = None, *, path: str = "", query: str = "", token: str = AUTH_TOKEN
) -> tuple[int, Any]:
    """Post a form, or get where there is none; return the status and the document."""
    url = f"{vendor.url}/2010-04-01/Accounts/{ACCOUNT_SID}/Calls{path}.json{query}"
    credentials = f"{ACCOUNT_SID}:{token}".encode()
    headers = {
        "Authorization": f"Basic {base64.b64encode(credentials).decode()}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    data = None if form is None else urllib.parse.urlencode(form, doseq=True).encode()
    async with (
        aiohttp.ClientSession() as session,
        session.request("GET" if form is None else "POST", url, data=data, headers=headers) as response,
    ):
        return response.status, await response.json()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"Surprise": "1"}, 20001),
        ({"Url": "https://x.example/"}, 21205),
        ({"To": "030123456"}, 21211),
        ({"To": [TO, TO]}, 20001),
        ({"From": "+15005550000"}, 21210),
        ({"Timeout": "601"}, 20001),
        ({"Timeout": "30s"}, 20001),
        ({"StatusCallback": "x.example"}, 21609),
        ({"StatusCallbackEvent": ["initiated", "surprise"]}, 21626),
        ({"Twiml": "<Response><Say>" + "x" * 4_000 + "</Say></Response>"}, 21617),
        ({"Twiml": "<Response><Say>a & b</Say></Response>"}, 12100),
        ({"Twiml": ""}, 12100),
    ],
)
async def test_it_refuses_what_it_refuses(changes: dict[str, Any], code: int) -> None:
    async with Twilio() as vendor:
        status, answer = await ask(vendor, FORM | changes)
        assert (status, answer["code"], vendor.effects) == (400, code, [])


@pytest.mark.parametrize(
    "document",
    [
        "<Say>x</Say>",
        "<Response>x</Response>",
        "<Response><Say/></Response>",
        "<Response><Say surprise='1'>x</Say></Response>",
        "<Response><Say><Dial>+49900</Dial></Say></Response>",
        "<Response><Play>x</Play></Response>",
        "<Response><Say>" + "x" * 4_097 + "</Say></Response>",
        "<Response><Gather action='/relative'/></Response>",
        "<Response><Dial><Number sendDigits=',,77#'>+49301234</Number></Dial></Response>",
        "<Response><Say>x</Say><Redirect>not an address</Redirect></Response>",
        "<Response><Say>\x01</Say></Response>",
    ],
)
def test_what_is_no_document_is_not_performed(document: str) -> None:
    with pytest.raises(InvalidDocumentError):
        parse(document)


async def test_it_wants_to_know_who_asks() -> None:
    async with Twilio() as vendor:
        assert (await ask(vendor, FORM, token="wrong"))[0] == 401


async def test_it_places_one_call_a_second_and_queues_the_others() -> None:
    async with Twilio(every=0.2) as vendor:
        vendor.people[TO] = Person(answers=True)
        begun = asyncio.get_running_loop().time()
        for _ in range(3):
            assert (await ask(vendor, FORM))[1]["status"] == "queued"
        for _ in range(3):
            await (await vendor.expect_call()).until("completed")
        assert asyncio.get_running_loop().time() - begun >= 0.4
        vendor.assert_nothing_unexpected()


async def test_a_call_that_nobody_expected_fails_the_test() -> None:
    async with Twilio() as vendor:
        await ask(vendor, FORM)
        with pytest.raises(AssertionError, match="unexpected"):
            vendor.assert_nothing_unexpected()


async def test_a_list_by_the_time_of_the_start_leaves_out_what_has_not_begun() -> None:
    async with Twilio(every=60) as vendor:
        for _ in range(2):
            await ask(vendor, FORM)
        await vendor.effects[0].until("ringing")
        _, all_of_them = await ask(vendor, query=f"?To=%2B{TO[1:]}")
        _, begun = await ask(vendor, query=f"?To=%2B{TO[1:]}&StartTime%3E=2020-01-01T00:00:00Z")
        assert [len(each["calls"]) for each in (all_of_them, begun)] == [2, 1]


@pytest.mark.parametrize("form", [{"Status": "busy"}, {"Twiml": SAY}, {"Status": "canceled", "Twiml": SAY}])
async def test_what_cannot_be_changed_is_refused(form: dict[str, str]) -> None:
    async with Twilio() as vendor:
        _, call = await ask(vendor, FORM)
        assert (await ask(vendor, form, path=f"/{call['sid']}"))[0] == 400


async def test_its_contract_is_held_against_what_is_sent() -> None:
    if not (PLACE / "twilio-api-v2010.json").is_file():
        pytest.skip(f"no contracts in {PLACE}")
    async with Twilio() as vendor:
        _, call = await ask(vendor, FORM)
        await vendor.expect_call()
        vendor.assert_nothing_unexpected()
        assert (await ask(vendor, path=f"/{call['sid']}", query=""))[0] == 200
        await ask(vendor, query="?PageSize=0")
        with pytest.raises(AssertionError, match="contract"):
            vendor.assert_nothing_unexpected()
