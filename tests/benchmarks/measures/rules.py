"""What rules cost: grading alone, with many rules and with few, and intake with as many."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sevrouter.config import load
from sevrouter.domain.alert import Alert
from tests.benchmarks.configuration import Configured
from tests.benchmarks.contestants import sevrouter
from tests.benchmarks.field import open_field
from tests.benchmarks.figures import compared, median
from tests.benchmarks.rates import Load, rates, warm_up

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sevrouter.domain.grading import Grader
    from tests.benchmarks.contestants import Contestant
    from tests.benchmarks.effort import Effort
    from tests.benchmarks.figures import Figure
    from tests.benchmarks.peers import Peers

_SIZE = 100
_NAMESPACES = 10


async def measure_rules(folder: Path, effort: Effort, _peers: Peers) -> list[Figure]:
    """Measure grading in this process, and then intake in two others."""
    counts = (effort.rules, effort.few_rules)
    cold: dict[str, list[float]] = {}
    known: dict[str, list[float]] = {}
    for number in range(effort.rounds):
        for count in counts:
            grader = _grader(folder / f"grader-{number}-{count}", count)
            alerts = _alerts(effort.graded, count)
            cold.setdefault(_name(count), []).append(_microseconds(grader, alerts))
            known.setdefault(_name(count), []).append(_microseconds(grader, alerts))
    what = f"{effort.rules:,} rules"
    return [
        *compared(f"{what}: a match, cold", "µs", {name: median(each) for name, each in cold.items()}),
        *compared(f"{what}: a match, known", "µs", {name: median(each) for name, each in known.items()}),
        *await _intake(folder, effort, counts),
    ]


def with_rules(folder: Path, count: int) -> Contestant:
    """Prepare sevrouter with so many rules."""
    return sevrouter(folder, Configured(rules=count), name=_name(count))


async def _intake(folder: Path, effort: Effort, counts: Sequence[int]) -> list[Figure]:
    contestants = [with_rules(folder, count) for count in counts]
    load = Load(size=_SIZE, posts=effort.posts[_SIZE], rounds=effort.rounds, longest=effort.longest_run)
    async with open_field(folder, contestants) as sender:
        await warm_up(sender, contestants)
        return await rates(sender, contestants, load, prefix=f"{counts[0]:,} rules: ", kinds=("new", "changed"))


def _name(rules: int) -> str:
    return f"{rules:,} rules"


def _grader(folder: Path, rules: int) -> Grader:
    return load(Configured(rules=rules).write(folder)).routing.grader


def _alerts(count: int, rules: int) -> list[Alert]:
    """Make alerts, no two alike to a grader: each meets the rule of its name, spread over all of them."""
    now = datetime.now(UTC)
    return [
        Alert(
            labels={
                "alertname": f"Alert{number * rules // count:05d}",
                "namespace": f"team-{number % _NAMESPACES}",
                "severity": "warning",
                "instance": f"{number}:8080",
            },
            annotations={"users_affected_percent": f"{number}"},
            starts_at=now,
        )
        for number in range(count)
    ]


def _microseconds(grader: Grader, alerts: Sequence[Alert]) -> float:
    started = time.perf_counter()
    for alert in alerts:
        grader.grade(alert)
    return (time.perf_counter() - started) / len(alerts) * 1_000_000
