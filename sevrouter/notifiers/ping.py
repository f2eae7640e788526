"""Asks for the address of an outside monitor, so that it knows that we live: one attempt, bounded in time.

The address is a secret: whoever has it can make a dead sevrouter look alive. Nothing of it is told, its host included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp

from sevrouter.domain.heartbeat import Ping
from sevrouter.notifiers.http import RedirectRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sevrouter.notifiers.http import Transport

# Seconds. A monitor that does not answer in time gets the next ping.
ANSWER_WITHIN = 10.0


class HttpPinger:
    """Pings by GET, and follows no redirect."""

    def __init__(self, transport: Transport, *, answer_within: float = ANSWER_WITHIN) -> None:
        self._transport = transport
        self._timeout = aiohttp.ClientTimeout(total=answer_within)

    async def ping(self, url: Callable[[], str]) -> tuple[Ping, str]:
        """Ask once; what came of it, and a detail that tells nothing of the address."""
        try:
            address = url()
            parts = urlsplit(address)
        except (OSError, ValueError) as error:
            return Ping.NO_ADDRESS, type(error).__name__
        if parts.scheme not in ("http", "https") or not parts.hostname:
            return Ping.NO_ADDRESS, "not an http(s) address"
        try:
            async with self._transport.session.get(address, timeout=self._timeout) as response:
                status = response.status
        except RedirectRefusedError:
            return Ping.REFUSED, "a redirect, which is not followed"
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, ValueError) as error:
            return Ping.NO_ADDRESS, type(error).__name__
        except Exception as error:  # noqa: BLE001  whatever it is: its text may name the address, and goes no further
            ping = Ping.TIMED_OUT if isinstance(error, TimeoutError) else Ping.UNREACHABLE
            return ping, type(error).__name__
        return (Ping.SENT if 200 <= status < 300 else Ping.REFUSED), f"answered {status}"
