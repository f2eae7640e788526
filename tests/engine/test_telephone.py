"""A major incident by a real telephone: it rings, says what is broken, and whoever presses the key owns it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from sevrouter.domain.policy import Step, Target
from sevrouter.notifiers.sip import Sip
from sevrouter.notifiers.speaking import Speech, espeak
from tests.engine.calling import ACKNOWLEDGED, POLICY, SIP, Call, CallingStage, Phone
from tests.engine.stage import OPENED, critical
from tests.real.phone import ALIKE, likeness
from tests.real.phone import Phone as RealPhone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sevrouter.domain.ringing import Ring
    from sevrouter.engine.calling_ports import Conversation
    from sevrouter.engine.placing import Outcome
    from sevrouter.store.sqlite import SqliteStore

WITHIN = 60  # seconds


class Telephones(Phone):
    """Calls for real. Remembers what each call has said."""

    def __init__(self, changed: asyncio.Event, sip: Sip) -> None:
        super().__init__("sip", changed)
        self._sip = sip
        self.rings: list[Ring] = []

    async def ring(self, ring: Ring, conversation: Conversation) -> Outcome:
        """Call."""
        call = Call(ring, conversation)
        self.rings.append(ring)
        self.under_way.append(call)
        self._changed.set()
        try:
            return await self._sip.ring(ring, conversation)
        finally:
            self.under_way.remove(call)
            self._changed.set()


@pytest.fixture
def speech(espeak_binary: Path) -> Speech:
    return Speech(espeak(program=str(espeak_binary)))


@pytest_asyncio.fixture
async def phone(tmp_path: Path, baresip: None) -> AsyncIterator[RealPhone]:
    async with RealPhone(tmp_path) as started:
        yield started


@pytest_asyncio.fixture
async def stage(sqlite_store: SqliteStore, phone: RealPhone, speech: Speech) -> AsyncIterator[CallingStage]:
    """Ana and Ben, who are called at the same time, at the same exchange."""
    both = Step((Target(person="ana"), Target(person="ben")), then=timedelta(minutes=3))
    made = CallingStage(sqlite_store, SIP, policy=replace(POLICY, steps=(both,)))
    sip = Sip(server=phone.server, interface="127.0.0.1", caller="+49300", speech=speech)
    made.sip = Telephones(made.changed, sip)
    made.ringer.phones = {"sip": made.sip}
    try:
        yield made
        made.nothing_unexpected()
    finally:
        await made.ringer.stop(within=0)
        await made.dispatcher.stop()


async def test_two_phones_ring_one_is_answered_and_the_other_is_told(
    stage: CallingStage, phone: RealPhone, speech: Speech
) -> None:
    await stage.push(critical())
    stage.slack.expect(OPENED)
    await asyncio.gather(phone.expect("rings", call=1), phone.expect("rings", call=2))
    await phone.answer(call=1)
    said = await stage.sip.under_way[0].answer()
    await phone.expect_said(await speech.speak(said), call=1)

    await phone.answer(call=2)
    await phone.expect_heard(1, call=2)
    await phone.press("1", call=1)
    await phone.expect("over", call=1)
    await stage.settle()

    incident = await stage.incident()
    assert incident.state.value == "acknowledged"
    owned = incident.standing.acknowledged
    assert owned is not None
    assert owned.how == "phone"
    stage.slack.expect(ACKNOWLEDGED)
    await phone.expect("over", call=2)
    farewell = await speech.speak(f"{owned.by} owns it. You need not do anything. Good bye.")
    assert likeness(phone.recording(call=2), farewell) > ALIKE

    assert isinstance(stage.sip, Telephones)
    async with asyncio.timeout(WITHIN):
        for ring in stage.sip.rings:
            await stage.ringer.over(ring)
    await stage.settle()
    assert stage.metric("calls_total", provider="sip", outcome="acknowledged") == 1
    assert stage.metric("calls_total", provider="sip", outcome="cancelled") == 1
