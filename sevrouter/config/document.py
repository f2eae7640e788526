"""A YAML file as plain text values that remember where they were written.

Knows YAML and nothing of what the keys mean. Every scalar stays the text that is in the file, so that a label
value `NO`, `on`, `5:30` or `0123` is not turned into something else on the way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import yaml

from sevrouter.config.problem import ConfigurationError, Level, Problem, Steps, shown_path
from sevrouter.domain.text import one_line

try:
    from yaml import CSafeLoader as Loader
except ImportError:  # PyYAML was built without libyaml
    from yaml import SafeLoader as Loader  # type: ignore[assignment]

Tree: TypeAlias = "str | list[Tree] | dict[str, Tree] | None"

# An alias costs a few bytes to write and can stand for thousands of nodes, so what is counted is the expansion.
MOST_NODES = 100_000
# Far above what the schema needs; deeper nesting only exhausts the stack.
DEEPEST = 50

_NULLS = {"", "~", "null", "Null", "NULL"}

EACH = "*"


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the file, counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Document:
    """The values of a file and their places. `problems` are those that did not stop the reading."""

    file: str
    data: Tree
    values: Mapping[Steps, Mark] = field(repr=False)
    keys: Mapping[Steps, Mark] = field(repr=False)
    problems: tuple[Problem, ...] = ()

    def at(self, *steps: str | int) -> Tree:
        """The value at a path, None where there is none."""
        node = self.data
        for step in steps:
            if isinstance(node, dict) and isinstance(step, str):
                node = node.get(step)
            elif isinstance(node, list) and isinstance(step, int) and step < len(node):
                node = node[step]
            else:
                return None
        return node

    def find(self, *pattern: str) -> Iterator[tuple[Steps, Tree]]:
        """Every path that a pattern meets, and its value; EACH stands for any key or index."""
        found: list[tuple[Steps, Tree]] = [((), self.data)]
        for step in pattern:
            found = [
                ((*path, key), child)
                for path, node in found
                for key, child in _children(node)
                if step in (EACH, key)
            ]  # fmt: skip
        yield from found

    def problem(
        self, steps: Steps, message: str, *, hint: str = "", level: Level = Level.ERROR, at_key: bool = False
    ) -> Problem:
        """A problem with what is at a path, or with its key; the nearest place around it where it is absent."""
        mark = self._mark(steps, at_key=at_key)
        return Problem(
            level=level, file=self.file, line=mark.line, column=mark.column,
            path=shown_path(steps), message=message, hint=hint,
        )  # fmt: skip

    def _mark(self, steps: Steps, *, at_key: bool) -> Mark:
        if not at_key and steps in self.values:
            return self.values[steps]
        for length in range(len(steps), 0, -1):
            if mark := self.keys.get(steps[:length]) or self.values.get(steps[:length]):
                return mark
        return Mark(1, 1)


def _children(node: Tree) -> Iterator[tuple[str | int, Tree]]:
    if isinstance(node, dict):
        yield from node.items()
    elif isinstance(node, list):
        yield from enumerate(node)


def parse(file: str, text: str) -> Document:
    """Read YAML. Raises ConfigurationError where the rest of the file would make no sense either."""
    try:
        _survey(file, text)
        node = yaml.compose(text, Loader=Loader)
    except yaml.YAMLError as error:
        raise ConfigurationError([_syntax_problem(file, text, error)]) from None
    if node is None or (isinstance(node, yaml.ScalarNode) and node.value in _NULLS):
        raise _refused(file, "the file is empty", hint="config/minimal.yaml is the smallest that works")
    builder = _Builder(file)
    data = builder.build(node, ())
    if not isinstance(data, dict):
        raise _refused(file, "must be a mapping (key: value)", at=node)
    return Document(file, data, builder.values, builder.keys, tuple(builder.problems))


def _refused(
    file: str, message: str, *, at: yaml.Node | yaml.Event | None = None, hint: str = ""
) -> ConfigurationError:
    mark = _mark(at) if at is not None else Mark(0, 0)
    return ConfigurationError([Problem(file=file, line=mark.line, column=mark.column, message=message, hint=hint)])


def _survey(file: str, text: str) -> None:
    # Composing recurses and resolves tags, so what would harm it is looked for in the flat list of events first.
    depth = documents = 0
    for event in yaml.parse(text, Loader=Loader):
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise _refused(file, "a second document begins here", at=event, hint="keep one `---`")
        elif isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                raise _refused(file, f"nested more than {DEEPEST} levels deep", at=event)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if getattr(event, "tag", None) not in (None, "!"):
            raise _refused(file, "tags (!…) are not used", at=event, hint="put the value in quotes")


class _Builder:
    def __init__(self, file: str) -> None:
        self.values: dict[Steps, Mark] = {}
        self.keys: dict[Steps, Mark] = {}
        self.problems: list[Problem] = []
        self._file = file
        self._nodes = 0
        self._open: list[yaml.Node] = []

    def build(self, node: yaml.Node, steps: Steps) -> Tree:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            hint = "aliases (*) repeat what their anchors (&) hold; write fewer of them"
            raise _refused(self._file, f"more than {MOST_NODES} values once its aliases are expanded", hint=hint)
        if any(each is node for each in self._open):
            raise _refused(self._file, "an alias (*) stands inside its own anchor (&)", at=node)
        self.values[steps] = _mark(node)
        if isinstance(node, yaml.ScalarNode):
            return None if not node.style and node.value in _NULLS else str(node.value)
        self._open.append(node)
        tree = self._mapping(node, steps) if isinstance(node, yaml.MappingNode) else self._sequence(node, steps)
        self._open.pop()
        return tree

    def _sequence(self, node: yaml.Node, steps: Steps) -> Tree:
        return [self.build(child, (*steps, index)) for index, child in enumerate(node.value)]

    def _mapping(self, node: yaml.Node, steps: Steps) -> Tree:
        tree: dict[str, Tree] = {}
        for key, value in node.value:
            if (trouble := _key_trouble(key, tree)) is not None:
                message, hint = trouble
                mark = _mark(key)
                self.problems.append(
                    Problem(
                        file=self._file, line=mark.line, column=mark.column,
                        path=shown_path((*steps, key.value) if isinstance(key, yaml.ScalarNode) else steps),
                        message=message, hint=hint,
                    )
                )  # fmt: skip
                continue
            self.keys[(*steps, key.value)] = _mark(key)
            tree[key.value] = self.build(value, (*steps, key.value))
        return tree


def _key_trouble(key: yaml.Node, seen: Mapping[str, Tree]) -> tuple[str, str] | None:
    if not isinstance(key, yaml.ScalarNode):
        return "a key must be one word, this is a list or a mapping", "put {{ … }} in quotes"
    if key.value == "<<" and not key.style:
        return "merge keys (<<) are not supported", "use an alias (*) for a whole value, or repeat its keys"
    if key.value in seen:
        return f"the key {one_line(key.value, 60)!r} is here a second time", "keep one of them"
    return None


def _mark(at: yaml.Node | yaml.Event) -> Mark:
    return Mark(at.start_mark.line + 1, at.start_mark.column + 1) if at.start_mark is not None else Mark(0, 0)


_QUOTE = "put the value in quotes"
_HINTS = (
    ("while scanning a block scalar", "put a value that begins with > or | in quotes: '>= 25'"),
    ("found undefined alias", "put a value that begins with * in quotes"),
    ("mapping values are not allowed", "put a value with a colon in quotes; or the line is indented too far"),
    ("could not find expected ':'", "a key is followed by a colon and a space"),
    ("did not find expected ',' or", "a [ or { is not closed, or a comma is missing"),
    ("did not find expected '-'", "the entries of one list begin in the same column, and so do the keys of an entry"),
    ("did not find expected key", "the keys of one mapping begin in the same column"),
    ("found unexpected end of stream", "a quote is not closed"),
    ("unknown escape character", "use single quotes around a value with backslashes"),
)


def _syntax_problem(file: str, text: str, error: yaml.YAMLError) -> Problem:
    if isinstance(error, yaml.reader.ReaderError):
        before = text.encode()[: error.position].decode(errors="ignore")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        return Problem(file=file, line=line, column=column, message="not YAML: a control character")
    mark = getattr(error, "problem_mark", None)
    problem, context = getattr(error, "problem", None) or "it cannot be read", getattr(error, "context", None) or ""
    hint = next((hint for words, hint in _HINTS if words in problem or words in context), "")
    if mark is None:
        return Problem(file=file, message=f"not YAML: {problem}", hint=hint)
    lines = text.splitlines()
    rest = lines[mark.line][mark.column :] if mark.line < len(lines) else ""
    if rest.startswith("\t"):
        problem, hint = "a tab", "indent with spaces"
    elif rest[:1] in {"@", "`", "%"}:
        hint = _QUOTE
    return Problem(file=file, line=mark.line + 1, column=mark.column + 1, message=f"not YAML: {problem}", hint=hint)
