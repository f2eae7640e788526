"""A database as the command line uses it, whichever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from sevrouter.store.migrate import Migration
    from sevrouter.store.transaction import Transaction

T = TypeVar("T")


class Database(Protocol):
    """Runs single works, also beside daemons that use the same database. Every method raises StoreError."""

    def read_once(self, work: Callable[[Transaction], T]) -> T:
        """Run a work that only reads."""
        ...

    def write_once(self, work: Callable[[Transaction], T]) -> T:
        """Run a work."""
        ...

    def migrate(self) -> list[Migration]:
        """Bring it to this version's schema, and return the steps that were missing."""
        ...

    def alone(self, work: Callable[[Connection], T], *, keep: bool) -> T:
        """Run a work on this version's schema in one transaction, while nobody else may change anything.

        Without `keep` nothing stays of what it changed, nor of the steps that were missing.
        """
        ...

    def close(self) -> None:
        """Let go of it."""
        ...
