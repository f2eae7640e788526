"""What becomes of a delivery: attempts, waits, leases, dead letters, and what the end of the daemon does to them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from sevrouter.domain.delivery import (
    Delivered,
    NewDelivery,
    OutcomeReason,
    Rejected,
    Retry,
    Unknown,
)
from sevrouter.domain.incident import IncidentState
from sevrouter.domain.sev import Sev
from sevrouter.engine import lane as lane_module
from sevrouter.engine.lane import TOGETHER, Route
from sevrouter.engine.lease import LEASE
from sevrouter.engine.recording import Recording
from sevrouter.store.errors import StoreUnavailableError
from tests.building import over, select
from tests.domain.building import at, firing
from tests.engine.stage import OPENED, PATIENCE, RESOLVED, ROSE, SCHEDULE, Recipient, critical, warning

if TYPE_CHECKING:
    from collections.abc import Callable

    from sevrouter.store.transaction import Transaction
    from tests.engine.stage import Stage

AWAY = Retry(OutcomeReason.UNREACHABLE, "connection refused")
NOBODY_KNOWS = Unknown(OutcomeReason.TIMED_OUT, "no answer")
REFUSED = Rejected(OutcomeReason.REFUSED, "no such channel")


async def deliveries(stage: Stage, integration: str = "slack") -> list[dict[str, Any]]:
    """The rows of one integration."""
    return await select(stage.store, "SELECT * FROM deliveries WHERE integration = :name ORDER BY id", name=integration)


async def states(stage: Stage, integration: str = "slack") -> list[str]:
    """The states of its deliveries, in order."""
    return [row["state"] for row in await deliveries(stage, integration)]


async def test_a_delivery_that_is_taken_is_counted_timed_logged_and_told(stage: Stage) -> None:
    with capture_logs() as lines:
        await stage.push(warning())
    told = stage.slack.expect_one(OPENED)
    assert (told.attempts, told.unknowns, told.reference) == (1, 0, None)
    assert stage.metric("deliveries_total", integration="slack", outcome="delivered") == 1
    assert stage.metric("delivery_latency_seconds_count", integration="slack") == 1
    assert await states(stage) == ["delivered"]
    line = next(line for line in lines if line["event"] == "delivered")
    assert (line["integration"], line["sev"], line["reference"], line["log_level"]) == (
        "slack",
        "SEV-4",
        "slack-1",
        "info",
    )


@pytest.mark.parametrize("reason", [OutcomeReason.ELSEWHERE, OutcomeReason.UNASSIGNED])
async def test_what_is_taken_otherwise_than_configured_is_counted_and_told(stage: Stage, reason: OutcomeReason) -> None:
    stage.slack.answers(Delivered("slack-9", reason, "C0PAY: is_archived"))
    with capture_logs() as lines:
        await stage.push(warning())
    stage.slack.expect_one(OPENED)
    assert await states(stage) == ["delivered"]
    assert stage.metric("delivery_fallbacks_total", integration="slack", reason=reason.value) == 1
    line = next(line for line in lines if line["event"] == "delivered")
    assert (line["log_level"], line["reason"], line["detail"]) == ("warning", reason.value, "C0PAY: is_archived")
    told = next(entry for entry in await stage.timeline() if entry.fact.value == "delivered")
    assert told.details["reason"] == reason.value


async def test_latency_is_counted_from_the_receipt_of_the_webhook(empty_stage: Stage) -> None:
    await empty_stage.take(warning())
    empty_stage.clock.forward(seconds=90)
    empty_stage.open_lanes()
    await empty_stage.idle()
    empty_stage.slack.expect_one(OPENED)
    assert empty_stage.metric("delivery_latency_seconds_sum", integration="slack") == 90


async def test_a_slack_that_hangs_does_not_delay_a_call(stage: Stage) -> None:
    gate = stage.slack.hangs()
    await stage.take(critical())
    await stage.idle("call")
    stage.call.expect_one(OPENED)
    await stage.slack.is_told()
    assert await states(stage) == ["sending"]
    gate.set()
    await stage.idle()
    stage.slack.expect_one(OPENED)


async def test_one_that_hangs_does_not_delay_other_incidents_in_its_lane(stage: Stage) -> None:
    gate = stage.slack.hangs()
    await stage.take(warning("A"))
    await stage.slack.is_told()
    stage.slack.expect_one(OPENED)
    await stage.take(warning("B"))
    await stage.slack.is_told()
    assert stage.slack.expect_one(OPENED).notice.labels["alertname"] == "B"
    gate.set()
    await stage.idle()
    assert await states(stage) == ["delivered", "delivered"]


async def test_a_lane_has_so_many_attempts_under_way_and_no_more(stage: Stage) -> None:
    gates = [stage.slack.hangs() for _ in range(TOGETHER)]
    await stage.take(*(warning(f"A{number}") for number in range(TOGETHER + 2)))
    async with asyncio.timeout(PATIENCE):
        while len(stage.slack._told) < TOGETHER:
            await stage.slack.is_told()
            await stage.store.read(lambda tx: tx.outbox.counts())
    await stage.dispatcher._lanes["slack"]._turn()
    assert len(stage.slack._told) == TOGETHER
    for gate in gates:
        gate.set()
    await stage.idle()
    stage.slack.expect(*[OPENED] * (TOGETHER + 2))


async def test_an_incident_is_told_in_order_however_long_the_first_takes(stage: Stage) -> None:
    stage.slack.answers(AWAY, AWAY)
    await stage.push(warning())
    await stage.push(critical())
    stage.call.expect_one(OPENED)
    stage.slack.expect_one(OPENED)
    await stage.forward(seconds=13)
    stage.slack.expect_one(OPENED)
    await stage.forward(seconds=26)
    opened, rose = stage.slack.expect(OPENED, ROSE)
    assert opened.attempts == 3
    assert rose.reference == "slack-1"


async def test_what_waits_for_an_older_one_does_not_keep_its_lane_busy(stage: Stage) -> None:
    stage.slack.answers(AWAY)
    await stage.push(warning())
    await stage.push(critical())
    stage.call.expect_one(OPENED)
    stage.slack.expect_one(OPENED)
    due_at = await stage.store.read(lambda tx: tx.outbox.next_due_at("slack"))
    assert due_at is not None
    assert due_at >= stage.clock() + timedelta(seconds=10)
    await stage.forward(seconds=20)
    stage.slack.expect(OPENED, ROSE)


async def test_the_worst_is_told_first(empty_stage: Stage) -> None:
    stage = empty_stage
    await stage.take(warning("A"), warning("B"))
    await stage.take(critical("C"))
    stage.open_lanes()
    await stage.idle()
    stage.call.expect_one(OPENED)
    assert [each.notice.sev for each in stage.slack.expect(OPENED, OPENED, OPENED)] == [Sev.SEV_2, Sev.SEV_4, Sev.SEV_4]


async def test_nobody_is_called_for_what_ended_before_the_call(empty_stage: Stage) -> None:
    stage = empty_stage
    await stage.take(critical())
    stage.clock.forward(minutes=1)
    await stage.take(over(critical()))
    stage.clock.forward(minutes=5)
    await stage.watcher.settle_due()
    with capture_logs() as lines:
        stage.open_lanes()
        await stage.idle()
    stage.call.expect()
    stage.slack.expect(OPENED, RESOLVED)
    rows = await deliveries(stage, "call")
    assert [(row["state"], row["reason"]) for row in rows] == [
        ("superseded", "resolve_queued"),
        ("superseded", "nothing_to_follow_up"),
    ]
    assert stage.metric("deliveries_total", integration="call", outcome="superseded") == 2
    assert [line["reason"] for line in lines if line["event"] == "delivery_superseded"] == [
        "resolve_queued",
        "nothing_to_follow_up",
    ]
    assert (await stage.facts()).count("superseded") == 2


async def test_a_ticket_of_what_ended_meanwhile_is_still_filed(empty_stage: Stage) -> None:
    stage = empty_stage
    bug = firing(severity="info", service="checkout")
    await stage.take(bug)
    stage.clock.forward(minutes=1)
    await stage.take(over(bug))
    stage.clock.forward(minutes=5)
    await stage.watcher.settle_due()
    stage.open_lanes()
    await stage.idle()
    opened, ended = stage.jira.expect(OPENED, RESOLVED)
    assert (opened.reference, ended.reference) == (None, "jira-1")


async def test_nobody_is_called_for_what_somebody_owns_by_now(empty_stage: Stage) -> None:
    stage = empty_stage
    await stage.take(critical())

    def acknowledge(tx: Transaction) -> None:
        found = tx.incidents.by_id([1])[1]
        tx.incidents.save([replace(found, state=IncidentState.ACKNOWLEDGED)])

    await stage.store.write(acknowledge)
    stage.open_lanes()
    await stage.idle()
    stage.slack.expect_one(OPENED)
    assert [(row["state"], row["reason"]) for row in await deliveries(stage, "call")] == [
        ("superseded", "acknowledged")
    ]


async def test_what_cannot_be_delivered_is_tried_again_ever_more_slowly(stage: Stage) -> None:
    stage.slack.answers(*[AWAY] * 5)
    await stage.push(warning())
    stage.slack.expect_one(OPENED)
    waits = []
    for _ in range(4):
        (row,) = await deliveries(stage)
        assert (row["state"], row["reason"], row["detail"]) == ("pending", "unreachable", "connection refused")
        due = (await stage.store.read(lambda tx: tx.outbox.next_due_at("slack"))) or at(0)
        wait = (due - stage.clock()).total_seconds()
        waits.append(wait)
        await stage.forward(seconds=wait - 1)
        stage.slack.expect()
        await stage.forward(seconds=1)
        stage.slack.expect_one(OPENED)
    for wait, base in zip(waits, (10, 20, 40, 60), strict=True):
        assert base <= wait <= base * 1.25
    assert stage.metric("deliveries_total", integration="slack", outcome="retry") == 5


async def test_a_provider_that_names_a_time_is_not_asked_before(stage: Stage) -> None:
    stage.slack.answers(Retry(OutcomeReason.RATE_LIMITED, not_before=at(30)))
    await stage.push(warning())
    await stage.forward(minutes=29.9)
    stage.slack.expect_one(OPENED)
    await stage.forward(minutes=0.1)
    stage.slack.expect_one(OPENED)


async def test_a_provider_that_names_a_time_beyond_the_deadline_leaves_a_dead_letter_at_the_deadline(
    stage: Stage,
) -> None:
    stage.slack.answers(Retry(OutcomeReason.RATE_LIMITED, not_before=at(7 * 24 * 60)))
    await stage.push(warning())
    stage.slack.expect_one(OPENED)
    await stage.forward(hours=24)
    assert await states(stage) == ["dead"]


async def test_a_repeated_failure_is_said_once(stage: Stage) -> None:
    stage.slack.answers(AWAY, AWAY, NOBODY_KNOWS)
    with capture_logs() as lines:
        await stage.push(warning())
        for _ in range(3):
            await stage.forward(minutes=2)
    stage.slack.expect(*[OPENED] * 4)
    told = [(line["event"], line["log_level"]) for line in lines if line["event"].startswith("delivery_")]
    assert told == [("delivery_retry", "warning"), ("delivery_retry", "debug"), ("delivery_unknown", "debug")]
    facts = [fact for fact in await stage.facts() if fact.startswith("deliver")]
    assert facts == ["delivery_retried", "delivered"]


async def test_an_expired_delivery_is_a_dead_letter_loudly(stage: Stage) -> None:
    stage.slack.answers(*[AWAY] * 100)
    await stage.push(warning())
    stage.slack.expect_one(OPENED)
    with capture_logs() as lines:
        await stage.forward(hours=24)
    assert [(row["state"], row["reason"]) for row in await deliveries(stage)] == [("dead", "expired")]
    assert stage.metric("deliveries_total", integration="slack", outcome="expired") == 1
    line = next(line for line in lines if line["event"] == "delivery_expired")
    assert (line["log_level"], line["integration"], line["attempt"]) == ("error", "slack", 1)
    assert (await stage.facts())[-1] == "delivery_expired"
    (letter,) = await stage.store.read(lambda tx: tx.outbox.dead_letters(most=10))
    assert letter.integration == "slack"


async def test_a_rejected_delivery_is_a_dead_letter_loudly_and_at_once(stage: Stage) -> None:
    stage.slack.answers(REFUSED)
    with capture_logs() as lines:
        await stage.push(warning())
    stage.slack.expect_one(OPENED)
    assert [(row["state"], row["detail"]) for row in await deliveries(stage)] == [("dead", "no such channel")]
    assert stage.metric("deliveries_total", integration="slack", outcome="rejected") == 1
    line = next(line for line in lines if line["event"] == "delivery_rejected")
    assert (line["log_level"], line["dead_letter"], line["detail"]) == ("error", 1, "no such channel")
    await stage.forward(hours=23)
    stage.slack.expect()


async def test_a_dead_letter_does_not_hold_up_what_comes_after_it(stage: Stage) -> None:
    stage.slack.answers(REFUSED)
    await stage.push(warning())
    await stage.push(critical())
    stage.call.expect_one(OPENED)
    stage.slack.expect(OPENED, ROSE)


async def test_a_revived_dead_letter_is_delivered(stage: Stage) -> None:
    stage.slack.answers(REFUSED)
    await stage.push(warning())
    stage.slack.expect_one(OPENED)
    await stage.store.write(lambda tx: tx.outbox.revive([1], now=stage.clock(), expires_at=at(60)))
    await stage.forward(seconds=5)
    assert stage.slack.expect_one(OPENED).attempts == 2


async def test_unknown_outcomes_are_counted_for_who_tries_again(stage: Stage) -> None:
    stage.slack.answers(NOBODY_KNOWS, AWAY, NOBODY_KNOWS)
    await stage.push(warning())
    for _ in range(3):
        await stage.forward(minutes=2)
    told = stage.slack.expect(*[OPENED] * 4)
    assert [(each.attempts, each.unknowns) for each in told] == [(1, 0), (2, 1), (3, 1), (4, 2)]
    assert stage.metric("deliveries_total", integration="slack", outcome="unknown") == 2


async def test_a_notifier_that_raises_loses_nothing(stage: Stage) -> None:
    stage.slack.answers(ZeroDivisionError("our own fault"))
    with capture_logs() as lines:
        await stage.push(warning())
    (row,) = await deliveries(stage)
    assert (row["state"], row["unknowns"], row["reason"], row["detail"]) == (
        "pending",
        1,
        "internal_error",
        "ZeroDivisionError",
    )
    assert [line["log_level"] for line in lines if line["event"] == "notifier_failed"] == ["error"]
    await stage.forward(minutes=1)
    assert stage.slack.expect(OPENED, OPENED)[1].unknowns == 1


async def test_a_delivery_whose_worker_was_lost_is_rescued_and_delivered_once(stage: Stage) -> None:
    lost = stage.slack.hangs()
    await stage.take(warning())
    await stage.slack.is_told()
    stage.slack.expect_one(OPENED)
    assert await stage.dispatcher.rescue() == 0, "its lease still runs"
    stage.clock.forward(seconds=LEASE.total_seconds() + 1)
    with capture_logs() as lines:
        assert await stage.dispatcher.rescue() == 1
    assert stage.dispatcher._lanes["slack"]._wake.is_set(), "its lane sleeps too long for what is due sooner now"
    assert [line["event"] for line in lines] == ["delivery_rescued"]
    assert stage.metric("deliveries_total", integration="slack", outcome="unknown") == 1
    stage.clock.forward(minutes=1)
    stage.dispatcher.wake({"slack"})
    await stage.slack.is_told()
    told = stage.slack.expect_one(OPENED)
    assert (told.attempts, told.unknowns) == (2, 1)
    # The worker that was thought lost comes back, and is not listened to.
    lost.set()
    await stage.idle()
    assert stage.metric("deliveries_total", integration="slack", outcome="delivered") == 1
    assert await states(stage) == ["delivered"]
    assert [entry.details["attempt"] for entry in await stage.timeline() if entry.fact.value == "delivered"] == [2]


async def test_a_late_worker_cannot_undo_what_another_finished(stage: Stage) -> None:
    stage.slack.answers(REFUSED)
    lost = stage.slack.hangs()
    await stage.take(warning())
    await stage.slack.is_told()
    stage.clock.forward(seconds=LEASE.total_seconds() + 1)
    await stage.dispatcher.rescue()
    stage.slack._answers.appendleft(Delivered("the second one"))
    stage.clock.forward(minutes=1)
    async with asyncio.timeout(PATIENCE):
        while await states(stage) != ["delivered"]:
            stage.dispatcher.wake({"slack"})
    lost.set()
    await stage.idle()
    stage.slack.expect(OPENED, OPENED)
    assert await states(stage) == ["delivered"]
    assert await select(stage.store, "SELECT reference FROM delivery_references") == [{"reference": "the second one"}]
    assert stage.metric("deliveries_total", integration="slack", outcome="rejected") == 0


async def test_a_late_worker_is_not_listened_to_while_another_is_at_it(stage: Stage) -> None:
    stage.slack.answers(Delivered("too late"), Delivered("in time"))
    late, second = stage.slack.hangs(), stage.slack.hangs()
    await stage.take(warning())
    await stage.slack.is_told()
    stage.slack.expect_one(OPENED)
    stage.clock.forward(seconds=LEASE.total_seconds() + 1)
    await stage.dispatcher.rescue()
    stage.clock.forward(minutes=1)
    stage.dispatcher.wake({"slack"})
    await stage.slack.is_told()
    stage.slack.expect_one(OPENED)
    tasks = {*stage.dispatcher._lanes["slack"]._under_way}
    late.set()
    async with asyncio.timeout(PATIENCE):
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    assert len(done) == 1
    assert await states(stage) == ["sending"]
    second.set()
    await stage.idle()
    assert await select(stage.store, "SELECT reference FROM delivery_references") == [{"reference": "in time"}]


async def test_at_a_start_everything_that_was_being_sent_is_rescued(empty_stage: Stage) -> None:
    stage = empty_stage
    await stage.take(critical())

    def begin(tx: Transaction) -> None:
        for name in ("call", "slack"):
            (head,) = tx.outbox.heads(name, now=at(0), most=1)
            tx.outbox.begin([replace(head, lease="of a process that is gone")], until=at(1))

    await stage.store.write(begin)
    stage.open_lanes()
    assert await stage.dispatcher.rescue() == 0
    assert await stage.dispatcher.rescue(everybody=True) == 2
    await stage.forward(minutes=1)
    assert stage.call.expect_one(OPENED).unknowns == 1
    assert stage.slack.expect_one(OPENED).unknowns == 1


def failing(write: Callable[..., Any], *, when: type[object], times: int) -> Callable[..., Any]:
    """A store's `write` that is away for works of one kind, so many times."""
    left = times

    async def maybe(work: Any, **ahead: Any) -> Any:
        nonlocal left
        if isinstance(work, when) and left > 0:
            left -= 1
            raise StoreUnavailableError("the disk is full")
        return await write(work, **ahead)

    return maybe


async def test_an_outcome_that_the_store_does_not_take_is_recorded_later(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_module, "RECORD_AGAIN", (0, 0, 0))
    monkeypatch.setattr(stage.store, "write", failing(stage.store.write, when=Recording, times=2))
    with capture_logs() as lines:
        await stage.push(warning())
    stage.slack.expect_one(OPENED)
    assert await states(stage) == ["delivered"]
    assert len([line for line in lines if line["event"] == "lane_failing"]) == 1


async def test_an_outcome_that_can_never_be_recorded_is_unknown_once_its_lease_is_over(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_module, "RECORD_AGAIN", (0,))
    monkeypatch.setattr(stage.store, "write", failing(stage.store.write, when=Recording, times=1))
    await stage.take(warning())
    await stage.slack.is_told()
    stage.slack.expect_one(OPENED)
    assert stage.metric("deliveries_total", integration="slack", outcome="delivered") == 0
    stage.clock.forward(minutes=2)
    assert await stage.dispatcher.rescue() == 1
    await stage.forward(minutes=1)
    assert stage.slack.expect_one(OPENED).unknowns == 1


async def test_a_lane_outlives_a_store_that_is_away_and_says_so_once(
    empty_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = empty_stage
    monkeypatch.setattr(lane_module, "LONGEST_SLEEP", 0.0)
    await stage.take(warning())
    tries = 0
    enough, write = asyncio.Event(), stage.store.write

    async def away(work: Any, **ahead: Any) -> Any:
        nonlocal tries
        tries += 1
        if tries <= 3:
            await asyncio.sleep(0)
            raise StoreUnavailableError("locked")
        enough.set()
        return await write(work, **ahead)

    monkeypatch.setattr(stage.store, "write", away)
    with capture_logs() as lines:
        stage.dispatcher.route({"slack": Route(stage.slack, SCHEDULE)})
        async with asyncio.timeout(PATIENCE):
            await enough.wait()
        await stage.idle()
    stage.slack.expect_one(OPENED)
    assert [line["log_level"] for line in lines if line["event"] == "lane_failing"] == ["error"]


async def test_a_shadow_records_everything_and_delivers_nothing(stage: Stage) -> None:
    stage.open_lanes(call=None, slack=None, jira=None)
    with capture_logs() as lines:
        await stage.push(warning())
        await stage.push(critical())
        stage.clock.forward(minutes=1)
        await stage.push(over(warning()), over(critical()))
        await stage.forward(minutes=5)
    assert await states(stage, "slack") == ["shadowed"] * 3
    assert await states(stage, "call") == ["shadowed"] * 2
    shown = [(line["integration"], line["kind"]) for line in lines if line["event"] == "would_deliver"]
    assert sorted(shown) == [
        ("call", "opened"),
        ("call", "resolved"),
        ("slack", "opened"),
        ("slack", "resolved"),
        ("slack", "rose"),
    ]
    assert stage.metric("deliveries_total", integration="slack", outcome="shadowed") == 3
    assert (await stage.facts()).count("shadowed") == 5


async def test_a_reload_swaps_the_notifier_and_an_attempt_under_way_ends_as_it_began(stage: Stage) -> None:
    gate = stage.slack.hangs()
    await stage.take(warning("A"))
    await stage.slack.is_told()
    other = Recipient("slack")
    stage.open_lanes(slack=other)
    await stage.take(warning("B"))
    await other.is_told()
    gate.set()
    await stage.idle()
    assert stage.slack.expect_one(OPENED).notice.labels["alertname"] == "A"
    assert other.expect_one(OPENED).notice.labels["alertname"] == "B"
    assert await states(stage) == ["delivered", "delivered"]


async def test_an_integration_that_is_removed_and_comes_back_delivers_what_waited(stage: Stage) -> None:
    with capture_logs() as lines:
        stage.dispatcher.route({"call": Route(stage.call, SCHEDULE)})
    assert [line["integration"] for line in lines if line["event"] == "integration_removed"] == ["slack", "jira"]
    await stage.push(warning())
    assert await states(stage) == ["pending"]
    stage.open_lanes()
    await stage.idle()
    stage.slack.expect_one(OPENED)


async def test_what_waited_for_a_removed_integration_is_given_up_in_the_end(stage: Stage) -> None:
    stage.dispatcher.route({"call": Route(stage.call, SCHEDULE)})
    await stage.push(warning())
    await stage.dispatcher.give_up_orphans()
    assert await states(stage) == ["pending"]
    stage.clock.forward(minutes=60 * 25)
    with capture_logs() as lines:
        await stage.dispatcher.give_up_orphans()
    assert await states(stage) == ["dead"]
    (line,) = [line for line in lines if line["event"] == "delivery_expired"]
    assert (line["log_level"], line["integration"], line["reason"]) == ("error", "slack", "integration_removed")
    (told,) = await select(stage.store, "SELECT details FROM timeline WHERE fact = 'delivery_expired'")
    assert "integration_removed" in told["details"]
    assert stage.metric("deliveries_total", integration="slack", outcome="expired") == 1


async def test_a_stop_finishes_what_is_under_way_and_takes_nothing_more(stage: Stage) -> None:
    gate = stage.slack.hangs()
    await stage.take(warning("A"))
    await stage.slack.is_told()
    stopped = asyncio.create_task(stage.dispatcher.stop())
    # One turn of the loop: from here on it stops, and what comes now comes too late.
    await asyncio.sleep(0)
    await stage.take(warning("B"))
    stage.dispatcher.wake({"slack"})
    assert not stopped.done()
    gate.set()
    async with asyncio.timeout(PATIENCE):
        await stopped
    assert stage.slack.expect_one(OPENED).notice.labels["alertname"] == "A"
    assert await states(stage) == ["delivered", "pending"]


async def test_a_stop_during_a_claim_delivers_what_was_claimed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    # Nothing is handed over, so that it has to be claimed.
    monkeypatch.setattr(lane_module, "HANDED", 0)
    write = stage.store.write
    claimed, released = asyncio.Event(), asyncio.Event()

    async def slow(work: Any, **ahead: Any) -> Any:
        result = await write(work, **ahead)
        if getattr(result, "deliveries", None):
            claimed.set()
            await released.wait()
        return result

    monkeypatch.setattr(stage.store, "write", slow)
    await stage.take(warning())
    await claimed.wait()
    stopped = asyncio.create_task(stage.dispatcher.stop())
    await asyncio.sleep(0)
    released.set()
    async with asyncio.timeout(PATIENCE):
        await stopped
    stage.slack.expect_one(OPENED)
    assert await states(stage) == ["delivered"]


async def test_a_stop_waits_for_attempts_of_an_integration_that_was_removed(stage: Stage) -> None:
    gate = stage.slack.hangs()
    await stage.take(warning())
    await stage.slack.is_told()
    stage.dispatcher.route({"call": Route(stage.call, SCHEDULE)})
    stopped = asyncio.create_task(stage.dispatcher.stop())
    await stage.store.read(lambda tx: tx.outbox.counts())
    assert not stopped.done()
    gate.set()
    async with asyncio.timeout(PATIENCE):
        await stopped
    stage.slack.expect_one(OPENED)
    assert await states(stage) == ["delivered"]


async def test_a_stop_gives_up_on_an_attempt_that_never_ends(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sevrouter.engine.dispatcher.DRAIN", 0.05)
    stage.slack.hangs()
    await stage.take(warning())
    await stage.slack.is_told()
    async with asyncio.timeout(PATIENCE):
        await stage.dispatcher.stop()
    stage.slack.expect_one(OPENED)
    assert await states(stage) == ["sending"]


async def test_a_delivery_that_waits_for_nobody_known_is_no_error(stage: Stage) -> None:
    orphan = NewDelivery(
        integration="pigeon",
        notice=(await _a_notice(stage)),
        received_at=stage.clock(),
        expires_at=at(60),
    )
    await stage.store.write(lambda tx: tx.outbox.add([orphan]))
    stage.dispatcher.wake({"pigeon"})
    await stage.idle()
    assert await states(stage, "pigeon") == ["pending"]


async def _a_notice(stage: Stage) -> Any:
    await stage.push(warning())
    return stage.slack.expect_one(OPENED).notice


async def test_what_was_done_is_written_down_also_while_being_stopped(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sevrouter.engine.dispatcher.DRAIN", 0.05)
    write = stage.store.write
    recording, released, recorded = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow(work: Any, **ahead: Any) -> Any:
        if not isinstance(work, Recording):
            return await write(work, **ahead)
        recording.set()
        await released.wait()
        is_ours = await write(work, **ahead)
        recorded.set()
        return is_ours

    monkeypatch.setattr(stage.store, "write", slow)
    await stage.take(warning())
    await recording.wait()
    await stage.dispatcher.stop()
    released.set()
    async with asyncio.timeout(PATIENCE):
        await recorded.wait()
    stage.slack.expect_one(OPENED)
    assert await states(stage) == ["delivered"]
