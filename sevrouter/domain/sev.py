"""How bad something is: SEV-1 (worst) to SEV-5. "Not an incident" is None, printed `none`."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

NONE = "none"


class Sev(enum.Enum):
    """A severity level. Compare with `is_worse_than`: a smaller number is worse, so `<` would mislead."""

    SEV_1 = 1
    SEV_2 = 2
    SEV_3 = 3
    SEV_4 = 4
    SEV_5 = 5

    def __init__(self, rank: int) -> None:
        # A plain attribute: an enum's own `value` is slow to get at, and alerts are compared by the thousand.
        self.rank = rank

    # There is one of each, so what identifies it will do: an enum's own is made of its name each time.
    __hash__ = object.__hash__

    def __str__(self) -> str:
        return f"SEV-{self.rank}"

    def is_worse_than(self, other: Sev | None) -> bool:
        """Whether this one is worse than `other`; any SEV is worse than None."""
        return other is None or self.rank < other.rank

    @property
    def is_major(self) -> bool:
        """Whether it is a major incident, one that people are called for."""
        return self.rank <= Sev.SEV_2.rank


_BY_NAME = {str(sev): sev for sev in Sev}


def parse_sev(text: str) -> Sev | None:
    """`SEV-1` … `SEV-5`, or None for `none`. Raises ValueError for anything else."""
    if text == NONE:
        return None
    try:
        return _BY_NAME[text]
    except KeyError:
        raise ValueError(f"{text!r} is not a SEV: SEV-1 … SEV-5 or none") from None


def sev_name(sev: Sev | None) -> str:
    """`SEV-1` … `SEV-5`, or `none`."""
    return NONE if sev is None else str(sev)


def worst(sevs: Iterable[Sev | None]) -> Sev | None:
    """The worst of them; None when all are None or there are none."""
    return min((sev for sev in sevs if sev is not None), key=lambda sev: sev.rank, default=None)
