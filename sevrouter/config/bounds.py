"""Between which values a number or a duration of a configuration may be; what is beyond is refused in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import AfterValidator

from sevrouter.config.problem import FieldError
from sevrouter.domain.text import duration_text

if TYPE_CHECKING:
    from datetime import timedelta


def at_least(least: timedelta, reason: str) -> AfterValidator:
    """Refuses what is shorter; `reason` is how long that is, in words."""

    def check(value: timedelta) -> timedelta:
        if value < least:
            raise FieldError(f"is shorter than {reason}")
        return value

    return AfterValidator(check)


def at_most(most: timedelta, reason: str) -> AfterValidator:
    """Refuses what is longer; `reason` is how long that is, in words."""

    def check(value: timedelta) -> timedelta:
        if value > most:
            raise FieldError(f"is longer than {reason}")
        return value

    return AfterValidator(check)


def lasting(least: timedelta, most: timedelta) -> AfterValidator:
    """Refuses what is shorter or longer."""

    def check(value: timedelta) -> timedelta:
        if not least <= value <= most:
            raise FieldError(f"is not between {duration_text(least)} and {duration_text(most)}")
        return value

    return AfterValidator(check)


def between(least: int, most: int) -> AfterValidator:
    """Refuses what is less or more."""

    def check(value: int) -> int:
        if not least <= value <= most:
            raise FieldError(f"is not between {least} and {most}")
        return value

    return AfterValidator(check)
