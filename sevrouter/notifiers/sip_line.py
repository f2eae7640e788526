"""A telephone line: a process of its own that makes one call by SIP, as it is told, and tells how it goes.

The library that does it keeps state for its whole process and is not ours: should it crash or hang, one call ends and
the daemon does not. Whoever gave the orders being gone, it hangs up. Must not know what is said, or what a key means.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from typing import TYPE_CHECKING, assert_never

from sevrouter.notifiers.sip_audio import connect, play
from sevrouter.notifiers.sip_trace import Answer, heed
from sevrouter.notifiers.sip_words import (
    Answered,
    Connect,
    Connected,
    Dial,
    Failed,
    HangUp,
    Heard,
    NotConnected,
    Over,
    Pressed,
    Said,
    Say,
    Sent,
    encoded,
    read_order,
)
from sevrouter.notifiers.sound import Sound

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from baresip import Call, DigitEvent, StackEvent, UserAgent

    from sevrouter.notifiers.sip_words import News, Order

# Seconds. What is said in the first moment after somebody answered is often not heard.
SETTLE = 0.6
# How long the other side may take to agree that it is over.
ENDED_WITHIN = 3.0
# The log comes by another way than the events, and may be a little later.
HEEDED_WITHIN = 0.05
# Whoever sends no sound at all for so long has gone without a word; muted telephones send silence.
SILENT_FOR = 300
# Bytes of an order's line.
LONGEST_LINE = 65_536

# Whoever is asked who they are asks again.
_ASKS_WHO = frozenset({401, 407})
# Whoever gives the orders knows how long it rings; a call that is connected to another goes on; and names are looked up
# as everybody else on this machine does it.
_SETTINGS = "call_local_timeout 3600\ncall_hold_other_calls no\ndns_getaddrinfo yes\n"
_STATUS = re.compile(r"[3-6]\d\d\b")
# Telephone quality, which everybody understands.
CODECS = ("pcmu", "pcma")


class Line:
    """One call. `tell` hands on the news."""

    def __init__(self, dial: Dial, tell: Callable[[News], None]) -> None:
        self._dial = dial
        self._tell = tell
        self._agent: UserAgent | None = None
        self._call: Call | None = None
        self._playing: asyncio.Task[None] | None = None
        self._answered = asyncio.Event()
        self._is_decided = self._is_told = False
        self.over = asyncio.Event()

    async def place(self, agent: UserAgent) -> None:
        """Ask the server for the call."""
        self._agent = agent
        # Before it is: whoever hears that this process died has to know whether a phone may ring.
        self._tell(Sent())
        self._call = await agent.dial(address(self._dial.number, self._dial))
        self._call.on_dtmf(self._on_digit)

    def on_event(self, event: StackEvent) -> None:
        """Something happened to a call."""
        if self._call is not None and event.call != self._call.handle:
            return
        match event.event.name:
            case "CALL_ESTABLISHED":
                self._answered.set()
            case "CALL_CLOSED":
                asyncio.get_running_loop().call_later(HEEDED_WITHIN, self._end, event.text or "")

    def heed(self, answer: Answer) -> None:
        """The server answered a request of ours."""
        # What follows its last word on the call is about its sound, or another call.
        if self._is_decided or answer.method != "INVITE":
            return
        if answer.status < 200:
            self._tell(Heard(answer.status, answer.call_id))
        self._is_decided = answer.status >= 200 and answer.status not in _ASKS_WHO

    def _end(self, text: str) -> None:
        if self._answered.is_set():
            self._tell_answered()
        status = _STATUS.match(text) if not self._answered.is_set() else None
        self._tell(Over(int(status[0]) if status is not None else None, text))
        self.over.set()

    def _on_digit(self, digit: DigitEvent) -> None:
        self._tell(Pressed(digit.digit))

    async def obey(self, order: Order, sound: bytes) -> None:
        """Do as told."""
        match order:
            case Say(number, rate):
                await self._silence()
                self._playing = asyncio.create_task(self._say(number, Sound(rate, sound)))
            case Connect(number, digits):
                await self._silence()
                self._playing = asyncio.create_task(self._connect(number, digits))
            case HangUp():
                await self.hang_up()
            case Dial():
                pass  # There is one call a line.
            case _:
                assert_never(order)

    async def watch(self) -> None:
        """Say once that it was answered."""
        await self._answered.wait()
        await asyncio.sleep(SETTLE)
        self._tell_answered()

    def _tell_answered(self) -> None:
        if not self._is_told:
            self._is_told = True
            self._tell(Answered((self._call.call_id if self._call is not None else None) or ""))

    async def hang_up(self) -> None:
        """End the call, and wait a little until the other side agrees."""
        if self._call is None or self.over.is_set():
            self.over.set()
            return
        with contextlib.suppress(Exception):
            await self._silence()
            await self._call.hangup()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.over.wait(), ENDED_WITHIN)
        self.over.set()

    async def _silence(self) -> None:
        if self._playing is not None:
            self._playing.cancel()
            await asyncio.gather(self._playing, return_exceptions=True)
            self._playing = None

    async def _say(self, number: int, sound: Sound) -> None:
        if self._call is not None:
            await play(self._call, sound)
            self._tell(Said(number))

    async def _connect(self, number: str, digits: str) -> None:
        if self._call is None or self._agent is None:
            return
        detail = await connect(
            self._agent,
            self._call,
            address(number, self._dial),
            digits,
            connected=lambda: self._tell(Connected()),
        )
        self._tell(NotConnected(detail))


def address(number: str, dial: Dial) -> str:
    """The address of a number at the server that is dialled through."""
    return f"sip:{number}@{dial.server};transport={dial.transport}"


async def run(dial: Dial, orders: asyncio.StreamReader, tell: Callable[[News], None]) -> None:
    """Make the call, and obey until it is over or there are no more orders."""
    from baresip import Account, BaresipError, Config, Runtime, UserAgent  # noqa: PLC0415  an extra

    runtime = Runtime()
    line = Line(dial, tell)
    heed(line.heed)
    await runtime.start(
        Config(
            net_interface=dial.interface,
            sip_trace=True,
            native_log_level="error",
            # The call, and the one that it is connected to.
            max_concurrent_calls=2,
            rtp_timeout=SILENT_FOR,
            extra_config_text=f"{_SETTINGS}{_security(dial)}",
        )
    )
    runtime.subscribe(line.on_event)
    try:
        agent = await UserAgent.create(
            runtime,
            Account(
                user=dial.caller,
                domain=dial.server,
                password=dial.password,
                auth_user=dial.username,
                reg_interval=0,
                transport=_transport(dial.transport),
                audio_codecs=CODECS,
                extra_params=("mediaenc=srtp-mand",) if dial.srtp else (),
            ),
            transfer_policy="reject",
        )
        # Nobody calls this process: whoever tries is told that it is busy.
        rejecting: set[asyncio.Task[None]] = set()
        agent.on_incoming(lambda call: rejecting.add(asyncio.create_task(call.reject())))
        await line.place(agent)
        await _obey(line, orders)
    except BaresipError as error:
        tell(Failed(str(error)))
    finally:
        await line.hang_up()
        with contextlib.suppress(BaresipError):
            await runtime.close()


async def _obey(line: Line, orders: asyncio.StreamReader) -> None:
    watching = asyncio.create_task(line.watch())
    over = asyncio.create_task(line.over.wait())
    while True:
        reading = asyncio.create_task(read_order(orders))
        await asyncio.wait((over, reading), return_when=asyncio.FIRST_COMPLETED)
        order = None if over.done() else reading.result()
        if order is None:
            break
        await line.obey(*order)
    watching.cancel()
    reading.cancel()


def _transport(name: str) -> _Transport:
    return "tls" if name == "tls" else "tcp" if name == "tcp" else "udp"


def _security(dial: Dial) -> str:
    if dial.transport != "tls":
        return ""
    authorities = f"sip_cafile {dial.authorities}\n" if dial.authorities else ""
    return f"sip_verify_server yes\n{authorities}"


async def main(orders: BinaryIO, news: int) -> None:
    """Read who is to be called, and call."""
    loop = asyncio.get_running_loop()
    stream = asyncio.StreamReader(limit=LONGEST_LINE)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), orders)

    def tell(message: News) -> None:
        with contextlib.suppress(OSError):
            os.write(news, encoded(message))

    first = await read_order(stream)
    if first is None or not isinstance(first[0], Dial):
        return
    try:
        await run(first[0], stream, tell)
    except ImportError as error:
        tell(Failed(f"calls by SIP need the extra sevrouter[sip]: {error}", is_ours=True))
    except ValueError as error:
        tell(Failed(f"the call cannot be made as it is configured: {error}", is_ours=True))


def start() -> None:
    """Be the line: orders come by standard input, news leave by standard output, which nobody else may write to."""
    news = os.dup(1)
    os.dup2(2, 1)
    # Whoever interrupts the daemon at its terminal ends the call by way of the daemon, which says good-bye first.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(main(sys.stdin.buffer, news))


if TYPE_CHECKING:
    from typing import Literal

    _Transport = Literal["udp", "tcp", "tls"]

if __name__ == "__main__":
    start()
