"""A query that a configuration asks Prometheus about an alert, and what comes back: numbers, or why there are none.

A template is PromQL with placeholders, `up{pod="{{ pod }}"}`. What an alert says in a label fills the value of a
matcher and nothing else: no label can change what is asked. Must not know how Prometheus is spoken to.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

from msgspec import Struct

from sevrouter.domain.promql_text import is_whole_pattern, quote, quote_for_pattern, repeats, unquote
from sevrouter.domain.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

# Characters, of a template and of a query. Nobody writes a longer one; a megabyte of label value is no question.
LONGEST_QUERY = 16_000


class QueryProblem(enum.Enum):
    """Why a query gave no number, or not only numbers; the first two mean that it was not asked."""

    LABEL_MISSING = "label_missing"
    QUERY_TOO_LONG = "query_too_long"
    EMPTY = "empty"
    NOT_A_NUMBER = "not_a_number"
    BAD_QUERY = "bad_query"
    TIMED_OUT = "timed_out"
    AWAY = "away"
    REFUSED = "refused"
    UNREADABLE = "unreadable"
    TOO_MANY = "too_many"


class Series(Struct, frozen=True, gc=False):
    """One number and the labels of the series that it belongs to; a scalar has none."""

    labels: Mapping[str, str]
    number: float


class QueryAnswer(Struct, frozen=True, gc=False):
    """What a query gave, in the order of the answer.

    With a `problem` there are no series, but for NOT_A_NUMBER: one of them at least is NaN. `detail` is a line about
    the problem, without secrets. `warnings` are Prometheus' own words, such as that an answer is partial.
    """

    series: tuple[Series, ...] = ()
    problem: QueryProblem | None = None
    detail: str = ""
    warnings: tuple[str, ...] = ()


class Slot(Struct, frozen=True, gc=False):
    """A place in a query for the value of a label; the text around it is quoted with `mark`."""

    label: str
    mark: str
    is_pattern: bool = False
    is_repeated: bool = False

    def fill(self, value: str) -> str:
        """The value as it stands there, so that it is matched exactly."""
        if not self.is_pattern:
            return quote(value, self.mark)
        pattern = quote_for_pattern(value)
        return quote(f"(?:{pattern})" if self.is_repeated else pattern, self.mark)


class QueryTemplate(Struct, frozen=True, gc=False):
    """A query as the configuration writes it: `text`, and the same in parts."""

    text: str
    parts: tuple[str | Slot, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a template. Raises ValueError with what is wrong and what to write instead.

        Prometheus alone can tell whether the rest is PromQL.
        """
        if not text.strip():
            raise ValueError('is empty: write a query, as in sum(up{job="{{ job }}"})')
        if len(text) > LONGEST_QUERY:
            raise ValueError(f"has {len(text)} characters, more than {LONGEST_QUERY}: let a recording rule do the work")
        return cls(text, tuple(_parts(text)))

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that an alert must have for this to be asked, each once."""
        return tuple(dict.fromkeys(part.label for part in self.parts if isinstance(part, Slot)))

    def render(self, labels: Mapping[str, str]) -> str | QueryAnswer:
        """The query about an alert with these labels, or the answer where it cannot be asked.

        A label that is absent or empty is never left out: what is empty matches everything that has none.
        """
        missing = next((name for name in self.labels if not labels.get(name)), None)
        if missing is not None:
            detail = f"the alert has no label {one_line(missing, 100)!r}"
            return QueryAnswer(problem=QueryProblem.LABEL_MISSING, detail=detail)
        # A value is never written shorter than it is, so that a megabyte need not be escaped to be refused.
        if sum(len(labels[name]) for name in self.labels) > LONGEST_QUERY:
            return _TOO_LONG
        query = "".join(part.fill(labels[part.label]) if isinstance(part, Slot) else part for part in self.parts)
        return query if len(query) <= LONGEST_QUERY else _TOO_LONG


_TOO_LONG = QueryAnswer(
    problem=QueryProblem.QUERY_TOO_LONG,
    detail=f"with the values of the labels, the query is longer than {LONGEST_QUERY} characters",
)

# As Prometheus reads a query. A comment ends at either end of a line.
_TOKEN = re.compile(
    r"""
    (?P<placeholder>\{\{)
  | (?P<comment>\#[^\r\n]*)
  | (?P<string>"(?:[^"\\\n]|\\[^\n])*+" | '(?:[^'\\\n]|\\[^\n])*+')
  | (?P<raw>`[^`]*+`)
  | (?P<unclosed>["'`])
  | (?P<operator>=~|!~|!=|==|=)
  | (?P<space>[ \t\r\n]+)
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_MATCHES = frozenset({"=", "!=", "=~", "!~"})
_INSTEAD = 'write it as the value of a matcher, as in up{pod="{{ pod }}"}'
_NO_PLACE = {
    "placeholder": f"stands outside of quotes: {_INSTEAD}",
    "comment": "stands in a comment: leave it out there",
    "raw": "stands in backticks, where nothing can be escaped: write \"…\" or '…' instead of them",
    "string": f"stands in a string that no label is compared with, so that an alert would change the query: {_INSTEAD}",
}


def _parts(text: str) -> Iterator[str | Slot]:
    in_braces, operator = False, ""
    for token in _TOKEN.finditer(text):
        kind, written = token.lastgroup or "", token[0]
        if kind == "unclosed":
            raise ValueError(f"{_around(text, token.start())} begins a string that does not end on its line")
        if kind == "string" and operator in _MATCHES and in_braces:
            yield from _value_parts(written, is_pattern=operator.endswith("~"))
        else:
            if "{{" in written:
                raise ValueError(f"{_around(text, text.index('{{', token.start()))} {_NO_PLACE[kind]}")
            yield written
        if kind not in ("space", "comment"):
            operator = written if kind == "operator" else ""
            in_braces = written == "{" or (in_braces and written != "}")


def _around(text: str, at: int) -> str:
    shown, closed, _ = text[at : at + 40].partition("}}")
    return one_line(shown + closed, 30)


_PLACEHOLDER = re.compile(r"\{\{([^{}]*+)\}\}")
_TEMPLATE_LABEL = re.compile(r"\$labels\.([^\s|()]+)")


def _value_parts(written: str, *, is_pattern: bool) -> Iterator[str | Slot]:
    """The parts of a quoted value. Each text between placeholders is whole by itself: no value can complete it."""
    mark = written[0]
    # Every second one is the name of a label.
    pieces = _PLACEHOLDER.split(written[1:-1])
    if any("{{" in text for text in pieces[::2]):
        raise ValueError(f"{one_line(written, 60)} holds a {{{{ that begins no placeholder: write \\x7b for a brace")
    if len(pieces) == 1:
        yield written
        return
    meanings = [unquote(text) for text in pieces[::2]]
    if is_pattern and not all(map(is_whole_pattern, meanings)):
        raise ValueError(
            f"{one_line(written, 60)} has a placeholder where an expression would not take it for a text: keep it out "
            "of [ ], { }, \\Q and group names, and write no \\x, \\p or \\1 beside it"
        )
    yield mark + pieces[0]
    for name, text, meaning in zip(pieces[1::2], pieces[2::2], meanings[1:], strict=True):
        yield Slot(_label(unquote(name)), mark, is_pattern, repeats(meaning))
        yield text
    yield mark


def _label(expression: str) -> str:
    name = expression.strip()
    if name.startswith(("$", ".")):
        found = _TEMPLATE_LABEL.fullmatch(name)
        name = found[1] if found else ""
    if not name:
        raise ValueError(
            f"{{{{{one_line(expression, 60)}}}}} names no label: write {{{{ pod }}}} or {{{{ $labels.pod }}}}"
        )
    return name
