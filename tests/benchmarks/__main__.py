"""`python -m tests.benchmarks`: measures, and shows figures beside those of the peers, never a verdict."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.effort import FULL, QUICK
from tests.benchmarks.measures import MEASURES
from tests.benchmarks.peers import find_peers, machine, versions
from tests.benchmarks.report import DOCUMENT, Report, Section
from tests.benchmarks.sender import ROOT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from tests.benchmarks.effort import Effort
    from tests.benchmarks.figures import Figure
    from tests.benchmarks.peers import Peers

# In the checkout, which is on a disk: a folder for temporary files may be in memory.
_FILES = ROOT / ".cache" / "benchmarks"


async def _measure(names: Sequence[str], effort: Effort, peers: Peers) -> list[Section]:
    sections: list[Section] = []
    for name in names:
        started = time.monotonic()
        measure = MEASURES[name]
        with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=_FILES) as folder:
            figures = await _attempt(measure.measure(Path(folder), effort, peers))
        sections.append(Section(measure.title, figures, measure.drawn))
        done = "failed" if figures is None else "measured" if figures else "left out"
        sys.stderr.write(f"{name}: {done} in {time.monotonic() - started:.0f} s\n")
    return sections


async def _attempt(measured: Awaitable[list[Figure]]) -> list[Figure] | None:
    """Measure; what fails is shown, and costs the others nothing."""
    # The processes hand over what they printed when they end; it is wanted only where a measurement fails.
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            return await measured
    except Exception:  # noqa: BLE001  a peer, or the daemon, can fail in any way
        sys.stderr.write(f"{printed.getvalue()}{traceback.format_exc()}")
        return None


def _run(names: Sequence[str], effort: Effort, command: str) -> Report:
    _FILES.mkdir(parents=True, exist_ok=True)
    with find_peers() as peers:
        for each in peers.missing:
            sys.stderr.write(f"Not measured beside {each}\n")
        known, where = versions(peers), machine(_FILES)
        sections = asyncio.run(_measure(names, effort, peers))
    return Report(command=command, versions=known, machine=where, sections=sections, missing=peers.missing)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and alerts: four minutes, and more noise")
    parser.add_argument(
        "--only",
        choices=MEASURES,
        nargs="+",
        action="extend",
        metavar="NAME",
        help=f"only these, of: {', '.join(MEASURES)}",
    )
    where = DOCUMENT.relative_to(ROOT)
    parser.add_argument(
        "--write",
        action=argparse.BooleanOptionalAction,
        help=f"write {where} and its picture, instead of what a run before it measured (by default, a whole run does)",
    )
    return parser.parse_args()


def main() -> int:
    """Read the command line, measure, show."""
    arguments = _arguments()
    names = arguments.only or [name for name, measure in MEASURES.items() if not measure.by_itself]
    write = arguments.write if arguments.write is not None else not (arguments.quick or arguments.only)
    given = [*(["--quick"] if arguments.quick else []), *(["--only", *arguments.only] if arguments.only else [])]
    command = f'make bench ARGS="{" ".join(given)}"' if given else "make bench"
    report = _run(names, QUICK if arguments.quick else FULL, command)
    sys.stdout.write(f"\n{report.text()}")
    if report.failed:
        sys.stderr.write("Not everything could be measured, see above; nothing is written.\n")
        return 1
    if write:
        report.write()
        sys.stderr.write(f"Written to {DOCUMENT.relative_to(ROOT)} and its picture beside it.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
