"""A real SQLite store in a file of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.stores import empty_database, empty_postgres, postgres_copy, postgresql_store, sqlite_store, store

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["empty_database", "empty_postgres", "postgres_copy", "postgresql_store", "sqlite_store", "store"]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Where the database is; it is made by who opens it."""
    return tmp_path / "sevrouter.db"
