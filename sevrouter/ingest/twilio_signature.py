"""Whether Twilio sent a request: their signature over the address as they know it, and the form.

There is no time in it, so that a request that was heard can be sent again by whoever heard it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HEADER = "X-Twilio-Signature"

_PORTS = {"https": 443, "http": 80}


def signature(url: str, form: Iterable[tuple[str, str]], *, auth_token: str) -> str:
    """What they sign a POST of a form with. A pair that comes twice counts once."""
    signed = url + "".join(name + value for name, value in sorted(set(form)))
    mac = hmac.new(auth_token.encode(), signed.encode("utf-8", "surrogatepass"), hashlib.sha1)
    return base64.b64encode(mac.digest()).decode()


def is_signed(url: str, form: Iterable[tuple[str, str]], given: str, *, auth_token: str) -> bool:
    """Whether a signature is right. They sign the address with its port or without, so both are."""
    pairs, right = list(form), False
    # Each is compared, whichever fits, so that the time tells nothing.
    for each in _spellings(url):
        expected = signature(each, pairs, auth_token=auth_token)
        right |= hmac.compare_digest(expected.encode(), given.encode("utf-8", "surrogateescape"))
    return right


def _spellings(url: str) -> Iterator[str]:
    parts = urlsplit(url)
    port = parts.port or _PORTS.get(parts.scheme)
    bare = parts.netloc.removesuffix(f":{parts.port}") if parts.port else parts.netloc
    for netloc in dict.fromkeys((parts.netloc, bare, f"{bare}:{port}")):
        yield urlunsplit(parts._replace(netloc=netloc))
