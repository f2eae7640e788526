"""Long lists of keys, cut to what one statement takes well."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

T = TypeVar("T")

# SQLite takes 32,766 variables a statement, and longer lists are no quicker.
CHUNK = 1_000


def chunks(keys: Iterable[T]) -> Iterator[list[T]]:
    """The keys in lists of at most CHUNK."""
    rest = iter(keys)
    while chunk := list(itertools.islice(rest, CHUNK)):
        yield chunk
