"""Secrets: asked for at each attempt, addresses that are secrets included. Must not know where one is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from sevrouter.domain.delivery import OutcomeReason, Rejected, Retry

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


# What is shorter is found in half the texts there are, and tells nobody anything.
_SHORTEST_PART = 6


def read_address(secret: Secret) -> tuple[str, tuple[str, ...]] | Retry | Rejected:
    """An http(s) address that is a secret, and all that must not be told of it; or why there is none."""
    address = read_secret(secret)
    if not isinstance(address, str):
        return address
    try:
        parts = urlsplit(address)
        parameters = [value for pair in parse_qsl(parts.query) for value in pair]
    except ValueError:
        return Rejected(OutcomeReason.NOT_CONFIGURED, "not an http(s) address")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return Rejected(OutcomeReason.NOT_CONFIGURED, "not an http(s) address")
    named = (parts.path.strip("/"), parts.query, *parts.path.split("/"), *parameters, parts.password or "")
    told = (part for part in named if len(part) >= _SHORTEST_PART)
    return address, (address, parts.netloc, parts.hostname, *told)
