"""What a run is shown as: tables on the terminal, and in `docs/performance.md` beside a picture.

Of the document only what stands between the two marks is ours; the words around it are written by hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.benchmarks.figures import Figure, table
from tests.benchmarks.picture import panels, picture
from tests.benchmarks.sender import ROOT

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENT = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- measured: written by `make bench` -->", "<!-- /measured -->"
EXPLANATION = """\
- Alerts/s, latencies and starts are the median of several rounds, in which whoever is measured takes turns.
- **ratio**: sevrouter's figure divided by the peer's. More is better for alerts/s, less for everything else.
- **floor**: the same HTTP server and a typed decode of the same payload, nothing graded or stored.
- **Alertmanager**: `POST /api/v2/alerts`, which it keeps in memory; `group_wait` is 0s where it notifies.
- **alerta**: its webhook for Alertmanager under gunicorn, 2 workers of 4 threads, on PostgreSQL.
- **PostgreSQL**: one server on the same machine, `fsync` and `synchronous_commit` on.
- **sent**: the bytes of the alert in the webhook that brought it."""
_FRAME = f"# Performance\n\n{BEGIN}\n{END}\n"


@dataclass(frozen=True, slots=True)
class Section:
    """What one measure found, or None where it failed; `drawn` in the picture."""

    title: str
    figures: Sequence[Figure] | None
    drawn: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A whole run: how it was started, versions and machine, what it found and what it had to leave out."""

    command: str
    versions: Mapping[str, str]
    machine: str
    sections: Sequence[Section]
    missing: Sequence[str]

    @property
    def failed(self) -> bool:
        """Tell whether a measure failed."""
        return any(section.figures is None for section in self.sections)

    def text(self, *, image: str | None = None) -> str:
        """Write it in Markdown, perhaps with an image before the tables."""
        listed = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        paragraphs = [
            f"Measured by `{self.command}`: {listed}; {self.machine}.",
            *(f"Not measured beside {each}" for each in self.missing),
            *([f"![sevrouter beside its peers]({image})"] if image else []),
            *(f"## {section.title}\n\n{table(section.figures)}" for section in self.sections if section.figures),
            EXPLANATION,
        ]
        return "\n\n".join(paragraphs) + "\n"

    def picture(self) -> str | None:
        """Draw it; None where nothing that is drawn was measured."""
        drawn = [panel for each in self.sections if each.drawn for panel in panels(each.title, each.figures or ())]
        return picture(drawn) if drawn else None

    def write(self, document: Path = DOCUMENT) -> None:
        """Write it between the marks of a document, or at its end where it has none, and its picture beside."""
        document.parent.mkdir(parents=True, exist_ok=True)
        around = document.read_text() if document.exists() else _FRAME
        before, begin, rest = around.partition(BEGIN)
        _, end, after = rest.partition(END)
        if not (begin and end):
            before, after = f"{around.rstrip()}\n\n", "\n"
        image, drawn = document.with_suffix(".svg"), self.picture()
        if drawn is not None:
            image.write_text(drawn)
        text = self.text(image=image.name if drawn is not None else None)
        document.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}")
