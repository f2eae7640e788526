"""What has to keep arriving: that it does is no incident, that it stays away is one, whatever happens in between."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from sevrouter.domain.sev import Sev
from sevrouter.store.errors import StoreUnavailableError
from sevrouter.store.postgres import PostgresStore
from tests.building import RULES, counts, over, routing, select
from tests.domain.building import CONFIG, firing, fixed, heartbeat, resolved
from tests.engine.stage import OPENED, REOPENED, RESOLVED, ROSE, Stage
from tests.engine.test_repeats import Sender, sent
from tests.stores import connector

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sevrouter.domain.heartbeat import Heartbeat

PROMETHEUS = heartbeat()
BACKUP = heartbeat("backup", 'alertname="BackupAlive"', every=10, grace=2, missed=Sev.SEV_3)


def waiting_for(*heartbeats: Heartbeat, config: str = CONFIG, **changes: Any) -> Any:
    """What decides, with heartbeats."""
    return routing(heartbeats=heartbeats, config_hash=config, **changes)


def restarted(stage: Stage) -> Stage:
    """Another process on the same store, with the same clock and recipients."""
    again = Stage(stage.store)
    again.clock, again.routing = stage.clock, stage.routing
    for loop in (again.watcher, again.intake, again.heartbeats, again.dispatcher, again.measurer):
        loop._clock = stage.clock
    again.aftermath._lanes = stage.dispatcher
    again.dispatcher = stage.dispatcher
    again.call, again.slack, again.jira = stage.call, stage.slack, stage.jira
    return again


def expect_called(stage: Stage, kind: Any = OPENED) -> str:
    """People are called and told on Slack that a heartbeat is missing; the title of it."""
    stage.slack.expect_one(kind, Sev.SEV_1)
    return stage.call.expect_one(kind, Sev.SEV_1).notice.title


@pytest.fixture
def sender(stage: Stage) -> Sender:
    """Who sends to the stage as the door does."""
    return Sender(stage)


async def test_a_heartbeat_that_arrives_is_no_incident_whatever_rules_say(stage: Stage) -> None:
    stage.routing = waiting_for(PROMETHEUS)
    for _ in range(3):
        await stage.push(firing("Watchdog", severity="critical", slo="availability"))
        await stage.listen(minutes=5)
    assert await counts(stage.store, "incidents") == {"incidents": 0}
    assert stage.metric("alert_grades_total", sev="none", unsure="false") == 3
    assert stage.metric("unmatched_alerts_total") == 0
    assert stage.metric("heartbeats_missing") == 0


async def test_one_that_stays_away_is_an_incident_as_bad_as_configured(stage: Stage) -> None:
    stage.routing = waiting_for(PROMETHEUS)
    await stage.heartbeats.look()
    await stage.listen(minutes=2)
    await stage.push(firing("Watchdog"))
    assert stage.metric("heartbeat_last_beat_timestamp_seconds", heartbeat="prometheus") == 0
    await stage.listen(minutes=5.75)
    assert stage.metric("heartbeat_last_beat_timestamp_seconds", heartbeat="prometheus") == (
        stage.clock().timestamp() - 345
    )
    assert await counts(stage.store, "incidents") == {"incidents": 0}
    await stage.listen(minutes=0.25)
    stage.slack.expect_one(OPENED, Sev.SEV_1)
    told = stage.call.expect_one(OPENED, Sev.SEV_1).notice
    assert told.title == (
        "[SEV-1] heartbeat prometheus is missing: nothing came since 2026-03-01 12:02:00 UTC "
        "(SevrouterHeartbeatMissing)"
    )
    assert told.why == (
        (
            "SEV-1 by rule '(heartbeat missing)': nothing came since 2026-03-01 12:02:00 UTC; "
            'alertname="Watchdog" has to come every 5m, and may be 1m late'
        ),
    )
    assert not told.unsure
    assert stage.metric("heartbeats_missing") == 1
    (opened, *_) = await stage.timeline()
    assert opened.details["reason"] == "heartbeat_missed"
    await stage.listen(minutes=30)
    assert await counts(stage.store, "incidents", "alerts") == {"incidents": 1, "alerts": 2}


async def test_one_that_never_came_says_so(stage: Stage) -> None:
    stage.routing = waiting_for(PROMETHEUS)
    await stage.heartbeats.look()
    await stage.listen(minutes=6)
    expect_called(stage)
    told = (await stage.incident()).evidence.verdict.grades[0].why
    assert told.startswith("it never came, and is waited for since 2026-03-01 12:00:00 UTC; ")


async def test_it_is_over_when_it_comes_again_and_rings_again_when_it_stays_away_again(stage: Stage) -> None:
    stage.routing = waiting_for(PROMETHEUS)
    await stage.push(firing("Watchdog"))
    await stage.listen(minutes=6)
    expect_called(stage)
    await stage.push(firing("Watchdog"))
    await stage.listen(minutes=0.25)
    assert stage.metric("heartbeats_missing") == 0
    assert (await stage.facts())[-1] == "quiet"
    # At once missing again, within the quiet time of the first silence, and after it.
    await stage.listen(minutes=4.75)
    await stage.push(firing("Watchdog"))
    await stage.listen(minutes=0.5)
    expect_called(stage, RESOLVED)
    await stage.listen(minutes=5.5)
    expect_called(stage, REOPENED)
    assert (await stage.facts()).count("reopened") == 1


async def test_a_short_one_that_comes_only_once_is_missing_again_at_once(stage: Stage) -> None:
    stage.routing = waiting_for(heartbeat(every=0.25, grace=0))
    await stage.push(firing("Watchdog"))
    await stage.listen(minutes=0.25)
    expect_called(stage)
    await stage.push(firing("Watchdog"))
    await stage.heartbeats.look()
    assert stage.metric("heartbeats_missing") == 0
    await stage.listen(minutes=0.25)
    assert stage.metric("heartbeats_missing") == 1
    assert (await stage.incident()).firing == 1


async def test_its_end_is_no_beat(stage: Stage) -> None:
    stage.routing = waiting_for(PROMETHEUS)
    await stage.push(firing("Watchdog"))
    await stage.listen(minutes=5)
    await stage.push(resolved("Watchdog", end=5))
    await stage.listen(minutes=1)
    expect_called(stage)
    await stage.push(resolved("Watchdog", end=5))
    await stage.listen(minutes=1)
    assert (await stage.facts()).count("quiet") == 0


async def test_what_repeats_word_for_word_is_a_beat(stage: Stage, sender: Sender) -> None:
    stage.routing = waiting_for(PROMETHEUS)
    watchdog, down = sent(firing("Watchdog")), sent(firing("Down", severity="info"))
    await sender.send(watchdog, down)
    stage.jira.expect(OPENED)
    for _ in range(4):
        await stage.listen(minutes=5)
        assert [unread for _, unread in await sender.send(watchdog, down)] == [2], "nothing was read"
    assert await counts(stage.store, "incidents") == {"incidents": 1}
    await stage.listen(minutes=6)
    expect_called(stage)


async def test_what_repeats_without_a_heartbeat_in_it_never_comes_to_the_store(
    sqlite_store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(sqlite_store)
    stage.routing = waiting_for(PROMETHEUS)
    sender = Sender(stage)
    down = sent(firing("Down", severity="none"))
    await stage.intake.take(sender.webhook(down))

    async def write(*_arguments: Any, **_keywords: Any) -> None:
        raise StoreUnavailableError("nobody may write")

    monkeypatch.setattr(stage.store, "write", write)
    await stage.intake.take(sender.webhook(down))
    assert stage.metric("duplicate_alerts_total") == 1


@pytest.mark.parametrize(
    "group_by",
    [("cluster", "service", "alertname"), ("alertname",), ("job",), ("cluster",), ("heartbeat", "job"), ("severity_",)],
)
async def test_each_is_an_incident_of_its_own_whatever_groups_alerts(stage: Stage, group_by: tuple[str, ...]) -> None:
    other = heartbeat("other", 'alertname="Other"', missed=Sev.SEV_1)
    stage.routing = waiting_for(PROMETHEUS, other, group_by=group_by)
    await stage.heartbeats.look()
    await stage.listen(minutes=6)
    titles = {each.notice.title for each in stage.call.expect(OPENED, OPENED)}
    assert len(titles) == 2
    stage.slack.expect(OPENED, OPENED)
    await stage.push(firing("Other", start=6))
    await stage.listen(minutes=5.25)
    assert "other" in stage.call.expect_one(RESOLVED).notice.title
    stage.slack.expect_one(RESOLVED)


async def test_two_are_missed_each_at_its_time_and_its_sev(stage: Stage) -> None:
    stage.routing = waiting_for(PROMETHEUS, BACKUP)
    await stage.push(firing("Watchdog"), firing("BackupAlive"))
    await stage.listen(minutes=6)
    expect_called(stage)
    assert stage.metric("heartbeats_missing") == 1
    await stage.listen(minutes=6)
    stage.slack.expect_one(OPENED, Sev.SEV_3)
    assert stage.metric("heartbeats_missing") == 2


async def test_one_alert_may_be_a_beat_of_several(stage: Stage) -> None:
    every = heartbeat("whatever watches", 'alertname=~"Watchdog|BackupAlive"')
    stage.routing = waiting_for(PROMETHEUS, every)
    await stage.push(firing("Watchdog"))
    await stage.listen(minutes=5)
    await stage.push(firing("BackupAlive", start=5))
    await stage.listen(minutes=1)
    assert "heartbeat prometheus is" in expect_called(stage)


async def test_a_restart_in_the_middle_of_the_wait_loses_no_time(stage: Stage) -> None:
    stage.routing = waiting_for(PROMETHEUS)
    await stage.push(firing("Watchdog"))
    await stage.listen(minutes=3)
    stage.clock.forward(seconds=20)
    again = restarted(stage)
    assert await again.heartbeats.look() == stage.clock() + timedelta(minutes=2, seconds=40)
    await again.listen(minutes=2.5)
    assert await counts(stage.store, "incidents") == {"incidents": 0}
    stage.clock.forward(seconds=10)
    await again.heartbeats.look()
    await again.idle()
    expect_called(stage)


async def test_a_restart_while_it_is_missing_rings_nobody_again_and_its_end_is_noticed(stage: Stage) -> None:
    stage.routing = waiting_for(PROMETHEUS)
    await stage.push(firing("Watchdog"))
    await stage.listen(minutes=6)
    expect_called(stage)
    stage.clock.forward(minutes=3)
    again = restarted(stage)
    await again.listen(minutes=10)
    assert again.metric("heartbeats_missing") == 1
    await again.push(firing("Watchdog"))
    again = restarted(again)
    await again.listen(minutes=5.25)
    expect_called(stage, RESOLVED)


async def test_what_nobody_could_hear_is_not_missing(stage: Stage) -> None:
    stage.routing = waiting_for(PROMETHEUS)
    await stage.push(firing("Watchdog"))
    await stage.listen(minutes=4)
    stage.clock.forward(minutes=20)
    again = restarted(stage)
    await again.heartbeats.look()
    # A beat may have come right before we listened again, and the next one takes until then.
    await again.listen(minutes=5.75)
    assert await counts(stage.store, "incidents") == {"incidents": 0}
    await again.listen(minutes=0.25)
    expect_called(stage)
    why = (await stage.incident()).evidence.verdict.grades[0].why
    assert why.startswith(
        "it last came at 2026-03-01 12:00:00 UTC, and not since 2026-03-01 12:24:00 UTC, when we began"
    )


async def test_a_store_that_is_away_for_a_while_makes_nothing_missing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.routing = waiting_for(PROMETHEUS)
    await stage.push(firing("Watchdog"))
    await stage.heartbeats.look()

    async def write(*_arguments: Any, **_keywords: Any) -> None:
        raise StoreUnavailableError("away")

    with monkeypatch.context() as patched:
        patched.setattr(stage.store, "write", write)
        for _ in range(40):
            stage.clock.forward(seconds=15)
            if stage.clock().second == 0:
                with pytest.raises(StoreUnavailableError):
                    await stage.heartbeats.look()
    await stage.listen(minutes=5)
    await stage.push(firing("Watchdog"))
    await stage.listen(minutes=5)
    assert await counts(stage.store, "incidents") == {"incidents": 0}


async def test_one_that_is_configured_anew_is_waited_for_from_then_on(stage: Stage) -> None:
    await stage.listen(minutes=30)
    stage.routing = waiting_for(PROMETHEUS, config="new")
    await stage.heartbeats.look()
    await stage.listen(minutes=5.75)
    assert await counts(stage.store, "incidents") == {"incidents": 0}
    await stage.listen(minutes=0.25)
    expect_called(stage)


async def test_one_that_is_taken_out_of_the_configuration_is_over(stage: Stage) -> None:
    stage.routing = waiting_for(PROMETHEUS)
    await stage.push(firing("Watchdog"))
    await stage.listen(minutes=6)
    expect_called(stage)
    stage.routing = waiting_for(config="new")
    await stage.listen(minutes=0.25)
    assert await select(stage.store, "SELECT name FROM heartbeats") == [{"name": "prometheus"}], "perhaps of another"
    assert stage.metrics.registry.get_sample_value("sevrouter_heartbeats_missing") == 0
    last = {"heartbeat": "prometheus"}
    assert stage.metrics.registry.get_sample_value("sevrouter_heartbeat_last_beat_timestamp_seconds", last) is None
    await stage.listen(minutes=5.75)
    expect_called(stage, RESOLVED)
    assert await select(stage.store, "SELECT name FROM heartbeats") == []
    # Configured again it is new.
    stage.routing = waiting_for(PROMETHEUS, config="newer")
    await stage.heartbeats.look()
    await stage.listen(minutes=6)
    expect_called(stage, REOPENED)


async def test_it_rises_where_the_configuration_makes_it_worse(stage: Stage) -> None:
    stage.routing = waiting_for(heartbeat(missed=Sev.SEV_3))
    await stage.heartbeats.look()
    await stage.listen(minutes=6)
    stage.slack.expect_one(OPENED, Sev.SEV_3)
    stage.routing = waiting_for(PROMETHEUS, config="new")
    await stage.listen(minutes=1)
    stage.slack.expect_one(ROSE, Sev.SEV_1)
    stage.call.expect_one(OPENED, Sev.SEV_1)


async def test_an_alert_that_becomes_a_heartbeat_leaves_its_incident(stage: Stage) -> None:
    watchdog, rule = firing("Watchdog"), fixed("everything", Sev.SEV_4)
    stage.routing = routing(rules=(rule,))
    await stage.push(watchdog)
    stage.slack.expect_one(OPENED)
    stage.routing = waiting_for(PROMETHEUS, rules=(rule,), config="new")
    await stage.push(watchdog)
    await stage.push(watchdog)
    await stage.listen(minutes=5)
    stage.slack.expect_one(RESOLVED)
    assert [(each.firing, each.is_open) for each in await stage.incidents()] == [(0, False)]
    # And comes back where it is a heartbeat no more.
    stage.routing = routing(rules=(rule,), config_hash="newer")
    await stage.push(watchdog)
    stage.slack.expect_one(REOPENED)
    await stage.push(over(watchdog, minute=6))
    await stage.forward(minutes=5)
    stage.slack.expect_one(RESOLVED)


async def test_beside_it_nothing_else_changes(stage: Stage) -> None:
    stage.routing = waiting_for(PROMETHEUS, rules=RULES)
    await stage.push(firing("Watchdog"), firing("Down", severity="critical", service="checkout"))
    stage.call.expect_one(OPENED, Sev.SEV_2)
    stage.slack.expect_one(OPENED, Sev.SEV_2)


@pytest_asyncio.fixture
async def replicas(postgres_copy: str) -> AsyncIterator[tuple[Stage, Stage]]:
    """Two on one database, with one clock and one configuration; the first one delivers."""
    stores: list[Any] = [PostgresStore.open(connector(postgres_copy)) for _ in range(2)]
    first, second = (Stage(store) for store in stores)
    second.clock = first.clock
    second.intake._clock = second.watcher._clock = second.heartbeats._clock = first.clock
    first.routing = second.routing = waiting_for(PROMETHEUS)
    first.open_lanes()
    yield first, second
    for stage in (first, second):
        await stage.dispatcher.stop()
        stage.nothing_unexpected()
        stage.store.close()


async def test_of_two_replicas_any_hears_and_both_raise_one(replicas: tuple[Stage, Stage]) -> None:
    first, second = replicas
    await first.take(firing("Watchdog"))
    for minute in range(1, 9):
        first.clock.forward(seconds=20)
        await asyncio.gather(first.heartbeats.look(), second.heartbeats.look())
        if minute == 3:
            await second.take(firing("Watchdog"))
    for _ in range(12):
        first.clock.forward(seconds=20)
        await second.heartbeats.look()
    assert await counts(first.store, "incidents") == {"incidents": 0}
    first.clock.forward(seconds=20)
    await asyncio.gather(*(each.heartbeats.look() for each in (first, second) for _ in range(4)))
    await first.idle()
    expect_called(first)
    assert (await first.incident()).firing == 1
    await second.take(firing("Watchdog"))
    await asyncio.gather(first.heartbeats.look(), second.heartbeats.look())
    first.clock.forward(minutes=5)
    await second.watcher.settle_due()
    await first.idle()
    expect_called(first, RESOLVED)


async def test_a_replica_that_knows_nothing_of_it_yet_ends_nothing(replicas: tuple[Stage, Stage]) -> None:
    first, second = replicas
    second.routing = routing()
    await first.take(firing("Watchdog"))
    for _ in range(18):
        first.clock.forward(seconds=20)
        await first.heartbeats.look()
        await second.heartbeats.look()
    await first.idle()
    expect_called(first)
    assert await select(first.store, "SELECT name FROM heartbeats") == [{"name": "prometheus"}]
