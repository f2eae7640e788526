"""The janitor rescues lost deliveries and forgets what is old, bit by bit, and outlives what goes wrong."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from sevrouter.engine import janitor as janitor_module
from sevrouter.engine.janitor import Janitor
from sevrouter.engine.lease import LEASE
from tests.building import counts
from tests.domain.building import firing, resolved
from tests.engine.stage import OPENED, PATIENCE, RESOLVED

if TYPE_CHECKING:
    from tests.engine.stage import Stage

MONTH = timedelta(days=35)


@pytest.fixture
def janitor(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Janitor:
    """A janitor that makes no pauses."""
    monkeypatch.setattr(janitor_module, "PAUSE", 0)
    return Janitor(stage.store, stage.dispatcher, lambda: MONTH, clock=stage.clock)


async def an_old_story(stage: Stage) -> None:
    """A bug that ended five weeks and some minutes ago."""
    await stage.push(firing(severity="info"))
    await stage.push(resolved(severity="info"))
    await stage.forward(minutes=5)
    stage.jira.expect(OPENED, RESOLVED)
    stage.clock.forward(hours=24 * 35, minutes=1)


async def test_what_is_older_than_the_retention_is_forgotten_in_pieces(
    stage: Stage, janitor: Janitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(janitor_module, "TOGETHER", 1)
    for name in "ABC":
        await stage.push(firing(name, severity="none"), resolved(f"{name}{name}", severity="none"))
    await an_old_story(stage)
    with capture_logs() as lines:
        gone = await janitor.forget()
    assert gone == 5, "four alerts that ended and an incident; three alerts still fire"
    assert await counts(stage.store, "alerts", "incidents", "timeline", "deliveries") == {
        "alerts": 3,
        "incidents": 0,
        "timeline": 0,
        "deliveries": 0,
    }
    assert [(line["event"], line["rows"]) for line in lines] == [("history_forgotten", 5)]


async def test_nothing_to_forget_is_not_worth_a_line(stage: Stage, janitor: Janitor) -> None:
    await stage.push(firing(severity="none"))
    with capture_logs() as lines:
        assert await janitor.forget() == 0
    assert lines == []


async def test_its_round_rescues_and_forgets(stage: Stage, janitor: Janitor) -> None:
    await an_old_story(stage)
    gate = stage.jira.hangs()
    await stage.take(firing("Later", severity="info"))
    await stage.jira.is_told()
    stage.clock.forward(seconds=LEASE.total_seconds() + 1)
    task = asyncio.create_task(janitor.run())
    async with asyncio.timeout(PATIENCE):
        while (await counts(stage.store, "incidents"))["incidents"] > 1:
            pass
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    gate.set()
    await stage.forward(minutes=1)
    rescued = stage.jira.expect(OPENED, OPENED)[1]
    assert rescued.unknowns == 1


async def test_it_outlives_what_goes_wrong(stage: Stage, janitor: Janitor, monkeypatch: pytest.MonkeyPatch) -> None:
    again, tries = asyncio.Event(), 0

    async def rescue() -> int:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise RuntimeError("our own fault")
        again.set()
        return 0

    monkeypatch.setattr(janitor_module, "RESCUE_EVERY", 0.001)
    monkeypatch.setattr(stage.dispatcher, "rescue", rescue)
    with capture_logs() as lines:
        task = asyncio.create_task(janitor.run())
        async with asyncio.timeout(PATIENCE):
            await again.wait()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert [line["event"] for line in lines] == ["janitor_failing"]
