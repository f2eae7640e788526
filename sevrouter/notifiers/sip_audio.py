"""What is heard in a call: speech that is played into it, and another call that it is connected to."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from sevrouter.notifiers.sound import resampled

if TYPE_CHECKING:
    from collections.abc import Callable

    from baresip import Call, UserAgent

    from sevrouter.notifiers.sound import Sound

# Seconds.
PIECE = 0.1
# As much is given ahead as a busy machine may pause for; the library has room for twice that.
AHEAD = 1.0
LOOK_EVERY = 0.02
# Bytes at 8 kHz: 80 ms, half a second and one second.
CUSHION, LATEST, LONGEST_PIECE = 1_280, 8_000, 16_000
# Two packets.
TICK = 0.04
# What has left is heard a little later.
TAIL = 0.3
MEDIA_WITHIN = 5.0
# How long the bridge may take to answer, and what a comma in its dial string waits.
BRIDGE_WITHIN = 40.0
COMMA = 2.0


async def play(call: Call, sound: Sound) -> None:
    """Say it, to its end; where this is cancelled it stops at once. Without media it says nothing."""
    from baresip import AudioNotActive, AudioRestarted  # noqa: PLC0415  an extra

    try:
        rate, channels = await _ready(call)
        # What was said before and has been cut off is thrown away at the next tick, and whatever was written by then.
        await _room(call, 0)
        await asyncio.sleep(TICK)
        for piece in resampled(sound, rate, piece=round(rate * PIECE)):
            left = piece if channels == 1 else b"".join(piece[at : at + 2] * channels for at in range(0, len(piece), 2))
            while left:
                with contextlib.suppress(AudioRestarted):
                    await _room(call, round(rate * AHEAD) * 2 * channels)
                    left = left[call.audio.write(left) :]
        await _room(call, 0)
        await asyncio.sleep(TAIL)
    except (AudioNotActive, TimeoutError):
        return
    except asyncio.CancelledError:
        with contextlib.suppress(AudioNotActive, AudioRestarted):
            call.audio.flush_tx()
        raise


async def _ready(call: Call) -> tuple[int, int]:
    """The rate and the channels of what we say, once there are any."""
    from baresip import AudioNotActive  # noqa: PLC0415

    async with asyncio.timeout(MEDIA_WITHIN):
        while True:
            with contextlib.suppress(AudioNotActive):
                info = call.audio.info()
                if info.tx_ready:
                    return info.tx_sample_rate, info.tx_channels
            await asyncio.sleep(LOOK_EVERY)


async def _room(call: Call, most: int) -> None:
    while True:
        # Nothing tells when a sample has left, so it is asked for.
        if call.audio.info().tx_buffered <= most:
            return
        await asyncio.sleep(LOOK_EVERY)


async def connect(agent: UserAgent, call: Call, address: str, digits: str, *, connected: Callable[[], None]) -> str:
    """Call another address, press these digits there, and let the two hear each other until one hangs up.

    Gives why it is over. Most trunks refuse to transfer a call, and none presses keys for a call that was transferred:
    so both calls stay with us.
    """
    from baresip import BaresipError  # noqa: PLC0415

    try:
        other = await agent.dial(address)
    except (BaresipError, ValueError) as error:
        return str(error)
    relay: list[asyncio.Task[None]] = []
    try:
        await other.wait_established(BRIDGE_WITHIN)
        connected()
        relay = [asyncio.create_task(_pass_on(*way)) for way in ((other, call), (call, other))]
        # Whoever mutes themselves there does so with a key.
        call.on_dtmf(lambda digit: relay.append(asyncio.create_task(_press(other, digit.digit))))
        await _press(other, digits)
        await asyncio.wait(relay[:2], return_when=asyncio.FIRST_COMPLETED)
    except BaresipError as error:
        return str(error)
    finally:
        for each in relay:
            each.cancel()
        with contextlib.suppress(BaresipError):
            await other.hangup()
    return "it has ended"


async def _press(call: Call, digits: str) -> None:
    for digit in digits:
        if digit == ",":
            await asyncio.sleep(COMMA)
        else:
            await call.send_dtmf(digit)
            await asyncio.sleep(0.12)


async def _pass_on(heard: Call, spoken: Call) -> None:
    """What is heard in one call is said in the other, until either is over."""
    from baresip import AudioNotActive, AudioRestarted, CallState  # noqa: PLC0415

    kept = b""
    while CallState.CLOSED not in (heard.state, spoken.state):
        with contextlib.suppress(AudioNotActive, AudioRestarted):
            kept += heard.audio.read(LONGEST_PIECE)
            ahead = spoken.audio.info().tx_buffered
            # Packets do not come on the dot: a little is kept back, so that a late one leaves no gap.
            if ahead or len(kept) >= CUSHION:
                # What has piled up would be heard late from now on.
                kept = b"" if ahead >= LATEST else kept[spoken.audio.write(kept) :]
        await asyncio.sleep(LOOK_EVERY)
