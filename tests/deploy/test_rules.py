"""The example alert rules: Prometheus' own tool reads and plays them, and they name metrics that there are."""

from __future__ import annotations

import asyncio
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sevrouter.telemetry.metrics import Metrics
from tests.real.binaries import require_real

if TYPE_CHECKING:
    from collections.abc import Sequence

RULES = Path(__file__).parents[2] / "deploy" / "prometheus" / "sevrouter.rules.yaml"
TESTS = Path(__file__).parent / "sevrouter.rules.test.yaml"


async def promtool(*arguments: str, directory: Path) -> tuple[int, str]:
    """Run it; its exit code, and what it printed."""
    process = await asyncio.create_subprocess_exec(
        str(require_real("promtool")),
        *arguments,
        cwd=directory,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, printed.decode()


@pytest.mark.parametrize(
    "arguments", [["check", "rules", RULES.name], ["test", "rules", TESTS.name]], ids=["good", "play"]
)
async def test_the_rules_are_good_and_say_what_they_should(arguments: Sequence[str], tmp_path: Path) -> None:
    for file in (RULES, TESTS):
        shutil.copy(file, tmp_path)
    code, printed = await promtool(*arguments, directory=tmp_path)
    assert code == 0, printed


def test_they_are_about_metrics_that_there_are() -> None:
    named = set(re.findall(r"sevrouter_\w+", RULES.read_text()))
    page = Metrics().page().decode()
    assert named
    for name in named:
        family = name.removesuffix("_total")
        assert f"# TYPE {family}" in page or f"# TYPE {name}" in page, name
