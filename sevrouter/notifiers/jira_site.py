"""The requests that we make of a Jira site, one attempt each.

Knows versions 2 and 3 of its REST API. Must not know what follows from an answer.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sevrouter.domain.delivery import OutcomeReason
from sevrouter.notifiers.answers import Answer, Failure, Meaning, Statuses, judge, not_done
from sevrouter.notifiers.jira_dialect import CLOUD, DATA_CENTER, Dialect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sevrouter.notifiers.http import Transport

STATUSES: Statuses = {
    # A log-in page of a proxy: no create answers with it, and it does not go away by itself.
    200: (Meaning.NEVER, OutcomeReason.UNREADABLE_ANSWER),
    2: (Meaning.MAYBE_DONE, OutcomeReason.UNREADABLE_ANSWER),
    401: (Meaning.NEVER, OutcomeReason.UNAUTHORISED),
    403: (Meaning.NEVER, OutcomeReason.UNAUTHORISED),
    404: (Meaning.NEVER, OutcomeReason.NOT_FOUND),
    408: (Meaning.MAYBE_DONE, OutcomeReason.TIMED_OUT),
    429: (Meaning.NOT_DONE, OutcomeReason.RATE_LIMITED),
    503: (Meaning.NOT_DONE_IF_TOLD_WHEN, OutcomeReason.SERVER_ERROR),
    5: (Meaning.MAYBE_DONE, OutcomeReason.SERVER_ERROR),
}

# How many of an issue's newest comments are looked through for one of ours.
NEWEST_COMMENTS = 100

_KEY = re.compile(r"[A-Z][A-Z0-9_]*-[1-9][0-9]*", re.ASCII)


def is_issue_key(text: object) -> bool:
    """Whether a text is an issue's key, which alone may become part of an address."""
    return isinstance(text, str) and len(text) <= 255 and _KEY.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Login:
    """How an account says who it is, and what of that no error may repeat."""

    headers: Mapping[str, str]
    secrets: tuple[str, ...]

    @classmethod
    def of(cls, email: str | None, token: str) -> Login:
        """An account with its API token or password; without an account, an access token (Bearer)."""
        credentials = f"{email}:{token}"
        basic = base64.b64encode(credentials.encode()).decode()
        return cls({"Authorization": f"Basic {basic}" if email else f"Bearer {token}"}, (token, credentials))


@dataclass(frozen=True, slots=True)
class Found:
    """How an issue stands: the key of its status's category, and the name of its resolution."""

    category: str
    resolution: str | None


@dataclass(frozen=True, slots=True)
class Offer:
    """A transition that is open to us, and the key of the category that it leads to."""

    id: str
    category: str


async def ask_dialect(transport: Transport, url: str, login: Login) -> Dialect | Failure:
    """What is spoken at an address. Nothing was done where that is not to be learned."""
    # Both kinds answer at this address; what is older than the word itself is no cloud.
    address = f"{url.rstrip('/')}/{DATA_CENTER.api}/serverInfo"
    answer = await transport.get(address, params={}, headers=login.headers, secrets=login.secrets)
    if not isinstance(answer, Answer):
        return not_done(answer)
    match answer.document:
        case {"deploymentType": "Cloud"} if answer.status == 200:
            return CLOUD
        case {"version": str()} if answer.status == 200:
            return DATA_CENTER
        case _:
            return not_done(judge(answer, STATUSES))


class JiraSite:
    """One site, as one account sees it."""

    def __init__(self, transport: Transport, *, url: str, login: Login, dialect: Dialect) -> None:
        self._transport = transport
        self.dialect = dialect
        self._api = f"{url.rstrip('/')}/{dialect.api}"
        self._headers = login.headers
        self._secrets = login.secrets

    async def create(self, fields: Mapping[str, object]) -> Answer | Failure:
        """File an issue: 201 and its `key`."""
        return await self._post("issue", {"fields": fields})

    async def add_comment(self, key: str, body: object) -> Answer | Failure:
        """Comment on an issue: 201."""
        return await self._post(f"issue/{key}/comment", {"body": body})

    async def find(self, label: str) -> str | Failure | None:
        """The key of the oldest issue with a label; None where there is none, or none that search shows yet."""
        quoted = label.replace("\\", "\\\\").replace('"', '\\"')
        query = {"jql": f'labels = "{quoted}" ORDER BY created ASC', "fields": ["key"], "maxResults": 1}
        answer = await self._post(self.dialect.search, query)
        if not isinstance(answer, Answer):
            return not_done(answer)
        match answer.document:
            case {"issues": []} if answer.status == 200:
                return None
            case {"issues": [{"key": str(key)}, *_]} if answer.status == 200 and is_issue_key(key):
                return key
            case _:
                return not_done(judge(answer, STATUSES))

    async def has_comment(self, key: str, line: str) -> bool | Failure:
        """Whether one of the newest comments on an issue holds a line."""
        written = self.dialect.line(line)
        newest: dict[str, str | int] = {"orderBy": "-created", "maxResults": NEWEST_COMMENTS}
        answer = await self._get(f"issue/{key}/comment", newest)
        if not isinstance(answer, Answer):
            return not_done(answer)
        match answer.document:
            case {"comments": list(comments)} if answer.status == 200:
                return any(written == said for comment in comments for said in _texts(comment))
            case _:
                return not_done(judge(answer, STATUSES))

    async def look(self, key: str) -> Found | Failure:
        """How an issue stands, wherever it was moved to."""
        answer = await self._get(f"issue/{key}", {"fields": "status,resolution"})
        if not isinstance(answer, Answer):
            return not_done(answer)
        match answer.document:
            case {"fields": {"status": {"statusCategory": {"key": str(category)}}, **rest}} if answer.status == 200:
                resolution = rest.get("resolution")
                name = resolution.get("name") if isinstance(resolution, dict) else None
                return Found(category, name if isinstance(name, str) else None)
            case _:
                return not_done(judge(answer, STATUSES))

    async def offers(self, key: str) -> Sequence[Offer] | Failure:
        """The transitions that an issue's status and our permissions allow."""
        answer = await self._get(f"issue/{key}/transitions", {})
        if not isinstance(answer, Answer):
            return not_done(answer)
        match answer.document:
            case {"transitions": list(transitions)} if answer.status == 200:
                return [offer for each in transitions if (offer := _offer(each)) is not None]
            case _:
                return not_done(judge(answer, STATUSES))

    async def move(self, key: str, transition: str, fields: Mapping[str, object]) -> Answer | Failure:
        """Take an issue through a transition: 204."""
        screen = {"fields": dict(fields)} if fields else {}
        return await self._post(f"issue/{key}/transitions", {"transition": {"id": transition}, **screen})

    async def edit(self, key: str, fields: Mapping[str, object]) -> Answer | Failure:
        """Write fields of an issue: 204."""
        return await self._transport.put(
            f"{self._api}/issue/{key}", body={"fields": dict(fields)}, headers=self._headers, secrets=self._secrets
        )

    async def _get(self, path: str, params: Mapping[str, str | int]) -> Answer | Failure:
        return await self._transport.get(
            f"{self._api}/{path}", params=params, headers=self._headers, secrets=self._secrets
        )

    async def _post(self, path: str, body: Mapping[str, object]) -> Answer | Failure:
        return await self._transport.post(
            f"{self._api}/{path}", body=body, headers=self._headers, secrets=self._secrets
        )


def _offer(transition: object) -> Offer | None:
    match transition:
        case {"id": str(identity), "to": {"statusCategory": {"key": str(category)}}}:
            return Offer(identity, category)
        case _:
            return None


def _texts(node: object) -> Iterator[str]:
    """Every text in a document, without regard to how deep it stands."""
    waiting = [node]
    while waiting:
        match waiting.pop():
            case {"type": "text", "text": str(text)}:
                yield text
            case {"body": str(text)}:
                yield from text.splitlines()
            case dict(members):
                waiting += members.values()
            case list(items):
                waiting += items
