"""What is in an alert as Alertmanager writes it, the same in a webhook and in its API, so that it is the same alert.

Knows JSON as well-behaved senders write it; what they do not is left to `lenient`.
"""

from __future__ import annotations

from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from sevrouter.domain.labels import pairs_digest
from sevrouter.domain.lenient import Unreadable, text_map

if TYPE_CHECKING:
    from collections.abc import Mapping

# What was not sent. An optional `Raw` would take nothing but null.
ABSENT = msgspec.Raw()
# What a decoder raises where something is written otherwise.
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
# Label sets whose digest is remembered.
MOST_IDENTITIES = 100_000

read_texts = msgspec.json.Decoder(dict[str, str]).decode
# The digest of a label set by the hash of its text: a busy Alertmanager writes the same ones for hours.
_identities: dict[bytes, bytes] = {}


def identity(raw: msgspec.Raw, labels: Mapping[str, str] | None = None) -> bytes:
    """The digest of labels by their text; they are read only where nobody remembers it. Raises what a decoder does."""
    key = sha256(raw).digest()
    return _identities.get(key) or _identify(key, read_texts(raw) if labels is None else labels)


def _identify(key: bytes, labels: Mapping[str, str]) -> bytes:
    if len(_identities) >= MOST_IDENTITIES:
        for first in list(islice(_identities, MOST_IDENTITIES // 8)):
            # Another thread may be at it, too.
            _identities.pop(first, None)
    digest = _identities[key] = pairs_digest(labels)
    return digest


def content_of(annotations: msgspec.Raw, values: msgspec.Raw = ABSENT) -> bytes:
    """A hash of all that can change while the labels stay, by its text."""
    content = sha256(annotations)
    if values is not ABSENT:
        # Apart, so that nothing that moves from one to the other looks the same.
        content.update(b"\0")
        content.update(values)
    return content.digest()[:16]


def forgiven_annotations(value: Any) -> dict[str, str]:
    """Annotations that may be anything: none where they cannot be read."""
    # What identifies an alert is in its labels; without annotations a number is missing, and that is unsure.
    try:
        return text_map(value, "annotations")
    except Unreadable:
        return {}
