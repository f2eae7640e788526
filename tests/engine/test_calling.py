"""A major incident rings until somebody owns it: who is called, when, by what, and what ends it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest_asyncio
from msgspec.structs import replace as struct_replace

from sevrouter.domain.delivery import OutcomeReason, Rejected, Retry, Unknown
from sevrouter.domain.policy import Step, Target
from sevrouter.domain.ringing import Rang, RingEnd
from sevrouter.domain.sev import Sev
from sevrouter.engine.acknowledging import Taken
from tests.building import over
from tests.domain.building import firing
from tests.engine.calling import ACK_ENDED, ACKNOWLEDGED, HOOK, PAGERDUTY, POLICY, SIP, TWILIO, UNANSWERED, CallingStage
from tests.engine.stage import OPENED, RESOLVED, ROSE, critical

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sevrouter.domain.alert import Alert
    from sevrouter.domain.incident import Incident
    from sevrouter.domain.policy import Policy, Provider
    from sevrouter.store.sqlite import SqliteStore

DOWN = critical()
# SEV-1, where a bridge is.
OUTAGE = firing("Outage", service="checkout", slo="availability", annotations={"users_affected_percent": "40"})


@pytest_asyncio.fixture
async def stages(store: SqliteStore) -> AsyncIterator[Callable[..., CallingStage]]:
    """Makes the stage of a story."""
    made: list[CallingStage] = []

    def make(*providers: Provider, policy: Policy = POLICY) -> CallingStage:
        made.append(CallingStage(store, *providers, policy=policy))
        return made[-1]

    try:
        yield make
        for stage in made:
            stage.nothing_unexpected()
    finally:
        for stage in made:
            await stage.ringer.stop(within=0)
            await stage.dispatcher.stop()


@pytest_asyncio.fixture
async def stage(stages: Callable[..., CallingStage]) -> CallingStage:
    """One phone, and Ana, Ben and Eve."""
    return stages(SIP)


async def test_it_is_said_what_is_broken_and_the_key_owns_it(stage: CallingStage) -> None:
    await stage.push(DOWN)
    ana, ben = stage.sip.expect("ana", "ben")
    stage.slack.expect(OPENED)
    said = await ana.answer()
    assert said.startswith("This is sevrouter. SEV-2, on checkout. Down. It is a SEV-2 because ")
    assert said.endswith("for 1 second. Press 1 to acknowledge, 2 to hear it again, 3 to pass it on.")
    assert await ana.press("1") == "Thank you. You own it now. Good bye."
    ana.hang_up()
    await stage.ended(ana)
    incident = await stage.incident()
    assert incident.state.value == "acknowledged"
    assert incident.standing.acknowledged is not None
    assert (incident.standing.acknowledged.by, incident.standing.acknowledged.how) == ("ana", "phone")
    assert stage.slack.expect_one(ACKNOWLEDGED).notice.note == "acknowledged by ana (phone)"
    assert ben.farewell == "ana owns it. You need not do anything. Good bye."
    await stage.forward(hours=3)
    facts = [each for each in await stage.facts() if each != "delivered"]
    assert facts == ["opened", "alerts_fired", "call_started", "acknowledged"]
    assert stage.metric("calls_total", provider="sip", outcome="acknowledged") == 1
    assert stage.metric("calls_total", provider="sip", outcome="cancelled") == 1


async def test_nobody_answers_for_an_hour_and_it_never_goes_quiet(stage: CallingStage) -> None:
    await stage.push(DOWN)
    stage.slack.expect(OPENED)
    rung: list[tuple[int, str]] = []
    said: list[str] = []
    for minute in range(60):
        for call in [*stage.sip.calls]:
            rung.append((minute, call.ring.person))
            call.ends(RingEnd.NO_ANSWER)
            await stage.ended(call)
        stage.sip.calls.clear()
        said += [each.notice.note for each in stage.slack._told if each.notice.kind is UNANSWERED]
        stage.slack._told.clear()
        await stage.forward(minutes=1)
    # Twice Ana and Ben, then Eve; it runs out after 10 minutes and starts over 15 minutes later.
    round_of = [(0, "ana"), (0, "ben"), (2, "ana"), (2, "ben"), (7, "eve")]
    assert rung == [(start + minute, who) for start in (0, 25, 50) for minute, who in round_of]
    assert len(said) == 2
    assert said[0] == (
        "nobody has acknowledged this. Call by hand: ana +49301, ben +49302, eve +49303. The policy starts over in 15m"
    )
    assert "2 times over" in said[1]
    assert await stage.store.read(lambda tx: tx.escalations.unanswered()) == 1
    notes = [each.details["note"] for each in await stage.timeline() if each.fact.value == "unanswered"]
    assert all("+49" not in str(note) for note in notes), "numbers are for those who call by hand"
    await stage.acknowledge()
    stage.slack.expect(UNANSWERED, ACKNOWLEDGED)
    assert await stage.store.read(lambda tx: tx.escalations.unanswered()) == 0


async def test_the_second_person_answers(stage: CallingStage) -> None:
    await stage.push(DOWN)
    stage.slack.expect(OPENED)
    for call in stage.sip.expect("ana", "ben"):
        call.ends(RingEnd.BUSY)
        await stage.ended(call)
    await stage.forward(minutes=2)
    ana, ben = stage.sip.expect("ana", "ben")
    await ana.answer()
    ana.hang_up()  # voicemail presses no key
    await stage.ended(ana)
    assert (await stage.incident()).state.value == "triggered"
    await ben.answer()
    await ben.press("1")
    ben.hang_up()
    await stage.ended(ben)
    stage.slack.expect(ACKNOWLEDGED)
    rang = [each.details for each in await stage.timeline() if each.fact.value == "rang"]
    assert [(each["person"], each["end"]) for each in rang] == [("ana", "busy"), ("ben", "busy"), ("ana", "no_key")]
    await stage.forward(hours=1)


async def test_a_resolve_stops_the_ringing_and_says_so(stage: CallingStage) -> None:
    await stage.push(DOWN)
    ana, ben = stage.sip.expect("ana", "ben")
    await ana.answer()
    await stage.push(over(DOWN))
    await stage.forward(minutes=5)
    assert ana.farewell is None or "resolved" in ana.farewell
    stage.slack.expect(OPENED, RESOLVED)
    assert {each.ring.person for each in stage.sip.stopped} == {"ana", "ben"}
    assert "is resolved" in str(ana.farewell)
    assert "is resolved" in str(ben.farewell)
    await stage.forward(hours=1)


async def test_who_passes_it_on_brings_the_next_step_at_once(stage: CallingStage) -> None:
    await stage.push(DOWN)
    stage.slack.expect(OPENED)
    ana, _ = stage.sip.expect("ana", "ben")
    await ana.answer()
    assert await ana.press("3") == "It is passed on to the next. Good bye."
    ana.hang_up()
    await stage.ended(ana)
    eve = stage.sip.expect_one("eve")
    assert "SEV-2" in await eve.answer()
    await eve.press("1")
    eve.hang_up()
    await stage.ended(eve)
    stage.slack.expect(ACKNOWLEDGED)


async def test_a_number_that_is_wrong_does_not_keep_anybody_waiting(stages: Callable[..., CallingStage]) -> None:
    steps = (Step((Target(person="ana"),), times=3), Step((Target(person="eve"),)))
    stage = stages(SIP, TWILIO, policy=replace(POLICY, steps=steps))
    await stage.push(DOWN)
    stage.slack.expect(OPENED)
    ana = stage.sip.expect_one("ana")
    ana.ends(RingEnd.BAD_NUMBER)
    await stage.ended(ana)
    stage.sip.expect("eve")  # a bad number does not condemn a provider
    await stage.acknowledge()
    stage.slack.expect(ACKNOWLEDGED)


async def test_key_two_says_it_again_and_four_connects_to_the_bridge(stage: CallingStage) -> None:
    await stage.push(OUTAGE)
    assert stage.slack.expect_one(OPENED).notice.bridge == "https://bridge.example.com/1"
    ana, ben = stage.sip.expect("ana", "ben")
    said = await ana.answer()
    assert said.endswith("4 to be connected to the bridge.")
    assert await ana.press("2") == said
    assert await ana.press("9") == said
    assert await ana.press("4") == "You are being connected to the bridge."
    assert ana._said is not None
    assert ana._said.dial == "+49309,,1#"
    ana.hang_up()
    await stage.ended(ana)
    assert (await stage.incident()).state.value == "triggered", "who talks about it does not own it yet"
    await ben.answer()
    assert await ben.press("1") == "Thank you. You own it now. Press 4 to be connected to the bridge."
    await stage.settle()
    assert await ben.press("3") == "Thank you. You own it now. Press 4 to be connected to the bridge."
    assert await ben.press("4") == "You are being connected to the bridge."
    ben.hang_up()
    await stage.ended(ben)
    stage.slack.expect(ACKNOWLEDGED)
    assert stage.metric("calls_total", provider="sip", outcome="connected") == 1
    assert stage.metric("calls_total", provider="sip", outcome="acknowledged") == 1
    assert stage.metric("time_to_acknowledge_seconds_count", how="phone") == 1


async def test_a_rise_after_the_acknowledgement_calls_again_once(stage: CallingStage) -> None:
    slow = firing("Slow", service="checkout", slo="availability", annotations={"users_affected_percent": "6"})
    await stage.push(slow)
    for call in stage.sip.expect("ana", "ben"):
        call.ends(RingEnd.NO_ANSWER)
        await stage.ended(call)
    await stage.acknowledge()
    stage.slack.expect(OPENED, ACKNOWLEDGED)
    await stage.forward(minutes=5)
    worse = replace_annotation(slow, "40")
    await stage.push(worse)
    assert sorted(each.notice.kind.value for each in stage.slack.expect(*([ROSE, ACK_ENDED]))) == ["ack_ended", "rose"]
    ana, _ = stage.sip.expect("ana", "ben")
    assert "SEV-1" in await ana.answer()
    await ana.press("1")
    ana.hang_up()
    await stage.ended(ana)
    await stage.push(worse)
    stage.slack.expect(ACKNOWLEDGED)
    await stage.forward(minutes=29)


async def test_who_owns_a_sev_1_is_asked_again_after_half_an_hour(stage: CallingStage) -> None:
    await stage.push(OUTAGE)
    for call in stage.sip.expect("ana", "ben"):
        call.ends(RingEnd.NO_ANSWER)
        await stage.ended(call)
    await stage.acknowledge()
    stage.slack.expect(OPENED, ACKNOWLEDGED)
    await stage.forward(minutes=29)
    stage.sip.expect()
    await stage.forward(minutes=1)
    ended = stage.slack.expect_one(ACK_ENDED)
    assert "acknowledged 30m ago" in ended.notice.note
    assert len(stage.sip.expect("ana", "ben")) == 2
    await stage.acknowledge()
    stage.slack.expect(ACKNOWLEDGED)


async def test_the_next_phone_calls_when_the_first_cannot(stages: Callable[..., CallingStage]) -> None:
    stage = stages(SIP, TWILIO)
    stage.sip.refuses(Retry(OutcomeReason.UNREACHABLE), Rejected(OutcomeReason.UNAUTHORISED))
    await stage.push(DOWN)
    stage.slack.expect(OPENED)
    stage.sip.expect("ana", "ben")
    for call in stage.twilio.expect("ana", "ben"):
        call.ends(RingEnd.NO_ANSWER)
        await stage.ended(call)
    await stage.forward(minutes=2)
    # The first is tried again later, and is the first again.
    for call in stage.sip.expect("ana", "ben"):
        call.ends(RingEnd.NO_ANSWER)
        await stage.ended(call)
    await stage.acknowledge()
    stage.slack.expect(ACKNOWLEDGED)


async def test_a_service_is_asked_when_no_phone_can_call(stages: Callable[..., CallingStage]) -> None:
    stage = stages(SIP, PAGERDUTY)
    stage.sip.refuses(*[Retry(OutcomeReason.UNREACHABLE)] * 4)
    await stage.push(DOWN)
    stage.slack.expect(OPENED)
    stage.sip.expect("ana", "ben")
    stage.pagerduty.expect(OPENED)
    # The phone is tried again all the same.
    await stage.forward(seconds=30)
    stage.sip.expect("ana", "ben")
    await stage.acknowledge()
    stage.slack.expect(ACKNOWLEDGED)
    stage.pagerduty.expect(ACKNOWLEDGED)
    failed = next(each for each in await stage.timeline() if each.fact.value == "failed_over")
    assert failed.details["note"] == "sip cannot call; going on with pagerduty"


async def test_a_service_that_refuses_is_followed_by_the_phone_at_once(stages: Callable[..., CallingStage]) -> None:
    stage = stages(PAGERDUTY, SIP)
    stage.pagerduty.answers(Rejected(OutcomeReason.UNAUTHORISED))
    await stage.push(DOWN)
    stage.slack.expect(OPENED)
    stage.pagerduty.expect(OPENED)
    await stage.forward(seconds=5)
    stage.sip.expect("ana", "ben")
    await stage.acknowledge()
    stage.slack.expect(ACKNOWLEDGED)


async def test_a_service_that_is_away_is_followed_by_the_next_within_a_minute(
    stages: Callable[..., CallingStage],
) -> None:
    stage = stages(PAGERDUTY, HOOK)
    stage.pagerduty.answers(*[Retry(OutcomeReason.SERVER_ERROR)] * 99)
    await stage.push(DOWN)
    stage.slack.expect(OPENED)
    await stage.forward(seconds=29)
    stage.hook.expect()
    await stage.forward(seconds=6)
    stage.hook.expect(OPENED)
    stage.pagerduty._told.clear()
    await stage.push(over(DOWN))
    await stage.forward(minutes=5)
    stage.hook.expect(RESOLVED)
    stage.slack.expect(RESOLVED)
    stage.pagerduty._told.clear()


async def test_a_service_is_told_once_and_of_all_that_follows(stages: Callable[..., CallingStage]) -> None:
    stage = stages(PAGERDUTY)
    slow = firing("Slow", service="checkout", slo="availability", annotations={"users_affected_percent": "6"})
    await stage.push(slow)
    stage.pagerduty.expect_one(OPENED, Sev.SEV_2)
    await stage.forward(minutes=9)
    await stage.push(replace_annotation(slow, "40"))
    stage.pagerduty.expect_one(ROSE, Sev.SEV_1)
    stage.slack.expect(OPENED, ROSE)
    await stage.forward(minutes=10)
    stage.slack.expect(UNANSWERED)
    await stage.acknowledge(by="kim", how="pagerduty")
    stage.pagerduty.expect()  # it was heard from there
    await stage.forward(minutes=29)
    stage.slack.expect(ACKNOWLEDGED)
    await stage.forward(minutes=1)
    stage.pagerduty.expect(ACK_ENDED)
    stage.slack.expect(ACK_ENDED)
    await stage.push(over(replace_annotation(slow, "40"), minute=60))
    await stage.forward(minutes=5)
    stage.pagerduty.expect(RESOLVED)
    stage.slack.expect(RESOLVED)


async def test_a_service_that_took_it_late_is_told_how_it_ended_all_the_same(
    stages: Callable[..., CallingStage],
) -> None:
    stage = stages(PAGERDUTY, HOOK)
    # It takes it after somebody else was asked, and rings by itself since.
    stage.pagerduty.answers(*[Retry(OutcomeReason.SERVER_ERROR)] * 2)
    await stage.push(DOWN)
    stage.slack.expect(OPENED)
    await stage.forward(minutes=6)
    stage.hook.expect(OPENED)
    assert stage.pagerduty._told[-1].notice.kind is OPENED
    stage.pagerduty._told.clear()
    await stage.acknowledge()
    stage.slack.expect(ACKNOWLEDGED)
    stage.hook.expect(ACKNOWLEDGED)
    stage.pagerduty.expect(ACKNOWLEDGED)
    await stage.push(over(DOWN, minute=7))
    await stage.forward(minutes=5)
    for told in (stage.slack, stage.hook, stage.pagerduty):
        told.expect(RESOLVED)


async def test_a_service_that_refused_it_is_told_nothing_of_its_end(stages: Callable[..., CallingStage]) -> None:
    stage = stages(PAGERDUTY, HOOK)
    stage.pagerduty.answers(Rejected(OutcomeReason.UNAUTHORISED))
    await stage.push(DOWN)
    stage.slack.expect(OPENED)
    stage.pagerduty.expect(OPENED)
    await stage.forward(seconds=10)
    stage.hook.expect(OPENED)
    await stage.acknowledge()
    stage.slack.expect(ACKNOWLEDGED)
    stage.hook.expect(ACKNOWLEDGED)
    await stage.push(over(DOWN))
    await stage.forward(minutes=5)
    stage.slack.expect(RESOLVED)
    stage.hook.expect(RESOLVED)


async def test_a_service_is_asked_again_when_the_policy_starts_over(stages: Callable[..., CallingStage]) -> None:
    stage = stages(PAGERDUTY)
    await stage.push(DOWN)
    stage.slack.expect(OPENED)
    stage.pagerduty.expect(OPENED)
    await stage.forward(minutes=10)
    stage.slack.expect(UNANSWERED)
    # It may have given up as well.
    await stage.forward(minutes=16)
    assert stage.pagerduty.expect_one(UNANSWERED).notice.note == "nobody has answered: it is called again"
    await stage.acknowledge()
    stage.slack.expect(ACKNOWLEDGED)
    stage.pagerduty.expect(ACKNOWLEDGED)


async def test_what_was_said_before_it_rang_again_says_nothing_of_what_rings_now(
    stages: Callable[..., CallingStage],
) -> None:
    stage = stages(PAGERDUTY)
    await stage.push(OUTAGE)
    stage.slack.expect(OPENED)
    stage.pagerduty.expect(OPENED)
    said_at = stage.clock()
    await stage.acknowledging.acknowledge(1, by="kim", how="pagerduty", at=said_at)
    await stage.forward(minutes=31)
    stage.slack.expect(ACKNOWLEDGED, ACK_ENDED)
    stage.pagerduty.expect(ACK_ENDED)
    # The same webhook again: it was about what rang then.
    for say in (stage.acknowledging.acknowledge, stage.acknowledging.resolve):
        assert (await say(1, by="kim", how="pagerduty", at=said_at)).taken is Taken.EARLIER
    assert (await stage.incident()).state.value == "triggered"
    said = await stage.acknowledging.acknowledge(1, by="kim", how="pagerduty", at=stage.clock())
    assert said.taken is Taken.ACKNOWLEDGED
    await stage.settle()
    stage.slack.expect(ACKNOWLEDGED)


async def test_nobody_knows_whether_it_rang_so_it_is_looked_for_and_rung_twice_at_most(
    stages: Callable[..., CallingStage],
) -> None:
    steps = (Step((Target(person="ana"),), times=1, then=timedelta(minutes=30)),)
    stage = stages(SIP, policy=replace(POLICY, steps=steps))
    lost = Unknown(OutcomeReason.TIMED_OUT)
    stage.sip.refuses(lost, lost)
    stage.sip.answers_later("ana", lost)
    await stage.take(DOWN)
    await stage.escalator.escalate()
    await stage.ringer.ring()
    for _ in range(2):
        (live,) = stage.ringer._live.values()
        await stage.sip.is_asked()
        stage.clock.forward(seconds=40)
        await stage.ringer.over(live.ring)
        stage.clock.forward(seconds=20)
        await stage.ringer.ring()
    await stage.forward(minutes=20)
    assert [each.reference for each in stage.sip.looked_for] == [None, None]
    stage.slack.expect(OPENED)
    assert [each.details["end"] for each in await stage.timeline() if each.fact.value == "rang"] == ["lost"]
    await stage.acknowledge()
    stage.slack.expect(ACKNOWLEDGED)


async def test_a_call_whose_process_died_is_taken_up_again(stage: CallingStage) -> None:
    await stage.push(DOWN)
    stage.slack.expect(OPENED)
    stage.sip.expect("ana", "ben")
    before = stage.ringer
    stage.restart()
    stage.use()
    stage.sip.answers_later("ana", Rang(RingEnd.LOST))
    stage.sip.answers_later("ben", Rang(RingEnd.NO_ANSWER))
    await stage.ringer.rescue(everybody=True)
    await stage.settle()
    assert [each.reference for each in stage.sip.looked_for] == ["sip-1", "sip-2"]
    # Ana may have been called a moment ago, and is called again as soon as her limits let it.
    await stage.forward(seconds=59)
    stage.sip.expect()
    await stage.forward(seconds=1)
    ana = stage.sip.expect_one("ana")
    await ana.answer()
    await ana.press("1")
    ana.hang_up()
    await stage.ended(ana)
    stage.slack.expect(ACKNOWLEDGED)
    await before.stop(within=0)


async def test_a_call_that_was_never_placed_because_its_process_died_says_nothing_of_its_provider(
    stages: Callable[..., CallingStage],
) -> None:
    stage = stages(SIP, PAGERDUTY)
    await stage.push(DOWN)
    stage.slack.expect(OPENED)
    stage.sip.expect("ana", "ben")
    before = stage.ringer
    stage.restart()
    stage.use()
    never = Retry(OutcomeReason.NOT_FOUND, "no such call")
    stage.sip.answers_later("ana", never)
    stage.sip.answers_later("ben", Rang(RingEnd.LOST))
    await stage.ringer.rescue(everybody=True)
    await stage.settle()
    # Nobody else is asked to call, and who was not rung is rung.
    ana = stage.sip.expect_one("ana")
    await stage.forward(seconds=60)
    stage.sip.expect_one("ben")
    await ana.answer()
    await ana.press("1")
    ana.hang_up()
    await stage.ended(ana)
    stage.slack.expect(ACKNOWLEDGED)
    await before.stop(within=0)


async def test_a_key_that_was_pressed_right_before_the_end_of_the_process_counts(stage: CallingStage) -> None:
    await stage.push(DOWN)
    ana, _ = stage.sip.expect("ana", "ben")
    await ana.answer()
    await ana.press("1")
    before = stage.ringer
    stage.restart()
    stage.use()
    stage.sip.answers_later("ana", Rang(RingEnd.LOST))
    stage.sip.answers_later("ben", Rang(RingEnd.CANCELLED))
    await stage.ringer.rescue(everybody=True)
    await stage.settle()
    stage.slack.expect(OPENED, ACKNOWLEDGED)
    assert (await stage.incident()).state.value == "acknowledged"
    await before.stop(within=0)


async def test_a_process_that_ends_between_two_steps_goes_on_where_it_stood(stage: CallingStage) -> None:
    await stage.push(DOWN)
    stage.slack.expect(OPENED)
    for call in stage.sip.expect("ana", "ben"):
        call.ends(RingEnd.DECLINED)
        await stage.ended(call)
    for minutes, people in ((2, ("ana", "ben")), (5, ("eve",))):
        stage.restart()
        stage.use()
        await stage.forward(minutes=minutes)
        for call in stage.sip.expect(*people):
            call.ends(RingEnd.NO_ANSWER)
            await stage.ended(call)
    stage.restart()
    stage.use()
    await stage.forward(minutes=3)
    stage.slack.expect(UNANSWERED)
    await stage.acknowledge()
    stage.slack.expect(ACKNOWLEDGED)


async def test_what_else_breaks_joins_the_call_and_one_key_owns_it_all(stage: CallingStage) -> None:
    await stage.push(DOWN)
    ana, ben = stage.sip.expect("ana", "ben")
    more = [firing(f"Down{number}", service="checkout", severity="critical") for number in range(13)]
    await stage.push(OUTAGE, *more)
    said = await ana.answer()
    assert "SEV-1, on checkout. Outage." in said
    assert "And 14 more incidents, the worst a SEV-2 on checkout." in said
    assert await ana.press("1") == "Thank you. You own all 15 now. Press 4 to be connected to the bridge."
    ana.hang_up()
    await stage.ended(ana)
    assert {each.state.value for each in await stage.incidents()} == {"acknowledged"}
    assert {each.ring.person for each in stage.sip.stopped} == {"ben"}
    assert ben.farewell is not None
    assert [each.notice.kind for each in stage.slack.expect(*[OPENED] * 15, *[ACKNOWLEDGED] * 15)]
    await stage.forward(minutes=29)


async def test_nobody_is_called_more_often_than_the_limits_say_and_nothing_is_lost(stage: CallingStage) -> None:
    stage.schedules.shop = ()
    rung: list[float] = []
    started = stage.clock()
    for number in range(90):
        await stage.push(firing(f"Down{number}", service="checkout", severity="critical"))
        for call in [*stage.sip.calls]:
            if call.ring.person == "ana":
                rung.append((stage.clock() - started).total_seconds() / 60)
            await call.answer()
            call.hang_up()
            await stage.ended(call)
        stage.sip.calls.clear()
        await stage.forward(minutes=1)
    for first, second in pairwise(rung):
        assert second - first >= 1
    for start in rung:
        assert len([each for each in rung if start <= each < start + 15]) <= 3
        assert len([each for each in rung if start <= each < start + 60]) <= 7
    assert len(rung) >= 9
    stage.sip.calls.clear()
    stage.slack._told.clear()
    ids = [each.id or 0 for each in await stage.incidents()]
    known = await stage.store.read(lambda tx: tx.escalations.by_incident(ids))
    assert {each.state.value for each in known.values()} <= {"ringing", "paused"}
    assert len(known) == 90


async def test_a_forged_key_press_does_nothing(stage: CallingStage) -> None:
    await stage.push(DOWN)
    stage.slack.expect(OPENED)
    ana, _ = stage.sip.expect("ana", "ben")
    assert await stage.talking.pressed(ana.ring.id, "forged", "1") is None
    assert await stage.talking.pressed(99, ana.ring.token, "1") is None
    assert await stage.talking.script(ana.ring.id, "forged") is None
    assert not await stage.talking.progressed(ana.ring.id, "forged", "CA1")
    assert (await stage.incident()).state.value == "triggered"
    assert await stage.talking.pressed(ana.ring.id, ana.ring.token, "1") is not None
    await stage.settle()
    stage.slack.expect(ACKNOWLEDGED)
    ana.ends(RingEnd.NO_KEY)
    await stage.ended(ana)
    assert await stage.talking.pressed(ana.ring.id, ana.ring.token, "1") is None, "a replay comes too late"
    assert stage.metric("calls_total", provider="sip", outcome="acknowledged") == 1


async def test_a_suppressed_incident_calls_nobody_until_it_is_not(stage: CallingStage) -> None:
    await stage.push(DOWN)
    stage.slack.expect(OPENED)
    for call in stage.sip.expect("ana", "ben"):
        call.ends(RingEnd.NO_ANSWER)
        await stage.ended(call)
    await stage.store.write(lambda tx: tx.incidents.save([suppressed(tx.incidents.by_id([1])[1])]))
    for _ in range(4):
        stage.clock.forward(minutes=8)
        await stage.settle()
    assert (await stage.incident()).standing.withheld


def suppressed(incident: Incident) -> Incident:
    return struct_replace(incident, suppressed="silenced in Alertmanager")


def replace_annotation(alert: Alert, share: str) -> Alert:
    return struct_replace(alert, annotations={"users_affected_percent": share})
