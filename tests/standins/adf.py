"""Atlassian's document format, as strictly as Jira takes it, and what a reader sees of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_TEXT = 32_767


def document_problems(document: object) -> Iterator[str]:
    """Why something is not a document of Atlassian's, as far as a ticket of ours may go."""
    match document:
        case {"type": "doc", "version": 1, "content": list(blocks), **rest} if blocks and not rest:
            for block in blocks:
                yield from _block_problems(block)
        case _:
            yield "Operation value must be an Atlassian Document (see the Atlassian Document Format)"
    if java_length(json.dumps(document, ensure_ascii=False, separators=(",", ":"))) > LONGEST_TEXT:
        yield "The entered text is too long. It exceeds the allowed limit of 32,767 characters."


def java_length(text: str) -> int:
    """How long Jira takes a text to be: an emoji is two."""
    return len(text.encode("utf-16-le")) // 2


def _block_problems(block: object) -> Iterator[str]:
    match block:
        case {"type": "paragraph" | "codeBlock" as kind, "content": list(children), **rest} if not rest:
            for child in children:
                yield from _text_problems(child, may_link=kind == "paragraph")
        case {"type": "heading", "attrs": {"level": int(level)}, "content": list(children), **rest} if not rest:
            if not 1 <= level <= 6:
                yield f"heading of level {level}"
            for child in children:
                yield from _text_problems(child, may_link=True)
        case {"type": "bulletList", "content": [_, *_] as items, **rest} if not rest:
            for item in items:
                yield from _item_problems(item)
        case _:
            yield f"INVALID_INPUT: {block!r}"


def _item_problems(item: object) -> Iterator[str]:
    match item:
        case {"type": "listItem", "content": [{"type": "paragraph"} as paragraph], **rest} if not rest:
            yield from _block_problems(paragraph)
        case _:
            yield f"INVALID_INPUT: {item!r}"


def _text_problems(node: object, *, may_link: bool) -> Iterator[str]:
    match node:
        case {"type": "text", "text": str(text), **rest} if text and not rest:
            return
        case {"type": "text", "text": str(text), "marks": [mark], **rest} if text and not rest and may_link:
            match mark:
                case {"type": "link", "attrs": {"href": str(href), **more}, **others} if not more and not others:
                    if not href.startswith(("http://", "https://")):
                        yield f"not a link: {href}"
                case _:
                    yield f"INVALID_INPUT: {mark!r}"
        case _:
            yield f"INVALID_INPUT: {node!r}"


def text_of(node: object) -> str:
    """A document without formatting, a line for each of its texts."""
    return "\n".join(_texts(node))


def links_of(node: object) -> list[str]:
    """Where a document's links lead to."""
    return [cast("str", mark["attrs"]["href"]) for mark in _nodes(node, "link")]


def _texts(node: object) -> Iterator[str]:
    for each in _nodes(node, "text"):
        yield str(each["text"])


def _nodes(node: object, kind: str) -> Iterator[dict[str, dict[str, object]]]:
    match node:
        case dict(members):
            if members.get("type") == kind:
                yield members
            for each in members.values():
                yield from _nodes(each, kind)
        case list(items):
            for each in items:
                yield from _nodes(each, kind)
