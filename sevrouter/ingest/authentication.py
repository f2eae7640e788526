"""Who may send: bearer tokens or a basic user, compared in constant time, several secrets valid at once."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What is accepted. Secrets are asked for at each request, so that their files may be replaced meanwhile."""

    bearer_tokens: Sequence[Callable[[], str]] = ()
    basic_username: str | None = None
    basic_passwords: Sequence[Callable[[], str]] = ()

    @property
    def are_required(self) -> bool:
        """Whether anything is configured at all; without, everybody may send."""
        return bool(self.bearer_tokens or self.basic_passwords)


def refusal(headers: Sequence[str], credentials: Credentials) -> str | None:
    """Why a request with these Authorization headers is refused, in words without a secret; None if it is not."""
    if not credentials.are_required:
        return None
    if len(headers) != 1:
        return "missing" if not headers else "doubled"
    scheme, _, value = headers[0].strip().partition(" ")
    match scheme.lower():
        case "bearer" if credentials.bearer_tokens:
            return None if _is_any(value.strip(), credentials.bearer_tokens) else "wrong"
        case "basic" if credentials.basic_passwords:
            return None if _is_basic(value.strip(), credentials) else "wrong"
        case _:
            return "of_another_kind"


def user_of(headers: Sequence[str], credentials: Credentials) -> str | None:
    """Who has logged in, of a request that is not refused; None for who has a token."""
    is_basic = bool(headers) and headers[0].strip().lower().startswith("basic ")
    return credentials.basic_username if is_basic else None


def _is_any(given: str, secrets: Sequence[Callable[[], str]]) -> bool:
    # Every secret is compared, whichever fits, so that the time tells nothing.
    found = False
    for secret in secrets:
        found |= _equal(given, secret())
    return found


def _is_basic(value: str, credentials: Credentials) -> bool:
    try:
        decoded = base64.b64decode(value, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return False
    username, _, password = decoded.partition(":")
    is_user = _equal(username, credentials.basic_username or "")
    return _is_any(password, credentials.basic_passwords) and is_user


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "surrogateescape"), other.encode("utf-8", "surrogateescape"))
