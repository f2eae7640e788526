"""A real SQLite store in a file of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sevrouter.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Where the database is."""
    return tmp_path / "sevrouter.db"


@pytest.fixture
def store(database: Path) -> Iterator[SqliteStore]:
    """An open store."""
    store = SqliteStore.open(database)
    yield store
    store.close()
