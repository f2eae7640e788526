"""Where a number comes from, how people and Prometheus templates write it, and what it is held against."""

from __future__ import annotations

import enum
import math
import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sevrouter.domain.sev import Sev

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sevrouter.domain.alert import Alert


class Source(enum.Enum):
    """The part of an alert that holds the number."""

    LABEL = "label"
    ANNOTATION = "annotation"
    VALUE = "value"


class Problem(enum.Enum):
    """Why there is no number; also the reason of the grade that follows from it."""

    MISSING = "missing"
    UNREADABLE = "unreadable"
    NOT_A_NUMBER = "not_a_number"


# What is longer than this is no number that anybody wrote, and is not shown whole either.
LONGEST_NUMBER = 200


@dataclass(frozen=True, slots=True)
class Reading:
    """What a measure gave. `numbers` is empty with a `problem`, and holds two where the text is ambiguous."""

    source: str
    text: str
    numbers: tuple[float, ...] = ()
    problem: Problem | None = None

    def __str__(self) -> str:
        return f"{self.source} missing" if self.problem is Problem.MISSING else f"{self.source} {shown(self.text)!r}"


def shown(text: str) -> str:
    """A text as an explanation quotes it: a megabyte of it explains nothing."""
    return text if len(text) <= LONGEST_NUMBER else text[: LONGEST_NUMBER - 1] + "…"


@dataclass(frozen=True, slots=True)
class Measure:
    """Reads one number (or one word) from an alert."""

    source: Source
    name: str

    def __str__(self) -> str:
        return f"{self.source.value} {self.name}"

    def text(self, alert: Alert) -> str | None:
        """The text as it stands in the alert, None where it is absent or empty."""
        holder: Mapping[str, str]
        match self.source:
            case Source.LABEL:
                holder = alert.labels
            case Source.ANNOTATION:
                holder = alert.annotations
            case Source.VALUE:
                holder = alert.values
        return holder.get(self.name) or None

    def read(self, alert: Alert) -> Reading:
        """The number, or why there is none."""
        text = self.text(alert)
        if text is None or not text.strip():
            return Reading(str(self), "", problem=Problem.MISSING)
        numbers = read_number(text) if len(text) <= LONGEST_NUMBER else ()
        if not numbers:
            return Reading(str(self), text, problem=Problem.UNREADABLE)
        if any(math.isnan(number) for number in numbers):
            return Reading(str(self), text, problem=Problem.NOT_A_NUMBER)
        return Reading(str(self), text, numbers)


_NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
_PLAIN = re.compile(rf"({_NUMBER})\s*([A-Za-zµμ%]*)", re.ASCII)
_INFINITE = re.compile(r"([+-]?)inf(?:inity)?\s*%?", re.IGNORECASE)
_NAN = re.compile(r"[+-]?nan\s*%?", re.IGNORECASE)
_DURATION = re.compile(r"([+-]?)\s*(?:\d+(?:\.\d+)?\s*(?:ns|us|µs|μs|ms|s|m|h|d|w|y)\s*)+", re.ASCII)
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ns|us|µs|μs|ms|s|m|h|d|w|y)", re.ASCII)

# Seconds. A year is Prometheus' 365 days. `humanizeDuration` writes any metric fraction of a second.
_SECONDS = {
    "ys": 1e-24, "zs": 1e-21, "as": 1e-18, "fs": 1e-15, "ps": 1e-12, "ns": 1e-9, "us": 1e-6, "µs": 1e-6,
    "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "y": 31536000.0,
}  # fmt: skip
# What Prometheus' `humanize` writes. `m` and `y` are milli and yocto there, a minute and a year to people.
_METRIC = {
    "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18, "Z": 1e21, "Y": 1e24,
    "m": 1e-3, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15, "a": 1e-18, "z": 1e-21,
    "y": 1e-24,
}  # fmt: skip
# What `humanize1024` writes, and the same with a capital K.
_BINARY = {f"{prefix}i": 1024.0**power for power, prefix in enumerate("KMGTPEZY", start=1)} | {"ki": 1024.0}


def read_number(text: str) -> tuple[float, ...]:
    """The numbers that a text can mean: none when it cannot be read, two when it is ambiguous.

    Reads `12.5`, `12.5%` (12.5), `1.2k`, `3.4M`, `1.5Gi` and `1.5GiB`, `3m20s` and `3m 20s` (seconds),
    `+Inf`, `NaN`. `5m` is five minutes to people and five thousandths to `humanize`: both.
    """
    text = text.strip()
    if found := _INFINITE.fullmatch(text):
        return (-math.inf if found[1] == "-" else math.inf,)
    if _NAN.fullmatch(text):
        return (math.nan,)
    if found := _PLAIN.fullmatch(text):
        number, unit = float(found[1]), found[2]
        if unit in ("", "%"):
            return (number,)
        return tuple(dict.fromkeys(number * factor for factor in _factors(unit)))
    if found := _DURATION.fullmatch(text):
        seconds = sum(float(count) * _SECONDS[unit] for count, unit in _DURATION_PART.findall(text))
        return (-seconds if found[1] == "-" else seconds,)
    return ()


def _factors(unit: str) -> list[float]:
    factors: list[float] = []
    if unit in _SECONDS:
        factors.append(_SECONDS[unit])
    bare = unit.removesuffix("B") if len(unit) > 1 else unit
    if unit == "B":
        factors.append(1.0)
    factors += [table[bare] for table in (_METRIC, _BINARY) if bare in table]
    return factors


_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt, "==": operator.eq,
}  # fmt: skip
_THRESHOLD = re.compile(r"\s*(>=|<=|==|>|<)\s*(\S.*?)\s*")


@dataclass(frozen=True, slots=True)
class Threshold:
    """A bound that makes a reading this bad. `text` is as the configuration writes it."""

    sev: Sev
    operator: str
    bound: float
    text: str

    def is_crossed_by(self, number: float) -> bool:
        """Whether the number is on the bad side of the bound."""
        return _OPERATORS[self.operator](number, self.bound)


def parse_threshold(sev: Sev, text: str) -> Threshold:
    """Read `>= 25`. Raises ValueError where the operator or the number cannot be read.

    Here `5m` means five minutes: a person wrote it.
    """
    found = _THRESHOLD.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a threshold: write an operator (>= > <= < ==) and a number")
    numbers = read_number(found[2])
    if not numbers or math.isnan(numbers[0]):
        raise ValueError(f"{found[2]!r} is not a number: write 12.5, 5%, 1.2k, 1.5Gi or 3m20s")
    return Threshold(sev, found[1], numbers[0], " ".join((found[1], found[2])))
