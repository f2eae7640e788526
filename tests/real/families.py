"""A process and its children on Linux: who they are, and their end."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def children_of(parent: int) -> list[int]:
    """List the processes that a process has started and that have not ended."""
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and _parent(entry) == parent]


def end_all(processes: Sequence[int], *, within: float) -> None:
    """Kill processes in this order (SIGKILL) and wait until all have ended; raises TimeoutError.

    Those that are not our own children, and that nobody has reaped, count as ended.
    """
    with contextlib.ExitStack() as stack:
        handles = []
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                handles.append(handle := os.pidfd_open(process))
                stack.callback(os.close, handle)
        for handle in handles:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        deadline = time.monotonic() + within
        for handle in handles:
            ended = select.poll()
            ended.register(handle, select.POLLIN)
            if not ended.poll(max(0.0, deadline - time.monotonic()) * 1000):
                message = f"a process of {list(processes)} did not end within {within:g} s of its SIGKILL"
                raise TimeoutError(message)


def _parent(entry: Path) -> int | None:
    try:
        stat = (entry / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the name in brackets, which may hold anything; the fourth is the parent.
    return int(stat.rpartition(")")[2].split()[1])
