"""200 kills in the suite; `make chaos` does 10,000."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.chaos.campaign import campaign

if TYPE_CHECKING:
    from pathlib import Path

    from tests.real.postgres_installation import PostgresInstallation

KILLS = 200
SEED = "2026"


# Two minutes, and as many again where the machine has other work.
@pytest.mark.timeout(600)
async def test_what_is_promised_is_kept_through_two_hundred_kills(
    tmp_path: Path, postgres_installation: PostgresInstallation
) -> None:
    ledger = await campaign(postgres_installation, tmp_path, kills=KILLS, seed=SEED)
    sys.stdout.write(f"{ledger}\n")
    assert not ledger.violations, str(ledger)
    # A campaign in which nothing happened would have kept every promise, too.
    assert ledger.figures["killed"] >= KILLS
    assert ledger.figures["alerts answered 200"] > KILLS // 2
    assert ledger.figures["calls accepted"] >= ledger.figures["major incidents"] > KILLS // 10
