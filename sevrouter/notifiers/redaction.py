"""Secrets: asked for at each attempt. Must not know where one is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sevrouter.domain.delivery import OutcomeReason, Retry

if TYPE_CHECKING:
    from sevrouter.notifiers.base import Secret


def read_secret(secret: Secret) -> str | Retry:
    """The secret as it is now, or why the attempt cannot be made. A file that is being rotated comes back."""
    try:
        value = secret()
    except (OSError, ValueError) as error:
        # Not the error's text: it may hold what was read.
        return Retry(OutcomeReason.SECRET_UNREADABLE, f"the secret cannot be read: {type(error).__name__}")
    if not value:
        return Retry(OutcomeReason.SECRET_UNREADABLE, "the secret is empty")
    if not (value.isascii() and value.isprintable()):
        return Retry(OutcomeReason.SECRET_UNREADABLE, "the secret holds characters that no header can carry")
    return value
