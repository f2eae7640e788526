"""A stage for each story: its own PostgreSQL, vendors on a good day, and replicas that the story starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from tests.chaos.stage import Stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.real.postgres_installation import PostgresInstallation


@pytest_asyncio.fixture
async def stage(tmp_path: Path, postgres_installation: PostgresInstallation) -> AsyncIterator[Stage]:
    """The stage. What a story kills is its own, so the data may be in memory."""
    async with Stage(postgres_installation, tmp_path, "story", fsync=False) as stage:
        stage.vendors.recover()
        yield stage
