"""Twilio's calls: an account that may place one a second, the people whom it calls, and callbacks that it signs."""

from __future__ import annotations

import asyncio
import base64
import itertools
import re
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote

import aiohttp
from twilio.request_validator import RequestValidator

from tests.standins.twilio_call import Person, Placed
from tests.standins.twilio_documents import InvalidDocumentError, parse
from tests.standins.vendor import WITHIN, Reply, Seen, Vendor

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping

ACCOUNT_SID = "AC" + "0123456789abcdef" * 2
AUTH_TOKEN = "mad3upt0ken0fatest0123456789abcd"
CALLER = "+15005550006"

_KNOWN = {
    "To", "From", "Twiml", "Url", "ApplicationSid", "Method", "Timeout", "TimeLimit", "StatusCallback",
    "StatusCallbackEvent", "StatusCallbackMethod", "FallbackUrl", "FallbackMethod",
}  # fmt: skip
_KNOWN_CHANGES = {"Status", "Twiml", "Url", "Method", "StatusCallback", "StatusCallbackMethod", "TimeLimit"}
_KNOWN_FILTERS = {"To", "From", "Status", "StartTime", "StartTime<", "StartTime>", "PageSize", "Page"}
_EVENTS = {"initiated", "ringing", "answered", "completed"}
_CALLS = re.compile(r"/2010-04-01/Accounts/(AC[0-9a-f]{32})/Calls(?:/(CA[0-9a-f]{32}))?\.json")


class Twilio(Vendor[Placed]):
    """One account. `every` is how many seconds lie between two calls that it places, the others wait in its queue.

    `people` are scripted by number. `listing_lag` is how many lists do not show a new call yet. `progress` is how
    callbacks of a call's progress come: `normal`, `lost`, `doubled`, or `backwards` (late, and in reverse).
    """

    contract_file = "twilio-api-v2010.json"
    contract_host = "https://api.twilio.com"

    def __init__(self, *, every: float = 1.0, auth_token: str = AUTH_TOKEN) -> None:
        super().__init__()
        self.auth_token = auth_token
        self.every = every
        self.people: dict[str, Person] = {}
        self.listing_lag = 0
        self.progress = "normal"
        self.answers: list[int] = []
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)
        self._validator = RequestValidator(auth_token)
        self._numbers = itertools.count(1)
        self._next_at = 0.0
        self._is_down = True
        self._late: dict[str, list[Mapping[str, str]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    async def come_back(self) -> None:
        """Listen, on the same port as before."""
        self._is_down = False
        await super().come_back()

    async def go_down(self) -> None:
        """Hang up, and refuse connections."""
        self._is_down = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None
        await super().go_down()

    async def answer(self, seen: Seen) -> Reply:
        """Do what a request asks for."""
        credentials = base64.b64encode(f"{ACCOUNT_SID}:{self.auth_token}".encode()).decode()
        if seen.headers.get("Authorization") != f"Basic {credentials}":
            return _refused(401, 20003, "Authenticate")
        match = _CALLS.fullmatch(seen.path)
        call = next((each for each in self.effects if match is not None and each.sid == match[2]), None)
        if match is None or match[1] != ACCOUNT_SID or (match[2] is not None and call is None):
            return _refused(404, 20404, "The requested resource was not found")
        return self._route(seen, call)

    def _route(self, seen: Seen, call: Placed | None) -> Reply:
        form = parse_qs(seen.body.decode(), keep_blank_values=True)
        match seen.method, call:
            case "POST", None:
                return self._create(form)
            case "GET", None:
                return self._list(seen.query)
            case "POST", Placed():
                return self._update(call, form)
            case "GET", Placed():
                return Reply(200, _shown(call))
            case _:
                return _refused(405, 20004, "Method not allowed")

    # What a request does

    def _create(self, form: Mapping[str, list[str]]) -> Reply:
        if problem := next(_problems(form), None):
            return _refused(400, *problem)
        to = form["To"][0]
        person = self.people.get(to, Person())
        if person.refused is not None:
            return _refused(400, person.refused, f"The 'To' number {to} is not a valid phone number.")
        call = Placed(
            sid=f"CA{next(self._numbers):032x}",
            to=to,
            caller=form["From"][0],
            document=form["Twiml"][0],
            form=form,
            person=person,
            created_at=self.clock(),
            hidden=self.listing_lag,
        )
        self.effects.append(call)
        self._spawn(self._live(call))
        return Reply(201, _shown(call))

    def _list(self, query: Mapping[str, str]) -> Reply:
        if unknown := query.keys() - _KNOWN_FILTERS:
            return _refused(400, 20001, f"unknown {sorted(unknown)}")
        shown = []
        for call in reversed(self.effects):
            if not _fits(call, query):
                continue
            if call.hidden > 0:
                call.hidden -= 1
            else:
                shown.append(_shown(call))
        return Reply(200, {"calls": shown[: int(query.get("PageSize", "50"))], "page": 0, "next_page_uri": None})

    def _update(self, call: Placed, form: Mapping[str, list[str]]) -> Reply:
        if (unknown := form.keys() - _KNOWN_CHANGES) or len(form) != 1:
            return _refused(400, 20001, f"unknown, or not exactly one: {sorted(unknown)}")
        if call.is_over:
            return _refused(400, 21220, "Call is not in-progress. Cannot redirect.")
        match form:
            case {"Status": ["canceled"]}:
                if call.status != "in-progress":
                    call.cancel()
                    call.note("canceled")
            case {"Status": ["completed"]}:
                call.cancel()
                call.interrupt(None)
                call.note("completed" if call.status == "in-progress" else "canceled")
            case {"Twiml": [document]} if call.status == "in-progress":
                try:
                    parse(document)
                except InvalidDocumentError as error:
                    return _refused(400, 12100, str(error))
                call.interrupt(document)
            case _:
                return _refused(400, 21220, "Call is not in-progress. Cannot redirect.")
        self._spawn(call.tell())
        return Reply(200, _shown(call))

    # The life of a call

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _live(self, call: Placed) -> None:
        now = asyncio.get_running_loop().time()
        at = max(now, self._next_at)
        self._next_at = at + self.every
        await asyncio.sleep(at - now)
        if not call.is_over:
            call.started_at = self.clock()
            self._tell(call, "initiated")
            await call.become("ringing")
            self._tell(call, "ringing")
            if await call.is_answered():
                self._tell(call, "answered")
                await call.talk(self._fetch)
                if not call.is_over:
                    await call.become("completed")
        self._tell(call, "completed")
        await self._send_late(call)

    async def _fetch(self, call: Placed, url: str, parameters: Mapping[str, str]) -> str | None:
        status, text = await self._post(url, self._parameters(call) | dict(parameters))
        return text if status == 200 else None

    def _parameters(self, call: Placed) -> dict[str, str]:
        return {
            "AccountSid": ACCOUNT_SID,
            "ApiVersion": "2010-04-01",
            "CallSid": call.sid,
            "CallStatus": call.status,
            "Called": call.to,
            "Caller": call.caller,
            "CalledCity": "",
            "Direction": "outbound-api",
            "From": call.caller,
            "To": call.to,
        }

    def _tell(self, call: Placed, event: str) -> None:
        if (
            self._is_down
            or "StatusCallback" not in call.form
            or event not in call.form.get("StatusCallbackEvent", ["completed"])
        ):
            return
        status = {"initiated": "initiated", "ringing": "ringing", "answered": "in-progress"}.get(event, call.status)
        parameters = self._parameters(call) | {
            "CallStatus": status,
            "SequenceNumber": str(call.sequence),
            "CallbackSource": "call-progress-events",
        }
        call.sequence += 1
        url = call.form["StatusCallback"][0]
        match self.progress:
            case "backwards":
                self._late.setdefault(call.sid, []).append(parameters)
            case "normal" | "doubled" as how:
                for _ in range(1 + (how == "doubled")):
                    self._spawn(self._note(url, parameters))

    async def _send_late(self, call: Placed) -> None:
        for parameters in reversed(self._late.pop(call.sid, [])):
            await self._note(call.form["StatusCallback"][0], parameters)

    async def _note(self, url: str, parameters: Mapping[str, str]) -> None:
        await self._post(url, parameters)

    async def _post(self, url: str, parameters: Mapping[str, str]) -> tuple[int, str]:
        """Post a form that is signed, and return the status and the text of the answer; 0 where there is none."""
        if self._is_down:
            return 0, ""
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15))
        body = "&".join(f"{quote(name)}={quote(value, safe='')}" for name, value in parameters.items())
        headers = {
            "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
            "X-Twilio-Signature": self._validator.compute_signature(url, dict(parameters)),
        }
        try:
            async with self._session.post(url, data=body.encode(), headers=headers) as response:
                self.answers.append(response.status)
                return response.status, await response.text()
        except (aiohttp.ClientError, TimeoutError):
            self.answers.append(0)
            return 0, ""

    # What a test expects

    async def expect_call(self, to: str | None = None, *, within: float = WITHIN) -> Placed:
        """Claim a call to a number."""
        return await self.expect(f"call to {to}", lambda each: to in (None, each.to), within=within)


def _refused(status: int, code: int, message: str) -> Reply:
    document = {"code": code, "message": message, "more_info": f"https://www.twilio.com/docs/errors/{code}"}
    return Reply(status, document | {"status": status}, refused=f"{code} {message}")


def _fits(call: Placed, query: Mapping[str, str]) -> bool:
    for name, value in (("To", call.to), ("From", call.caller), ("Status", call.status)):
        if query.get(name, value) != value:
            return False
    # Who has not been dialled has no time of a start, and no filter by it finds him.
    after = query.get("StartTime>")
    return after is None or (call.started_at is not None and call.started_at >= datetime.fromisoformat(after))


def _shown(call: Placed) -> dict[str, object]:
    return {
        "sid": call.sid,
        "account_sid": ACCOUNT_SID,
        "to": call.to,
        "from": call.caller,
        "status": call.status,
        "date_created": format_datetime(call.created_at),
        "start_time": None if call.started_at is None else format_datetime(call.started_at),
        "direction": "outbound-api",
        "api_version": "2010-04-01",
    }


def _problems(form: Mapping[str, list[str]]) -> Iterator[tuple[int, str]]:
    """Why a call is not placed: Twilio's code, and what it says."""
    if unknown := form.keys() - _KNOWN:
        yield 20001, f"unknown {sorted(unknown)}"
    if doubled := [name for name, values in form.items() if len(values) > 1 and name != "StatusCallbackEvent"]:
        yield 20001, f"doubled {doubled}"
    if len(form.keys() & {"Url", "Twiml", "ApplicationSid"}) != 1:
        yield 21205, "exactly one of Url, Twiml and ApplicationSid is needed"
    if "Twiml" not in form:
        yield 21205, "only Twiml is understood here"
    if form.get("From") != [CALLER]:
        yield 21210, "'From' is not a number of this account"
    if re.fullmatch(r"\+[1-9][0-9]{6,14}", form.get("To", [""])[0]) is None:
        yield 21211, "'To' is not a valid phone number"
    if not form.get("Timeout", ["60"])[0].isdigit() or not 1 <= int(form.get("Timeout", ["60"])[0]) <= 600:
        yield 20001, "Timeout is not from 1 to 600"
    if not set(form.get("StatusCallbackEvent", [])) <= _EVENTS:
        yield 21626, "invalid StatusCallbackEvent"
    yield from _document_problems(form.get("Twiml", [""])[0])
    callback = form.get("StatusCallback", ["https://x"])[0]
    if not callback.startswith(("https://", "http://")):
        yield 21609, "StatusCallback is not a valid URL"


def _document_problems(document: str) -> Iterator[tuple[int, str]]:
    if len(document) > 4_000:
        yield 21617, "Twiml is longer than 4,000 characters"
    try:
        parse(document)
    except InvalidDocumentError as error:
        yield 12100, f"invalid Twiml: {error}"
