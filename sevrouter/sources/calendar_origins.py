"""Where the text of a calendar comes from: a file, or an address that is asked for it. One attempt, bounded.

The address is a secret: nothing of it is told, its host included.
"""

from __future__ import annotations

import asyncio
import stat
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp
import structlog
from msgspec import structs

from sevrouter.engine.calendar_ports import Unread
from sevrouter.sources.calendar import Said
from sevrouter.sources.calendar_copy import Copy, CopyFile
from sevrouter.sources.connection import HEADERS, beginning

if TYPE_CHECKING:
    from collections.abc import Hashable
    from pathlib import Path

    from sevrouter.sources.connection import Secret

log = structlog.get_logger()

# Bytes. A rota of ten people for years is a hundredth of it.
LARGEST = 10 * 2**20
# Seconds
CONNECT_WITHIN = 3.0
ANSWER_WITHIN = 10.0
MOST_REDIRECTS = 5
# A file is looked at so often, and read when it was changed.
FILE_EVERY = timedelta(seconds=5)

_HEADERS = {**HEADERS, "Accept": "text/calendar, */*;q=0.1"}


class CalendarFile:
    """A file. It is its own copy: what was read of it before counts while we run, and no longer."""

    every = FILE_EVERY

    def __init__(self, path: Path) -> None:
        self._path = path
        self._signature: tuple[int, int, int] | None = None
        self._said: Said | None = None
        self._good: Said | None = None

    @property
    def identity(self) -> Hashable:
        """Its name."""
        return self._path

    async def ask(self, now: datetime) -> Said | Unread:
        """The text as it is now."""
        try:
            read = await asyncio.to_thread(self._read)
        except (OSError, ValueError) as error:
            self._signature = None
            return Unread(f"the file cannot be read: {getattr(error, 'strerror', None) or 'not a file name'}")
        if isinstance(read, Unread):
            return read
        if read is not None:
            self._said = Said(read, now)
        assert self._said is not None  # what is unchanged was read before
        return self._said

    async def recall(self) -> Said | Unread:
        """The text that was good last; the file where none was."""
        return self._good or await self.ask(datetime.now(UTC))

    async def keep(self) -> None:
        """The text that was given last is a calendar."""
        self._good = self._said

    def forget(self) -> None:
        """It is none; whether it was changed is all that needs to be looked at."""

    def _read(self) -> str | Unread | None:
        """The text; None where nothing has changed. Raises OSError or ValueError."""
        found = self._path.stat()
        signature = (found.st_mtime_ns, found.st_size, found.st_ino)
        if signature == self._signature and self._said is not None:
            return None
        # A pipe or a device would block us, or never end.
        if not stat.S_ISREG(found.st_mode):
            return Unread("the file cannot be read: it is no file")
        with self._path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            return Unread(f"the file is larger than {LARGEST // 2**20} MiB")
        self._signature = signature
        return _text(content)


class CalendarUrl:
    """An address, asked for at each question since it may be rotated. `copies` is the directory of copies, if any.

    `session` may be shared. Without `keeps` the copies are only read. Times are in seconds.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: Secret,
        *,
        copies: Path | None,
        every: timedelta,
        keeps: bool = True,
        answer_within: float = ANSWER_WITHIN,
    ) -> None:
        self.every = every
        self._session = session
        self._url = url
        self._copies = copies
        self._keeps = keeps
        self._timeout = aiohttp.ClientTimeout(total=answer_within, sock_connect=CONNECT_WITHIN)
        # What was given last, and what of it was good; both belong to an address.
        self._given: tuple[str, Copy] | None = None
        self._good: tuple[str, Copy] | None = None
        self._cannot_keep: str | None = None

    @property
    def identity(self) -> Hashable:
        """Where the address comes from, and how often it is asked."""
        return self._url, self._copies, self.every

    async def ask(self, now: datetime) -> Said | Unread:
        """The text as it is now."""
        url = self._address()
        if isinstance(url, Unread):
            return url
        good = await self._good_of(url)
        try:
            given = await self._get(url, good, now)
        except Exception as error:  # noqa: BLE001  whatever it is: its text may name the address, and goes no further
            is_late = isinstance(error, TimeoutError)
            return Unread("no answer in time" if is_late else f"no answer: {type(error).__name__}")
        if isinstance(given, Unread):
            return given
        self._given = url, given
        return Said(given.text, now)

    async def _get(self, url: str, good: Copy | None, now: datetime) -> Copy | Unread:
        """What it answers. Raises whatever a connection does."""
        async with self._session.get(
            url, headers=_asking(good), timeout=self._timeout, max_redirects=MOST_REDIRECTS
        ) as response:
            hops = (*response.history, response)
            if urlsplit(url).scheme == "https" and any(each.url.scheme != "https" for each in hops):
                return Unread("a redirect from https to http")
            if response.status == 304 and good is not None:
                return structs.replace(good, at=now)
            if response.status != 200:
                return Unread(f"answered {response.status}")
            body = await beginning(response.content, LARGEST)
            if len(body) > LARGEST:
                return Unread(f"answered with more than {LARGEST // 2**20} MiB")
            return Copy(_text(body), now, response.headers.get("ETag"), response.headers.get("Last-Modified"))

    async def recall(self) -> Said | Unread:
        """The last text that was a calendar."""
        url = self._address()
        if isinstance(url, Unread):
            return url
        good = await self._good_of(url)
        return Said(good.text, good.at) if good is not None else Unread("it was never read")

    async def keep(self) -> None:
        """The text that was given last is a calendar: keep it, on disk if there is a place."""
        if self._given is None:
            return
        url, copy = self._given
        before, self._good = self._good, self._given
        if self._copies is None or not self._keeps:
            return
        is_kept = before is not None and before[0] == url and _is_same(before[1], copy) and not self._cannot_keep
        file = CopyFile(self._copies, url)
        try:
            await asyncio.to_thread(*((file.confirm, copy.at) if is_kept else (file.write, copy)))
            self._cannot_keep = None
        except OSError as error:
            reason = error.strerror or type(error).__name__
            if reason != self._cannot_keep:
                log.error("calendar_not_kept", directory=str(self._copies), reason=reason)  # noqa: TRY400  known
            self._cannot_keep = reason

    def forget(self) -> None:
        """What was given last is no calendar: what was good before is asked after again."""
        self._given = None

    def _address(self) -> str | Unread:
        try:
            url = self._url()
            parts = urlsplit(url)
        except (OSError, ValueError) as error:
            return Unread(f"the address cannot be read: {type(error).__name__}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            return Unread("the address is no http(s) address")
        return url

    async def _good_of(self, url: str) -> Copy | None:
        if self._good is not None and self._good[0] == url:
            return self._good[1]
        copy = await asyncio.to_thread(CopyFile(self._copies, url).read) if self._copies is not None else None
        self._good = (url, copy) if copy is not None else None
        return copy


def _is_same(one: Copy, other: Copy) -> bool:
    return (one.text, one.etag, one.modified) == (other.text, other.etag, other.modified)


def _asking(good: Copy | None) -> dict[str, str]:
    """The headers, which say what we have already."""
    conditions = {"If-None-Match": good.etag, "If-Modified-Since": good.modified} if good is not None else {}
    return {**_HEADERS, **{name: value for name, value in conditions.items() if value}}


def _text(content: bytes) -> str:
    return content.removeprefix(b"\xef\xbb\xbf").decode(errors="replace")
