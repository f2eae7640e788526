"""Two replicas that write about the same things in turn: each story begins with numbers that one took long before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from sevrouter.store.postgres import PostgresStore
from tests.domain.building import firing, resolved
from tests.engine.stage import OPENED, REOPENED, RESOLVED, Stage
from tests.stores import connector

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest_asyncio.fixture
async def replicas(postgres_copy: str) -> AsyncIterator[tuple[Stage, Stage]]:
    """Two on one database, with one clock. The first one delivers; it was also the first to open an incident."""
    stages = [Stage(PostgresStore.open(connector(postgres_copy))) for _ in range(2)]
    first, second = stages
    second.clock = first.clock
    second.intake._clock = second.watcher._clock = first.clock
    first.open_lanes()
    await first.push(firing(service="other"))
    first.call.expect(OPENED)
    first.slack.expect(OPENED)
    yield first, second
    for stage in stages:
        await stage.dispatcher.stop()
        stage.nothing_unexpected()
        stage.store.close()


async def opened_by_the_second(first: Stage, second: Stage) -> None:
    """An incident, and its call, with numbers that are higher than those that the first one has taken."""
    await second.take(firing())
    await first.idle()
    first.call.expect(OPENED)
    first.slack.expect(OPENED)


async def ended_by(ends: Stage, first: Stage) -> None:
    """Its end, after its quiet time."""
    await ends.take(resolved())
    first.clock.forward(minutes=5)
    await ends.watcher.settle_due()
    await first.idle()


async def test_the_end_is_told_by_who_did_not_open_it(replicas: tuple[Stage, Stage]) -> None:
    first, second = replicas
    await opened_by_the_second(first, second)
    await ended_by(first, first)
    first.call.expect(RESOLVED)
    first.slack.expect(RESOLVED)


async def test_what_another_replica_ended_rings_when_it_comes_back(replicas: tuple[Stage, Stage]) -> None:
    first, second = replicas
    await opened_by_the_second(first, second)
    await ended_by(second, first)
    first.call.expect(RESOLVED)
    first.slack.expect(RESOLVED)
    first.clock.forward(minutes=1)
    await first.push(firing(start=6))
    first.call.expect(REOPENED)
    first.slack.expect(REOPENED)


async def test_a_new_incident_is_the_last_one_whoever_opened_the_one_before(replicas: tuple[Stage, Stage]) -> None:
    first, second = replicas
    await opened_by_the_second(first, second)
    await ended_by(second, first)
    first.call.expect(RESOLVED)
    first.slack.expect(RESOLVED)
    first.clock.forward(hours=24)
    await first.push(firing(start=24 * 60))
    first.call.expect(OPENED)
    first.slack.expect(OPENED)
    # Another alert of the same incident, which nobody has seen yet.
    await second.take(firing(pod="another", start=24 * 60))
    assert [each.firing for each in await first.incidents() if each.is_open] == [1, 2]
