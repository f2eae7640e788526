"""Whether a loop of ours still turns: it says whenever it came round well."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sevrouter.engine.ports import Clock

# No loop sleeps for more than a quarter of this, and no round of one takes as long.
LONGEST_ROUND = timedelta(seconds=60)


class Rounds:
    """When a loop last came round well. `name` is what it is called where it is stuck."""

    def __init__(self, name: str, *, clock: Clock) -> None:
        self.name = name
        self._clock = clock
        self._came_at = clock()

    def came(self) -> None:
        """It did, just now."""
        self._came_at = self._clock()

    @property
    def is_stuck(self) -> bool:
        """Whether it should have come round since."""
        return self._clock() - self._came_at > LONGEST_ROUND
