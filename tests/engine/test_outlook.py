"""What is said of an incident before it gets worse, when a reading is back, and when it would be milder by now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sevrouter.domain.overruling import set_sev
from sevrouter.domain.promql import QueryProblem, QueryTemplate
from sevrouter.domain.sev import Sev
from sevrouter.domain.timed import Query
from sevrouter.engine.announcing import announce
from tests.building import RULES, over, routing, select
from tests.domain.building import firing, watched
from tests.engine.stage import LIKELY, OPENED, READING_RETURNED, RESOLVED, ROSE, SEV_SET

if TYPE_CHECKING:
    from sevrouter.domain.alert import Alert
    from tests.engine.stage import Stage

PERCENT = 'errors{service="checkout"}'
ASKED = Query(QueryTemplate.parse('errors{service="{{ service }}"}'))
ERRORS = watched(
    "checkout errors",
    ASKED,
    {Sev.SEV_1: ">= 25", Sev.SEV_2: ">= 5", Sev.SEV_3: ">= 1"},
    'alertname="Errors"',
)


def errors(pod: str = "a") -> Alert:
    """Checkout fails, a warning by its label."""
    return firing("Errors", service="checkout", severity="warning", pod=pod)


async def steps(stage: Stage, *percents: float, seconds: float = 30) -> None:
    """Let time go on in even steps, and Prometheus give one number after the other."""
    for percent in percents:
        stage.prometheus.gives[PERCENT] = percent
        await stage.forward(seconds=seconds)


async def begin(stage: Stage, percent: float = 1.0) -> None:
    """An incident that is a SEV-3 by its number."""
    stage.routing = routing(rules=(*RULES, ERRORS))
    stage.prometheus.gives[PERCENT] = percent
    await stage.push(errors())
    await stage.forward()
    stage.slack.expect(OPENED, ROSE)


async def test_a_trend_is_mentioned_once_before_it_becomes_a_call(stage: Stage) -> None:
    await begin(stage)
    # 0.05 % each half minute: SEV-2 at 5 % is 40 min away at first, and half of the time seen is looked ahead.
    climb = [1 + 0.05 * step for step in range(1, 80)]
    await steps(stage, *climb[:50])
    stage.slack.expect()
    await steps(stage, *climb[50:70])
    told = stage.slack.expect_one(LIKELY, Sev.SEV_3)
    assert told.notice.foreseen is Sev.SEV_2
    assert told.notice.note == "checkout errors: 3.7, SEV-2 at >= 5 in about 13 min at this slope"
    stage.call.expect()
    await steps(stage, *climb[70:], 5.0)
    stage.call.expect_one(OPENED, Sev.SEV_2)
    stage.slack.expect_one(ROSE, Sev.SEV_2)
    (fact,) = [each for each in await stage.timeline() if each.fact.value == "likely"][:1]
    assert fact.details["sev"] == "SEV-2"


async def test_noise_is_no_trend(stage: Stage) -> None:
    await begin(stage, 3.0)
    await steps(stage, *(3 + (step * 7919 % 13 - 6) / 10 for step in range(60)))
    stage.slack.expect()


async def test_a_trend_survives_a_restart(stage: Stage) -> None:
    await begin(stage)
    await steps(stage, *(1 + 0.1 * step for step in range(1, 11)))
    stage.slack.expect()
    stage.restart()
    await steps(stage, *(1 + 0.1 * step for step in range(11, 35)))
    assert "SEV-2" in stage.slack.expect_one(LIKELY).notice.note


async def test_without_a_horizon_nothing_is_foreseen_and_nothing_kept(stage: Stage) -> None:
    await begin(stage)
    stage.routing = routing(rules=(*RULES, ERRORS), horizon=stage.clock() - stage.clock())
    await steps(stage, *(1 + 0.1 * step for step in range(1, 39)))
    stage.slack.expect()
    (watch,) = await select(stage.store, "SELECT readings FROM watches")
    assert "trail" not in watch["readings"]


async def test_a_reading_that_is_back_is_said_and_explained(stage: Stage) -> None:
    await begin(stage, 2.0)
    stage.prometheus.gives[PERCENT] = QueryProblem.EMPTY
    await stage.forward(seconds=30)
    await stage.forward(seconds=60)
    assert stage.call.expect_one(OPENED, Sev.SEV_1).notice.unsure
    stage.slack.expect_one(ROSE, Sev.SEV_1)
    await steps(stage, 0.2)
    told = stage.slack.expect_one(READING_RETURNED, Sev.SEV_1)
    assert told.notice.note == "rule 'checkout errors': query errors{service=\"{{ service }}\"} gives 0.2 again"
    assert told.notice.why[-1] == f"since then a reading is back: {told.notice.note}"
    assert stage.metric("unreadable_measures_total", reason="empty") == 1
    await steps(stage, 0.2, 0.2)
    stage.slack.expect()


async def test_what_the_measures_would_say_now_is_kept_beside_and_proposed_to_nobody_but_the_timeline(
    stage: Stage,
) -> None:
    await begin(stage, 12.0)
    stage.call.expect_one(OPENED, Sev.SEV_2)
    await steps(stage, *[0.1] * 9)
    milder = (await stage.incident()).standing.milder
    assert milder is not None
    assert (milder.sev, milder.is_proposed) == (Sev.SEV_4, False), "by its severity label it is still a SEV-4"
    assert (await stage.incident()).sev is Sev.SEV_2
    await steps(stage, *[0.1] * 9)
    proposals = [each for each in await stage.timeline() if each.fact.value == "milder"]
    assert [(each.details["from"], each.details["to"]) for each in proposals] == [("SEV-2", "SEV-4")]
    stage.nothing_unexpected()


async def test_another_alert_of_the_incident_that_nobody_measures_keeps_it_from_being_called_milder(
    stage: Stage,
) -> None:
    asks = watched("own", ASKED, {Sev.SEV_2: ">= 5"}, 'alertname="Errors"', 'pod="a"')
    stage.routing = routing(rules=(*RULES, asks))
    stage.prometheus.gives[PERCENT] = 12.0
    await stage.push(errors(pod="a"), firing("Errors", service="checkout", severity="critical", pod="b"))
    await stage.forward()
    stage.call.expect_one(OPENED, Sev.SEV_2)
    stage.slack.expect_one(OPENED, Sev.SEV_2)
    await steps(stage, *[0.1] * 20)
    assert (await stage.incident()).standing.milder is None


async def test_what_a_person_lowered_is_not_raised_again_by_what_was_known(stage: Stage) -> None:
    await begin(stage, 12.0)
    stage.call.expect_one(OPENED, Sev.SEV_2)
    now = stage.clock()

    def lower(tx: object) -> None:
        before = tx.incidents.by_id([1])[1]  # type: ignore[attr-defined]  # a transaction of either store
        said = set_sev(before, Sev.SEV_4, by="ana", reason="only staging", now=now)
        announce(tx, stage.routing, [(before, said)], now=now)  # type: ignore[arg-type]  # the same

    await stage.store.write(lower)
    await stage.idle()
    told = stage.slack.expect_one(SEV_SET, Sev.SEV_4)
    assert told.notice.why[0] == "SEV-4 set by ana: only staging"
    await steps(stage, 12.0, 13.0, 24.0)
    stage.nothing_unexpected()
    await steps(stage, 30.0)
    stage.call.expect_one(ROSE, Sev.SEV_1)
    stage.slack.expect_one(ROSE, Sev.SEV_1)


async def test_what_is_over_and_comes_back_is_foreseen_anew(stage: Stage) -> None:
    await begin(stage)
    await steps(stage, *(1 + 0.1 * step for step in range(1, 35)))
    stage.slack.expect_one(LIKELY)
    await stage.push(over(errors(), minute=18))
    await stage.forward(minutes=6)
    stage.slack.expect_one(RESOLVED)
    assert (await stage.incident()).standing.mentions == {}
