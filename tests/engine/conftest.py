"""A stage for each story; at its end nobody may have been told what was not expected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from tests.engine.stage import Stage
from tests.stores import empty_database, empty_postgres, postgres_copy, postgresql_store, sqlite_store, store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sevrouter.store.sqlite import SqliteStore

__all__ = ["empty_database", "empty_postgres", "postgres_copy", "postgresql_store", "sqlite_store", "store"]


@pytest_asyncio.fixture
async def empty_stage(store: SqliteStore) -> AsyncIterator[Stage]:
    """A stage on which no lane is open yet: the outbox only fills."""
    stage = Stage(store)
    try:
        yield stage
        stage.nothing_unexpected()
    finally:
        await stage.dispatcher.stop()


@pytest_asyncio.fixture
async def stage(empty_stage: Stage) -> Stage:
    """A stage whose recipients take everything unless told otherwise."""
    empty_stage.open_lanes()
    return empty_stage
