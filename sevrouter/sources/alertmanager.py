"""Asks an Alertmanager, or what speaks like it, for all that it shows: one attempt, bounded in time and size.

Knows what is asked of the API. Must not know what follows from the answer.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import aiohttp

from sevrouter.domain.reconciliation import Answer, Unanswered
from sevrouter.domain.redaction import redact
from sevrouter.domain.text import one_line
from sevrouter.sources.alertmanager_answers import (
    LONGEST_DETAIL,
    mutes_by_time,
    read_alerts,
    read_muted,
    read_silence,
    read_up_for,
    refusal,
)
from sevrouter.sources.connection import HEADERS, beginning

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from sevrouter.domain.suppression import Silence
    from sevrouter.sources.connection import Credentials

# Seconds. A hundred thousand alerts are a hundred megabytes.
CONNECT_WITHIN = 3.0
ANSWER_WITHIN = 15.0
# Bytes. As many alerts as are read at all, each with the labels and annotations of Kubernetes.
LARGEST_ANSWER = 128 * 1024 * 1024
# A larger body is read in a thread, so that webhooks are answered meanwhile.
LARGE_BODY = 128 * 1024

# All that there is; these are the defaults, which another implementation might not have.
_EVERYTHING = "active=true&silenced=true&inhibited=true&unprocessed=true"
_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
_NETWORK_ERRORS = (aiohttp.ClientError, OSError)


@dataclass(frozen=True, slots=True)
class _Said:
    """A body, and when it was said by the clock of who said it."""

    body: bytes
    date: str


class Alertmanager:
    """One Alertmanager by its URL (without `/api/v2`). `receivers` are those of its receivers that are us.

    `session` may be shared; times are in seconds.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        url: str,
        credentials: Credentials = None,
        receivers: tuple[str, ...] = (),
        answer_within: float = ANSWER_WITHIN,
        connect_within: float = CONNECT_WITHIN,
    ) -> None:
        self.name = url.rstrip("/")
        self._session = session
        self._credentials = credentials
        self._receivers = receivers
        self._timeout = aiohttp.ClientTimeout(total=answer_within, sock_connect=connect_within)

    async def ask(self) -> Answer | Unanswered:
        """Every alert that it shows. Whatever goes wrong is said, never an exception."""
        said = await self._get(f"alerts?{_EVERYTHING}")
        if isinstance(said, Unanswered):
            return said
        if len(said.body) <= LARGE_BODY:
            return read_alerts(said.body, self._receivers)
        return await asyncio.to_thread(read_alerts, said.body, self._receivers)

    async def up_for(self) -> timedelta | Unanswered:
        """For how long it has been running."""
        said = await self._get("status")
        return said if isinstance(said, Unanswered) else read_up_for(said.body, said.date, now=datetime.now(UTC))

    async def muted(self) -> Collection[bytes] | Unanswered:
        """The digests of the alerts that it tells nobody of just now because of the time of day.

        It shows that in its groups alone, and before 0.28 nowhere; then it must not mute anything.
        """
        said = await self._get("alerts/groups")
        if isinstance(said, Unanswered):
            return said
        muted = await asyncio.to_thread(read_muted, said.body)
        if muted is not None:
            return muted
        status = await self._get("status")
        if isinstance(status, Unanswered):
            return status
        if mutes_by_time(status.body):
            return Unanswered("it mutes by time intervals, and this version (before 0.28) does not say what")
        return frozenset()

    async def silences(self, ids: Iterable[str]) -> Mapping[str, Silence]:
        """What is told of silences, of those that it knows."""
        # What stands in an answer of a stranger must not lead anywhere else.
        wanted = [each for each in ids if _ID.fullmatch(each)]
        told = await asyncio.gather(*(self._get(f"silence/{each}") for each in wanted))
        read = (
            (number, read_silence(said.body))
            for number, said in zip(wanted, told, strict=True)
            if isinstance(said, _Said)
        )
        return {number: silence for number, silence in read if silence is not None}

    async def _get(self, what: str) -> _Said | Unanswered:
        try:
            authorization, secrets = self._credentials.read() if self._credentials else ("", ())
        except (OSError, ValueError) as error:
            # Not the error's text: it may hold what was read.
            return Unanswered(f"the secret cannot be read: {type(error).__name__}")
        headers = {**HEADERS, "Authorization": authorization} if authorization else HEADERS
        url = f"{self.name}/api/v2/{what}"
        try:
            async with self._session.get(
                url, headers=headers, timeout=self._timeout, allow_redirects=False
            ) as response:
                body = await beginning(response.content, LARGEST_ANSWER)
        except _NETWORK_ERRORS as error:
            said = f"{type(error).__name__}: {error}".removesuffix(": ")
            return Unanswered(one_line(redact(said, secrets), LONGEST_DETAIL))
        if len(body) > LARGEST_ANSWER:
            return Unanswered(f"answered {response.status} with more than {LARGEST_ANSWER // 1024**2} MiB")
        return refusal(response.status, body, secrets) or _Said(body, response.headers.get("Date", ""))
