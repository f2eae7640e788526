"""Asks Prometheus, or what speaks like it, for the numbers of now: one attempt, bounded in time and size.

Knows connections and credentials. Must not know what is asked, nor what follows from the answer.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import aiohttp

from sevrouter import __version__
from sevrouter.domain.promql import QueryAnswer, QueryProblem
from sevrouter.domain.redaction import redact
from sevrouter.domain.text import one_line
from sevrouter.sources.answers import LONGEST_DETAIL, read_answer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

# Seconds. A Prometheus on the same network takes a connection at once; a query that takes longer than 10 s is asked
# of too much data, and the next one is due.
CONNECT_WITHIN = 3.0
ANSWER_WITHIN = 10.0

# Bytes. As many series as are read at all, each with the labels of a Kubernetes pod.
LARGEST_ANSWER = 8 * 1024 * 1024

# Seconds that a connection is kept. A storm asks much at once; one kept for longer dies unnoticed, and the query
# that finds out is lost.
KEPT = 2.0
# Connections. Prometheus evaluates 20 queries at once by default, and has others to answer.
MOST_AT_ONCE = 10

# Asked for at each query, since it may be rotated. Raises OSError or ValueError where there is none.
Secret = Callable[[], str]

_HEADERS = {
    "Accept": "application/json",
    "Content-Type": "application/x-www-form-urlencoded",
    "User-Agent": f"sevrouter/{__version__}",
}
_NETWORK_ERRORS = (aiohttp.ClientError, OSError)


@dataclass(frozen=True, slots=True)
class Bearer:
    """A token that whoever holds it may ask with."""

    token: Secret

    def read(self) -> tuple[str, tuple[str, ...]]:
        """The header, and what of it must not be told. Raises OSError or ValueError."""
        token = self.token()
        if not token or not (token.isascii() and token.isprintable()):
            raise ValueError("no header can carry the token")
        return f"Bearer {token}", (token,)


@dataclass(frozen=True, slots=True)
class Basic:
    """A user and a password."""

    username: str
    password: Secret

    def read(self) -> tuple[str, tuple[str, ...]]:
        """The header, and what of it must not be told. Raises OSError or ValueError."""
        password = self.password()
        pair = f"{self.username}:{password}"
        return f"Basic {base64.b64encode(pair.encode()).decode()}", (password, pair)


class Prometheus:
    """One Prometheus by its URL (that of the API without `/api/v1`). `session` may be shared; times are in seconds."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        url: str,
        credentials: Bearer | Basic | None = None,
        answer_within: float = ANSWER_WITHIN,
        connect_within: float = CONNECT_WITHIN,
    ) -> None:
        self._session = session
        self._url = f"{url.rstrip('/')}/api/v1/query"
        self._credentials = credentials
        # Not `connect`, which would count the wait for a free connection in a storm.
        self._timeout = aiohttp.ClientTimeout(total=answer_within, sock_connect=connect_within)
        # So that it stops evaluating what nobody waits for any more.
        self._patience = f"{max(1, int(answer_within * 1000))}ms"

    async def ask(self, query: str) -> QueryAnswer:
        """What a query gives now. Whatever goes wrong is a problem of the answer, never an exception."""
        try:
            body = urlencode({"query": query, "timeout": self._patience}).encode()
        except UnicodeEncodeError:
            return QueryAnswer(problem=QueryProblem.BAD_QUERY, detail="the query holds half a character")
        try:
            authorization, secrets = self._credentials.read() if self._credentials else ("", ())
        except (OSError, ValueError) as error:
            # Not the error's text: it may hold what was read.
            detail = f"the secret cannot be read: {type(error).__name__}"
            return QueryAnswer(problem=QueryProblem.REFUSED, detail=detail)
        headers = {**_HEADERS, "Authorization": authorization} if authorization else _HEADERS
        try:
            return await self._attempt(body, headers, secrets)
        except _NETWORK_ERRORS as error:
            return _failure(error, secrets)

    async def _attempt(self, body: bytes, headers: dict[str, str], secrets: Sequence[str]) -> QueryAnswer:
        request = self._session.post(
            self._url, data=body, headers=headers, timeout=self._timeout, allow_redirects=False
        )
        async with request as response:
            answer = await _beginning(response.content)
        if len(answer) > LARGEST_ANSWER:
            detail = f"answered {response.status} with more than {LARGEST_ANSWER // 1024**2} MiB: ask for fewer series"
            return QueryAnswer(problem=QueryProblem.UNREADABLE, detail=detail)
        return read_answer(response.status, answer, secrets=secrets)


async def _beginning(content: aiohttp.StreamReader) -> bytes:
    """A body, or a byte more than the largest one that is read."""
    body = bytearray()
    while chunk := await content.read(LARGEST_ANSWER + 1 - len(body)):
        body += chunk
    return bytes(body)


def _failure(error: Exception, secrets: Sequence[str]) -> QueryAnswer:
    said = f"{type(error).__name__}: {error}".removesuffix(": ")
    return QueryAnswer(problem=_problem_of(error), detail=one_line(redact(said, secrets), LONGEST_DETAIL))


def _problem_of(error: Exception) -> QueryProblem:
    match error:
        case aiohttp.ConnectionTimeoutError():
            return QueryProblem.AWAY
        case TimeoutError():
            return QueryProblem.TIMED_OUT
        case aiohttp.ClientResponseError():
            # It answers, but not in HTTP.
            return QueryProblem.UNREADABLE
        case _:
            return QueryProblem.AWAY


@asynccontextmanager
async def open_session() -> AsyncIterator[aiohttp.ClientSession]:
    """Connections to ask through, for one Prometheus or, after another, the next."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=MOST_AT_ONCE, keepalive_timeout=KEPT),
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        yield session
