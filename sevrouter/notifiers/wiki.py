"""Jira's wiki text, which Data Center takes: the same nodes as Atlassian's documents, with nothing live in their text.

Knows how each node is written, what must be escaped, and how a text is cut to a length. Must not know what it says.
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import TYPE_CHECKING, cast
from urllib.parse import quote

from sevrouter.notifiers.adf import CUT, Node

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Characters of the text as it is sent, counted as Java counts them.
LONGEST_TEXT = 32_767

# What Jira's renderer gives a meaning to, in a word or around one; a backslash before it takes that away.
_MARKUP = frozenset("{}[]!*_-+^~?|#():;@&<>=%$")
# Two backslashes would be a new line.
_BACKSLASH = "&#92;"
# A line that begins with one of these is a heading or a quotation.
_BLOCK = re.compile(r"\s*(?:h[1-6]|bq)(?=\.)", re.ASCII)
# What a checked address holds unescaped, less what would end the link that it stands in.
_ADDRESS = "%/:?#@&=+$,;~*'()-._"


def document(blocks: Iterable[Node], *, last: Node | None = None, limit: int = LONGEST_TEXT) -> str:
    """A text of at most `limit` characters. Where it is cut it says so, and `last` is never cut."""
    body = [atom for block in blocks for atom in _block(block)]
    end = list(_block(last)) if last else []
    whole = "".join([*body, *end]).strip()
    if _length(whole) <= limit:
        return whole
    end = [*_inert(f"…\n{CUT}"), "\n\n", *end]
    room = limit - _size(end)
    kept = [atom for atom, so_far in zip(body, accumulate(map(_length, body)), strict=True) if so_far <= room]
    return "".join([*kept, *end]).strip()


def inert(text: str) -> str:
    """A text that reads as it is written: no markup, link, mention, issue key, macro, image or smiley in it."""
    return "".join(_inert(text))


def _block(node: Node) -> Iterator[str]:
    """A block's pieces, none of which may be cut."""
    match node:
        case {"type": "heading", "attrs": {"level": int(level)}}:
            yield f"h{level}. "
            yield from _inline(node)
            yield "\n"
        case {"type": "bulletList"}:
            for item in _children(node):
                yield "* "
                for paragraph in _children(item):
                    yield from (" " if atom == "\n" else atom for atom in _inline(paragraph))
                yield "\n"
            yield "\n"
        case _:
            yield from _inline(node)
            yield "\n\n"


def _inline(node: Node) -> Iterator[str]:
    for child in _children(node):
        text = str(child["text"])
        match child.get("marks"):
            case [{"attrs": {"href": str(url)}}]:
                yield f"[{inert(' '.join(text.split()))}|{quote(url, safe=_ADDRESS)}]"
            case _:
                yield from _inert(text)


def _inert(text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines()):
        if number:
            yield "\n"
        full_stop = found.end() if (found := _BLOCK.match(line)) else -1
        for place, character in enumerate(line):
            if character == "\\":
                yield _BACKSLASH
            elif character in _MARKUP or place == full_stop:
                yield f"\\{character}"
            else:
                yield character


def _children(node: Node) -> list[Node]:
    return cast("list[Node]", node["content"])


def _size(atoms: Iterable[str]) -> int:
    return sum(map(_length, atoms))


def _length(text: str) -> int:
    return len(text) + sum(character > "\uffff" for character in text)
