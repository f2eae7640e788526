"""Alerts that fire on as they were, and get worse by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sevrouter.domain.promql import QueryProblem, QueryTemplate
from sevrouter.domain.sev import Sev
from sevrouter.domain.timed import Count, FiringFor, Query
from sevrouter.engine.asking import PROBE
from tests.building import RULES, labelled, over, routing, select
from tests.domain.building import firing, resolved, watched
from tests.engine.stage import LIKELY, OPENED, RESOLVED, ROSE

if TYPE_CHECKING:
    from sevrouter.domain.alert import Alert
    from tests.engine.stage import Stage

SLA = watched("breaking the SLA", FiringFor(), {Sev.SEV_2: ">= 30m", Sev.SEV_1: ">= 4h"}, 'slo=~".+"')


async def test_an_open_incident_rises_by_itself(stage: Stage) -> None:
    stage.routing = routing(rules=(*RULES, SLA))
    await stage.push(firing("Slow", severity="warning", slo="latency", service="checkout"))
    stage.slack.expect_one(OPENED, Sev.SEV_4)
    await stage.forward()
    told = stage.slack.expect_one(LIKELY, Sev.SEV_4)
    assert told.notice.note == "becomes SEV-2 in 30 min: firing for >= 30m (breaking the SLA)"
    await stage.forward(minutes=15)
    told = stage.slack.expect_one(LIKELY)
    assert told.notice.note == "becomes SEV-2 in 15 min: firing for >= 30m (breaking the SLA)"
    await stage.forward(minutes=14, seconds=59)
    await stage.forward(seconds=1)
    stage.call.expect_one(OPENED, Sev.SEV_2)
    told = stage.slack.expect_one(ROSE, Sev.SEV_2)
    assert told.notice.why[0] == "SEV-2 by rule 'breaking the SLA': firing for 30m is >= 30m"
    await stage.forward(hours=2, minutes=30)
    assert stage.slack.expect_one(LIKELY).notice.note.startswith("becomes SEV-1 in 1 h: ")
    await stage.forward(minutes=45)
    assert stage.slack.expect_one(LIKELY).notice.note.startswith("becomes SEV-1 in 15 min: ")
    await stage.forward(minutes=15)
    stage.call.expect_one(ROSE, Sev.SEV_1)
    stage.slack.expect_one(ROSE, Sev.SEV_1)
    assert (await stage.facts()).count("rose") == 2
    await stage.push(resolved("Slow", severity="warning", slo="latency", service="checkout", end=300))
    await stage.forward(hours=1)
    stage.call.expect_one(RESOLVED)
    stage.slack.expect_one(RESOLVED)
    assert await select(stage.store, "SELECT id FROM watches") == [], "nothing is left to be read"


async def test_what_is_no_incident_becomes_one_in_time_and_ends(stage: Stage) -> None:
    stage.routing = routing(rules=(*RULES, SLA))
    alert = firing("Slow", slo="latency", service="checkout")
    await stage.push(alert)
    await stage.forward(minutes=10)
    await stage.push(alert)
    assert await select(stage.store, "SELECT id FROM incidents") == []
    await stage.forward(minutes=20)
    stage.call.expect_one(OPENED, Sev.SEV_2)
    stage.slack.expect_one(OPENED, Sev.SEV_2)
    assert (await stage.incident()).firing == 1
    await stage.push(alert)
    await stage.push(resolved("Slow", slo="latency", service="checkout", end=40))
    await stage.forward(minutes=15)
    stage.call.expect_one(RESOLVED)
    stage.slack.expect_one(RESOLVED)
    await stage.forward(hours=5)
    assert await select(stage.store, "SELECT id FROM watches") == [], "nothing is left to be read"


async def test_the_age_of_an_incident_counts_whatever_comes_and_goes_in_it(stage: Stage) -> None:
    rule = watched("open for long", FiringFor(of_incident=True), {Sev.SEV_2: ">= 1h"}, 'slo=~".+"')
    stage.routing = routing(rules=(*RULES, rule))
    first, second = (
        labelled({"alertname": "Slow", "severity": "warning", "slo": "latency", "pod": pod}, start=start)
        for pod, start in (("a", 0), ("b", 50))
    )
    await stage.push(first)
    stage.slack.expect_one(OPENED, Sev.SEV_4)
    await stage.forward(minutes=50)
    stage.slack.expect_one(LIKELY)
    await stage.push(second, over(first, minute=50))
    await stage.forward(minutes=10)
    stage.call.expect_one(OPENED, Sev.SEV_2)
    stage.slack.expect_one(ROSE, Sev.SEV_2)


async def test_an_alert_that_ends_in_time_wakes_nobody(stage: Stage) -> None:
    stage.routing = routing(rules=(*RULES, SLA))
    await stage.push(firing("Slow", slo="latency"))
    await stage.push(resolved("Slow", slo="latency", end=1))
    await stage.forward(hours=5)
    assert await select(stage.store, "SELECT id FROM incidents") == []


async def test_a_reload_that_begins_to_watch_is_taken_up_with_the_next_webhook(stage: Stage) -> None:
    alert = firing("Slow", severity="warning", slo="latency")
    await stage.push(alert)
    stage.slack.expect_one(OPENED, Sev.SEV_4)
    stage.routing = routing(rules=(*RULES, SLA), config_hash="new")
    await stage.push(alert)
    await stage.forward(minutes=30)
    stage.call.expect_one(OPENED, Sev.SEV_2)
    stage.slack.expect_one(ROSE, Sev.SEV_2)


async def test_a_claim_whose_replica_is_gone_is_taken_up_again(stage: Stage) -> None:
    stage.routing = routing(rules=(*RULES, SLA))
    await stage.push(firing("Slow", slo="latency"))
    await stage.forward(minutes=30, seconds=-1)
    stage.clock.forward(seconds=1)
    now = stage.clock()
    (lost,) = await stage.store.write(lambda tx: tx.watches.claim(now, until=stage.clock(), most=10))
    assert await stage.store.write(lambda tx: tx.watches.claim(lost.claimed_until, until=now, most=10)) != []
    await stage.forward(seconds=30)
    stage.call.expect_one(OPENED, Sev.SEV_2)
    stage.slack.expect_one(OPENED, Sev.SEV_2)
    assert await stage.store.write(lambda tx: tx.watches.held([lost])) == [], "its late word counts no more"


REPLICAS = Query(QueryTemplate.parse('available{deployment="{{ deployment }}"}'))
LEFT = watched("no redundancy left", REPLICAS, {Sev.SEV_1: "< 1", Sev.SEV_3: "< 2"}, 'alertname="Missing"')
WEB, API = 'available{deployment="web"}', 'available{deployment="api"}'


def missing(deployment: str = "web") -> Alert:
    """Replicas are missing."""
    return firing("Missing", deployment=deployment, service="checkout", cluster=deployment)


async def test_what_prometheus_says_decides_and_is_asked_again(stage: Stage) -> None:
    stage.routing = routing(rules=(*RULES, LEFT))
    stage.prometheus.gives[WEB] = 3
    await stage.push(missing())
    await stage.forward()
    assert await select(stage.store, "SELECT id FROM incidents") == [], "three are enough"
    stage.prometheus.gives[WEB] = 1
    await stage.forward(minutes=2)
    told = stage.slack.expect_one(OPENED, Sev.SEV_3)
    assert told.notice.why[0] == (
        "SEV-3 by rule 'no redundancy left': query available{deployment=\"{{ deployment }}\"} 1 is < 2"
    )
    stage.prometheus.gives[WEB] = 0
    await stage.forward(seconds=30)
    stage.call.expect_one(OPENED, Sev.SEV_1)
    stage.slack.expect_one(ROSE, Sev.SEV_1)
    stage.prometheus.gives[WEB] = 3
    await stage.forward(minutes=5)
    assert (await stage.incident()).sev is Sev.SEV_1, "it only rises"


async def test_no_data_is_the_worst_but_not_at_once_and_it_is_counted_once(stage: Stage) -> None:
    stage.routing = routing(rules=(*RULES, LEFT))
    stage.prometheus.gives |= {WEB: 3, API: 3}
    await stage.push(missing(), missing("api"))
    await stage.forward()
    stage.prometheus.gives[WEB] = QueryProblem.EMPTY
    await stage.forward(minutes=2)
    await stage.forward(seconds=59)
    assert await select(stage.store, "SELECT id FROM incidents") == []
    await stage.forward(seconds=1)
    assert stage.call.expect_one(OPENED, Sev.SEV_1).notice.unsure
    told = stage.slack.expect_one(OPENED, Sev.SEV_1)
    assert told.notice.why[0].endswith("gives no series (so it was said): unsure, so the worst this rule knows, SEV-1")
    await stage.forward(minutes=10)
    assert stage.metrics.registry.get_sample_value("sevrouter_unreadable_measures_total", {"reason": "empty"}) == 1
    assert len(await select(stage.store, "SELECT id FROM incidents")) == 1


async def test_one_failed_scrape_wakes_nobody(stage: Stage) -> None:
    stage.routing = routing(rules=(*RULES, LEFT))
    stage.prometheus.gives[WEB] = 3
    await stage.push(missing())
    await stage.forward()
    stage.prometheus.gives[WEB] = QueryProblem.BAD_QUERY
    await stage.forward(minutes=2)
    stage.prometheus.gives[WEB] = 3
    await stage.forward(minutes=1)
    await stage.forward(minutes=10)
    assert await select(stage.store, "SELECT id FROM incidents") == []


async def test_a_prometheus_that_is_away_is_one_incident_and_not_one_for_each(stage: Stage) -> None:
    stage.routing = routing(rules=(*RULES, LEFT))
    stage.prometheus.gives |= {WEB: 1, API: 3}
    await stage.push(missing(), missing("api"))
    await stage.forward()
    stage.slack.expect_one(OPENED, Sev.SEV_3)
    await stage.forward(seconds=30)
    told = stage.slack.expect_one(LIKELY)
    assert (told.notice.foreseen, told.notice.note) == (
        Sev.SEV_1,
        "no redundancy left: one less is SEV-1 (no redundancy left)",
    )
    stage.prometheus.gives = {WEB: QueryProblem.AWAY, API: QueryProblem.TIMED_OUT, PROBE: QueryProblem.AWAY}
    await stage.forward(minutes=2)
    await stage.forward(minutes=2)
    told = stage.call.expect_one(OPENED, Sev.SEV_1)
    assert told.notice.title == (
        "[SEV-1, unsure] sevrouter cannot measure: no query is answered (so it was said) (SevrouterCannotMeasure)"
    )
    stage.slack.expect_one(OPENED, Sev.SEV_1)
    await stage.forward(minutes=10)
    # Nothing is left to be asked, and its end is noticed all the same.
    await stage.push(*(over(missing(name), minute=14) for name in ("web", "api")))
    await stage.forward(minutes=5)
    stage.slack.expect_one(RESOLVED)
    stage.prometheus.gives = {}
    await stage.forward(seconds=30)
    await stage.forward(minutes=5)
    stage.call.expect_one(RESOLVED)
    stage.slack.expect_one(RESOLVED)
    rows = await select(stage.store, "SELECT sev, state FROM incidents ORDER BY id")
    assert [(row["sev"], row["state"]) for row in rows] == [(3, "resolved"), (1, "resolved")]


AWAY = {WEB: QueryProblem.AWAY, PROBE: QueryProblem.AWAY}


async def test_a_restart_in_the_middle_of_an_outage_loses_no_time(stage: Stage) -> None:
    stage.routing = routing(rules=(*RULES, LEFT))
    stage.prometheus.gives[WEB] = 3
    await stage.push(missing())
    await stage.forward()
    stage.prometheus.gives |= AWAY
    await stage.forward(minutes=2)
    stage.nothing_unexpected()
    await stage.forward(seconds=40)
    stage.restart()
    await stage.forward(seconds=30)
    stage.call.expect_one(OPENED, Sev.SEV_1)
    stage.slack.expect_one(OPENED, Sev.SEV_1)


async def test_a_prometheus_that_only_stumbles_is_no_incident(stage: Stage) -> None:
    stage.routing = routing(rules=(*RULES, LEFT))
    stage.prometheus.gives[WEB] = 3
    await stage.push(missing())
    await stage.forward()
    for _ in range(3):
        stage.prometheus.gives |= AWAY
        await stage.forward(minutes=2)
        stage.prometheus.gives = {WEB: 3}
        await stage.forward(seconds=50)
    await stage.forward(minutes=10)
    assert await select(stage.store, "SELECT id FROM incidents") == []


async def test_a_query_that_alone_is_not_answered_is_the_worst_of_its_rule_and_no_outage(stage: Stage) -> None:
    stage.routing = routing(rules=(*RULES, LEFT))
    stage.prometheus.gives[WEB] = QueryProblem.TIMED_OUT
    await stage.push(missing())
    await stage.forward()
    await stage.forward(minutes=2)
    told = stage.call.expect_one(OPENED, Sev.SEV_1)
    assert "Missing" in told.notice.title
    stage.slack.expect_one(OPENED, Sev.SEV_1)


async def test_a_query_is_asked_once_for_all_that_wait_for_it(stage: Stage) -> None:
    stage.routing = routing(rules=(*RULES, LEFT))
    stage.prometheus.gives[WEB] = 3
    await stage.push(*(firing("Missing", deployment="web", cluster=f"c{number}") for number in range(50)))
    await stage.forward()
    await stage.forward(minutes=2)
    await stage.forward(minutes=2)
    assert [each for each in stage.prometheus.asked if each != PROBE] == [WEB] * 3


async def test_the_more_fire_the_worse(stage: Stage) -> None:
    share = watched("instances", Count("instance", whole=10), {Sev.SEV_2: ">= 30"}, 'alertname="Down"')
    stage.routing = routing(rules=(*RULES, share))
    await stage.push(*(firing(instance=name) for name in "ab"))
    await stage.forward()
    await stage.push(firing(instance="c"))
    await stage.forward()
    stage.call.expect_one(OPENED, Sev.SEV_2)
    stage.slack.expect_one(OPENED, Sev.SEV_2)
    assert (await stage.incident()).firing == 3


async def test_very_many_incidents_ask_what_they_ask_alike_once_an_interval(stage: Stage) -> None:
    stage.routing = routing(rules=(*RULES, LEFT))
    queries = {f'available{{deployment="{name}"}}': 3.0 for name in "abcde"}
    stage.prometheus.gives |= queries
    alerts = [firing("Missing", deployment="abcde"[n % 5], service=f"s{n}", severity="none") for n in range(450)]
    await stage.push(*alerts)
    for _ in range(3):
        stage.prometheus.asked.clear()
        # No more than 200 are read together.
        for _ in range(3):
            await stage.measurer.measure_due()
        assert sorted(stage.prometheus.asked) == sorted(queries)
        stage.clock.forward(minutes=2)
    assert await select(stage.store, "SELECT count(*) AS n FROM watches") == [{"n": 450}]
