"""A call of the fake Twilio: its way from the queue to its end, and the person who holds the telephone.

A person is scripted by number, or does what the test says: `answer`, `press`, `hang_up`, `decline`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from tests.standins.twilio_documents import InvalidDocumentError, parse
from tests.standins.vendor import WITHIN, Effect

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

# Asks an address with a call's parameters and some more, and returns what it answered: None where that is not 200.
Fetch = Callable[["Placed", str, Mapping[str, str]], Awaitable[str | None]]


@dataclass(frozen=True)
class Person:
    """What somebody does with a call. `keys` are pressed one at each chance; without more, nothing is pressed.

    `status` is what becomes of a call that is not answered: busy, no-answer, failed. `refused` is the code of the
    error with which the number is refused. `None` for `answers` leaves it to the test.
    """

    answers: bool | None = None
    keys: tuple[str, ...] = ()
    status: str = "no-answer"
    refused: int | None = None


@dataclass(kw_only=True)
class Placed(Effect):
    """A call as the telephone network sees it."""

    sid: str
    to: str
    caller: str
    document: str = field(repr=False)
    form: Mapping[str, list[str]] = field(repr=False)
    person: Person = field(repr=False)
    created_at: datetime = field(repr=False)
    started_at: datetime | None = field(default=None, repr=False)
    status: str = "queued"
    statuses: list[str] = field(default_factory=lambda: ["queued"])
    heard: list[str] = field(default_factory=list)
    dialled: list[tuple[str, str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    hidden: int = field(default=0, repr=False)
    sequence: int = field(default=0, repr=False)
    _fate: asyncio.Future[str] = field(default_factory=lambda: asyncio.get_running_loop().create_future(), repr=False)
    _keys: asyncio.Queue[str] = field(default_factory=asyncio.Queue, repr=False)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition, repr=False)
    _speaking: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def is_over(self) -> bool:
        """Whether nothing happens any more."""
        return self.status not in ("queued", "ringing", "in-progress")

    @property
    def text(self) -> str:
        """All that was heard."""
        return "\n".join(self.heard)

    # The person

    def answer(self) -> None:
        """Take the call."""
        self._decide("in-progress")

    def decline(self, status: str = "busy") -> None:
        """Do not."""
        self._decide(status)

    def press(self, keys: str) -> None:
        """Press keys, each where one is waited for; take the call first."""
        self._decide("in-progress")
        for key in keys:
            self._keys.put_nowait(key)

    def hang_up(self) -> None:
        """Put the telephone down."""
        if self._speaking is not None:
            self._speaking.cancel()

    def be_silent(self) -> None:
        """Press nothing this time."""
        self._keys.put_nowait("")

    async def until(self, status: str, *, within: float = WITHIN) -> None:
        """Until it has come to this."""
        async with self._changed, asyncio.timeout(within):
            await self._changed.wait_for(lambda: status in self.statuses)

    async def until_heard(self, text: str, *, within: float = WITHIN) -> None:
        """Until something was said."""
        async with self._changed, asyncio.timeout(within):
            await self._changed.wait_for(lambda: text in self.text)

    def _decide(self, status: str) -> None:
        if not self._fate.done():
            self._fate.set_result(status)

    # The network

    async def become(self, status: str) -> None:
        """Go on to a status."""
        self.note(status)
        await self.tell()

    def note(self, status: str) -> None:
        """Have come to a status."""
        self.status = status
        self.statuses.append(status)

    async def tell(self) -> None:
        """Wake who waits for a status."""
        async with self._changed:
            self._changed.notify_all()

    async def is_answered(self) -> bool:
        """Ring, and say whether somebody answered; the status says why not."""
        if self.person.answers is not None:
            self._decide("in-progress" if self.person.answers else self.person.status)
        timeout = float(self.form.get("Timeout", ["60"])[0])
        try:
            async with asyncio.timeout(timeout):
                status = await asyncio.shield(self._fate)
        except TimeoutError:
            status = "no-answer"
        if not self.is_over:
            await self.become(status)
        return status == "in-progress" and self.status == "in-progress"

    def cancel(self) -> None:
        """Stop ringing."""
        self._decide("canceled")

    async def talk(self, fetch: Fetch) -> None:
        """Do what the document says, until it ends or somebody hangs up. Another document begins anew."""
        for key in self.person.keys:
            self._keys.put_nowait(key)
        while True:
            document = self.document
            self._speaking = asyncio.create_task(self._execute(document, fetch))
            with contextlib.suppress(asyncio.CancelledError):
                await self._speaking
            if self.document is document:
                return

    def interrupt(self, document: str | None) -> None:
        """Have another document spoken instead; hang up where there is none."""
        if document is not None:
            self.document = document
        self.hang_up()

    async def _execute(self, document: str, fetch: Fetch) -> None:
        following: str | None = document
        while following is not None:
            try:
                verbs = parse(following)
            except InvalidDocumentError as error:
                self.errors.append(str(error))
                return
            following = await self._perform(verbs, fetch)

    async def _perform(self, verbs: list[Element], fetch: Fetch) -> str | None:
        """Perform one document; what is to be performed next, if anything is."""
        for verb in verbs:
            match verb.tag:
                case "Say":
                    await self._hear((verb.text or "") * 1, int(verb.get("loop", "1")))
                case "Gather":
                    for each in verb:
                        await self._hear(each.text or "")
                    if digits := await self._key():
                        return await self._ask(fetch, verb.attrib["action"], {"Digits": digits, "msg": "Gather End"})
                case "Redirect":
                    return await self._ask(fetch, (verb.text or "").strip(), {})
                case "Dial":
                    number = verb[0]
                    self.dialled.append(((number.text or "").strip(), number.get("sendDigits", "")))
                case "Hangup":
                    return None
        return None

    async def _ask(self, fetch: Fetch, url: str, parameters: Mapping[str, str]) -> str | None:
        answered = await fetch(self, url, parameters)
        if answered is None:
            self.errors.append(f"no document from {url}")
        return answered

    async def _hear(self, text: str, times: int = 1) -> None:
        async with self._changed:
            self.heard += [text] * times
            self._changed.notify_all()

    async def _key(self) -> str:
        # Who is scripted and has no more to press never will; the test itself may take its time.
        if self.person.answers and self._keys.empty():
            return ""
        return await self._keys.get()
