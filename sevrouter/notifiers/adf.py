"""Atlassian's document format: text that nothing in it can turn into markup, a mention or an image.

Knows the few nodes that a ticket needs, and how a document is cut to a length. Must not know what it says.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Node = dict[str, object]

# Characters of the document as it is sent, counted as Java counts them.
LONGEST_DOCUMENT = 32_767

CUT = "… cut here: the whole is longer than a ticket can hold."


def text(value: str, *, link: str | None = None) -> Node:
    """Literal text; with `link`, text that leads to a checked address."""
    node: Node = {"type": "text", "text": value}
    return node | {"marks": [{"type": "link", "attrs": {"href": link}}]} if link else node


def paragraph(*nodes: Node) -> Node:
    """A paragraph of text nodes."""
    return {"type": "paragraph", "content": list(nodes)}


def heading(value: str) -> Node:
    """A heading of the third level."""
    return {"type": "heading", "attrs": {"level": 3}, "content": [text(value)]}


def bullets(items: Iterable[Node]) -> Node:
    """A list of paragraphs."""
    return {"type": "bulletList", "content": [{"type": "listItem", "content": [item]} for item in items]}


def lines(value: str) -> Node:
    """Text of several lines, as they are."""
    return {"type": "codeBlock", "content": [text(value)]}


def document(blocks: Iterable[Node], *, last: Node | None = None, limit: int = LONGEST_DOCUMENT) -> Node:
    """A document of at most `limit` characters. Where it is cut it says so, and `last` is never cut."""
    end = [last] if last else []
    whole = _document([*blocks, *end])
    if size(whole) <= limit:
        return whole
    end = [paragraph(text(CUT)), *end]
    content = _children(whole)[: -1 if last else None]
    # Each node at the end brings a comma.
    beginning = _cut(_document(content), limit - sum(size(node) + 1 for node in end))
    return _document([*(_children(beginning) if beginning else []), *end])


def size(node: Mapping[str, object]) -> int:
    """How many characters a node is long as it is sent, an emoji counted as two."""
    sent = json.dumps(node, ensure_ascii=False, separators=(",", ":"))
    return len(sent.encode("utf-16-le", errors="surrogatepass")) // 2


def _document(blocks: list[Node]) -> Node:
    return {"type": "doc", "version": 1, "content": blocks}


def _children(node: Node) -> list[Node]:
    return cast("list[Node]", node["content"])


def _cut(node: Node, room: int) -> Node | None:
    """The beginning of a node that is at most `room` long; None where nothing of it fits."""
    if size(node) <= room:
        return node
    if node["type"] == "text":
        return _cut_text(node, room)
    kept: list[Node] = []
    room -= size({**node, "content": []})
    for child in _children(node):
        beginning = _cut(child, room)
        if beginning is None:
            break
        kept.append(beginning)
        room -= size(beginning) + 1
        if beginning is not child:
            break
    return {**node, "content": kept} if kept else None


def _cut_text(node: Node, room: int) -> Node | None:
    # A character is at least one when it is sent, and quotes are two.
    value = str(node["text"])[: max(room, 0)]

    def beginning(length: int) -> Node:
        return {**node, "text": f"{value[:length]}…"}

    keep = bisect_right(range(len(value) + 1), room, key=lambda length: size(beginning(length))) - 1
    return beginning(keep) if keep > 0 else None
