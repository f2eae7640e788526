"""A SIP server that takes calls and gives them a last word: busy, no such number, nobody, who are you.

It speaks SIP over UDP (RFC 3261) to a real SIP library, and is strict: a malformed request, an INVITE with the wrong
credentials, a call that was not acknowledged, or a call that no test expected, fails the test. Nobody answers here.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

USER, PASSWORD, REALM, NONCE = "sevrouter-trunk", "opaque secret; of the trunk", "pbx.example", "5f2c9b1e"
WITHIN = 15.0  # seconds
_PARAMETER = re.compile(r'(\w+)="?([^",]*)"?')


@dataclass
class Invite:
    """A call that was asked for."""

    number: str
    caller: str
    call_id: str
    claimed: bool = False
    acknowledged: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True)
class Request:
    """A request as it arrived. Names of headers are lower case."""

    method: str
    uri: str
    headers: Mapping[str, str]
    address: tuple[str, int]
    vias: tuple[str, ...]


class SipServer(asyncio.DatagramProtocol):
    """`status` is its last word, None for none at all; `provisional` what it says before that, each with its status."""

    def __init__(
        self,
        status: str | None,
        *,
        provisional: tuple[str, ...] = ("100 Trying",),
        headers: str = "",
        asks_who: bool = False,
    ) -> None:
        self.status = status
        self.provisional = provisional
        self.headers = headers
        self.asks_who = asks_who
        self.invites: list[Invite] = []
        self.problems: list[str] = []
        self.asked = 0
        self._news = asyncio.Condition()
        self._transport: asyncio.DatagramTransport | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._transport is not None
        self._transport.close()
        if error is None:
            unexpected = [each for each in self.invites if not each.claimed]
            assert not unexpected, f"calls that nobody expected: {unexpected}"
            assert not self.problems, self.problems

    @property
    def address(self) -> str:
        """Where it is called."""
        assert self._transport is not None
        host, port = self._transport.get_extra_info("sockname")
        return f"{host}:{port}"

    async def expect_invite(self, number: str) -> Invite:
        """Wait for a call to a number, and claim it."""

        def found() -> Invite | None:
            return next((each for each in self.invites if each.number == number and not each.claimed), None)

        async with self._news:
            await asyncio.wait_for(self._news.wait_for(lambda: found() is not None), WITHIN)
        invite = found()
        assert invite is not None
        invite.claimed = True
        return invite

    # The protocol.

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Take one message."""
        try:
            request = _read(data.decode(), addr)
        except (ValueError, KeyError) as error:
            self.problems.append(f"malformed: {error!r}: {data!r}")
            return
        self.asked += request.method == "INVITE"
        if self.status is None and not self.provisional:
            return
        match request.method:
            case "INVITE":
                self._on_invite(request)
            case "ACK":
                self._of(request).acknowledged.set()
            case "CANCEL":
                self._of(request).cancelled.set()
                self._answer(request, "200 OK")
                self._answer(request, "487 Request Terminated", method="INVITE")
            case other:
                self.problems.append(f"nobody expects {other} of a call that was not answered")

    def _on_invite(self, request: Request) -> None:
        if self.asks_who:
            known = request.headers.get("authorization")
            if known is None:
                challenge = f'WWW-Authenticate: Digest realm="{REALM}", nonce="{NONCE}", algorithm=MD5\r\n'
                self._of(request)
                self._answer(request, "401 Unauthorized", headers=challenge)
                return
            if not _is_right(known, request):
                self._answer(request, "403 Forbidden")
                return
        is_new = request.headers["call-id"] not in {each.call_id for each in self.invites}
        self._of(request)
        if is_new or self.asks_who:
            for status in self.provisional:
                self._answer(request, status)
        if self.status is not None:
            self._answer(request, self.status, headers=self.headers)

    def _of(self, request: Request) -> Invite:
        call_id = request.headers["call-id"]
        for each in self.invites:
            if each.call_id == call_id:
                return each
        number = request.uri.removeprefix("sip:").partition("@")[0]
        caller = request.headers["from"].partition("sip:")[2].partition("@")[0]
        invite = Invite(number, caller, call_id)
        self.invites.append(invite)
        asyncio.get_running_loop().create_task(self._tell())
        return invite

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    def _answer(self, request: Request, status: str, *, headers: str = "", method: str | None = None) -> None:
        assert self._transport is not None
        via = "".join(f"Via: {each}\r\n" for each in request.vias)
        to = request.headers["to"] + (
            "" if status.startswith("100") or ";tag=" in request.headers["to"] else ";tag=pbx"
        )
        sequence = request.headers["cseq"] if method is None else f"{request.headers['cseq'].split()[0]} {method}"
        answer = (
            f"SIP/2.0 {status}\r\n{via}From: {request.headers['from']}\r\nTo: {to}\r\n"
            f"Call-ID: {request.headers['call-id']}\r\nCSeq: {sequence}\r\n{headers}Content-Length: 0\r\n\r\n"
        )
        self._transport.sendto(answer.encode(), request.address)


def _read(text: str, address: tuple[str, int]) -> Request:
    head = text.partition("\r\n\r\n")[0].split("\r\n")
    method, uri, version = head[0].split(" ")
    if version != "SIP/2.0" or not uri.startswith("sip:"):
        raise ValueError(head[0])
    headers: dict[str, str] = {}
    vias: list[str] = []
    for line in head[1:]:
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError(line)
        if name.lower() == "via":
            vias.append(value.strip())
        headers[name.lower()] = value.strip()
    for required in ("from", "to", "call-id", "cseq", "via", "max-forwards"):
        headers[required]
    return Request(method, uri, headers, address, tuple(vias))


def _is_right(header: str, request: Request) -> bool:
    """Whether a digest (RFC 2617) was made with our password."""
    given: dict[str, str] = dict(_PARAMETER.findall(header.partition(" ")[2]))
    secret = _md5(f"{USER}:{REALM}:{PASSWORD}")
    what = _md5(f"{request.method}:{given['uri']}")
    middle = f"{NONCE}:{given['nc']}:{given['cnonce']}:{given['qop']}" if "qop" in given else NONCE
    is_proof = given["response"] == _md5(f"{secret}:{middle}:{what}")
    return given["username"] == USER and is_proof


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
