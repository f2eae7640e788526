"""Reads JSON that a strict decoder refuses: lone surrogates become U+FFFD, numbers become text.

Slower than the strict way, which is why it is only taken where that one failed.
"""

from __future__ import annotations

import json
import math
from typing import Any

_SURROGATES = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
# Python itself refuses to read longer ones, and no label needs them.
LONGEST_NUMBER = 4_000


class Unreadable(Exception):  # noqa: N818  it is no error of ours
    """What was sent cannot be read; `reason` says why, in words that hold nothing of what was sent."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Number(str):
    """A JSON number as it was written."""

    __slots__ = ()


def load_json(body: bytes | bytearray) -> Any:
    """Any JSON value; numbers come as `Number`, the text that was written. Raises Unreadable."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise Unreadable("not valid UTF-8") from None
    if not text.strip():
        raise Unreadable("empty")
    try:
        return json.loads(
            text, object_pairs_hook=_object, parse_float=_float, parse_int=_integer, parse_constant=_constant
        )
    except RecursionError:
        raise Unreadable("nested too deeply") from None
    except ValueError as error:
        where = f" at line {error.lineno} column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        raise Unreadable(f"not valid JSON{where}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; of a key that is there twice the last counts, but two lists are one."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        known = found.get(key)
        found[key] = [*known, *value] if isinstance(known, list) and isinstance(value, list) else value
    return found


def _float(text: str) -> Number:
    if not math.isfinite(float(text)):
        raise Unreadable("a number that is out of range")
    return Number(text)


def _integer(text: str) -> Number:
    if len(text) > LONGEST_NUMBER:
        raise Unreadable("a number that is out of range")
    return Number(text)


def _constant(text: str) -> Any:
    raise Unreadable(f"{text} is not JSON")


def clean(text: str) -> str:
    """The plain text, not a `Number`, without surrogates: nothing else could be encoded."""
    return str(text) if text.isascii() else text.translate(_SURROGATES)


def number_text(value: Any) -> str:
    """Any JSON value as the text that it is. Raises Unreadable."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return ""
    try:
        return clean(json.dumps(value, ensure_ascii=False))
    except RecursionError:
        # What could just be read may be nested too deeply to be written again.
        raise Unreadable("nested too deeply") from None


def text_map(value: Any, what: str) -> dict[str, str]:
    """An object of texts; absent is empty. Raises Unreadable where it is something else."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Unreadable(f"{what} is not an object")
    return {clean(name): number_text(text) for name, text in value.items()}
