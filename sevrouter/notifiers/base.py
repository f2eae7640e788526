"""What every integration is: one method. How it fails is a value, never an exception."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sevrouter.domain.delivery import Delivery, Outcome


class Notifier(Protocol):
    """Tells one integration of one incident.

    Never raises for an expected failure, never sleeps, never retries, never touches the store: when to try
    again is decided by the schedule in the outbox.
    """

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Make one attempt and say what came of it."""
        ...


class Secret(Protocol):
    """A secret that may be rotated while we run: ask for it each time, keep no copy."""

    def __call__(self) -> str:
        """The secret as it is now, without a trailing line break. Raises OSError or ValueError where there is none."""
        ...
