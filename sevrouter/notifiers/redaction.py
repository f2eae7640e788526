"""Secrets: asked for at each attempt, and never let out again.

Knows the forms in which a service echoes a secret. Must not know where one is kept.
"""

from __future__ import annotations

import base64
import html
import json
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

from sevrouter.domain.delivery import OutcomeReason, Retry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sevrouter.notifiers.base import Secret

REDACTED = "[redacted]"


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


def redact(text: str, secrets: Iterable[str]) -> str:
    """The text without the secrets, in whatever form it echoes them."""
    forms = {form for secret in secrets for form in _forms(secret) if form}
    # The longest first: one form inside another must not leave the rest of it.
    for form in sorted(forms, key=len, reverse=True):
        text = re.sub(re.escape(form), REDACTED, text, flags=re.IGNORECASE)
    return text


def _forms(secret: str) -> tuple[str, ...]:
    return (
        secret,
        json.dumps(secret)[1:-1],
        html.escape(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        base64.b64encode(secret.encode()).decode().rstrip("="),
    )
