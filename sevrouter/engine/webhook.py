"""What comes in one POST, read and not yet read."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass

from sevrouter.domain.alert import Alert


@dataclass(frozen=True, slots=True)
class Webhook:
    """What came in one POST. `quarantined` holds a body (or members of one) that could not be read, and why.

    `repeats` are the sightings of alerts that were sent just like this before, and were not read.
    """

    alerts: Sequence[Alert]
    truncated: bool = False
    quarantined: tuple[str, bytes] | None = None
    repeats: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True)
class Unread:
    """A POST of which no more is known than its outline: the sightings of its alerts, where it has any.

    `read` reads it, but for the alerts of the sightings that it is given. `is_plain`: besides these alerts there is
    nothing in it.
    """

    read: Callable[[Container[bytes]], Webhook]
    sightings: Sequence[bytes] = ()
    is_plain: bool = False
