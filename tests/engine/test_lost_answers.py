"""The store has committed, and nobody hears of it in time: what was claimed is neither forgotten nor sent twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sevrouter.engine.lease import LEASE
from tests.engine.stage import OPENED, critical, warning

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.engine.stage import Stage


@pytest.fixture
def committed_unheard(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every write is committed, its answer is lost, and so it is run again."""
    write = stage.store.write

    async def twice(work: Any, **ahead: Any) -> Any:
        await write(work, **ahead)
        return await write(work, **ahead)

    monkeypatch.setattr(stage.store, "write", twice)


async def after_its_claim(stage: Stage, monkeypatch: pytest.MonkeyPatch, then: Callable[[], Awaitable[object]]) -> None:
    """Let something happen between a lane's claim of a delivery and its hearing of it, once."""
    write, happened = stage.store.write, False

    async def late(work: Any, **ahead: Any) -> Any:
        nonlocal happened
        result = await write(work, **ahead)
        if getattr(result, "deliveries", None) and not happened:
            happened = True
            await then()
        return result

    monkeypatch.setattr(stage.store, "write", late)


@pytest.mark.usefixtures("committed_unheard")
async def test_what_intake_claimed_is_sent_at_once_and_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage.dispatcher, "takes", lambda _: True)
    await stage.push(critical())
    assert stage.call.expect_one(OPENED).attempts == 1
    stage.slack.expect_one(OPENED)


@pytest.mark.usefixtures("committed_unheard")
async def test_what_a_lane_claimed_is_sent_at_once_and_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage.dispatcher, "takes", lambda _: False)
    await stage.push(warning())
    assert stage.slack.expect_one(OPENED).attempts == 1


async def test_what_was_claimed_too_long_ago_is_looked_at_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def half_of_its_lease() -> None:
        stage.clock.forward(seconds=LEASE.total_seconds() / 2)

    monkeypatch.setattr(stage.dispatcher, "takes", lambda _: False)
    await after_its_claim(stage, monkeypatch, half_of_its_lease)
    await stage.push(warning())
    assert stage.slack.expect_one(OPENED).attempts == 1


async def test_a_worker_that_stood_still_past_its_lease_sends_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def its_lease_and_a_rescuer() -> None:
        stage.clock.forward(seconds=LEASE.total_seconds() + 1)
        assert await stage.dispatcher.rescue() == 1

    monkeypatch.setattr(stage.dispatcher, "takes", lambda _: False)
    await after_its_claim(stage, monkeypatch, its_lease_and_a_rescuer)
    await stage.push(warning())
    stage.slack.expect()
    await stage.forward(minutes=1)
    assert stage.slack.expect_one(OPENED).unknowns == 1
