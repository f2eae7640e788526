"""The last text of a calendar at an address, on disk: it counts where the address is away, also after a restart.

Whoever can write it decides who is called, so that nobody else may.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct, structs

if TYPE_CHECKING:
    from pathlib import Path

# Bytes: that of the largest calendar, escaped as JSON.
_LARGEST = 64 * 2**20


class Copy(Struct, frozen=True):
    """A text, when it was given, and what its server calls this version of it (ETag, Last-Modified)."""

    text: str
    at: datetime
    etag: str | None = None
    modified: str | None = None


class CopyFile:
    """The copy of what is at one address, in a directory that is made when it is needed."""

    def __init__(self, directory: Path, url: str) -> None:
        # The address is a secret, and names the file all the same.
        self._path = directory / f"{hashlib.sha256(url.encode()).hexdigest()[:32]}.json"

    def read(self) -> Copy | None:
        """The copy; None where there is none that can be read."""
        try:
            with self._path.open("rb") as file:
                copy = msgspec.json.decode(file.read(_LARGEST), type=Copy)
                confirmed_at = datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return None
        return structs.replace(copy, at=confirmed_at)

    def confirm(self, at: datetime) -> None:
        """Its server says that this is still so. Raises OSError."""
        os.utime(self._path, (at.timestamp(), at.timestamp()))

    def write(self, copy: Copy) -> None:
        """Replace it as a whole. Raises OSError."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=self._path.parent, prefix=self._path.stem, suffix=".part")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.json.encode(copy))
                file.flush()
                os.fsync(file.fileno())
            os.utime(name, (copy.at.timestamp(), copy.at.timestamp()))
            os.replace(name, self._path)  # noqa: PTH105  of a name that mkstemp gave
        except BaseException:
            os.unlink(name)  # noqa: PTH108  as above
            raise
