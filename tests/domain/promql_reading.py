"""PromQL read one character at a time, as Prometheus' own lexer does: a second opinion on what a query says."""

from __future__ import annotations

_SHORT = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92}
_LENGTHS = {"x": 2, "u": 4, "U": 8}


def tokens(query: str) -> list[str | bytes]:
    """What a query consists of: a string as the bytes that it means, everything else as it is written."""
    found: list[str | bytes] = []
    at = 0
    while at < len(query):
        character = query[at]
        if character in "\"'":
            meant, at = _string(query, at + 1, character)
            found.append(meant)
        elif character == "`":
            end = query.index("`", at + 1)
            found.append(query[at + 1 : end].encode())
            at = end + 1
        elif character == "#":
            while at < len(query) and query[at] not in "\r\n":
                at += 1
        else:
            found.append(character)
            at += 1
    return found


def strings(query: str) -> list[bytes]:
    """What the strings of a query mean."""
    return [token for token in tokens(query) if isinstance(token, bytes)]


def _string(query: str, at: int, mark: str) -> tuple[bytes, int]:
    meant = bytearray()
    while query[at] != mark:
        character = query[at]
        assert character != "\n", "a string ends on its line"
        assert character != "\ufffd", "Prometheus takes it for broken UTF-8"
        at += 1
        if character == "\\":
            escaped, at = _escape(query, at, mark)
            meant += escaped
        else:
            meant += character.encode()
    return bytes(meant), at + 1


def _escape(query: str, at: int, mark: str) -> tuple[bytes, int]:
    kind = query[at]
    if kind == mark:
        return mark.encode(), at + 1
    if kind in _SHORT:
        return bytes([_SHORT[kind]]), at + 1
    if kind in _LENGTHS:
        end = at + 1 + _LENGTHS[kind]
        assert end <= len(query)
        number = int(query[at + 1 : end], 16)
        return (bytes([number]) if kind == "x" else chr(number).encode()), end
    assert kind in "01234567", f"no escape: {kind!r}"
    return bytes([int(query[at : at + 3], 8)]), at + 3
