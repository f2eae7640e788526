"""What Linux says about a process: its memory, the processor time that it has used, what it wrote."""

from __future__ import annotations

import os
from pathlib import Path


def resident_mib(pid: int, *, peak: bool = False) -> float:
    """Measure the resident memory, now or at its highest."""
    wanted = "VmHWM:" if peak else "VmRSS:"
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(wanted):
            return int(line.split()[1]) / 1024
    message = f"no {wanted} of process {pid}"
    raise OSError(message)


def processor_seconds(pid: int) -> float:
    """Measure the processor time used so far, in user and system mode."""
    # The name of the program, in parentheses, may hold blanks.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def written_bytes(pid: int) -> int:
    """Count what it has sent to the disk; what it wrote to a file system in memory is not among it."""
    for line in Path(f"/proc/{pid}/io").read_text().splitlines():
        name, _, value = line.partition(": ")
        if name == "write_bytes":
            return int(value)
    message = f"no write_bytes of process {pid}"
    raise OSError(message)
