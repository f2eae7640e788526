"""Secrets that live in files and may be rotated while we run. Knows files; never shows what is in them."""

from __future__ import annotations

import stat
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import SecretStr

LARGEST = 64 * 1024

Secret = Callable[[], str]
Signature = tuple[int, int, int]

_log = structlog.get_logger()


class SecretError(ValueError):
    """A secret cannot be read. The text says why and never holds what was read."""


class SecretFile:
    """Gives the secret in a file as it is now.

    A file that vanishes or cannot be used while we run is logged once, and the last good secret stays in use:
    an old secret may still work, no secret never does. Raises SecretError at construction.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        # A notifier asks in the loop while a reload asks in its thread.
        self._lock = threading.Lock()
        self._signature: Signature | None = signature(path)
        self._value = read_secret(path)
        self._trouble: str | None = None

    def __call__(self) -> str:
        with self._lock:
            now = signature(self._path)
            # A file that becomes readable again may look unchanged, so in trouble it is always tried.
            if now != self._signature or self._trouble is not None:
                self._read_again(now)
            return self._value

    def __eq__(self, other: object) -> bool:
        # A secret that was rotated comes from where it came from before: nothing has changed in the settings.
        return isinstance(other, SecretFile) and self._path == other._path

    def __hash__(self) -> int:
        return hash(self._path)

    def __repr__(self) -> str:
        return f"SecretFile({str(self._path)!r})"

    def _read_again(self, now: Signature | None) -> None:
        changed, self._signature = now != self._signature, now
        try:
            self._value = read_secret(self._path)
        except SecretError as error:
            if changed or str(error) != self._trouble:
                _log.error("secret_unreadable", path=str(self._path), reason=str(error))
            self._trouble = str(error)
            return
        self._trouble = None
        _log.info("secret_rotated", path=str(self._path))


class InlineSecret:
    """A secret that stands in the configuration itself, where that is allowed."""

    def __init__(self, value: str) -> None:
        self._value = value

    def __call__(self) -> str:
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, InlineSecret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "InlineSecret(…)"


class UnopenedSecret:
    """Gives the secret in a file that nobody has looked at. Raises SecretError when it is asked for and cannot."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self) -> str:
        try:
            return read_secret(self._path)
        except SecretError as error:
            raise SecretError(f"{self._path} {error}") from None

    def __repr__(self) -> str:
        return f"UnopenedSecret({str(self._path)!r})"


class UnloadedSecret:
    """Stands where a secret would be when a configuration is only looked at."""

    def __call__(self) -> str:
        raise SecretError("the configuration was loaded without its secrets")

    def __repr__(self) -> str:
        return "UnloadedSecret()"


def signature(path: Path) -> Signature | None:
    """What changes when a file does: time in nanoseconds, size, inode; None where there is no file."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def read_secret(path: Path) -> str:
    """The one line in a file, without its line break. Raises SecretError."""
    content = beginning(path)
    if len(content) > LARGEST:
        raise SecretError(f"is larger than {LARGEST // 1024} KiB")
    return checked_secret(content)


def beginning(path: Path) -> bytes:
    """What a file begins with, a byte more than the largest secret. Raises SecretError where it is no file."""
    try:
        mode = path.stat().st_mode
        # A pipe or a device would block us, or never end.
        content = _beginning(path) if stat.S_ISREG(mode) else b""
    except (OSError, ValueError) as error:
        raise SecretError(f"cannot be read: {getattr(error, 'strerror', None) or 'not a file name'}") from None
    if not stat.S_ISREG(mode):
        raise SecretError("is a directory" if stat.S_ISDIR(mode) else "is not a regular file")
    return content


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LARGEST + 1)


def checked_secret(content: bytes) -> str:
    """The text of a secret. Raises SecretError where no HTTP header could carry it."""
    try:
        text = content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise SecretError("is not text") from None
    if not text.strip():
        raise SecretError("is empty")
    if "\n" in text or "\r" in text:
        raise SecretError("holds more than one line")
    if not text.isprintable():
        raise SecretError("holds a control character")
    return text


def one_secret(file: str | None, inline: SecretStr | None, open_file: Callable[[str], Secret]) -> Secret:
    """The secret of a section that was checked to have one: in a file, or in the configuration itself."""
    if file is not None:
        return open_file(file)
    assert inline is not None  # the choices were checked
    return InlineSecret(inline.get_secret_value())


def optional_secret(file: str | None, inline: SecretStr | None, open_file: Callable[[str], Secret]) -> Secret | None:
    """The secret of a section that may have none."""
    return None if file is None and inline is None else one_secret(file, inline, open_file)


def secrets_of(
    files: tuple[str, ...] | None, inline: tuple[SecretStr, ...] | None, open_file: Callable[[str], Secret]
) -> tuple[Secret, ...]:
    """Several secrets, each of which is valid."""
    return (
        *(open_file(file) for file in files or ()),
        *(InlineSecret(each.get_secret_value()) for each in inline or ()),
    )
