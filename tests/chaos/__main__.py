"""`python -m tests.chaos --kills 10000 --seed N`: a long campaign, and its ledger; fails where that was violated."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import random
import sys
import tempfile
from pathlib import Path

from tests.chaos.campaign import campaign
from tests.real.postgres_installation import find_postgres


def main() -> int:
    """Read the command line, kill, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=10_000, help="processes to kill. Default: 10000, about 90 minutes")
    parser.add_argument("--seed", help="what the faults follow from. Default: a new one, which is printed")
    parser.add_argument("--keep", type=Path, help="a folder for the logs of the replicas. Default: they are deleted")
    arguments = parser.parse_args()
    seed = arguments.seed or str(random.randrange(10**6))  # noqa: S311  it chooses faults, it guards nothing
    sys.stderr.write(f"seed {seed}\n")
    printed = io.StringIO()
    with find_postgres() as installation, tempfile.TemporaryDirectory(prefix="sevrouter-chaos-") as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            # The processes hand over what they printed when they end; it is wanted only where a campaign fails.
            with contextlib.redirect_stdout(printed):
                ledger = asyncio.run(campaign(installation, folder, kills=arguments.kills, seed=seed))
        except BaseException:
            sys.stderr.write(printed.getvalue()[-20_000:])
            raise
    sys.stdout.write(f"{ledger}\n")
    return 1 if ledger.violations else 0


if __name__ == "__main__":
    sys.exit(main())
