"""The picture of a run, as SVG: a row a figure, a dot for whoever was measured, on a logarithmic axis a panel.

Knows of figures only what they are called, how large they are and beside whom.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from tests.benchmarks.figures import Figure, by_row, written

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

# Told apart also by who cannot tell red from green (Okabe and Ito).
_COLOURS = ("#0072b2", "#999999", "#e69f00", "#d55e00", "#009e73", "#cc79a7", "#56b4e9")
# Pixels.
_WIDTH, _LEFT, _RIGHT, _ROW, _TOP = 960, 400, 130, 20, 46
_PANEL_HEAD, _PANEL_FOOT, _DOT = 30, 34, 5
_FONT = "font-family='system-ui, Helvetica, Arial, DejaVu Sans, sans-serif' font-size='12'"


@dataclass(frozen=True, slots=True)
class Panel:
    """Figures of one unit under a title."""

    title: str
    figures: Sequence[Figure]

    @property
    def unit(self) -> str:
        """Say in what they are measured."""
        return self.figures[0].unit


def panels(title: str, figures: Iterable[Figure]) -> list[Panel]:
    """Make a panel of each unit; what was measured beside nobody is left out."""
    by_unit: dict[str, list[Figure]] = {}
    for figure in figures:
        if figure.ratio:
            by_unit.setdefault(figure.unit, []).append(figure)
    return [Panel(title, each) for each in by_unit.values()]


def picture(drawn: Sequence[Panel]) -> str:
    """Draw panels below each other, under a legend of all who are in them."""
    colours = _colours(drawn)
    parts = [*_legend(colours)]
    height = _TOP
    for panel in drawn:
        rows = by_row(panel.figures)
        parts += _panel(panel, rows, colours, top=height)
        height += _PANEL_HEAD + len(rows) * _ROW + _PANEL_FOOT
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {_WIDTH} {height}' role='img' {_FONT}>\n"
        "<title>sevrouter beside its peers</title>\n"
        f"<rect width='{_WIDTH}' height='{height}' fill='white'/>\n" + "\n".join(parts) + "\n</svg>\n"
    )


def _colours(drawn: Sequence[Panel]) -> dict[str, str]:
    names = dict.fromkeys(name for panel in drawn for row in by_row(panel.figures).values() for name in row)
    return {name: _COLOURS[number % len(_COLOURS)] for number, name in enumerate(names)}


def _legend(colours: Mapping[str, str]) -> Iterator[str]:
    left = 16
    for name, colour in colours.items():
        yield _dot(left, 22, colour)
        yield _text(left + 10, 26, name)
        left += 36 + 7 * len(name)


def _panel(
    panel: Panel, rows: Mapping[str, Mapping[str, float]], colours: Mapping[str, str], *, top: int
) -> Iterator[str]:
    axis = _Axis([value for row in rows.values() for value in row.values()])
    better = "more" if panel.unit.endswith("/s") else "less"
    yield _text(16, top + 18, f"{panel.title} ({panel.unit}, {better} is better)", weight="bold")
    first = top + _PANEL_HEAD
    bottom = first + len(rows) * _ROW
    for tick in axis.ticks():
        x = axis.place(tick)
        yield f"<path d='M{x:.1f} {first}V{bottom}' stroke='#dddddd'/>"
        yield _text(x, bottom + 14, f"{tick:,g}", anchor="middle", fill="#666666")
    for number, (name, row) in enumerate(rows.items()):
        y = first + number * _ROW + _ROW // 2
        yield _text(_LEFT - 12, y + 4, name, anchor="end")
        places = [axis.place(value) for value in row.values()]
        yield f"<path d='M{min(places):.1f} {y}H{max(places):.1f}' stroke='#bbbbbb'/>"
        # Ours last, so that it lies on top.
        yield from (_dot(axis.place(value), y, colours[who]) for who, value in reversed([*row.items()]))
        yield _text(_WIDTH - 16, y + 4, f"{written(next(iter(row.values())))} {panel.unit}", anchor="end")


class _Axis:
    """A logarithmic axis that holds all values, with some room at both ends."""

    def __init__(self, values: Sequence[float]) -> None:
        self._low, self._high = math.log10(min(values) * 0.8), math.log10(max(values) * 1.25)

    def place(self, value: float) -> float:
        """Say where a value is drawn."""
        share = (math.log10(value) - self._low) / (self._high - self._low)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def ticks(self) -> list[float]:
        """Name the round numbers on it."""
        decades = range(math.floor(self._low), math.ceil(self._high) + 1)
        steps = (1,) if self._high - self._low > 2 else (1, 2, 5)
        ticks = [step * 10.0**decade for decade in decades for step in steps]
        return [tick for tick in ticks if self._low <= math.log10(tick) <= self._high]


def _dot(x: float, y: float, colour: str) -> str:
    return f"<circle cx='{x:.1f}' cy='{y}' r='{_DOT}' fill='{colour}' stroke='white'/>"


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal", fill: str = "#222222"
) -> str:
    return (
        f"<text x='{x:.1f}' y='{y}' text-anchor='{anchor}' font-weight='{weight}' fill='{fill}'>{escape(text)}</text>"
    )
