"""Whether a count is one short of a worse SEV: with no redundancy left, the next loss is the outage.

Knows a reading and thresholds; whether the reading ever moves does not matter, so it is no forecast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sevrouter.domain.measure import Threshold
    from sevrouter.domain.sev import Sev


def one_less_crosses(value: float, thresholds: Iterable[Threshold], sev: Sev | None) -> Threshold | None:
    """The worst `<` or `<=` threshold, worse than `sev`, that one less would cross and `value` does not.

    None where `value` is no count of something that is left: not whole, or less than 1.
    """
    if value < 1 or not value.is_integer():
        return None
    near = (each for each in thresholds if each.operator in {"<", "<="} and each.sev.is_worse_than(sev))
    crossed = (each for each in near if each.is_crossed_by(value - 1) and not each.is_crossed_by(value))
    return min(crossed, key=lambda each: each.sev.rank, default=None)


def redundancy_text(threshold: Threshold) -> str:
    """`no redundancy left: one less is SEV-1`, for what `one_less_crosses` gave."""
    return f"no redundancy left: one less is {threshold.sev}"
