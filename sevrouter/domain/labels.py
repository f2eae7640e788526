"""Labels and what matches them: Alertmanager's matchers (`=`, `!=`, `=~`, `!~`), anchored RE2."""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import re2

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# A regular expression costs microseconds from Python, so results are remembered for this many label values.
REMEMBERED_VALUES = 4096
# Characters; a longer value is matched anew each time rather than kept.
LONGEST_REMEMBERED = 500


class MatcherError(ValueError):
    """A matcher cannot be read, or its regular expression is not valid RE2."""


class MatchOp(enum.Enum):
    """How a matcher compares; the text is what the configuration writes."""

    EQUAL = "="
    NOT_EQUAL = "!="
    REGEX = "=~"
    NOT_REGEX = "!~"


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one label. An absent label counts as empty, as in Alertmanager."""

    name: str
    op: MatchOp
    value: str
    _pattern: Any = field(default=None, compare=False, repr=False)
    _remembered: dict[str, bool] = field(default_factory=dict, compare=False, repr=False)

    def __str__(self) -> str:
        name = self.name if _BARE_NAME.fullmatch(self.name) else _quote(self.name)
        return f"{name}{self.op.value}{_quote(self.value)}"

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether a label set meets this condition."""
        value = labels.get(self.name, "")
        match self.op:
            case MatchOp.EQUAL:
                return value == self.value
            case MatchOp.NOT_EQUAL:
                return value != self.value
            case MatchOp.REGEX:
                return self._search(value)
            case MatchOp.NOT_REGEX:
                return not self._search(value)

    def _search(self, value: str) -> bool:
        known = self._remembered.get(value)
        if known is None:
            known = self._pattern.fullmatch(value) is not None
            if len(value) > LONGEST_REMEMBERED:
                return known
            if len(self._remembered) >= REMEMBERED_VALUES:
                self._remembered.clear()
            self._remembered[value] = known
        return known


def matcher(name: str, op: MatchOp, value: str) -> Matcher:
    """Build a matcher. Raises MatcherError where the regular expression is not valid RE2."""
    pattern = None
    if op in (MatchOp.REGEX, MatchOp.NOT_REGEX):
        options = re2.Options()
        options.log_errors = False
        try:
            pattern = re2.compile(value, options)
        except re2.error as error:
            reason = error.args[0] if error.args else ""
            text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
            raise MatcherError(f"{value!r} is not a valid RE2 regular expression: {text}") from None
    return Matcher(name, op, value, pattern)


_BARE_NAME = re2.compile(r'[^\s"{}=!~,\\]+')
# The name may be quoted (UTF-8 label names of Prometheus 3); the value may be bare, as amtool allows.
_MATCHER = re2.compile(
    r'\s*(?:"((?:[^"\\]|\\.)*)"|([^\s"{}=!~,\\]+))\s*(=~|!~|!=|=)\s*(?:"((?:[^"\\]|\\.)*)"|([^"]*?))\s*'
)
_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}


def parse_matcher(text: str) -> Matcher:
    """Read `name="value"` as Alertmanager writes it. Raises MatcherError with what is wrong."""
    try:
        found = _MATCHER.fullmatch(text)
    except UnicodeEncodeError:
        raise MatcherError(f"{text!r} holds half a character (a lone surrogate)") from None
    if found is None:
        raise MatcherError(f'{text!r} is not a matcher: write name="value" with one of = != =~ !~')
    quoted_name, bare_name, op, quoted_value, bare_value = found.groups()
    name = bare_name if quoted_name is None else _unescape(quoted_name)
    value = _unescape(bare_value if quoted_value is None else quoted_value)
    if not name:
        raise MatcherError(f"{text!r} names no label")
    return matcher(name, MatchOp(op), value)


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    out: list[str] = []
    rest = iter(text)
    for character in rest:
        if character != "\\":
            out.append(character)
            continue
        # An unknown escape stays as it is written, so that `\d` and `\.` need no doubling; so does a last one.
        escaped = next(rest, "")
        out.append(_ESCAPES.get(escaped, "\\" + escaped))
    return "".join(out)


def all_match(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    """Whether every matcher is met; none at all matches everything."""
    return all(each.matches(labels) for each in matchers)


def pairs_digest(pairs: Mapping[str, str], *, size: int = 16) -> bytes:
    """A hash of a set of pairs that no other set shares by the way its text runs together.

    An empty value is the same as an absent one, as in Prometheus. `size` is in bytes. The digest is kept for
    ever, so it is made of nothing that a newer Python may spell otherwise: ASCII literals are safe.
    """
    text = ascii(sorted([pair for pair in pairs.items() if pair[1]]))
    return hashlib.blake2b(text.encode(), digest_size=size).digest()
