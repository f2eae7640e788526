"""Stories of deployments: what begins soon after one says so, whichever was heard of first."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from sevrouter.domain.sev import Sev
from sevrouter.store.deployments import Deployments
from tests.building import counts, labelled, over, select
from tests.engine.stage import OPENED, REOPENED, RESOLVED, ROSE, critical, warning

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sevrouter.domain.deployment import Deployment
    from sevrouter.domain.incident import TimelineEntry
    from tests.engine.stage import Stage

HINT = "checkout 2.14.0 was deployed 12 min before it began: if related, roll back"


async def suspects(stage: Stage, incident_id: int = 1) -> list[tuple[object, object]]:
    """What the timeline says of deployments: the version, and how many minutes before."""
    return [(each.details["version"], each.details["minutes_before"]) for each in await entries(stage, incident_id)]


async def entries(stage: Stage, incident_id: int = 1) -> list[TimelineEntry]:
    """The facts of the timeline that are about deployments."""
    return [entry for entry in await stage.timeline(incident_id) if entry.fact.value == "deployment_nearby"]


async def test_an_incident_after_a_deployment_of_its_system_says_so_everywhere(stage: Stage) -> None:
    await stage.deployed("2.14.0")
    stage.clock.forward(minutes=12)
    with capture_logs() as lines:
        await stage.push(critical())
    for told in (stage.call.expect_one(OPENED), stage.slack.expect_one(OPENED)):
        assert told.notice.deployments == (HINT,)
    assert await suspects(stage) == [("2.14.0", 12)]
    assert (await stage.facts())[:3] == ["opened", "alerts_fired", "deployment_nearby"]
    (line,) = [each for each in lines if each["event"] == "incident_deployment_nearby"]
    assert (line["system"], line["version"], line["incident"]) == ("checkout", "2.14.0", 1)


async def test_what_was_deployed_long_before_is_not_said(stage: Stage) -> None:
    await stage.deployed("2.14.0")
    stage.clock.forward(minutes=30, seconds=1)
    await stage.push(critical())
    assert [each.notice.deployments for each in (*stage.call.expect(OPENED), *stage.slack.expect(OPENED))] == [(), ()]
    assert await suspects(stage) == []


async def test_a_deployment_of_another_system_is_not_said(stage: Stage) -> None:
    await stage.deployed("2.14.0", "search")
    await stage.push(critical())
    stage.call.expect_one(OPENED)
    stage.slack.expect_one(OPENED)
    assert await suspects(stage) == []


async def test_a_deployment_of_a_system_that_only_the_alert_names_is_said(stage: Stage) -> None:
    await stage.deployed("7", "payment-worker")
    await stage.push(labelled({"alertname": "Slow", "severity": "warning", "job": "payment-worker"}))
    assert stage.slack.expect_one(OPENED).notice.deployments[0].startswith("payment-worker 7 was deployed just before")


async def test_nothing_is_said_where_it_is_turned_off(stage: Stage) -> None:
    stage.routing = replace(stage.routing, deployment_window=timedelta(0))
    await stage.deployed("2.14.0")
    await stage.push(warning())
    assert stage.slack.expect_one(OPENED).notice.deployments == ()
    await stage.deployed("2.15.0")
    assert await suspects(stage) == []
    assert await counts(stage.store, "deployments") == {"deployments": 2}


async def test_who_is_called_for_a_rise_hears_of_the_deployment_too(stage: Stage) -> None:
    await stage.deployed("2.14.0")
    stage.clock.forward(minutes=12)
    await stage.push(warning())
    stage.slack.expect_one(OPENED)
    stage.clock.forward(hours=2)
    await stage.push(critical())
    assert stage.call.expect_one(OPENED, Sev.SEV_2).notice.deployments == (HINT,)
    stage.slack.expect_one(ROSE)
    assert await suspects(stage) == [("2.14.0", 12)], "once, when it began"


async def test_what_reopens_is_seen_from_when_it_reopens(stage: Stage) -> None:
    await stage.deployed("2.14.0")
    await stage.push(warning())
    assert len(stage.slack.expect_one(OPENED).notice.deployments) == 1
    await stage.push(over(warning()))
    await stage.forward(minutes=6)
    assert stage.slack.expect_one(RESOLVED).notice.deployments == ()
    stage.clock.forward(hours=1)
    await stage.push(labelled(dict(warning().labels), start=66))
    assert stage.slack.expect_one(REOPENED).notice.deployments == (), "that was long ago by now"
    await stage.push(over(labelled(dict(warning().labels), start=66), minute=67))
    await stage.forward(minutes=6)
    stage.slack.expect_one(RESOLVED)
    await stage.deployed("2.15.0")
    stage.clock.forward(minutes=3)
    await stage.push(labelled(dict(warning().labels), start=75))
    assert (
        stage.slack.expect_one(REOPENED).notice.deployments[0].startswith("checkout 2.15.0 was deployed 3 min before")
    )
    assert await suspects(stage) == [("2.14.0", 0), ("2.15.0", 3)]


async def test_deployments_are_read_once_for_all_that_begins_and_never_for_what_goes_on(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[object] = []
    between = Deployments._between

    def noted(self: Deployments, *period: datetime) -> Mapping[str, Sequence[Deployment]]:
        reads.append(period)
        return between(self, *period)

    monkeypatch.setattr(Deployments, "_between", noted)
    await stage.push(warning("One"), warning("Two"), warning("Three"))
    stage.slack.expect(OPENED, OPENED, OPENED)
    assert len(reads) == 1
    await stage.push(warning("One"), over(warning("Two")))
    await stage.push(critical("One"))
    stage.call.expect_one(OPENED)
    stage.slack.expect_one(ROSE)
    assert len(reads) == 1


async def test_a_deployment_that_is_reported_late_is_told_to_the_timeline_and_to_the_next_notice(stage: Stage) -> None:
    await stage.push(warning())
    stage.slack.expect_one(OPENED)
    stage.clock.forward(minutes=4)
    with capture_logs() as lines:
        await stage.deployed("2.14.0", minutes_ago=16)
    assert await suspects(stage) == [("2.14.0", 12)]
    assert [each["incident"] for each in lines if each["event"] == "incident_deployment_nearby"] == [1]
    await stage.idle()
    stage.slack.expect()
    await stage.push(critical())
    assert stage.call.expect_one(OPENED).notice.deployments == (HINT,)
    stage.slack.expect_one(ROSE)


@pytest.mark.parametrize(("minutes_ago", "told"), [(40, [("2", 30)]), (40.1, []), (6, [("2", -4)]), (4.9, [])])
async def test_a_late_report_counts_by_when_it_was_and_when_the_incident_began(
    stage: Stage, minutes_ago: float, told: list[tuple[str, int]]
) -> None:
    await stage.push(warning())
    stage.slack.expect_one(OPENED)
    stage.clock.forward(minutes=10)
    await stage.deployed("2", minutes_ago=minutes_ago)
    assert await suspects(stage) == told


async def test_a_late_report_names_incidents_by_their_label_and_tells_no_other(stage: Stage) -> None:
    await stage.push(warning(), labelled({"alertname": "Slow", "severity": "warning", "job": "worker"}))
    stage.slack.expect(OPENED, OPENED)
    await stage.deployed("7", "worker")
    assert await suspects(stage, 2) == [("7", 0)]
    assert await suspects(stage, 1) == []


async def test_an_incident_that_is_over_is_told_for_who_looks_back(stage: Stage) -> None:
    await stage.push(warning())
    await stage.push(over(warning()))
    await stage.forward(minutes=6)
    stage.slack.expect(OPENED, RESOLVED)
    await stage.deployed("2.14.0", minutes_ago=10)
    assert await suspects(stage) == [("2.14.0", 4)]
    assert (await stage.incident()).state.value == "resolved"


async def test_of_many_reports_the_newest_three_are_named(stage: Stage) -> None:
    await stage.push(warning())
    stage.slack.expect_one(OPENED)
    for number in (1, 2, 3):
        await stage.deployed(f"v{number}", minutes_ago=number)
    await stage.deployed("v9", minutes_ago=9)
    assert await suspects(stage) == [("v1", 1), ("v2", 2), ("v3", 3)]
    stage.clock.forward(seconds=30)
    await stage.deployed("v0", minutes_ago=0.5)
    held = (await stage.incident()).evidence.deployments
    assert [each.version for each in held] == ["v0", "v1", "v2"]


async def test_a_late_report_takes_the_place_of_none_that_is_newer_and_leaves_the_older_ones(stage: Stage) -> None:
    await stage.deployed("old", minutes_ago=25)
    await stage.push(warning())
    stage.slack.expect_one(OPENED)
    stage.clock.forward(minutes=5)
    await stage.deployed("v2", minutes_ago=3)
    assert [each.version for each in (await stage.incident()).evidence.deployments] == ["v2", "old"]
    for number in (3, 4):
        await stage.deployed(f"v{number}", minutes_ago=5 - number)
    told = await suspects(stage)
    await stage.deployed("v1", minutes_ago=35)
    assert await suspects(stage) == told == [("old", 25), ("v2", -2), ("v3", -3), ("v4", -4)]


async def test_what_began_twice_is_told_once_as_seen_from_the_last_time(stage: Stage) -> None:
    await stage.push(warning())
    await stage.push(over(warning()))
    await stage.forward(minutes=8)
    await stage.push(labelled(dict(warning().labels), start=8))
    stage.slack.expect(OPENED, RESOLVED, REOPENED)
    await stage.deployed("2.14.0", minutes_ago=12)
    assert await suspects(stage) == [("2.14.0", 12)]


@pytest.mark.parametrize(("minutes", "is_new"), [(0, False), (10, False), (10.01, True)])
async def test_without_a_time_the_same_again_soon_is_the_same(stage: Stage, minutes: float, *, is_new: bool) -> None:
    assert await stage.deployed("2.14.0")
    stage.clock.forward(minutes=minutes)
    assert await stage.deployed("2.14.0") is is_new
    assert await counts(stage.store, "deployments") == {"deployments": 1 + is_new}


async def test_with_a_time_only_the_same_time_is_the_same(stage: Stage) -> None:
    assert await stage.deployed("2.14.0", minutes_ago=3)
    assert not await stage.deployed("2.14.0", minutes_ago=3)
    assert await stage.deployed("2.14.0", minutes_ago=4)
    assert await stage.deployed("2.15.0", minutes_ago=3)
    assert await stage.deployed("2.14.0", "search", minutes_ago=3)
    assert stage.metric("deployments_total", result="new") == 4
    assert stage.metric("deployments_total", result="known") == 1


async def test_what_is_known_tells_nobody_twice(stage: Stage) -> None:
    await stage.push(warning())
    stage.slack.expect_one(OPENED)
    for _ in range(3):
        await stage.deployed("2.14.0")
    assert await suspects(stage) == [("2.14.0", 0)]


async def test_alerts_and_reports_in_one_transaction_find_one_another(stage: Stage) -> None:
    # Together they wait for the writer, which takes them in one go.
    held = asyncio.create_task(stage.store.write(lambda _: time.sleep(0.2)))
    await asyncio.sleep(0.05)
    await asyncio.gather(stage.take(warning("One")), stage.deployed("2.14.0"), stage.take(warning("Two")))
    await held
    await stage.idle()
    stage.slack.expect(OPENED, OPENED)
    rows = await select(stage.store, "SELECT incident_id FROM timeline WHERE fact = 'deployment_nearby' ORDER BY 1")
    assert [row["incident_id"] for row in rows] == [1, 2]
