"""Bytes that reach the disk for each alert that changed, beside the bytes that it was sent in."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.benchmarks.alerts import Lot
from tests.benchmarks.contestants import sevrouter
from tests.benchmarks.field import open_field
from tests.benchmarks.figures import Figure
from tests.benchmarks.observed import written_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from tests.benchmarks.contestants import Contestant
    from tests.benchmarks.effort import Effort
    from tests.benchmarks.peers import Peers
    from tests.benchmarks.sender import Sender

# Seconds without a write after which a process has come to rest, and the longest wait for that.
_AT_REST, _LONGEST_WAIT = 0.5, 10.0


async def measure_disk(folder: Path, effort: Effort, _peers: Peers) -> list[Figure]:
    """Measure one size after the other, in one process."""
    contestant = sevrouter(folder)
    async with open_field(folder, [contestant]) as sender:
        return [await _size(sender, contestant, size, posts) for size, posts in effort.written.items()]


async def _size(sender: Sender, contestant: Contestant, size: int, posts: int) -> Figure:
    lot = Lot(name=f"disk-{size}", posts=posts, size=size)
    await _written(sender, contestant, contestant.requests(lot))
    requests = contestant.requests(replace(lot, percent=2))
    written = await _written(sender, contestant, requests)
    count, sent = posts * size, sum(map(len, requests))
    return Figure(f"written, changed, {size:,} a POST", written / count, "B", "sent", sent / count)


async def _written(sender: Sender, contestant: Contestant, requests: list[bytes]) -> int:
    pid = contestant.process.pid
    before = written_bytes(pid)
    await sender.send(requests, contestant.process.port)
    await _come_to_rest(pid)
    return written_bytes(pid) - before


async def _come_to_rest(pid: int) -> None:
    """Wait until it has written nothing for a while, so that a checkpoint and the deliveries are counted."""
    deadline = time.monotonic() + _LONGEST_WAIT
    last = -1
    while last != (now := written_bytes(pid)) and time.monotonic() < deadline:
        last = now
        await asyncio.sleep(_AT_REST)
