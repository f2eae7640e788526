"""The owners' thread on Slack: a message for an incident, a reply for each thing that happens to it.

Knows how Slack takes a message and how it refuses one. Must not know what the message says.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from msgspec.structs import replace
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from sevrouter.domain.backoff import Schedule
from sevrouter.domain.delivery import Delivered, OutcomeReason, Rejected, Retry, Unknown
from sevrouter.notifiers.answers import Answer, Failure, Meaning, Statuses, failure, judge, read_answer
from sevrouter.notifiers.http import NETWORK_ERRORS, failure_of
from sevrouter.notifiers.redaction import read_secret
from sevrouter.notifiers.slack_message import head, message, reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sevrouter.domain.delivery import Delivery, Notice, Outcome
    from sevrouter.domain.ownership import Team
    from sevrouter.notifiers.base import Secret
    from sevrouter.notifiers.http import Transport

URL = "https://slack.com/api/"

SCHEDULE = Schedule(first=timedelta(seconds=1), longest=timedelta(minutes=5))

STATUSES: Statuses = {
    2: (Meaning.MAYBE_DONE, OutcomeReason.UNREADABLE_ANSWER),
    401: (Meaning.NEVER, OutcomeReason.UNAUTHORISED),
    403: (Meaning.NEVER, OutcomeReason.UNAUTHORISED),
    404: (Meaning.NEVER, OutcomeReason.NOT_FOUND),
    408: (Meaning.MAYBE_DONE, OutcomeReason.TIMED_OUT),
    429: (Meaning.NOT_DONE, OutcomeReason.RATE_LIMITED),
    5: (Meaning.MAYBE_DONE, OutcomeReason.SERVER_ERROR),
}

_UNAUTHORISED = (Meaning.NEVER, OutcomeReason.UNAUTHORISED)
_NOT_FOUND = (Meaning.NEVER, OutcomeReason.NOT_FOUND)

# Slack's own words for what went wrong, in an answer of status 200. Any other is a refusal for good.
ERRORS: Mapping[str, tuple[Meaning, OutcomeReason]] = {
    "ratelimited": (Meaning.NOT_DONE, OutcomeReason.RATE_LIMITED),
    "rate_limited": (Meaning.NOT_DONE, OutcomeReason.RATE_LIMITED),
    # What they got of the request was cut off.
    "request_timeout": (Meaning.NOT_DONE, OutcomeReason.TIMED_OUT),
    # The workspace is being moved, for some minutes.
    "team_added_to_org": (Meaning.NOT_DONE, OutcomeReason.SERVER_ERROR),
    "internal_error": (Meaning.MAYBE_DONE, OutcomeReason.SERVER_ERROR),
    "fatal_error": (Meaning.MAYBE_DONE, OutcomeReason.SERVER_ERROR),
    "service_unavailable": (Meaning.MAYBE_DONE, OutcomeReason.SERVER_ERROR),
    "access_denied": _UNAUTHORISED,
    "account_inactive": _UNAUTHORISED,
    "invalid_auth": _UNAUTHORISED,
    "missing_scope": _UNAUTHORISED,
    "no_permission": _UNAUTHORISED,
    "not_allowed_token_type": _UNAUTHORISED,
    "not_authed": _UNAUTHORISED,
    "org_login_required": _UNAUTHORISED,
    "token_expired": _UNAUTHORISED,
    "token_revoked": _UNAUTHORISED,
    "channel_not_found": _NOT_FOUND,
    "thread_not_found": _NOT_FOUND,
}

# A channel that takes nothing from us; what we may do in the workspace, or what we sent, is not at fault.
_CLOSED = frozenset(
    {"channel_not_found", "is_archived", "not_in_channel", "restricted_action", "restricted_action_read_only_channel"}
)

_REFERENCE = re.compile(r"([A-Z0-9]+):(\d+\.\d+)", re.ASCII)

# How the client library stumbles over a body that is not a JSON object.
_UNREADABLE = (AttributeError, TypeError, ValueError, RecursionError)


class Slack:
    """Posts to the owning team's channel, or to the default one, goes on in the thread, and keeps its head current.

    Where a channel is closed to us, the default one is told, in a thread of its own.

    `buttons`: somebody hears of it where one is pressed.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        token: Secret,
        url: str = URL,
        channel: str | None = None,
        teams: Mapping[str, Team] | None = None,
        buttons: bool = False,
    ) -> None:
        self._transport = transport
        self._token = token
        self._url = url
        self._channel = channel
        self._teams = teams or {}
        self._buttons = buttons

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Post one message. The reference holds the channel, so that a new configuration still finds the thread."""
        token = read_secret(self._token)
        if not isinstance(token, str):
            return token
        notice = delivery.notice
        if thread := _REFERENCE.fullmatch(delivery.reference or ""):
            # First what can be done again: an answer that is lost here has told nobody anything.
            waits = await self._edit(token, thread[1], thread[2], notice)
            # Once is enough: what has to be told is the reply.
            if waits is not None and delivery.attempts == 1:
                return waits
            said = reply(notice, mention=self._mention(notice), buttons=self._buttons)
            channel, post = thread[1], {"channel": thread[1], "thread_ts": thread[2], **said}
        elif configured := self._channel_of(notice):
            channel, post = configured, {"channel": configured, **self._message(notice)}
        else:
            return Rejected(OutcomeReason.NOT_CONFIGURED, f"neither {notice.owner or 'nobody'} nor Slack has a channel")
        answer = await self._post(token, post)
        if not isinstance(answer, Answer):
            return answer
        if elsewhere := self._elsewhere(answer, channel):
            return await self._tell_elsewhere(token, elsewhere, notice, was=channel, why=str(answer.document["error"]))
        return _outcome(answer, reference=delivery.reference if thread else None)

    async def _edit(self, token: str, channel: str, ts: str, notice: Notice) -> Retry | None:
        """Have the head of a thread say how it stands; why that has to wait, if it has."""
        edit = {"channel": channel, "ts": ts, **head(notice, buttons=self._buttons)}
        answer = await self._call("chat.update", token, edit)
        outcome = _outcome(answer, reference=None) if isinstance(answer, Answer) else answer
        # Who may not edit may still reply.
        if isinstance(outcome, Delivered | Rejected):
            return None
        return Retry(outcome.reason, outcome.detail, outcome.not_before if isinstance(outcome, Retry) else None)

    def _elsewhere(self, answer: Answer, channel: str) -> str | None:
        """Where to tell it instead, if nothing can be told where it belongs."""
        match answer.document:
            case {"ok": False, "error": "thread_not_found"}:
                return channel
            case {"ok": False, "error": str(error)} if error in _CLOSED and self._channel != channel:
                return self._channel
            case _:
                return None

    async def _tell_elsewhere(self, token: str, channel: str, notice: Notice, *, was: str, why: str) -> Outcome:
        """Begin a new thread, which says what it takes the place of. What goes on goes on there."""
        note = f"This belongs into {was}, where it cannot be told: {why}."
        told = replace(notice, note=f"{notice.note} {note}".strip())
        answer = await self._post(token, {"channel": channel, **self._message(told)})
        if not isinstance(answer, Answer):
            return answer
        outcome = _outcome(answer, reference=None)
        if not isinstance(outcome, Delivered):
            return outcome
        return Delivered(reference=outcome.reference, reason=OutcomeReason.ELSEWHERE, detail=f"{was}: {why}")

    def _message(self, notice: Notice) -> dict[str, object]:
        return message(notice, mention=self._mention(notice), buttons=self._buttons)

    def _team(self, notice: Notice) -> Team | None:
        return self._teams.get(notice.owner) if notice.owner else None

    def _channel_of(self, notice: Notice) -> str | None:
        team = self._team(notice)
        return (team.slack_channel if team else None) or self._channel

    def _mention(self, notice: Notice) -> str | None:
        team = self._team(notice)
        return team.slack_mention if team else None

    async def _post(self, token: str, post: dict[str, object]) -> Answer | Failure:
        return await self._call("chat.postMessage", token, post)

    async def _call(self, method: str, token: str, post: dict[str, object]) -> Answer | Failure:
        # No retry handlers: when to try again is the outbox's business.
        client = AsyncWebClient(token, base_url=self._url, session=self._transport.session, retry_handlers=[])
        # The library takes a proxy from the environment for Slack alone; either all integrations use one or none.
        client.proxy = None
        try:
            response = await client.api_call(method, json=post)
        except SlackApiError as error:
            return _answer(error.response, secrets=(token,))
        except NETWORK_ERRORS as error:
            return failure_of(error, (token,))
        except _UNREADABLE as error:
            return Unknown(OutcomeReason.UNREADABLE_ANSWER, f"answered with no JSON object: {type(error).__name__}")
        return _answer(response, secrets=(token,))


def _answer(response: object, *, secrets: tuple[str, ...]) -> Answer:
    """The library's response, or the bare one of aiohttp that it hands out when the body is not JSON."""
    status: int = getattr(response, "status_code", 0) or getattr(response, "status", 0)
    document = getattr(response, "data", None)
    body = json.dumps(document).encode() if isinstance(document, dict) else b""
    headers = getattr(response, "headers", {})
    return read_answer(status, headers, body, secrets=secrets, now=datetime.now(UTC))


def _outcome(answer: Answer, *, reference: str | None) -> Outcome:
    match answer.document:
        case {"ok": True, "ts": str(ts), "channel": str(channel)} if answer.status == 200:
            return Delivered(reference=reference or f"{channel}:{ts}")
        case {"ok": False, "error": str(error)} if answer.status == 200 or error in ERRORS:
            meaning, reason = ERRORS.get(error, (Meaning.NEVER, OutcomeReason.REFUSED))
            return failure(meaning, reason, answer)
        case _:
            return judge(answer, STATUSES)
