"""The shared transport: one attempt, bounded in time and size, and a value for each way that it can fail.

Knows connections. What never left is a Retry; what may have left is Unknown. Must not know a vendor.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import aiohttp

from sevrouter import __version__
from sevrouter.domain.delivery import OutcomeReason, Rejected, Retry, Unknown
from sevrouter.domain.redaction import redact
from sevrouter.domain.text import one_line
from sevrouter.notifiers.answers import LONGEST_EXCERPT, Answer, Failure, read_answer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from types import SimpleNamespace

# Seconds. A service that does not take a connection in 5 s is away; one that does not answer in 15 s is stuck.
CONNECT_WITHIN = 5.0
ANSWER_WITHIN = 15.0

# Bytes. The longest honest answer is a page of comments.
LONGEST_ANSWER = 1024 * 1024

# What a request can raise that is not a mistake of ours.
NETWORK_ERRORS = (aiohttp.ClientError, OSError, TimeoutError)

_USER_AGENT = f"sevrouter/{__version__}"


class RedirectRefusedError(aiohttp.ClientError):
    """The service answered with a redirect, and nothing that we send is meant for another address."""


class CappedResponse(aiohttp.ClientResponse):
    """Keeps the beginning of a body that does not end."""

    async def read(self) -> bytes:
        """At most `LONGEST_ANSWER` bytes."""
        if self._body is None:
            self._body = await self._beginning()
            self.close()
        return self._body

    async def _beginning(self) -> bytes:
        body = bytearray()
        while chunk := await self.content.read(LONGEST_ANSWER - len(body)):
            body += chunk
        return bytes(body)


class Transport:
    """One integration's own connections. `session` is for a client library that brings its own requests."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def post(
        self,
        url: str,
        *,
        body: Mapping[str, object],
        headers: Mapping[str, str] | None = None,
        secrets: Sequence[str] = (),
    ) -> Answer | Failure:
        """Send a JSON object. `secrets` are kept out of what is told of the answer."""
        return await self._attempt(self.session.post(url, json=body, headers=headers), secrets)

    async def put(
        self,
        url: str,
        *,
        body: Mapping[str, object],
        headers: Mapping[str, str] | None = None,
        secrets: Sequence[str] = (),
    ) -> Answer | Failure:
        """Send a JSON object that takes the place of another."""
        return await self._attempt(self.session.put(url, json=body, headers=headers), secrets)

    async def post_form(
        self,
        url: str,
        *,
        form: Sequence[tuple[str, str]],
        headers: Mapping[str, str] | None = None,
        secrets: Sequence[str] = (),
    ) -> Answer | Failure:
        """Send a form, whose names may come several times."""
        typed = {**(headers or {}), "Content-Type": "application/x-www-form-urlencoded"}
        return await self._attempt(self.session.post(url, data=urlencode(form).encode(), headers=typed), secrets)

    async def post_bytes(
        self, url: str, *, body: bytes, headers: Mapping[str, str], secrets: Sequence[str] = ()
    ) -> Answer | Failure:
        """Send JSON that is encoded already: who signs it has to know every byte."""
        typed = {**headers, "Content-Type": "application/json"}
        return await self._attempt(self.session.post(url, data=body, headers=typed), secrets)

    async def get(
        self,
        url: str,
        *,
        params: Mapping[str, str | int],
        headers: Mapping[str, str] | None = None,
        secrets: Sequence[str] = (),
    ) -> Answer | Failure:
        """Ask for something."""
        return await self._attempt(self.session.get(url, params=params, headers=headers), secrets)

    async def _attempt(
        self, request: aiohttp.client._RequestContextManager, secrets: Sequence[str]
    ) -> Answer | Failure:
        try:
            async with request as response:
                body = await response.read()
        except NETWORK_ERRORS as error:
            return failure_of(error, secrets)
        return read_answer(response.status, response.headers, body, secrets=secrets, now=datetime.now(UTC))


# Seconds. A connection that is kept longer dies unnoticed between two incidents, and the request that finds out is
# lost; one that is never kept costs a handshake for each delivery of a storm.
KEPT = 2.0


@asynccontextmanager
async def open_transport(
    *, connect_within: float = CONNECT_WITHIN, answer_within: float = ANSWER_WITHIN
) -> AsyncIterator[Transport]:
    """A transport of its own for one integration, so that none waits for another's connections (seconds)."""
    async with _session(connect_within, answer_within) as session:
        yield Transport(session)


class Transports:
    """A transport for each integration by its name, made when it is first asked for; closed with this."""

    def __init__(self) -> None:
        self._sessions: dict[str, aiohttp.ClientSession] = {}

    def __getitem__(self, name: str) -> Transport:
        if name not in self._sessions:
            self._sessions[name] = _session(CONNECT_WITHIN, ANSWER_WITHIN)
        return Transport(self._sessions[name])

    async def close(self) -> None:
        """Close their connections."""
        for session in self._sessions.values():
            await session.close()


def _session(connect_within: float, answer_within: float) -> aiohttp.ClientSession:
    redirects = aiohttp.TraceConfig()
    redirects.on_request_redirect.append(_refuse_redirect)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(keepalive_timeout=KEPT),
        timeout=aiohttp.ClientTimeout(total=answer_within, connect=connect_within),
        response_class=CappedResponse,
        trace_configs=[redirects],
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": _USER_AGENT},
    )


async def _refuse_redirect(
    _session: aiohttp.ClientSession, _context: SimpleNamespace, params: aiohttp.TraceRequestRedirectParams
) -> None:
    params.response.close()
    raise RedirectRefusedError(f"answered {params.response.status}, a redirect, which is not followed")


def failure_of(error: Exception, secrets: Sequence[str]) -> Failure:
    """What an error on the way says of the effect."""
    detail = _detail(error, secrets)
    match error:
        case RedirectRefusedError():
            return Rejected(OutcomeReason.REFUSED, detail)
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return Rejected(OutcomeReason.NOT_CONFIGURED, detail)
        case aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError():
            return Retry(OutcomeReason.UNREACHABLE, detail)
        case TimeoutError():
            return Unknown(OutcomeReason.TIMED_OUT, detail)
        case _:
            return Unknown(OutcomeReason.CONNECTION_LOST, detail)


def _detail(error: Exception, secrets: Sequence[str]) -> str:
    said = str(error)
    name = type(error).__name__
    return one_line(redact(f"{name}: {said}" if said else name, secrets), LONGEST_EXCERPT)
