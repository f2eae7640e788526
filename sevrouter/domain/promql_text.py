"""How PromQL and its regular expressions spell a text, so that whatever the text is, it stays a text.

PromQL's strings follow Go's escapes, its expressions are RE2. Must not know where a text comes from.
"""

from __future__ import annotations

import re

_ESCAPE = r"""\\(?:
    (?P<short>[abfnrtv\\"'])
  | (?P<byte>[0-3][0-7]{2} | x[0-9a-fA-F]{2})
  | u(?P<narrow>[0-9a-fA-F]{4}) | U(?P<wide>00(?:10|0[0-9a-fA-F])[0-9a-fA-F]{4})
)"""
_SPELLED = re.compile(rf"{_ESCAPE} | (?P<plain>[^\\]+)", re.VERBOSE)
_SHORT = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_SHORTENED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}

# Prometheus takes U+FFFD in a query for broken UTF-8, and refuses the query.
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_TO_ESCAPE = re.compile(r"""[^\x20-\x7e]|[\\"']""")
_META = re.compile(r"[\\.+*?()|\[\]{}^$]")

# What may stand before, between and after texts in an expression: whole tokens that no text can complete or change.
# Left out on purpose, as a text would be read differently inside or after them: an open class or repetition, \Q,
# and escapes that take a varying number of characters (\x, \p, octal).
_WHOLE_TOKENS = re.compile(
    r"""(?:
        [^\\\[\](){}]
      | \((?!\?) | \(\?[imsU]*(?:-[imsU]+)?[:)] | \)
      | \\[dDsSwWbBAzaftnrv] | \\[^\w\s]
      | \[\^?+\]?+(?:\[:\^?\w+:\] | \[(?!:) | \\. | [^\]\\\[])*+\]
      | \{\d+(?:,\d*)?\}
    )*+""",
    re.VERBOSE | re.DOTALL,
)


def quote(text: str, mark: str) -> str:
    """A text as it stands between two quotation marks of a query, " or ', without them: one clean line.

    Half a character (a lone surrogate) is replaced, as whoever sent the alert to Prometheus has done with it.
    """
    return _TO_ESCAPE.sub(lambda found: _spell(found[0], mark), text)


def _spell(character: str, mark: str) -> str:
    if character in ("\\", mark):
        return f"\\{character}"
    if character in _SHORTENED:
        return _SHORTENED[character]
    if "\ud800" <= character <= "\udfff":
        character = _REPLACEMENT
    elif character.isprintable() and character != _REPLACEMENT:
        return character
    number = ord(character)
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"


def unquote(written: str) -> str:
    """The text that the inside of a quoted string means. Raises ValueError where an escape is none, or is not whole."""
    means, at = bytearray(), 0
    while at < len(written):
        found = _SPELLED.match(written, at)
        if found is None:
            raise ValueError(rf"{written[at : at + 10]!r} is no escape of PromQL: write \\ for a backslash")
        means += _meant(found)
        at = found.end()
    return means.decode(errors="replace")


def _meant(found: re.Match[str]) -> bytes:
    kind, written = found.lastgroup, found[found.lastgroup or 0]
    match kind:
        case "short":
            text = _SHORT.get(written, written)
        case "byte":
            return bytes([int(written[1:], 16) if written.startswith("x") else int(written, 8)])
        case "narrow" | "wide":
            text = chr(int(written, 16))
        case _:
            text = written
    return text.encode(errors="replace")


def quote_for_pattern(text: str) -> str:
    """An expression (RE2) that matches exactly this text."""
    return _META.sub(r"\\\g<0>", text)


def is_whole_pattern(pattern: str) -> bool:
    """Whether a text can stand before and after this part of an expression and still mean only itself."""
    return _WHOLE_TOKENS.fullmatch(pattern) is not None


def repeats(pattern: str) -> bool:
    """Whether this part of an expression begins by repeating what stands before it."""
    return pattern.startswith(("*", "+", "?", "{"))
