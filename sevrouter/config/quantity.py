"""Durations and sizes as people write them. Knows no YAML and no field."""

from __future__ import annotations

import re
from datetime import timedelta

from sevrouter.config.problem import FieldError

# Dates of the years that we compute with must stay representable.
LONGEST = timedelta(days=3650)

_DURATION = re.compile(r"(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?", re.ASCII)
_SIZE = re.compile(r"(\d{1,15})\s*([A-Za-z]*)", re.ASCII)
_BYTES = {
    "": 1, "B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30,
}  # fmt: skip


def parse_duration(text: str) -> timedelta:
    """Read `30s`, `5m`, `4h`, `7d`, `1h30m`. Raises FieldError."""
    found = _DURATION.fullmatch(text)
    if found is None or not any(found.groups()):
        if _NUMBER.fullmatch(text):
            raise FieldError(f"{text!r} has no unit", f"write {text}s, {text}m, {text}h or {text}d")
        raise FieldError(f"{text!r} is not a duration", "write 30s, 5m, 4h, 7d or 1h30m")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    if days * 86400 + hours * 3600 + minutes * 60 + seconds > LONGEST.total_seconds():
        raise FieldError(f"{text!r} is longer than {LONGEST.days}d")
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def parse_size(text: str) -> int:
    """Read `256MiB`, `1GB`, `1048576` (bytes). Raises FieldError."""
    found = _SIZE.fullmatch(text)
    if found is None or found[2] not in _BYTES:
        raise FieldError(f"{text!r} is not a size", "write 256MiB, 1GB or a number of bytes")
    return int(found[1]) * _BYTES[found[2]]
