"""A ring, and a conversation that a test looks into."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec.structs import replace

from sevrouter.domain.ringing import Ring, RingEnd, Script, Then
from sevrouter.domain.sev import Sev

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = "SEV-1 checkout: 30 % of the users cannot pay. Press 1 to acknowledge."
ANA = "+4930123456"


def a_ring(**changes: object) -> Ring:
    """A ring of ana that begins now."""
    ring = Ring(
        id=7,
        person="ana",
        number=ANA,
        provider="twilio",
        token="t0ken-of-the-ring",
        sev=Sev.SEV_1,
        began_at=datetime.now(UTC),
    )
    return replace(ring, **changes)


class Talk:
    """A conversation that says the same whatever is pressed, and remembers what it was told."""

    def __init__(self, text: str = TEXT, *, script: Script | None = None) -> None:
        self.stopped = asyncio.Event()
        self.farewell = Script("Resolved. Goodbye.", Then.HANG_UP, end=RingEnd.ACKNOWLEDGED)
        self.said = script or Script(text)
        self.references: list[str] = []
        self.keys: list[str] = []
        self.on_placed: Callable[[], None] = lambda: None

    async def placed(self, reference: str) -> None:
        """Remember what the provider calls it."""
        self.references.append(reference)
        self.on_placed()

    async def script(self) -> Script:
        """Say it."""
        return self.said

    async def pressed(self, key: str) -> Script:
        """Remember the key."""
        self.keys.append(key)
        return self.said
