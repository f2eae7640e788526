"""The requests that we make of Twilio, one attempt each.

Knows the calls of their REST API. Must not know what follows from an answer.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from sevrouter.domain.delivery import OutcomeReason
from sevrouter.notifiers.answers import Answer, Failure, Meaning, Statuses, judge
from sevrouter.notifiers.redaction import read_secret

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sevrouter.notifiers.base import Secret
    from sevrouter.notifiers.http import Transport

URL = "https://api.twilio.com"

STATUSES: Statuses = {
    2: (Meaning.MAYBE_DONE, OutcomeReason.UNREADABLE_ANSWER),
    401: (Meaning.NEVER, OutcomeReason.UNAUTHORISED),
    403: (Meaning.NEVER, OutcomeReason.UNAUTHORISED),
    404: (Meaning.NEVER, OutcomeReason.NOT_FOUND),
    408: (Meaning.MAYBE_DONE, OutcomeReason.TIMED_OUT),
    429: (Meaning.NOT_DONE, OutcomeReason.RATE_LIMITED),
    # Creating a call is not idempotent: they may have begun to ring before something broke.
    5: (Meaning.MAYBE_DONE, OutcomeReason.SERVER_ERROR),
}

# How many of the newest calls to a number are looked through.
NEWEST_CALLS = 50

_SID = re.compile(r"CA[0-9a-fA-F]{32}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Call:
    """A call as they tell of it: `status` is their word, `created_at` None where they do not say."""

    sid: str
    status: str
    created_at: datetime | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether nobody has answered yet."""
        return self.status in ("queued", "initiated", "ringing")

    @property
    def is_over(self) -> bool:
        """Whether nothing will change any more."""
        return self.status in ("completed", "busy", "failed", "no-answer", "canceled")


def read_call(document: Mapping[str, object]) -> Call | None:
    """A call in an answer; None where it is none."""
    match document:
        case {"sid": str(sid), "status": str(status)} if _SID.fullmatch(sid):
            times = (_moment(document.get(name)) for name in ("date_created", "start_time"))
            return Call(sid, status, next((each for each in times if each is not None), None))
        case _:
            return None


def _moment(text: object) -> datetime | None:
    if not isinstance(text, str):
        return None
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class TwilioAccount:
    """One account. Its token is asked for at each request."""

    def __init__(self, transport: Transport, *, account_sid: str, auth_token: Secret, url: str = URL) -> None:
        self._transport = transport
        self._account_sid = account_sid
        self._auth_token = auth_token
        self._calls = f"{url.rstrip('/')}/2010-04-01/Accounts/{account_sid}/Calls"

    async def create(self, form: Sequence[tuple[str, str]], *, secrets: Sequence[str] = ()) -> Answer | Failure:
        """Place a call: 201 and its `sid`. `secrets` are what the form holds of them."""
        return await self._post(f"{self._calls}.json", form, secrets)

    async def update(self, sid: str, **fields: str) -> Call | Failure:
        """Change a call that is under way, and return what it is then."""
        answer = await self._post(f"{self._calls}/{sid}.json", list(fields.items()))
        return _call(answer)

    async def fetch(self, sid: str) -> Call | Failure:
        """How a call stands."""
        return _call(await self._get(f"{self._calls}/{sid}.json", {}))

    async def newest(self, *, to: str, caller: str) -> list[Call] | Failure:
        """The calls from one number to another, the newest first."""
        # Not by the time of their start: a call that waits in their queue has none yet.
        answer = await self._get(f"{self._calls}.json", {"To": to, "From": caller, "PageSize": NEWEST_CALLS})
        if not isinstance(answer, Answer):
            return answer
        match answer.document:
            case {"calls": list(calls)} if answer.status == 200:
                return [call for each in calls if isinstance(each, dict) and (call := read_call(each)) is not None]
            case _:
                return judge(answer, STATUSES)

    async def _post(self, url: str, form: Sequence[tuple[str, str]], secrets: Sequence[str] = ()) -> Answer | Failure:
        token = read_secret(self._auth_token)
        if not isinstance(token, str):
            return token
        return await self._transport.post_form(
            url, form=form, headers=self._headers(token), secrets=(*self._secrets(token), *secrets)
        )

    async def _get(self, url: str, params: Mapping[str, str | int]) -> Answer | Failure:
        token = read_secret(self._auth_token)
        if not isinstance(token, str):
            return token
        return await self._transport.get(url, params=params, headers=self._headers(token), secrets=self._secrets(token))

    def _headers(self, token: str) -> dict[str, str]:
        basic = base64.b64encode(f"{self._account_sid}:{token}".encode()).decode()
        return {"Authorization": f"Basic {basic}"}

    def _secrets(self, token: str) -> tuple[str, str]:
        return token, f"{self._account_sid}:{token}"


def _call(answer: Answer | Failure) -> Call | Failure:
    if not isinstance(answer, Answer):
        return answer
    call = read_call(answer.document) if answer.status == 200 else None
    return call or judge(answer, STATUSES)
