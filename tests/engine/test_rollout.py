"""What runs is asked for, and a change of version is a deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sevrouter.domain.promql import QueryProblem, Series
from tests.building import routing, select
from tests.engine.stage import OPENED, critical

if TYPE_CHECKING:
    from tests.engine.stage import Stage

QUERY = "max by (system, version) (app_deployed_timestamp_seconds)"


def runs(stage: Stage, **versions: float) -> None:
    """Systems run these versions (a_1 is version a.1), each since so many minutes."""
    now = stage.clock().timestamp()
    stage.prometheus.gives[QUERY] = tuple(
        Series({"system": "checkout", "version": name.replace("_", ".")}, now - 60 * minutes)
        for name, minutes in versions.items()
    )


async def recorded(stage: Stage) -> list[str]:
    return [row["version"] for row in await select(stage.store, "SELECT version FROM deployments ORDER BY id")]


async def test_a_new_version_is_a_deployment_that_an_incident_names(stage: Stage) -> None:
    stage.routing = routing(deployment_query=QUERY)
    runs(stage, v1=6_000)
    await stage.forward(minutes=1)
    runs(stage, v1=6_001, v2=4)
    await stage.forward(minutes=1)
    await stage.push(critical())
    told = stage.call.expect_one(OPENED)
    assert told.notice.deployments == ("checkout v2 was deployed 5 min before it began: if related, roll back",)
    stage.slack.expect_one(OPENED)
    assert await recorded(stage) == ["v1", "v2"]


async def test_of_versions_that_run_side_by_side_the_newest_counts(stage: Stage) -> None:
    stage.routing = routing(deployment_query=QUERY)
    runs(stage, v2=4, v1=6_000)
    await stage.forward(minutes=1)
    assert await recorded(stage) == ["v2"]


async def test_what_goes_on_running_is_no_news_also_over_a_restart_and_a_pod_that_begins_anew(stage: Stage) -> None:
    stage.routing = routing(deployment_query=QUERY)
    runs(stage, v1=60)
    await stage.forward(minutes=1)
    stage.restart()
    runs(stage, v1=0)
    await stage.forward(minutes=1)
    assert await recorded(stage) == ["v1"]


async def test_to_go_back_is_a_deployment(stage: Stage) -> None:
    stage.routing = routing(deployment_query=QUERY)
    for versions in ({"v1": 600.0}, {"v1": 601.0, "v2": 1.0}, {"v1": 0.5}):
        runs(stage, **versions)
        await stage.forward(minutes=1)
    assert await recorded(stage) == ["v1", "v2", "v1"]


async def test_what_is_not_answered_or_says_nothing_is_no_news(stage: Stage) -> None:
    stage.routing = routing(deployment_query=QUERY)
    now = stage.clock().timestamp()
    for answer in (
        QueryProblem.EMPTY,
        (Series({"system": "checkout"}, now),),
        (Series({"version": "v1"}, now),),
        (Series({"system": "checkout", "version": "v1"}, -1.0),),
        (Series({"system": "checkout", "version": "v1"}, float("inf")),),
        (Series({"system": "checkout", "version": "v1"}, now + 86_400),),
    ):
        stage.prometheus.gives[QUERY] = answer
        await stage.forward(minutes=1)
    assert await recorded(stage) == []


async def test_without_a_query_nobody_is_asked(stage: Stage) -> None:
    await stage.forward(minutes=1)
    assert stage.prometheus.asked in ([], ["vector(1)"])
