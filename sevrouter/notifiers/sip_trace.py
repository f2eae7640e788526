"""What a SIP server answers, message by message, as the library writes them to its log.

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
class Answer:
    """An answer to a request of ours of this method."""

    method: str
    status: int
    call_id: str


def read(text: str) -> Answer | None:
    """The answer in a line of the log; None where it is another message, or unreadable."""
    direction, _, message = text.partition("\n")
    message = message.partition("\r\n\r\n")[0]
    status, method, call_id = _STATUS.match(message), _METHOD.search(message), _CALL_ID.search(message)
    if not direction.startswith("RX") or status is None or method is None or call_id is None:
        return None
    return Answer(method[1].upper(), int(status[1]), call_id[1])


def heed(handle: Callable[[Answer], None]) -> None:
    """Hand on each answer from now on, in the loop that runs: the library writes its log in a thread of its own."""
    logger = logging.getLogger(LOGGER)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(_Handler(handle, asyncio.get_running_loop()))


class _Handler(logging.Handler):
    def __init__(self, handle: Callable[[Answer], None], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._handle = handle
        self._loop = loop

    def emit(self, record: logging.LogRecord) -> None:
        answer = read(record.getMessage())
        if answer is not None:
            self._loop.call_soon_threadsafe(self._handle, answer)
