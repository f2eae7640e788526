"""What is said where a policy has run out and nobody owns the incident: who was called, and their numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sevrouter.domain.text import duration_text, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from sevrouter.domain.ownership import Person


@dataclass(frozen=True, slots=True)
class HandedOver:
    """One line that names people, and one that has their numbers, too, for those who are to call them by hand."""

    note: str
    with_numbers: str


def hand_over(people: Sequence[Person], *, paged: Sequence[str], again_in: timedelta, times: int) -> HandedOver:
    """What is said when a policy has run out, `times` counts how often by now."""
    asked = f"; asked to call: {', '.join(paged)}" if paged else ""
    often = "" if times == 1 else f", {times} times over"
    rest = f"{asked}. The policy starts over in {duration_text(again_in)}"
    names = ", ".join(each.name for each in people) or "nobody is named by the policy"
    numbers = ", ".join(f"{each.name} {each.phone or '(no phone)'}" for each in people) or names
    begun = f"nobody has acknowledged this{often}"
    return HandedOver(
        one_line(f"{begun}; tried: {names}{rest}", 1_000),
        one_line(f"{begun}. Call by hand: {numbers}{rest}", 2_000),
    )
