"""Fixtures of a real store: the schema is made once, and each test gets a copy of it for itself."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from sevrouter.store.sqlite import SqliteStore, migrate_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that has its schema and nothing else; to be copied, not opened."""
    path = tmp_path_factory.mktemp("database") / "sevrouter.db"
    migrate_file(path)
    return path


@pytest.fixture
def store(tmp_path: Path, empty_database: Path) -> Iterator[SqliteStore]:
    """An open store with nothing in it."""
    path = tmp_path / "sevrouter.db"
    shutil.copyfile(empty_database, path)
    store = SqliteStore.open(path)
    yield store
    store.close()
