"""Drills: who is called while nothing is wrong, when, and what is known of it afterwards."""

from __future__ import annotations

import asyncio
from datetime import time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest_asyncio

from sevrouter.domain.delivery import OutcomeReason, Rejected
from sevrouter.domain.drill import Drill, DrillPlan
from sevrouter.domain.ringing import RingEnd
from tests.engine.calling import SIP, TWILIO, CallingStage
from tests.engine.stage import OPENED, critical

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sevrouter.store.sqlite import SqliteStore
    from tests.engine.calling import Call

BERLIN = ZoneInfo("Europe/Berlin")
EVERYBODY = ("ana", "ben", "eve")


@pytest_asyncio.fixture
async def stage(store: SqliteStore) -> AsyncIterator[CallingStage]:
    """One phone; Ana, Ben and Eve have a number, Kim has none. Nothing is wrong."""
    stage = CallingStage(store, SIP)
    try:
        yield stage
        stage.nothing_unexpected()
    finally:
        await stage.ringer.stop(within=0)
        await stage.dispatcher.stop()


def weekly(stage: CallingStage, *, minutes_ago: float = 0) -> DrillPlan:
    """Every week, at the time that it is now, or was."""
    here = (stage.clock() - timedelta(minutes=minutes_ago)).astimezone(BERLIN)
    return DrillPlan(every=timedelta(days=7), at=time(here.hour, here.minute), zone=BERLIN)


async def known(stage: CallingStage, person: str = "ana", provider: str = "sip") -> Drill:
    """What is stored of a person's drills."""
    return (await stage.store.read(lambda tx: tx.drills.known())).get((person, provider), Drill())


async def confirm(stage: CallingStage, *calls: Call) -> None:
    """Each answers and presses the key."""
    for call in calls:
        assert "This is a drill" in await call.answer()
        assert await call.press("1") == "Thank you. The drill has succeeded. Good bye."
        call.hang_up()
        await stage.ended(call)
    await asyncio.gather(*stage.drilling._calls.values())


async def test_who_is_asked_for_is_called_and_it_is_known_what_came_of_it(stage: CallingStage) -> None:
    await stage.drill()
    stage.sip.expect()
    asked_at = stage.clock()
    await stage.store.write(lambda tx: tx.drills.ask("ana", "sip", at=asked_at))
    await stage.drill()
    (ana,) = stage.sip.expect("ana")
    await stage.drill()
    await confirm(stage, ana)
    drill = await known(stage)
    assert (drill.end, drill.succeeded_at) == (RingEnd.ACKNOWLEDGED, stage.clock())
    assert await stage.incidents() == []
    # Once is enough.
    await stage.drill()


async def test_who_does_not_confirm_is_known_too_and_what_was_before_stays(stage: CallingStage) -> None:
    before = stage.clock() - timedelta(days=3)
    await stage.store.write(
        lambda tx: tx.drills.put("ana", "sip", drilled_at=before, end=RingEnd.ACKNOWLEDGED, succeeded_at=before)
    )
    await stage.store.write(lambda tx: tx.drills.ask("ana", "sip", at=stage.clock()))
    await stage.drill()
    (ana,) = stage.sip.expect("ana")
    ana.ends(RingEnd.NO_ANSWER)
    await stage.ended(ana)
    drill = await known(stage)
    assert (drill.end, drill.succeeded_at, drill.drilled_at) == (RingEnd.NO_ANSWER, before, ana.ring.began_at)


async def test_a_provider_that_cannot_call_fails_its_drill_and_no_other_calls_instead(stage: CallingStage) -> None:
    stage.sip.refuses(Rejected(OutcomeReason.UNAUTHORISED, "403"))
    await stage.store.write(lambda tx: tx.drills.ask("ana", "sip", at=stage.clock()))
    await stage.drill()
    (ana,) = stage.sip.expect("ana")
    await stage.ended(ana)
    assert (await known(stage)).end is RingEnd.NOT_PLACED


async def test_what_was_asked_for_long_ago_is_wanted_no_more(stage: CallingStage) -> None:
    await stage.store.write(lambda tx: tx.drills.ask("ana", "sip", at=stage.clock()))
    await stage.forward(minutes=3)
    await stage.drill()


async def test_everybody_with_a_phone_is_called_once_a_week_at_that_time(stage: CallingStage) -> None:
    stage.drilling.plan = weekly(stage)
    await stage.drill()
    await confirm(stage, *stage.sip.expect(*EVERYBODY))
    next_at = await stage.drill()
    assert next_at is not None
    assert timedelta(hours=22) < next_at - stage.clock() <= timedelta(days=1)
    await stage.forward(hours=24 * 6)
    await stage.drill()
    stage.sip.expect()
    await stage.forward(hours=24)
    await stage.drill()
    await confirm(stage, *stage.sip.expect(*EVERYBODY))


async def test_nobody_is_called_at_another_time_because_we_were_down(stage: CallingStage) -> None:
    stage.drilling.plan = weekly(stage, minutes_ago=61)
    await stage.drill()
    stage.sip.expect()
    stage.drilling.plan = weekly(stage, minutes_ago=30)
    await stage.drill()
    await confirm(stage, *stage.sip.expect(*EVERYBODY))


async def test_a_person_is_drilled_by_one_provider_after_the_other(store: SqliteStore) -> None:
    stage = CallingStage(store, SIP, TWILIO)
    stage.drilling.plan = weekly(stage)
    await stage.drill()
    first = stage.sip.expect(*EVERYBODY)
    stage.twilio.expect()
    await confirm(stage, *first)
    await stage.drill()
    await confirm(stage, *stage.twilio.expect(*EVERYBODY))
    await stage.drill()
    stage.nothing_unexpected()
    await stage.ringer.stop(within=0)
    await stage.dispatcher.stop()


async def test_another_replica_does_not_drill_again(stage: CallingStage) -> None:
    stage.drilling.plan = weekly(stage)
    await stage.drill()
    calls = stage.sip.expect(*EVERYBODY)
    other = CallingStage(stage.store, SIP)
    other.clock.now = stage.clock()
    other.drilling.plan = stage.drilling.plan
    await other.drilling.drill()
    other.sip.expect()
    await confirm(stage, *calls)
    await other.drilling.drill()
    other.nothing_unexpected()
    await other.ringer.stop(within=0)
    await other.dispatcher.stop()


async def test_a_drill_gives_way_to_a_real_call(stage: CallingStage) -> None:
    await stage.store.write(lambda tx: tx.drills.ask("ana", "sip", at=stage.clock()))
    await stage.drill()
    drill = stage.sip.expect_one("ana")
    assert "This is a drill" in await drill.answer()
    await stage.push(critical())
    assert drill.farewell == "You are really needed: the next call is no drill. Good bye."
    await stage.settle()
    ana, _ = stage.sip.expect("ana", "ben")
    assert "SEV-2" in await ana.answer()
    stage.slack.expect(OPENED)
    assert (await known(stage)).succeeded_at is None


async def test_who_is_really_wanted_is_not_drilled(stage: CallingStage) -> None:
    await stage.push(critical())
    stage.slack.expect(OPENED)
    await stage.store.write(lambda tx: tx.drills.ask("ana", "sip", at=stage.clock()))
    await stage.drill()
    for call in stage.sip.expect("ana", "ben"):
        assert not call.ring.is_drill
