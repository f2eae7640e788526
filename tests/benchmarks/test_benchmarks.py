"""The measuring instrument itself: it measures. How quick anything is, no test says."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.benchmarks.intake import measure_intake

from tests.benchmarks.contestants import ALERTMANAGER, FLOOR
from tests.benchmarks.effort import QUICK
from tests.benchmarks.figures import Figure, percentile, table
from tests.real.binaries import MissingRealPartError, find_real

if TYPE_CHECKING:
    from pathlib import Path

TINY = replace(QUICK, posts={1: 20, 100: 2})


async def test_intake_has_every_figure(tmp_path: Path) -> None:
    try:
        binary = find_real("alertmanager")
    except MissingRealPartError:
        binary = None
    figures = await measure_intake(tmp_path, TINY, binary=binary)
    peers = [FLOOR] if binary is None else [FLOOR, ALERTMANAGER]
    kinds = [f"{kind}, {size} a POST" for size in TINY.posts for kind in ("new", "changed", "unchanged")]
    assert [(each.name, each.peer) for each in figures] == [(kind, peer) for kind in kinds for peer in peers]
    assert all(each.value > 0 and each.ratio is not None and each.ratio > 0 for each in figures)


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert (percentile(values, 50), percentile(values, 99), percentile([7.0], 99)) == (50, 99, 7)


def test_a_figure_without_a_peer_has_no_ratio() -> None:
    assert table([Figure("start", 1.5, "s"), Figure("memory", 90, "MiB", "peer", 0.0)]).splitlines() == [
        "| name   | sevrouter |      peer | ratio |",
        "|--------|----------:|----------:|------:|",
        "| start  |    1.50 s |           |       |",
        "| memory |  90.0 MiB | peer 0.00 |       |",
    ]
