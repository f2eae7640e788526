"""An open door for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from tests.ingest.door import Door
from tests.stores import empty_database, empty_postgres, postgres_copy, postgresql_store, sqlite_store, store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sevrouter.store.sqlite import SqliteStore

__all__ = ["empty_database", "empty_postgres", "postgres_copy", "postgresql_store", "sqlite_store", "store"]


@pytest_asyncio.fixture
async def door(store: SqliteStore) -> AsyncIterator[Door]:
    """A door that everybody may knock at."""
    async with Door(store) as door:
        yield door
