"""The telephone of a test, in a process of its own: takes calls by SIP, does as it is told, and records what it hears.

One line of JSON each: orders come by standard input, what happens leaves by standard output.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from typing import Any

from baresip import Account, AudioNotActive, AudioRestarted, BaresipError, Call, Config, Runtime, UserAgent
from baresip.events import Event

_FRAME = 0.02


class Telephone:
    """`folder` is where recordings go: one file of raw samples (16 bits, 8 kHz) a call, by its number from 1 on."""

    def __init__(self, folder: str, say: Any) -> None:
        self._folder = folder
        self._say = say
        self._calls: dict[int, Call] = {}
        self._recording: dict[int, asyncio.Task[None]] = {}

    def on_incoming(self, call: Call) -> None:
        """It rings."""
        number = len(self._calls) + 1
        self._calls[number] = call
        call.on(lambda event: self._on_event(number, event.event, event.text))
        call.on_dtmf(lambda digit: self._say(event="key", call=number, key=digit.digit))
        self._say(event="rings", call=number, caller=call.peer, call_id=call.call_id)

    def _on_event(self, number: int, event: Event, text: str | None) -> None:
        if event is Event.CALL_ESTABLISHED:
            self._recording[number] = asyncio.create_task(self._record(number))
            self._say(event="established", call=number)
        elif event is Event.CALL_CLOSED and number not in self._recording:
            self._say(event="over", call=number, why=text)

    async def _record(self, number: int) -> None:
        """Keep what is heard until the call is over; tell each half second how much that is."""
        call, heard, told = self._calls[number], 0, 0
        with open(f"{self._folder}/{number}.raw", "wb") as file:  # noqa: ASYNC230, PTH123  nothing else waits for it
            while call.state.value != "closed":
                with contextlib.suppress(AudioNotActive, AudioRestarted):
                    piece = call.audio.read(16_000)
                    file.write(piece)
                    file.flush()
                    heard += len(piece)
                if heard - told >= 8_000:
                    told = heard
                    self._say(event="heard", call=number, seconds=heard / 16_000)
                await asyncio.sleep(_FRAME)
        self._say(event="over", call=number, why="")

    async def _speak(self, call: Call, name: str) -> None:
        with open(name, "rb") as file:  # noqa: ASYNC230, PTH123  as above
            left = (file.read() + bytes(8_000)) * 5
        while left and call.state.value != "closed":
            with contextlib.suppress(AudioNotActive, AudioRestarted):
                if call.audio.info().tx_buffered < 3_200:
                    left = left[call.audio.write(left[:1_600]) :]
            await asyncio.sleep(_FRAME)

    async def obey(self, order: dict[str, Any]) -> None:
        """Do it."""
        call = self._calls[order["call"]]
        match order["do"]:
            case "answer":
                await call.answer()
            case "reject":
                await call.reject()
            case "hang_up":
                await call.hangup()
            case "press":
                await call.send_dtmf(order["keys"])
            case "say":
                self._speaking = asyncio.create_task(self._speak(call, order["file"]))
            case other:
                raise ValueError(other)


async def main(port: int, folder: str, mode: str, transport: Any, certificate: str) -> None:
    """Be a telephone until nobody gives orders any more."""
    news = os.dup(1)
    os.dup2(2, 1)

    def say(**what: object) -> None:
        os.write(news, json.dumps(what).encode() + b"\n")

    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    runtime = Runtime()
    settings = f"sip_listen 127.0.0.1:{port}\n" + (f"sip_certificate {certificate}\n" if certificate else "")
    await runtime.start(Config(net_interface="127.0.0.1", max_concurrent_calls=None, extra_config_text=settings))
    parameters = ["catchall=yes"]
    if mode == "srtp":
        parameters.append("mediaenc=srtp-mand")
    if certificate:
        parameters.append(f"cert={certificate}")
    account = Account(
        user="phone",
        domain=f"127.0.0.1:{port}",
        password="",
        reg_interval=0,
        transport=transport,
        dtmf_mode="info" if mode == "info" else "rtpevent",
        extra_params=tuple(parameters),
    )
    agent = await UserAgent.create(runtime, account)
    telephone = Telephone(folder, say)
    agent.on_incoming(telephone.on_incoming)
    say(event="ready")
    while line := await orders.readline():
        with contextlib.suppress(BaresipError):
            await telephone.obey(json.loads(line))
    await runtime.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), *sys.argv[2:]))
