"""Who owns an incident at a paging service that cannot tell us: it is asked, and no more than is needed."""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest_asyncio

from sevrouter.domain.incident import IncidentState
from sevrouter.engine import ack_polling
from sevrouter.engine.ack_polling import TOGETHER, AckPolling, NotAsked, OpenThere, Owned
from tests.building import over
from tests.domain.building import firing
from tests.engine.calling import ACK_ENDED, ACKNOWLEDGED, PAGERDUTY, CallingStage
from tests.engine.stage import OPENED, RESOLVED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import datetime

    import pytest

    from sevrouter.store.sqlite import SqliteStore

OUTAGE = firing("Outage", service="checkout", slo="availability", annotations={"users_affected_percent": "40"})


class Service:
    """What a paging service answers, and what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Sequence[OpenThere]] = []
        self.owners: dict[str, tuple[str, datetime]] = {}
        self.over: set[str] = set()
        self.failures: deque[str] = deque()

    async def owned(self, asked: Sequence[OpenThere]) -> Sequence[Owned] | NotAsked:
        """Answer as the test says."""
        self.asked.append(asked)
        if self.failures:
            return NotAsked(self.failures.popleft())
        return [
            Owned(each.key, *self.owners[each.key], is_over=each.key in self.over)
            for each in asked
            if each.key in self.owners
        ]


class PollingStage(CallingStage):
    """One paging service that rings people by itself, and is asked who owns what."""

    def __init__(self, store: SqliteStore) -> None:
        super().__init__(store, PAGERDUTY)
        self.service = Service()
        self.polling = AckPolling(store, lambda: self.routing, self.acknowledging, clock=self.clock)
        self.polling.sources = {"pagerduty": self.service}

    async def poll(self, *, seconds: float = 15) -> list[OpenThere]:
        """Let time pass, and ask; what was asked about."""
        before = len(self.service.asked)
        await self.forward(seconds=seconds)
        await self.polling.poll()
        await self.settle()
        return [each for asked in self.service.asked[before:] for each in asked]


@pytest_asyncio.fixture
async def stage(store: SqliteStore) -> AsyncIterator[PollingStage]:
    """Nothing is wrong."""
    stage = PollingStage(store)
    try:
        yield stage
        stage.nothing_unexpected()
    finally:
        await stage.ringer.stop(within=0)
        await stage.dispatcher.stop()


async def test_nothing_is_asked_while_nothing_is_open_there(stage: PollingStage) -> None:
    assert await stage.poll() == []
    assert stage.service.asked == []


async def test_who_took_it_there_owns_it_and_it_is_asked_no_more(stage: PollingStage) -> None:
    await stage.push(OUTAGE)
    key = stage.pagerduty.expect_one(OPENED).notice.key
    stage.slack.expect(OPENED)
    (asked,) = await stage.poll()
    assert asked.key == key
    stage.service.owners[key] = ("Ana Example", stage.clock())
    await stage.poll()
    owned = (await stage.incident()).standing.acknowledged
    assert owned is not None
    assert (owned.by, owned.how) == ("Ana Example", "pagerduty")
    stage.slack.expect(ACKNOWLEDGED)
    # Who told us is not told.
    stage.pagerduty.expect()
    assert await stage.poll() == []


async def test_who_owned_it_before_it_rang_again_does_not_own_it_again(stage: PollingStage) -> None:
    await stage.push(OUTAGE)
    key = stage.pagerduty.expect_one(OPENED).notice.key
    stage.slack.expect(OPENED)
    stage.service.owners[key] = ("Ana Example", stage.clock())
    await stage.poll()
    stage.slack.expect(ACKNOWLEDGED)
    # The acknowledgement of a SEV-1 times out.
    await stage.forward(minutes=31)
    stage.slack.expect(ACK_ENDED)
    stage.pagerduty.expect(ACK_ENDED)
    assert [each.key for each in await stage.poll()] == [key]
    assert (await stage.incident()).state is IncidentState.TRIGGERED
    stage.service.owners[key] = ("Ben Example", stage.clock())
    await stage.poll()
    assert (await stage.incident()).state is IncidentState.ACKNOWLEDGED
    stage.slack.expect(ACKNOWLEDGED)


async def test_what_was_ended_there_and_still_fires_is_owned(stage: PollingStage) -> None:
    await stage.push(OUTAGE)
    key = stage.pagerduty.expect_one(OPENED).notice.key
    stage.slack.expect(OPENED)
    stage.service.owners[key] = ("Ana Example", stage.clock())
    stage.service.over.add(key)
    await stage.poll()
    assert (await stage.incident()).state is IncidentState.ACKNOWLEDGED
    stage.slack.expect(ACKNOWLEDGED)
    await stage.push(over(OUTAGE))
    await stage.forward(minutes=6)
    stage.slack.expect(RESOLVED)
    stage.pagerduty.expect(RESOLVED)


async def test_what_fails_is_asked_less_often_until_it_answers(stage: PollingStage) -> None:
    await stage.push(OUTAGE)
    stage.pagerduty.expect(OPENED)
    stage.slack.expect(OPENED)
    stage.service.failures.extend(["server_error", "server_error"])
    assert len(await stage.poll()) == 1
    assert await stage.poll() == [], "the second time it is twice as long"
    assert len(await stage.poll()) == 1
    assert await stage.poll(seconds=45) == []
    assert len(await stage.poll()) == 1
    assert len(await stage.poll()) == 1, "it has answered, and is asked as often as before"


async def test_who_never_answers_keeps_nobody_waiting(stage: PollingStage, monkeypatch: pytest.MonkeyPatch) -> None:
    await stage.push(OUTAGE)
    stage.pagerduty.expect(OPENED)
    stage.slack.expect(OPENED)
    monkeypatch.setattr(ack_polling, "WITHIN", 0.01)
    asked = asyncio.Event()

    async def silent(_asked: Sequence[OpenThere]) -> Sequence[Owned] | NotAsked:
        asked.set()
        await asyncio.Event().wait()
        return ()

    monkeypatch.setattr(stage.service, "owned", silent)
    due_at = await stage.polling.poll()
    assert asked.is_set()
    assert due_at is not None
    assert due_at - stage.clock() == timedelta(seconds=30)


async def test_of_very_many_each_has_its_turn(stage: PollingStage) -> None:
    names = [f"Outage{number}" for number in range(TOGETHER + 5)]
    await stage.push(
        *(
            firing(name, service=name, slo="availability", annotations={"users_affected_percent": "40"})
            for name in names
        )
    )
    stage.pagerduty.expect(*[OPENED] * len(names))
    stage.slack.expect(*[OPENED] * len(names))
    first, second = await stage.poll(), await stage.poll()
    assert (len(first), len(second)) == (TOGETHER, 5)
    assert len({each.key for each in [*first, *second]}) == TOGETHER + 5
    assert len(await stage.poll()) == TOGETHER
