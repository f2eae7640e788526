"""A stage for each story; at its end nobody may have been told what was not expected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from sevrouter.store.sqlite import SqliteStore
from tests.engine.stage import Stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest_asyncio.fixture
async def empty_stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A stage on which no lane is open yet: the outbox only fills."""
    store = SqliteStore.open(tmp_path / "sevrouter.db")
    stage = Stage(store)
    try:
        yield stage
        stage.nothing_unexpected()
    finally:
        await stage.dispatcher.stop()
        store.close()


@pytest_asyncio.fixture
async def stage(empty_stage: Stage) -> Stage:
    """A stage whose recipients take everything unless told otherwise."""
    empty_stage.open_lanes()
    return empty_stage
