"""What was measured, as figures beside a peer's, and the table that shows them. Judges nothing."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

OURS = "sevrouter"
_HEAD = ("name", OURS, "peer", "ratio")


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of ours, in `unit`, and perhaps a peer's."""

    name: str
    value: float
    unit: str
    peer: str = ""
    peer_value: float | None = None

    @property
    def ratio(self) -> float | None:
        """Ours divided by the peer's; None where there is none, or where it is too small to measure."""
        return self.value / self.peer_value if self.peer_value else None

    def cells(self) -> tuple[str, str, str, str]:
        """Write the figure as a row."""
        peer = "" if self.peer_value is None else f"{self.peer} {written(self.peer_value)}"
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        return self.name, f"{written(self.value)} {self.unit}", peer, ratio


def median(values: Iterable[float]) -> float:
    """Take the middle of the rounds, so that one that was disturbed does not count."""
    return statistics.median(values)


def percentile(values: Iterable[float], percent: float) -> float:
    """Take the smallest value that this share of all does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def compared(name: str, unit: str, values: dict[str, float]) -> list[Figure]:
    """Set the first contestant's value beside each of the others', or alone where there are none."""
    (_, ours), *others = values.items()
    return [Figure(name, ours, unit, peer, theirs) for peer, theirs in others] or [Figure(name, ours, unit)]


def table(figures: Sequence[Figure]) -> str:
    """Write the figures as a table that is also Markdown."""
    rows = [_HEAD, *(figure.cells() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    name, *numbers = widths
    rule = f"|{'-' * (name + 2)}|" + "|".join(f"{'-' * (width + 1)}:" for width in numbers) + "|"
    lines = [f"| {row[0]:<{name}} | {_right(row[1:], numbers)} |" for row in rows]
    return "\n".join([lines[0], rule, *lines[1:]])


def written(value: float) -> str:
    """Write a number with three digits that count, or all before the point."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def by_row(figures: Iterable[Figure]) -> dict[str, dict[str, float]]:
    """Collect the values by name and by whom they are of, ours first."""
    rows: dict[str, dict[str, float]] = {}
    for figure in figures:
        row = rows.setdefault(figure.name, {OURS: figure.value})
        if figure.peer_value is not None:
            row[figure.peer] = figure.peer_value
    return rows


def _right(cells: Sequence[str], widths: Sequence[int]) -> str:
    return " | ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
