"""`python -m tests.benchmarks`: measures, and prints figures beside those of the peers, never a verdict."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from sevrouter.store.sqlite import sqlite_version
from tests.benchmarks.effort import FULL, QUICK
from tests.benchmarks.figures import table
from tests.benchmarks.footprint import measure_footprint
from tests.benchmarks.intake import measure_intake
from tests.benchmarks.large_post import measure_large_post
from tests.benchmarks.latency import measure_latency
from tests.real.binaries import MissingRealPartError, find_real

if TYPE_CHECKING:
    from tests.benchmarks.effort import Effort
    from tests.benchmarks.figures import Figure

MEASURES = {
    "intake": measure_intake,
    "latency": measure_latency,
    "large-post": measure_large_post,
    "footprint": measure_footprint,
}
EXPLANATION = (
    "ratio: sevrouter's figure divided by the peer's. More is better for alerts/s, less for everything else.\n"
    "floor: the same HTTP server and a typed decode of the same payload, nothing graded or stored.\n"
    "Alertmanager: POST /api/v2/alerts, which it keeps in memory; group_wait is 0s where it notifies."
)


async def _measure(names: list[str], effort: Effort, binary: Path | None) -> list[Figure]:
    figures: list[Figure] = []
    for name in names:
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="sevrouter-bench-") as folder:
            figures += await MEASURES[name](Path(folder), effort, binary=binary)
        sys.stderr.write(f"{name}: measured in {time.monotonic() - started:.0f} s\n")
    return figures


def _find_alertmanager() -> Path | None:
    try:
        return find_real("alertmanager")
    except MissingRealPartError as missing:
        sys.stderr.write(f"Not measured beside Alertmanager: {missing}\n")
        return None


def _versions(binary: Path | None) -> str:
    parts = {"sevrouter": version("sevrouter"), "Python": platform.python_version(), "SQLite": sqlite_version()}
    parts["aiohttp"] = version("aiohttp")
    if binary is None:
        parts["Alertmanager"] = "not here"
    else:
        said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True)
        parts["Alertmanager"] = (said.stdout + said.stderr).split("version ", 1)[1].split()[0]
    listed = ", ".join(f"{name} {number}" for name, number in parts.items())
    load = os.getloadavg()[0]
    return f"{listed}; {os.cpu_count()} CPUs, load average {load:.1f} at the start"


def main() -> int:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and alerts: half a minute, more noise")
    parser.add_argument("--only", choices=MEASURES, metavar="NAME", help=f"one of: {', '.join(MEASURES)}")
    arguments = parser.parse_args()
    names = [arguments.only] if arguments.only else [*MEASURES]
    binary = _find_alertmanager()
    versions = _versions(binary)
    # The processes hand over what they printed when they end; it is wanted only where a measurement fails.
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            figures = asyncio.run(_measure(names, QUICK if arguments.quick else FULL, binary))
    except Exception:
        sys.stderr.write(printed.getvalue())
        raise
    sys.stdout.write(f"{versions}\n\n{table(figures)}\n\n{EXPLANATION}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
