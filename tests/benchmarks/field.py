"""The field of one measurement: its contestants running beside each other, and a sender."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from tests.benchmarks.sender import open_sender

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from tests.benchmarks.contestants import Contestant
    from tests.benchmarks.sender import Sender


@asynccontextmanager
async def open_field(folder: Path, contestants: Sequence[Contestant]) -> AsyncIterator[Sender]:
    """Start the contestants and a load generator, and end them in reverse."""
    async with AsyncExitStack() as stack:
        sender = await stack.enter_async_context(open_sender(folder))
        for contestant in contestants:
            await stack.enter_async_context(contestant.process)
        yield sender
