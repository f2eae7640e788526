"""Text of strangers, made clean: no control characters, no line breaks or direction marks, no more than fits."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

LONGEST_LINE = 300
LONGEST_TEXT = 8_000
ELLIPSIS = "…"

# What breaks a line, hides text or turns its direction: control and format characters, separators, halves of
# characters. The two joiners stay: some scripts and many emoji cannot be written without them.
_UNCLEAN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_JOINERS = "\u200c\u200d"
_SPACES = re.compile(r"\s+")


def one_line(text: str, limit: int = LONGEST_LINE) -> str:
    """A text as one clean line of at most `limit` characters: no control characters, no direction marks."""
    # A megabyte of label value is cut before it is cleaned, not after.
    clean = text[: limit * 4]
    if not clean.isprintable():
        clean = "".join(" " if _is_unclean(character) else character for character in clean)
    return shorten(_SPACES.sub(" ", clean).strip(), limit)


def _is_unclean(character: str) -> bool:
    return unicodedata.category(character) in _UNCLEAN and character not in _JOINERS


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters; a cut is marked."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + ELLIPSIS


def many_lines(text: str, limit: int = LONGEST_TEXT) -> str:
    """A text with its line breaks, each line clean."""
    lines = text[: limit * 2].replace("\r\n", "\n").split("\n")
    return shorten("\n".join(one_line(line, limit) for line in lines).strip(), limit)


def shown_labels(labels: Mapping[str, str], *, most: int = 30) -> dict[str, str]:
    """The labels as clean lines, in order of their names; the many of a broken exporter are cut."""
    shown = {one_line(name, 100): one_line(value) for name, value in sorted(labels.items())[:most]}
    if len(labels) > most:
        shown[ELLIPSIS] = f"and {len(labels) - most} more"
    return shown


def duration_text(duration: timedelta) -> str:
    """A duration in its two largest units: `45s`, `12m 5s`, `3h 20m`, `2d 4h`."""
    seconds = max(0, int(duration.total_seconds()))
    minutes, hours, days = seconds // 60, seconds // 3_600, seconds // 86_400
    parts = [(days, "d"), (hours % 24, "h"), (minutes % 60, "m"), (seconds % 60, "s")]
    first = next((number for number, (count, _) in enumerate(parts) if count), len(parts) - 1)
    return " ".join(f"{count}{unit}" for count, unit in parts[first : first + 2] if count or first == len(parts) - 1)
