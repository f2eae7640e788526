"""Jira's wiki text, as its renderer reads it: what a reader sees, and what in it is live.

Written after Atlassian's own notation guide, not after what writes it here; what it does not know, it takes for live.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_ESCAPE = re.compile(r"\\([^\w\s\\]|_)")
_ENTITY = re.compile(r"&#([0-9]+);")
_LINK = re.compile(r"\[(?:([^\[\]|\n]+)\|)?([^\[\]|\n]+)\]")
_LIVE = {
    "macro": re.compile(r"\{[^{}\n]*\}"),
    "image": re.compile(r"![^!\s][^!\n]*!"),
    "address": re.compile(r"(?:https?|ftp|file|mailto):\S+", re.IGNORECASE),
    "issue key": re.compile(r"\b[A-Z][A-Z0-9_]+-[0-9]+\b"),
    "emphasis": re.compile(r"(?<!\w)([*_+^~-]|\?\?)(?=\S)[^\n]*?\S\1(?!\w)"),
    "smiley": re.compile(r"[:;]-?[()DP]|\((?:[!?x/*+ynio-]|on|off|flag|tm|c|r)\)"),
    "dash": re.compile(r"(?<!\S)-{2,4}(?!\S)"),
    "line break": re.compile(r"\\\\"),
    "table": re.compile(r"^\s*\|", re.MULTILINE),
    "heading": re.compile(r"^\s*(?:h[1-6]|bq)\.\s", re.MULTILINE),
    "list": re.compile(r"^\s*(?:[*#]+|-)\s", re.MULTILINE),
}


@dataclass
class Rendered:
    """What a reader sees, without formatting; and each live thing, by its kind."""

    text: str
    links: list[str] = field(default_factory=list)
    live: list[tuple[str, str]] = field(default_factory=list)


def render(source: str) -> Rendered:
    """Read a text as Jira does."""
    held: list[str] = []

    def hold(character: str) -> str:
        held.append(character)
        return chr(0xE000 + len(held) - 1)

    inert = _ESCAPE.sub(lambda found: hold(found[1]), source)
    inert = _ENTITY.sub(lambda found: hold(chr(int(found[1]))), inert)

    def shown(text: str) -> str:
        return "".join(held[ord(each) - 0xE000] if 0 <= ord(each) - 0xE000 < len(held) else each for each in text)

    links = [shown(found[2]) for found in _LINK.finditer(inert)]
    without_links = _LINK.sub(lambda found: found[1] or found[2], inert)
    return Rendered(shown(without_links), links, [(kind, shown(each)) for kind, each in _alive(without_links)])


def _alive(text: str) -> Iterator[tuple[str, str]]:
    for kind, pattern in _LIVE.items():
        for found in pattern.finditer(text):
            yield kind, found[0].strip()
