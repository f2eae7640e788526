"""What is wrong with a configuration, where, and what to do about it. Knows neither YAML nor the schema."""

from __future__ import annotations

import difflib
import enum
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sevrouter.domain.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Steps = tuple[str | int, ...]

LONGEST_MESSAGE = 600
# Looking for the nearest of many thousand words takes longer than a start may.
MOST_SUGGESTIONS = 500

_PLAIN_KEY = re.compile(r"[\w-]+")


class Level(enum.Enum):
    """An error refuses the configuration, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong. `line` and `column` count from 1 and are 0 where the whole file is meant."""

    level: Level = Level.ERROR
    file: str
    line: int = 0
    column: int = 0
    path: str = ""
    message: str
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        parts = [where, "warning" if self.level is Level.WARNING else "", self.path, self.message]
        text = ": ".join(part for part in parts if part)
        # What was written is quoted in messages; whatever is in it, a problem stays one line.
        return one_line(text + (f" (hint: {self.hint})" if self.hint else ""), LONGEST_MESSAGE)


class ConfigurationError(Exception):
    """The configuration is refused; `problems` holds all that is wrong with it, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = in_order(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


class FieldError(ValueError):
    """What is written in one field cannot be used; the text says why and `hint` what to write instead."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """The problems as a reader of the file meets them, each once."""
    return tuple(sorted(dict.fromkeys(problems), key=lambda each: (each.line, each.column, each.path, each.message)))


def shown_path(steps: Steps) -> str:
    """`rules[2].thresholds.SEV-6`; a key that would blur the path is quoted."""
    text = ""
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]"
            continue
        key = step if _PLAIN_KEY.fullmatch(step) else json.dumps(one_line(step, 60), ensure_ascii=False)
        text += f".{key}" if text else key
    return text


def did_you_mean(written: str, known: Sequence[str]) -> str:
    """A hint with the nearest known word, else all of them, else nothing."""
    if len(known) > MOST_SUGGESTIONS:
        return ""
    by_lower = {word.lower(): word for word in known}
    near = difflib.get_close_matches(written.lower(), list(by_lower), n=1)
    if near:
        return f"did you mean {by_lower[near[0]]!r}?"
    return f"known: {', '.join(known)}" if known else ""
