"""How Prometheus' template functions write a number, as far as its documentation and its output show."""

from __future__ import annotations

import math

LARGE = ["k", "M", "G", "T", "P", "E", "Z", "Y"]
SMALL = ["m", "u", "n", "p", "f", "a", "z", "y"]
BINARY = ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"]


def four_digits(number: float) -> str:
    """Go's `%.4g`: as Python's, but for the names of what is not finite."""
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "+Inf" if number > 0 else "-Inf"
    return f"{number:.4g}"


def humanize(number: float) -> str:
    """`1.235M`, `12.5m`."""
    if number == 0 or not math.isfinite(number):
        return four_digits(number)
    if abs(number) >= 1:
        return _scaled_down(number, LARGE, 1000)
    return _scaled_up(number)


def humanize1024(number: float) -> str:
    """`1.5Gi`; nothing for fractions."""
    if abs(number) <= 1 or not math.isfinite(number):
        return four_digits(number)
    return _scaled_down(number, BINARY, 1024)


def humanize_percentage(ratio: float) -> str:
    """A ratio as `12.5%`."""
    return f"{four_digits(ratio * 100)}%"


def humanize_duration(seconds: float) -> str:
    """`1d 2h 3m 4s`, `45.68s`, `12.5ms`; a minute and more in whole seconds."""
    if not math.isfinite(seconds):
        return four_digits(seconds)
    if seconds == 0:
        return "0s"
    if abs(seconds) < 1:
        return _scaled_up(seconds) + "s"
    sign, whole = ("-" if seconds < 0 else ""), int(abs(seconds))
    if whole < 60:
        return f"{sign}{four_digits(abs(seconds))}s"
    parts = [(whole // 86_400, "d"), (whole // 3_600 % 24, "h"), (whole // 60 % 60, "m"), (whole % 60, "s")]
    first = next(number for number, (count, _) in enumerate(parts) if count)
    return sign + " ".join(f"{count}{unit}" for count, unit in parts[first:])


def _scaled_down(number: float, prefixes: list[str], step: int) -> str:
    prefix = ""
    for each in prefixes:
        if abs(number) < step:
            break
        prefix = each
        number /= step
    return four_digits(number) + prefix


def _scaled_up(number: float) -> str:
    prefix = ""
    for each in SMALL:
        if abs(number) >= 1:
            break
        prefix = each
        number *= 1000
    return four_digits(number) + prefix
