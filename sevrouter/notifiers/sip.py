"""Calls by telephone through any SIP trunk or PBX: places one, and stays with it until it is over.

The keys that are pressed come inside the call, so nobody has to reach us. Must not know what a key means.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec import structs

from sevrouter.domain.address import is_address
from sevrouter.domain.delivery import OutcomeReason, Rejected, Retry
from sevrouter.domain.ringing import Rang, RingEnd
from sevrouter.notifiers.redaction import read_secret
from sevrouter.notifiers.sip_call import CallBySip, Timing
from sevrouter.notifiers.sip_process import LineError, ProcessLine
from sevrouter.notifiers.sip_words import Dial
from sevrouter.notifiers.speaking import Speech, SpeechError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Literal

    from sevrouter.domain.delivery import Unknown
    from sevrouter.domain.ringing import Ring, Script
    from sevrouter.engine.calling_ports import Conversation
    from sevrouter.notifiers.base import Secret
    from sevrouter.notifiers.sip_process import Line
    from sevrouter.notifiers.sound import Sound
    from sevrouter.notifiers.speaking import Speaks

RING_FOR = timedelta(seconds=30)
# Who calls, where neither a number nor a name is configured.
NOBODY = "sevrouter"

AUTHORITIES = ssl.get_default_verify_paths().cafile

_NUMBER = re.compile(r"\+?[0-9]{1,32}", re.ASCII)
# The library puts a password in quotes, and knows no way to write these within.
_UNQUOTABLE = frozenset('"\\')


class Sip:
    """One server: a trunk or a PBX. `server` is a host, with a port where it is not the usual one; for TLS, a name.

    `username` and `password` are for a server that asks who we are, `caller` who we say that is calling (by default
    the user's name). `interface` is the local address or the network interface to call from. `authorities` is a file of
    those who may vouch for a server that is called by TLS, by default the system's. `srtp` encrypts what is heard, and
    calls nobody with whom that cannot be. `start` starts a line.
    """

    def __init__(
        self,
        *,
        server: str,
        name: str = "sip",
        transport: Literal["udp", "tcp", "tls"] = "udp",
        username: str | None = None,
        password: Secret | None = None,
        caller: str | None = None,
        ring_for: timedelta = RING_FOR,
        speech: Speaks | None = None,
        interface: str | None = None,
        authorities: str | None = None,
        srtp: bool = False,
        timing: Timing | None = None,
        start: Callable[[], Awaitable[Line]] = ProcessLine.start,
    ) -> None:
        self._name = name
        self._dial = Dial(
            server=server,
            transport=transport,
            caller=caller or username or NOBODY,
            number="",
            username=username,
            interface=interface,
            authorities=authorities or AUTHORITIES,
            srtp=srtp,
        )
        self._password = password
        self._timing = replace(timing or Timing(), ring_for=ring_for.total_seconds())
        self._speech = speech or Speech()
        self._start = start

    @property
    def takes_keys(self) -> bool:
        """Whether anybody hears of a key that is pressed."""
        return True

    async def ring(self, ring: Ring, conversation: Conversation) -> Rang | Retry | Unknown | Rejected:
        """Place a call, and stay with it."""
        if self._dial.transport == "tls" and is_address(self._dial.server):
            return Rejected(OutcomeReason.NOT_CONFIGURED, "by TLS a server has to be named: an address is not checked")
        password = self._secret()
        if isinstance(password, Retry):
            return password
        if not _NUMBER.fullmatch(ring.number):
            return Rang(RingEnd.BAD_NUMBER, "this is no telephone number")
        script = await conversation.script()
        try:
            # Before anybody is rung, who would hear nothing but silence.
            first = script, await self._speech.speak(script.text)
        except SpeechError as error:
            return Retry(OutcomeReason.NOT_CONFIGURED, f"cannot speak: {error}")
        if conversation.stopped.is_set() or script.end is RingEnd.CANCELLED:
            return Rang(RingEnd.CANCELLED, "needed no more before it was placed")
        return await self._call(structs.replace(self._dial, number=ring.number, password=password), conversation, first)

    async def look_for(self, ring: Ring, conversation: Conversation) -> Rang | Retry | Unknown | Rejected:
        """Nobody can be asked: a call lives and dies with the process that made it.

        Without a reference the server may still have been asked for it in the last moment. So it may have rung, once
        and not for long, and whoever it is for is called again.
        """
        what = "was taken by the server" if ring.reference is not None else "may have been asked for"
        return Rang(RingEnd.LOST, f"the call {what}, and ended with the process that made it")

    async def _call(
        self, dial: Dial, conversation: Conversation, first: tuple[Script, Sound]
    ) -> Rang | Retry | Rejected:
        try:
            line = await self._start()
        except LineError as error:
            return Retry(OutcomeReason.INTERNAL_ERROR, str(error))
        try:
            call = CallBySip(
                line, conversation, speech=self._speech, timing=self._timing, first=first, provider=self._name
            )
            return await call.until_over(dial)
        finally:
            await line.close()

    def _secret(self) -> str | Retry:
        if self._password is None:
            return ""
        password = read_secret(self._password)
        if isinstance(password, str) and not _UNQUOTABLE.isdisjoint(password):
            return Retry(OutcomeReason.SECRET_UNREADABLE, "the password holds a character that cannot be passed on")
        return password
