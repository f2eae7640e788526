"""What every integration is given. What each has to be is the loops' `Notifier`: one method."""

from __future__ import annotations

from typing import Protocol


class Secret(Protocol):
    """A secret that may be rotated while we run: ask for it each time, keep no copy."""

    def __call__(self) -> str:
        """The secret as it is now, without a trailing line break. Raises OSError or ValueError where there is none."""
        ...
