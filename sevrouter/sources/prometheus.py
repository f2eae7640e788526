"""Asks Prometheus, or what speaks like it, for the numbers of now: one attempt, bounded in time and size.

Must not know what is asked, nor what follows from the answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import aiohttp

from sevrouter.domain.promql import QueryAnswer, QueryProblem
from sevrouter.domain.redaction import redact
from sevrouter.domain.text import one_line
from sevrouter.sources.answers import LONGEST_DETAIL, read_answer
from sevrouter.sources.connection import HEADERS, beginning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sevrouter.sources.connection import Credentials

# Seconds. A Prometheus on the same network takes a connection at once; a query that takes longer than 10 s is asked
# of too much data, and the next one is due.
CONNECT_WITHIN = 3.0
ANSWER_WITHIN = 10.0

# Bytes. As many series as are read at all, each with the labels of a Kubernetes pod.
LARGEST_ANSWER = 8 * 1024 * 1024

_HEADERS = {**HEADERS, "Content-Type": "application/x-www-form-urlencoded"}
_NETWORK_ERRORS = (aiohttp.ClientError, OSError)


class Prometheus:
    """One Prometheus by its URL (that of the API without `/api/v1`). `session` may be shared; times are in seconds."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        url: str,
        credentials: Credentials = None,
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
            answer = await beginning(response.content, LARGEST_ANSWER)
        if len(answer) > LARGEST_ANSWER:
            detail = f"answered {response.status} with more than {LARGEST_ANSWER // 1024**2} MiB: ask for fewer series"
            return QueryAnswer(problem=QueryProblem.UNREADABLE, detail=detail)
        return read_answer(response.status, answer, secrets=secrets)


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
