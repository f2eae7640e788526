"""A configuration that begins to run takes up what fires, though nothing is sent."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from msgspec.structs import replace

from sevrouter.domain.incident import IncidentState
from sevrouter.domain.promql import QueryProblem, QueryTemplate
from sevrouter.domain.sev import Sev
from sevrouter.domain.timed import FiringFor, Query
from sevrouter.engine import sweep
from sevrouter.engine.asking import PROBE
from sevrouter.engine.lease import Lease
from sevrouter.engine.taking import Taking
from sevrouter.store.errors import StoreUnavailableError
from sevrouter.store.postgres import PostgresStore
from tests.building import RULES, labelled, over, routing, select
from tests.domain.building import by_number, by_word, firing, fixed, resolved, watched
from tests.engine.stage import OPENED, RESOLVED, ROSE, Stage
from tests.engine.test_repeats import Hold, Sender, counted, down
from tests.stores import connector

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sevrouter.domain.delivery import NoticeKind
    from sevrouter.domain.routing import Routing
    from sevrouter.store.transaction import Transaction

NO_FORECAST = timedelta(0)
SLA = watched("breaking the SLA", FiringFor(), {Sev.SEV_2: ">= 30m", Sev.SEV_1: ">= 4h"}, 'slo=~".+"')


def severities(**words: Sev | None) -> Routing:
    """Another configuration: what the severity label means."""
    return routing(rules=(by_word("severity label", words, 'severity=~".+"'), *RULES[1:]), config_hash="new")


WORSE = severities(critical=Sev.SEV_1, warning=Sev.SEV_2, info=Sev.SEV_2, none=Sev.SEV_2)
MILDER = severities(critical=Sev.SEV_5, warning=None, info=None, none=None)


async def test_what_is_worse_by_a_reload_rises_by_the_reload_alone(stage: Stage) -> None:
    await stage.push(firing(severity="warning", service="checkout"))
    stage.slack.expect_one(OPENED, Sev.SEV_4)
    before = counted(stage)
    await stage.reload(WORSE)
    told = stage.call.expect_one(OPENED, Sev.SEV_2).notice
    assert (told.why[0], told.config_hash) == (
        "SEV-2 by rule 'severity label': label severity is 'warning': SEV-2",
        "new",
    )
    stage.slack.expect_one(ROSE, Sev.SEV_2)
    assert counted(stage) == before, "nobody has sent anything"
    await stage.reload(WORSE)
    assert (await stage.facts()).count("rose") == 1


async def test_what_was_no_incident_becomes_one_that_belongs_to_somebody(stage: Stage) -> None:
    await stage.push(firing(severity="none", service="checkout"))
    assert await stage.incidents() == []
    await stage.reload(WORSE)
    told = stage.call.expect_one(OPENED, Sev.SEV_2).notice
    assert (told.system, told.owner) == ("checkout", "payments")
    stage.slack.expect(OPENED)
    assert (await stage.incident()).firing == 1


async def test_a_reload_lowers_nothing(stage: Stage) -> None:
    alert = firing(severity="critical", service="checkout")
    await stage.push(alert)
    stage.call.expect(OPENED)
    stage.slack.expect(OPENED)
    facts = await stage.facts()
    await stage.reload(MILDER)
    incident = await stage.incident()
    assert (incident.sev, incident.firing, incident.is_open) == (Sev.SEV_2, 1, True)
    assert await stage.facts() == facts
    await stage.push(over(alert, minute=1))
    await stage.forward(minutes=5)
    stage.call.expect(RESOLVED)
    stage.slack.expect(RESOLVED)


async def test_what_has_ended_is_not_graded_anew(stage: Stage) -> None:
    quiet, gone = (firing(name, severity="warning") for name in ("Quiet", "Gone"))
    await stage.push(gone)
    await stage.push(over(gone))
    await stage.forward(minutes=5)
    await stage.push(quiet)
    await stage.push(over(quiet))
    stage.slack.expect(OPENED, RESOLVED, OPENED)
    await stage.reload(WORSE)
    assert {(each.sev, each.firing) for each in await stage.incidents()} == {(Sev.SEV_4, 0)}
    await stage.forward(minutes=5)
    stage.slack.expect(RESOLVED)


async def test_an_incident_that_was_ended_does_not_come_back_by_a_reload(stage: Stage) -> None:
    await stage.push(firing(severity="warning"))
    stage.slack.expect(OPENED)
    now = stage.clock()

    def end(tx: Transaction) -> None:
        found = tx.incidents.by_id([1])[1]
        tx.incidents.save([replace(found, state=IncidentState.RESOLVED, resolved_at=now)])

    await stage.store.write(end)
    await stage.reload(WORSE)
    assert not (await stage.incident()).is_open


async def test_what_ends_in_the_same_moment_has_ended(stage: Stage) -> None:
    alert = firing(severity="warning")
    await stage.push(alert)
    stage.slack.expect(OPENED)
    stage.routing = WORSE
    await Hold(stage.store).together(stage.take(over(alert)), stage.intake.grade_anew([1]))
    assert [(each.sev, each.firing) for each in await stage.incidents()] == [(Sev.SEV_4, 0)]


async def test_what_another_replica_has_ended_since_it_was_read_has_ended(stage: Stage) -> None:
    alert = firing(severity="warning")
    await stage.push(alert)
    stage.slack.expect(OPENED)
    await stage.push(over(alert))
    stage.clock.forward(minutes=1)
    now, takes = stage.clock(), stage.dispatcher.takes
    await stage.store.write(lambda tx: Taking(tx, WORSE, now, {}, takes, Lease()).graded_anew([alert]))
    assert [(each.sev, each.firing) for each in await stage.incidents()] == [(Sev.SEV_4, 0)]


async def test_what_is_told_in_the_same_moment_counts(empty_stage: Stage) -> None:
    stage = empty_stage
    alerts = [
        firing(annotations={"users_affected_percent": share}, slo="availability", severity="info") for share in "01"
    ]
    await stage.push(alerts[0])
    lower = by_number("customers affected", {Sev.SEV_2: ">= 1"}, 'slo="availability"')

    async def reload() -> None:
        # The webhook was graded by the configuration before.
        stage.routing = routing(rules=(RULES[0], lower), config_hash="new")
        await stage.intake.grade_anew([1])

    await Hold(stage.store).together(stage.take(alerts[1]), reload())
    assert (await stage.incident()).sev is Sev.SEV_2


async def test_the_number_that_was_told_last_counts(stage: Stage) -> None:
    alerts = [
        firing(annotations={"users_affected_percent": share}, slo="availability", severity="info") for share in "134"
    ]
    for alert in alerts:
        await stage.push(alert)
    stage.slack.expect(OPENED)
    rows = await select(stage.store, "SELECT id FROM history")
    bounds = {Sev.SEV_2: ">= 4", Sev.SEV_1: ">= 5", Sev.SEV_3: "> 0"}
    lower = by_number("customers affected", bounds, 'slo="availability"')
    await stage.reload(routing(rules=(RULES[0], lower), config_hash="new"))
    assert stage.call.expect_one(OPENED, Sev.SEV_2).notice.why[0].endswith("'4' is >= 4")
    stage.slack.expect(ROSE)
    await stage.push(alerts[-1])
    assert len(await select(stage.store, "SELECT id FROM history")) == len(rows) + 1, "it was not told anew"


@pytest.mark.parametrize(("severity", "before", "after"), [("warning", [OPENED], ROSE), ("none", [], OPENED)])
async def test_what_a_reload_begins_to_watch_is_read_from_then_on(
    stage: Stage, severity: str, before: list[NoticeKind], after: NoticeKind
) -> None:
    await stage.push(firing("Slow", severity=severity, slo="latency"))
    stage.slack.expect(*before)
    await stage.forward(minutes=10)
    await stage.reload(routing(rules=(*RULES, SLA), horizon=NO_FORECAST, config_hash="new"))
    await stage.forward(minutes=19, seconds=59)
    await stage.forward(seconds=1)
    stage.call.expect_one(OPENED, Sev.SEV_2)
    stage.slack.expect_one(after, Sev.SEV_2)


async def test_what_is_watched_already_is_read_by_the_new_bounds(stage: Stage) -> None:
    late = watched("breaking the SLA", FiringFor(), {Sev.SEV_2: ">= 4h"}, 'slo=~".+"')
    stage.routing = routing(rules=(*RULES, late), horizon=NO_FORECAST)
    await stage.push(firing("Slow", severity="warning", slo="latency"))
    stage.slack.expect_one(OPENED, Sev.SEV_4)
    await stage.forward(minutes=29)
    await stage.reload(routing(rules=(*RULES, SLA), horizon=NO_FORECAST, config_hash="new"))
    await stage.forward()
    await stage.forward(minutes=1)
    stage.call.expect_one(OPENED, Sev.SEV_2)
    stage.slack.expect_one(ROSE, Sev.SEV_2)


async def test_what_we_raised_ourselves_is_left_alone(stage: Stage) -> None:
    left = watched("left", Query(QueryTemplate.parse("left")), {Sev.SEV_3: "< 2"}, 'alertname="Missing"')
    stage.routing = routing(rules=(*RULES, left))
    stage.prometheus.gives = {"left": QueryProblem.AWAY, PROBE: QueryProblem.AWAY}
    await stage.push(firing("Missing", severity="info"))
    stage.jira.expect(OPENED)
    await stage.forward(minutes=2)
    await stage.forward(minutes=2)
    stage.slack.expect_one(OPENED, Sev.SEV_3)
    await stage.reload(routing(rules=(*RULES, left, fixed("everything", Sev.SEV_1, 'job="sevrouter"'))))
    assert [each.sev for each in await stage.incidents()] == [Sev.SEV_5, Sev.SEV_3]


async def test_what_alertmanager_left_out_stays_left_out(stage: Stage) -> None:
    stage.routing = routing(rules=(*RULES, SLA))
    alert = firing("Slow", severity="warning", slo="latency")
    await stage.push(alert, truncated=True)
    stage.slack.expect(OPENED)
    await stage.reload(WORSE)
    stage.call.expect(OPENED)
    stage.slack.expect(ROSE)
    assert (await stage.incident()).truncated
    # Nor does it come back by what is measured.
    await stage.reload(routing(rules=(*RULES, SLA), config_hash="newer"))
    await stage.forward(hours=4)
    stage.call.expect(ROSE)
    stage.slack.expect(ROSE)
    assert (await stage.incident()).truncated


async def test_an_alert_stays_with_its_open_incident_whatever_groups_alerts_now(stage: Stage) -> None:
    await stage.push(firing(severity="warning", pod="a"), firing(severity="warning", pod="b"))
    stage.slack.expect(OPENED)
    regrouped = routing(rules=WORSE.grader.rules, group_by=("alertname", "pod"), config_hash="new")
    await stage.reload(regrouped)
    stage.call.expect(OPENED)
    stage.slack.expect(ROSE)
    assert (await stage.incident()).firing == 2


@pytest.fixture
def sender(stage: Stage) -> Sender:
    """Who sends to the stage just what was sent before."""
    return Sender(stage)


async def test_what_comes_again_after_a_reload_need_not_be_read(stage: Stage, sender: Sender) -> None:
    await sender.send(down(), down("Down", "warning", pod="a"))
    stage.slack.expect(OPENED)
    await stage.reload(routing(config_hash="new"))
    assert await sender.send(down(), down("Down", "warning", pod="a")) in ([], [(0, 2)])
    await stage.reload(WORSE)
    stage.call.expect(OPENED)
    stage.slack.expect(ROSE)
    assert await sender.send(down(), down("Down", "warning", pod="a")) in ([], [(0, 2)])
    assert stage.metric("alerts_total", status="firing") == 6


async def test_many_are_graded_in_parts(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "TOGETHER", 10)
    await stage.push(*(labelled({"alertname": "Down", "severity": "warning", "pod": f"{n}"}) for n in range(25)))
    await stage.push(resolved(severity="warning", pod="3", end=1))
    stage.slack.expect(OPENED)
    parts = await _parts(stage, monkeypatch)
    await stage.reload(severities(warning=Sev.SEV_3))
    stage.slack.expect(ROSE)
    assert [len(each) for each in parts] == [10, 10, 4]
    assert await select(stage.store, "SELECT count(*) AS n FROM alert_states WHERE sev = 3") == [{"n": 24}]


async def _parts(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    parts: list[list[int]] = []
    grade_anew = stage.intake.grade_anew

    async def noted(ids: list[int]) -> None:
        parts.append(ids)
        await grade_anew(ids)

    monkeypatch.setattr(stage.intake, "grade_anew", noted)
    return parts


async def test_a_reload_in_the_middle_begins_from_the_beginning(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "TOGETHER", 2)
    await stage.push(*(firing(name, severity="warning") for name in "abcd"))
    stage.slack.expect(*[OPENED] * 4)
    grade_anew = stage.intake.grade_anew

    async def interrupted(ids: list[int]) -> None:
        await grade_anew(ids)
        if stage.routing.config_hash == "milder" and 3 in ids:
            stage.routing = WORSE
            stage.sweep.begin()

    monkeypatch.setattr(stage.intake, "grade_anew", interrupted)
    await stage.reload(routing(config_hash="milder"))
    stage.call.expect(*[OPENED] * 4)
    stage.slack.expect(*[ROSE] * 4)


async def test_it_goes_on_where_the_store_was_away(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "TOGETHER", 1)
    await stage.push(*(firing(name, severity="warning") for name in "abc"))
    stage.slack.expect(*[OPENED] * 3)
    stage.routing = WORSE
    grade_anew, asked = stage.intake.grade_anew, []

    async def away_once(ids: list[int]) -> None:
        asked.append(ids)
        if len(asked) == 2:
            raise StoreUnavailableError("it is away")
        await grade_anew(ids)

    monkeypatch.setattr(stage.intake, "grade_anew", away_once)
    with pytest.raises(StoreUnavailableError):
        await stage.sweep.sweep()
    await stage.sweep.sweep()
    await stage.idle()
    assert asked == [[1], [2], [2], [3]]
    stage.call.expect(*[OPENED] * 3)
    stage.slack.expect(*[ROSE] * 3)


async def test_it_begins_with_the_process_and_then_waits_for_a_reload(stage: Stage) -> None:
    await stage.push(firing(severity="warning"))
    stage.slack.expect(OPENED)
    stage.routing = WORSE
    assert await stage.sweep.sweep() is None
    await stage.idle()
    stage.call.expect(OPENED)
    stage.slack.expect(ROSE)
    stage.routing = severities(warning=Sev.SEV_1)
    await stage.sweep.sweep()
    await stage.idle()
    assert (await stage.incident()).sev is Sev.SEV_2, "nobody said that anything has changed"


@pytest_asyncio.fixture
async def replicas(postgres_copy: str) -> AsyncIterator[tuple[Stage, Stage]]:
    """Two on one database, with one clock, that both deliver."""
    # A stage says that its store is SQLite's, and means any.
    stores: list[Any] = [PostgresStore.open(connector(postgres_copy)) for _ in range(2)]
    first, second = stages = [Stage(store) for store in stores]
    second.clock = second.intake._clock = second.measurer._clock = first.clock
    second.call, second.slack, second.jira = first.call, first.slack, first.jira
    for stage in stages:
        stage.open_lanes()
    yield first, second
    for stage in stages:
        await stage.dispatcher.stop()
        stage.nothing_unexpected()
        stage.store.close()


async def test_two_replicas_that_do_it_at_once_call_once(replicas: tuple[Stage, Stage]) -> None:
    first, second = replicas
    alerts = [firing(f"Down{number}", severity="warning", slo="latency") for number in range(20)]
    await first.push(*alerts)
    first.slack.expect(*[OPENED] * 20)
    await second.push(*alerts[:10])
    for stage in replicas:
        stage.routing = routing(rules=(*WORSE.grader.rules, SLA), config_hash="new")
        stage.sweep.begin()
    await asyncio.gather(first.sweep.sweep(), second.sweep.sweep())
    for stage in replicas:
        await stage.idle()
    first.call.expect(*[OPENED] * 20)
    first.slack.expect(*[ROSE] * 20)
    assert len(await select(first.store, "SELECT id FROM watches")) == 20
    first.clock.forward(hours=4)
    for stage in replicas:
        await stage.measurer.measure_due()
        await stage.idle()
    first.call.expect(*[ROSE] * 20)
    first.slack.expect(*[ROSE] * 20)
