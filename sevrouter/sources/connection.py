"""What every source is asked through: connections, credentials, a body that is read up to a size."""

from __future__ import annotations

import base64
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp

from sevrouter import __version__

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

# Seconds that a connection is kept. A storm asks much at once; one kept for longer dies unnoticed, and the question
# that finds out is lost.
KEPT = 2.0
# Connections. Prometheus evaluates 20 queries at once by default, and has others to answer.
MOST_AT_ONCE = 10

HEADERS = {"Accept": "application/json", "User-Agent": f"sevrouter/{__version__}"}

# Asked for at each question, since it may be rotated. Raises OSError or ValueError where there is none.
Secret = Callable[[], str]


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


Credentials = Bearer | Basic | None


async def beginning(content: aiohttp.StreamReader, most: int) -> bytes:
    """A body, or a byte more than the most that is read."""
    body = bytearray()
    while chunk := await content.read(most + 1 - len(body)):
        body += chunk
    return bytes(body)


@asynccontextmanager
async def open_session() -> AsyncIterator[aiohttp.ClientSession]:
    """Connections to ask through, for those of one kind or, after others, the next."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=MOST_AT_ONCE, keepalive_timeout=KEPT),
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        yield session
