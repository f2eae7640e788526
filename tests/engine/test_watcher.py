"""The watcher resolves what stayed quiet, wakes when something is due, and outlives a store that is away."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from structlog.testing import capture_logs

from sevrouter.domain.incident import IncidentState
from sevrouter.engine import watcher as watcher_module
from sevrouter.store.errors import StoreUnavailableError
from tests.building import counts
from tests.domain.building import at, firing, resolved
from tests.engine.stage import OPENED, PATIENCE, RESOLVED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest

    from tests.engine.stage import Stage


@contextlib.asynccontextmanager
async def running(stage: Stage) -> AsyncIterator[None]:
    """Let the watcher run meanwhile."""
    task = asyncio.create_task(stage.watcher.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def ended_bug(stage: Stage, name: str = "Down") -> None:
    """A bug that is over, whose quiet time runs."""
    await stage.push(firing(name, severity="info"))
    stage.jira.expect_one(OPENED)
    await stage.push(resolved(name, severity="info"))


async def test_the_quiet_time_is_waited_out_to_the_second(stage: Stage) -> None:
    await ended_bug(stage)
    await stage.forward(minutes=4, seconds=59)
    assert (await stage.incident()).is_open
    with capture_logs() as lines:
        await stage.forward(seconds=1)
    assert stage.jira.expect_one(RESOLVED).received_at == at(5), "what nobody sent was received when it was noticed"
    incident = await stage.incident()
    assert (incident.state, incident.resolved_at) == (IncidentState.RESOLVED, at(5))
    assert (await stage.facts())[-3:] == ["quiet", "resolved", "delivered"]
    assert [line["event"] for line in lines] == ["incident_resolved", "delivered"]


async def test_what_ended_is_settled_once(stage: Stage) -> None:
    await ended_bug(stage)
    await stage.forward(minutes=5)
    stage.jira.expect_one(RESOLVED)
    before = await counts(stage.store)
    await stage.forward(hours=24)
    assert await counts(stage.store) == before


async def test_it_says_when_the_next_is_due(stage: Stage) -> None:
    assert await stage.watcher.settle_due() is None
    await ended_bug(stage, "A")
    stage.clock.forward(minutes=2)
    await ended_bug(stage, "B")
    assert await stage.watcher.settle_due() == at(5)
    await stage.forward(minutes=3)
    stage.jira.expect_one(RESOLVED)
    assert await stage.watcher.settle_due() == at(7)


async def test_more_than_a_handful_is_settled_in_several_transactions(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher_module, "TOGETHER", 2)
    names = ["A", "B", "C"]
    await stage.push(*(firing(name, severity="info") for name in names))
    await stage.push(*(resolved(name, severity="info") for name in names))
    stage.jira.expect(OPENED, OPENED, OPENED)
    stage.clock.forward(minutes=5)
    assert await stage.watcher.settle_due() == at(5), "one is left, and it is due"
    assert await stage.watcher.settle_due() is None
    await stage.idle()
    stage.jira.expect(RESOLVED, RESOLVED, RESOLVED)


async def test_a_due_time_that_comes_while_it_sleeps_wakes_it(stage: Stage) -> None:
    async with running(stage):
        await ended_bug(stage)
        stage.clock.forward(minutes=5)
        stage.watcher.wake()
        await stage.jira.is_told()
    await stage.idle()
    stage.jira.expect_one(RESOLVED)


async def test_intake_wakes_it_for_a_new_due_time(stage: Stage) -> None:
    woken: list[None] = []
    stage.aftermath._due = lambda: woken.append(None)
    await stage.push(firing(severity="info"))
    stage.jira.expect_one(OPENED)
    assert woken == []
    await stage.push(resolved(severity="info"))
    assert woken == [None]


async def test_it_outlives_a_store_that_is_away_and_says_so_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    await ended_bug(stage)
    stage.clock.forward(minutes=5)
    read, tries = stage.store.read, 0
    failed = asyncio.Event()

    async def away(work: Any) -> Any:
        nonlocal tries
        tries += 1
        if tries <= 2:
            failed.set()
            raise StoreUnavailableError("locked")
        return await read(work)

    monkeypatch.setattr(stage.store, "read", away)
    with capture_logs() as lines:
        async with running(stage), asyncio.timeout(PATIENCE):
            for _ in range(2):
                await failed.wait()
                failed.clear()
                stage.watcher.wake()
            await stage.jira.is_told()
        await stage.idle()
    stage.jira.expect_one(RESOLVED)
    assert [line["event"] for line in lines if line["event"] == "watcher_failing"] == ["watcher_failing"]
