"""What can go wrong with the store, as a tree.

StoreError
├── StoreUnavailableError   it cannot be written or read now: ask again
├── StoreBusyError          more waits to be written than is sensible: ask again
├── StoreInUseError         another process has this database
├── SchemaTooNewError       a newer version made this database
├── MoveError               what is in one database cannot be moved into another
└── ConflictError           another replica wrote it first: run the work again
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

from sevrouter.engine.ports import NotStoredError


class StoreError(NotStoredError):
    """Something is wrong with the store."""


class StoreUnavailableError(StoreError):
    """The store cannot be written or read now; nothing was changed as far as we know."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the store is not available: {reason}")


class StoreBusyError(StoreError):
    """More work waits for the store than is sensible."""

    def __init__(self, waiting: int) -> None:
        super().__init__(f"{waiting} writes wait for the store already")


class StoreInUseError(StoreError):
    """Another process has this database: SQLite serves one sevrouter."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"another sevrouter is using {path}: SQLite serves one process at a time")


class SchemaTooNewError(StoreError):
    """The database was made by a newer version."""

    def __init__(self, found: int, known: int) -> None:
        super().__init__(f"the database has schema {found}, this version knows up to {known}: run the newer version")


class MoveError(StoreError):
    """What is in one database cannot be moved into another; both are as they were."""


class ConflictError(StoreError):
    """What was to be changed is not as it was when it was read: another replica was quicker."""

    def __init__(self) -> None:
        super().__init__("another replica changed it meanwhile")
