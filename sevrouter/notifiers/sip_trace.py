"""What SIP messages a call has sent and got, as the library writes them to its log.

Its events leave out the first answers of a server ("I see to it"), by which one knows that a server is there at all.
Must not keep or show a message: it holds what we authenticate with.
"""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LOGGER = "baresip.native.sip"

_HEADER = r"^{}[ \t]*:[ \t]*"
_STATUS = re.compile(r"^SIP/2\.0 ([1-6]\d\d)\b", re.MULTILINE)
_CALL_ID = re.compile(_HEADER.format("(?:Call-ID|i)") + r"([^\s]{1,200})", re.MULTILINE | re.IGNORECASE)
_METHOD = re.compile(_HEADER.format("CSeq") + r"\d+[ \t]+([A-Z]+)", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Heeded:
    """A message. `status` is None where it is a request of ours."""

    method: str
    status: int | None
    call_id: str


def read(text: str) -> Heeded | None:
    """The message in a line of the log; None where it is a request of theirs, or unreadable."""
    direction, _, message = text.partition("\n")
    message = message.partition("\r\n\r\n")[0]
    method, call_id = _METHOD.search(message), _CALL_ID.search(message)
    if method is None or call_id is None:
        return None
    status = _STATUS.match(message)
    if direction.startswith("TX") is (status is not None):
        return None
    return Heeded(method[1].upper(), int(status[1]) if status is not None else None, call_id[1])


def heed(handle: Callable[[Heeded], None]) -> None:
    """Hand on each message from now on, in the loop that runs: the library writes its log in a thread of its own."""
    logger = logging.getLogger(LOGGER)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(_Handler(handle, asyncio.get_running_loop()))


class _Handler(logging.Handler):
    def __init__(self, handle: Callable[[Heeded], None], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._handle = handle
        self._loop = loop

    def emit(self, record: logging.LogRecord) -> None:
        heeded = read(record.getMessage())
        if heeded is not None:
            self._loop.call_soon_threadsafe(self._handle, heeded)
