"""What the daemon and the process that makes one call by SIP say to each other: orders one way, news the other.

One line of JSON each; the sound of what is to be said follows its line as so many bytes. Must not know who acts on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    import asyncio


class Dial(Struct, frozen=True, tag="dial", kw_only=True):
    """Call `number`. `server` is a host, with a port where it is not the usual one.

    `username` and `password` are for a server that asks who we are; `caller` is who we say that is calling.
    """

    server: str
    transport: str
    caller: str
    number: str
    username: str | None = None
    password: str = ""
    interface: str | None = None
    authorities: str | None = None
    srtp: bool = False

    def __repr__(self) -> str:
        # Without the password, wherever it ends up.
        return f"Dial(server={self.server!r}, number={self.number!r})"


class Say(Struct, frozen=True, tag="say"):
    """Say what follows: `size` bytes of 16-bit mono samples, `rate` of them a second. What is being said stops."""

    number: int
    rate: int
    size: int


class HangUp(Struct, frozen=True, tag="hang_up"):
    """End the call, whatever it is doing."""


class Connect(Struct, frozen=True, tag="connect"):
    """Call another number, press `digits` there (a comma waits), and connect the two calls."""

    number: str
    digits: str


Order = Dial | Say | HangUp | Connect


class Sent(Struct, frozen=True, tag="sent"):
    """The server is about to be asked for the call: from now on it may ring."""


class Heard(Struct, frozen=True, tag="heard"):
    """The server said that it sees to the call (100), that it rings (180) or the like."""

    status: int
    call_id: str


class Answered(Struct, frozen=True, tag="answered"):
    """Somebody, or something, answered, and can hear us."""

    call_id: str


class Said(Struct, frozen=True, tag="said"):
    """Order `number` to say something was carried out to its end."""

    number: int


class Pressed(Struct, frozen=True, tag="pressed"):
    """A key was pressed."""

    key: str


class Connected(Struct, frozen=True, tag="connected"):
    """The two calls are connected."""


class NotConnected(Struct, frozen=True, tag="not_connected"):
    """The other call did not come about, or has ended; this one goes on."""

    detail: str


class Over(Struct, frozen=True, tag="over"):
    """The call is over. `status` is the server's last word before anybody answered, None where it said nothing."""

    status: int | None
    text: str


class Failed(Struct, frozen=True, tag="failed"):
    """The call could not even be asked for; `is_ours`: and never will be as this machine is set up."""

    detail: str
    is_ours: bool = False


News = Sent | Heard | Answered | Said | Pressed | Connected | NotConnected | Over | Failed

_ENCODER = msgspec.json.Encoder()
_ORDERS: msgspec.json.Decoder[Order] = msgspec.json.Decoder(Order)
_NEWS: msgspec.json.Decoder[News] = msgspec.json.Decoder(News)


def encoded(message: Order | News, sound: bytes = b"") -> bytes:
    """A message as it is sent."""
    return _ENCODER.encode(message) + b"\n" + sound


class Bytes(Protocol):
    """What can be read from: asyncio's stream reader, or a stand-in."""

    async def readline(self) -> bytes: ...

    async def readexactly(self, n: int) -> bytes: ...


async def read_order(stream: Bytes) -> tuple[Order, bytes] | None:
    """The next order and its sound; None where nobody gives any more."""
    try:
        line = await stream.readline()
        if not line.endswith(b"\n"):
            return None
        order = _ORDERS.decode(line)
        return order, await stream.readexactly(order.size) if isinstance(order, Say) else b""
    except (msgspec.DecodeError, ValueError, EOFError, OSError):
        return None


async def read_news(stream: asyncio.StreamReader) -> News | None:
    """The next news; None where there will be none."""
    try:
        line = await stream.readline()
        return _NEWS.decode(line) if line.endswith(b"\n") else None
    except (msgspec.DecodeError, ValueError, OSError):
        return None
