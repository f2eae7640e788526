"""What an Alertmanager shows against what it sent: missed, vanished, silenced and inhibited alerts."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
import structlog
from msgspec.structs import replace

from sevrouter.domain.delivery import NoticeKind
from sevrouter.domain.reconciliation import Unanswered
from sevrouter.domain.sev import Sev
from sevrouter.domain.suppression import Silence
from sevrouter.domain.timed import FiringFor
from sevrouter.engine.reconciler import Reconciler, Terms
from tests.building import RULES, over, routing, select
from tests.domain.building import firing, resolved, watched
from tests.engine.showing import SILENCE, Showing
from tests.engine.stage import OPENED, RESOLVED, ROSE, critical, warning

if TYPE_CHECKING:
    from sevrouter.domain.alert import Alert
    from tests.engine.stage import Stage

SUPPRESSED, UNSUPPRESSED = NoticeKind.SUPPRESSED, NoticeKind.UNSUPPRESSED
NO_FORECAST = timedelta(0)
SLA = watched("breaking the SLA", FiringFor(), {Sev.SEV_2: ">= 30m"}, 'slo=~".+"')


@pytest_asyncio.fixture
async def asked(stage: Stage) -> Stage:
    """A stage with one Alertmanager that is asked every half a minute."""
    stage.reconciler.use([stage.alertmanager], Terms())
    return stage


async def polls(stage: Stage, count: int) -> None:
    """Let it be asked some times."""
    for _ in range(count):
        await stage.forward(seconds=30)


def slow() -> Alert:
    """A SEV-4 that becomes a SEV-2 by time."""
    return firing("Slow", severity="warning", slo="latency", service="checkout")


async def sent_and_shown(stage: Stage, alert: Alert) -> None:
    """It was sent, and is seen there too."""
    stage.alertmanager.shows(alert)
    await stage.push(alert)
    await stage.reconciler.reconcile_due()


# Suppressed


async def test_what_is_silenced_is_shown_and_not_called_for_until_it_is_not(asked: Stage) -> None:
    asked.routing = routing(rules=(*RULES, SLA), horizon=NO_FORECAST)
    await sent_and_shown(asked, slow())
    asked.slack.expect_one(OPENED, Sev.SEV_4)
    ends_at = datetime(2026, 3, 1, 14, 0, tzinfo=UTC)
    asked.alertmanager.told[SILENCE] = Silence("ana", "main\ntenance", ends_at)
    asked.alertmanager.hushes(slow())
    await asked.forward(seconds=30)
    told = asked.slack.expect_one(SUPPRESSED).notice
    reason = "silenced in Alertmanager (by ana: main tenance, until 14:00 UTC)"
    assert (told.note, told.suppressed) == (reason, reason)
    assert (await asked.incident()).suppressed == reason
    await asked.forward(minutes=40)
    risen = asked.slack.expect_one(ROSE, Sev.SEV_2)
    assert risen.notice.suppressed == reason, "so that nobody is mentioned"
    incident = await asked.incident()
    assert incident.standing.withheld
    assert incident.asked == ("slack",), "nobody was called"
    asked.alertmanager.shows(slow())
    await asked.forward(seconds=30)
    asked.call.expect_one(OPENED, Sev.SEV_2)
    assert asked.slack.expect_one(UNSUPPRESSED).notice.suppressed is None
    assert not (await asked.incident()).standing.withheld
    await polls(asked, 3)


async def test_what_is_inhibited_says_by_what(asked: Stage) -> None:
    await sent_and_shown(asked, warning())
    asked.slack.expect(OPENED)
    # The one that inhibits it was sent, too.
    await asked.push(critical("Outage"))
    asked.call.expect(OPENED)
    asked.slack.expect(OPENED)
    asked.alertmanager.inhibits(warning(), by=critical("Outage"))
    await asked.forward(seconds=30)
    assert asked.slack.expect_one(SUPPRESSED).notice.note == "inhibited in Alertmanager by Outage"


async def test_a_silence_of_which_nothing_is_told_is_still_one(asked: Stage) -> None:
    await sent_and_shown(asked, warning())
    asked.slack.expect(OPENED)
    asked.alertmanager.hushes(warning(), by="../../-/reload")
    await asked.forward(seconds=30)
    assert asked.slack.expect_one(SUPPRESSED).notice.note == "silenced in Alertmanager"


async def test_a_call_that_waits_is_not_made_once_it_is_silenced_and_made_up_for_later(asked: Stage) -> None:
    asked.open_lanes(call=None)
    gate = asked.call.hangs()
    asked.open_lanes()
    await asked.take(critical())
    await asked.call.is_told()
    # What is under way cannot be stopped; what waits behind it can.
    await asked.take(firing(severity="critical", slo="availability", service="checkout",
                            annotations={"users_affected_percent": "50"}))  # fmt: skip
    asked.alertmanager.hushes(critical(), firing(severity="critical", slo="availability", service="checkout"))
    await asked.reconciler.reconcile_due()
    gate.set()
    await asked.idle()
    asked.call.expect_one(OPENED, Sev.SEV_2)
    asked.slack.expect(OPENED, ROSE, SUPPRESSED)
    assert (await asked.incident()).standing.withheld
    rows = await select(asked.store, "SELECT state, reason FROM deliveries WHERE integration = 'call' ORDER BY id")
    assert [(row["state"], row["reason"]) for row in rows][1] == ("superseded", "suppressed")
    asked.alertmanager.shows(critical())
    await asked.forward(seconds=30)
    asked.call.expect_one(ROSE, Sev.SEV_1)
    asked.slack.expect(UNSUPPRESSED)


async def test_one_alert_that_is_not_silenced_keeps_the_incident_loud(asked: Stage) -> None:
    first, second = (firing(severity="warning", service="checkout", pod=pod) for pod in "ab")
    asked.alertmanager.shows(first, second)
    await asked.push(first, second)
    asked.slack.expect(OPENED)
    asked.alertmanager.hushes(first)
    await polls(asked, 3)
    assert (await asked.incident()).suppressed is None
    asked.alertmanager.hushes(second)
    await asked.forward(seconds=30)
    asked.slack.expect(SUPPRESSED)


async def test_an_alert_that_nobody_shows_keeps_the_incident_loud(asked: Stage) -> None:
    grafanas = firing(severity="warning", service="checkout", pod="grafana")
    await asked.push(warning(), grafanas)
    asked.slack.expect(OPENED)
    asked.alertmanager.hushes(warning())
    await polls(asked, 3)
    assert (await asked.incident()).suppressed is None
    assert (await asked.incident()).firing == 2


async def test_what_is_sent_is_not_suppressed_and_called_for_before_the_next_poll(asked: Stage) -> None:
    await sent_and_shown(asked, warning())
    asked.slack.expect(OPENED)
    asked.alertmanager.hushes(warning())
    await asked.forward(seconds=30)
    asked.slack.expect(SUPPRESSED)
    worse = firing(severity="critical", service="checkout", pod="b")
    asked.alertmanager.shows(worse)
    await asked.push(worse)
    asked.call.expect_one(OPENED, Sev.SEV_2)
    asked.slack.expect(ROSE, UNSUPPRESSED)
    await polls(asked, 2)
    assert (await asked.incident()).suppressed is None


async def test_an_end_of_what_is_suppressed_is_told_and_owes_no_call(asked: Stage) -> None:
    asked.routing = routing(rules=(*RULES, SLA), horizon=NO_FORECAST)
    await sent_and_shown(asked, slow())
    asked.alertmanager.hushes(slow())
    await asked.forward(seconds=30)
    await asked.forward(minutes=40)
    asked.slack.expect(OPENED, SUPPRESSED, ROSE)
    asked.alertmanager.forgets(slow())
    await polls(asked, 2)
    await asked.forward(minutes=5)
    asked.slack.expect(RESOLVED)
    incident = await asked.incident()
    assert (incident.suppressed, incident.standing.withheld) == (None, False)
    again = firing("Slow", severity="warning", slo="latency", service="checkout", start=50)
    await asked.push(again)
    asked.slack.expect(NoticeKind.REOPENED)
    asked.call.expect_one(OPENED, Sev.SEV_2)


async def test_the_resolve_of_a_call_that_was_made_goes_out_while_it_is_suppressed(asked: Stage) -> None:
    await sent_and_shown(asked, critical())
    asked.call.expect(OPENED)
    asked.alertmanager.hushes(critical())
    await asked.forward(seconds=30)
    asked.slack.expect(OPENED, SUPPRESSED)
    await asked.push(over(critical()))
    asked.alertmanager.forgets(critical())
    await asked.forward(minutes=5)
    asked.call.expect(RESOLVED)
    asked.slack.expect(RESOLVED)


async def test_replicas_that_disagree_count_as_firing(asked: Stage) -> None:
    other = Showing("http://other:9093")
    asked.reconciler.use([asked.alertmanager, other], Terms())
    other.shows(warning())
    await sent_and_shown(asked, warning())
    asked.slack.expect(OPENED)
    asked.alertmanager.hushes(warning())
    await polls(asked, 3)
    assert (await asked.incident()).suppressed is None
    other.hushes(warning())
    await asked.forward(seconds=30)
    asked.slack.expect(SUPPRESSED)
    # One that does not know it says nothing against it.
    other.forgets(warning())
    await polls(asked, 3)
    assert (await asked.incident()).suppressed is not None


async def test_nothing_becomes_suppressed_by_half_an_answer_and_what_is_so_stays_so_for_five_minutes(
    asked: Stage,
) -> None:
    other = Showing("http://other:9093")
    asked.reconciler.use([asked.alertmanager, other], Terms())
    await sent_and_shown(asked, critical())
    asked.call.expect(OPENED)
    asked.slack.expect(OPENED)
    other.is_away = True
    asked.alertmanager.hushes(critical())
    await polls(asked, 3)
    assert (await asked.incident()).suppressed is None
    other.is_away = False
    await polls(asked, 1)
    asked.slack.expect(SUPPRESSED)
    other.is_away = True
    await polls(asked, 9)
    assert (await asked.incident()).suppressed is not None
    assert asked.metric("alertmanagers_unreachable") == 1
    await polls(asked, 1)
    note = "not every Alertmanager has answered for a while, so it counts as firing"
    assert asked.slack.expect_one(UNSUPPRESSED).notice.note == note
    other.is_away = False
    await polls(asked, 1)
    asked.slack.expect(SUPPRESSED)
    assert asked.metric("alertmanagers_unreachable") == 0


async def test_one_look_that_fails_lifts_nothing_however_seldom_they_are_asked(asked: Stage) -> None:
    asked.reconciler.use([asked.alertmanager], Terms(every=timedelta(hours=1)))
    await sent_and_shown(asked, warning())
    asked.alertmanager.hushes(warning())
    await asked.forward(hours=1)
    asked.slack.expect(OPENED, SUPPRESSED)
    asked.alertmanager.is_away = True
    await asked.forward(hours=1)
    assert (await asked.incident()).suppressed is not None
    await asked.forward(hours=1)
    asked.slack.expect(UNSUPPRESSED)


async def test_it_is_said_once_that_an_alertmanager_does_not_answer_and_once_that_it_does(asked: Stage) -> None:
    asked.alertmanager.is_away = True
    with structlog.testing.capture_logs() as logs:
        await polls(asked, 3)
        asked.alertmanager.is_away = False
        await polls(asked, 2)
    said = [(each["event"], each["log_level"]) for each in logs if each["log_level"] != "debug"]
    assert said == [("alertmanager_unreachable", "error"), ("alertmanager_reachable", "info")]


async def test_after_a_restart_what_is_suppressed_stays_so_until_somebody_says_otherwise(asked: Stage) -> None:
    await sent_and_shown(asked, critical())
    asked.call.expect(OPENED)
    asked.alertmanager.hushes(critical())
    await asked.forward(seconds=30)
    asked.slack.expect(OPENED, SUPPRESSED)
    restart(asked)
    asked.alertmanager.is_away = True
    await polls(asked, 9)
    assert (await asked.incident()).suppressed is not None
    asked.alertmanager.is_away = False
    await polls(asked, 3)
    assert (await asked.incident()).suppressed is not None
    asked.alertmanager.shows(critical())
    await polls(asked, 1)
    asked.slack.expect(UNSUPPRESSED)
    assert (await asked.facts()).count("unsuppressed") == 1


async def test_without_an_alertmanager_to_ask_nothing_is_suppressed(asked: Stage) -> None:
    asked.routing = routing(rules=(*RULES, SLA), horizon=NO_FORECAST)
    await sent_and_shown(asked, slow())
    asked.alertmanager.hushes(slow())
    await asked.forward(seconds=30)
    await asked.forward(minutes=40)
    asked.slack.expect(OPENED, SUPPRESSED, ROSE)
    asked.reconciler.use([], Terms())
    await asked.reconciler.reconcile_due()
    await asked.idle()
    asked.call.expect_one(OPENED, Sev.SEV_2)
    assert asked.slack.expect_one(UNSUPPRESSED).notice.note == "no Alertmanager is asked any more"


async def test_what_is_sent_between_the_answer_and_what_follows_from_it_keeps_the_incident_loud(asked: Stage) -> None:
    await sent_and_shown(asked, warning())
    asked.slack.expect(OPENED)
    asked.alertmanager.hushes(warning())
    asked.alertmanager.meanwhile = lambda: asked.take(firing(severity="warning", service="checkout", pod="b"))
    await asked.forward(seconds=30)
    assert asked.alertmanager.asked[-1] == "silences"
    assert (await asked.incident()).suppressed is None


async def test_two_replicas_suppress_and_lift_once(asked: Stage) -> None:
    await sent_and_shown(asked, critical())
    asked.call.expect(OPENED)
    asked.slack.expect(OPENED)
    second = another(asked)
    asked.alertmanager.hushes(critical())
    asked.clock.forward(seconds=30)
    await asyncio.gather(asked.reconciler.reconcile_due(), second.reconcile_due())
    await asked.idle()
    asked.slack.expect(SUPPRESSED)
    asked.alertmanager.shows(critical())
    asked.clock.forward(seconds=30)
    await asyncio.gather(asked.reconciler.reconcile_due(), second.reconcile_due())
    await asked.idle()
    asked.slack.expect(UNSUPPRESSED)


async def test_what_is_about_to_end_is_not_called_for_as_nobody_is_asked_any_more(asked: Stage) -> None:
    asked.routing = routing(rules=(*RULES, SLA), horizon=NO_FORECAST)
    await sent_and_shown(asked, slow())
    asked.alertmanager.hushes(slow())
    await asked.forward(seconds=30)
    await asked.forward(minutes=40)
    asked.slack.expect(OPENED, SUPPRESSED, ROSE)
    asked.alertmanager.forgets(slow())
    await polls(asked, 2)
    asked.reconciler.use([], Terms())
    await asked.forward(seconds=30)
    await asked.forward(minutes=5)
    asked.slack.expect(RESOLVED)


async def test_a_shadow_decides_it_all(asked: Stage) -> None:
    asked.open_lanes(call=None, slack=None)
    await sent_and_shown(asked, critical())
    asked.alertmanager.hushes(critical())
    await asked.forward(seconds=30)
    assert (await asked.incident()).suppressed is not None


# Vanished


async def test_what_vanished_there_is_over_after_the_quiet_time(asked: Stage) -> None:
    await sent_and_shown(asked, critical())
    asked.call.expect(OPENED)
    asked.slack.expect(OPENED)
    asked.alertmanager.forgets(critical())
    await polls(asked, 1)
    assert (await asked.incident()).firing == 1, "one look is not believed"
    await polls(asked, 1)
    assert (await asked.incident()).firing == 0
    assert asked.metric("reconciled_alerts_total", result="vanished") == 1
    (ended,) = [each for each in await asked.timeline() if each.fact.value == "alerts_resolved"]
    assert ended.details["by"] == "reconciliation"
    await asked.forward(minutes=4, seconds=59)
    assert (await asked.incident()).is_open
    await asked.forward(seconds=1)
    asked.call.expect(RESOLVED)
    asked.slack.expect(RESOLVED)
    # Its resolve comes after all.
    await asked.push(over(critical(), minute=1))


async def test_what_was_never_seen_there_is_left_alone(asked: Stage) -> None:
    await asked.push(critical())
    asked.call.expect(OPENED)
    asked.slack.expect(OPENED)
    await polls(asked, 20)
    assert (await asked.incident()).firing == 1


async def test_what_is_there_again_before_the_second_look_has_not_vanished(asked: Stage) -> None:
    await sent_and_shown(asked, critical())
    asked.call.expect(OPENED)
    asked.slack.expect(OPENED)
    for _ in range(3):
        asked.alertmanager.forgets(critical())
        await polls(asked, 1)
        asked.alertmanager.shows(critical())
        await polls(asked, 1)
    assert (await asked.incident()).firing == 1


@pytest.mark.parametrize("why", ["away", "unreadable", "young", "unknown"])
async def test_nothing_vanishes_while_anybody_may_know_it(asked: Stage, why: str) -> None:
    other = Showing("http://other:9093")
    asked.reconciler.use([asked.alertmanager, other], Terms())
    await sent_and_shown(asked, critical())
    asked.call.expect(OPENED)
    asked.slack.expect(OPENED)
    asked.alertmanager.forgets(critical())
    other.is_away, other.unreadable = why == "away", int(why == "unreadable")
    if why == "young":
        other.up = timedelta(minutes=4, seconds=59)
    elif why == "unknown":
        other.up = Unanswered("404")
    await polls(asked, 20)
    assert (await asked.incident()).firing == 1
    other.is_away, other.unreadable, other.up = False, 0, timedelta(minutes=5)
    await polls(asked, 2)
    assert (await asked.incident()).firing == 0
    await asked.forward(minutes=5)
    asked.call.expect(RESOLVED)
    asked.slack.expect(RESOLVED)


async def test_a_restart_begins_the_two_looks_anew(asked: Stage) -> None:
    await sent_and_shown(asked, critical())
    asked.call.expect(OPENED)
    asked.slack.expect(OPENED)
    asked.alertmanager.forgets(critical())
    await polls(asked, 1)
    restart(asked)
    await polls(asked, 1)
    assert (await asked.incident()).firing == 1
    await polls(asked, 1)
    assert (await asked.incident()).firing == 0
    await asked.forward(minutes=5)
    asked.call.expect(RESOLVED)
    asked.slack.expect(RESOLVED)


async def test_what_was_heard_of_since_the_first_look_has_not_vanished(asked: Stage) -> None:
    await sent_and_shown(asked, critical())
    asked.call.expect(OPENED)
    asked.slack.expect(OPENED)
    asked.alertmanager.forgets(critical())
    await polls(asked, 1)
    await asked.push(replace(critical(), annotations={"summary": "worse"}, content=b"", starts_at=asked.clock()))
    await polls(asked, 1)
    assert (await asked.incident()).firing == 1
    await polls(asked, 2)
    assert (await asked.incident()).firing == 0
    await asked.forward(minutes=5)
    asked.call.expect(RESOLVED)
    asked.slack.expect(RESOLVED)


async def test_what_is_sent_between_the_second_look_and_what_follows_from_it_has_not_vanished(asked: Stage) -> None:
    await sent_and_shown(asked, critical())
    asked.call.expect(OPENED)
    asked.slack.expect(OPENED)
    asked.alertmanager.forgets(critical())
    await polls(asked, 1)
    again = replace(critical(), starts_at=asked.clock())
    asked.alertmanager.meanwhile = lambda: asked.take(again)
    await polls(asked, 1)
    assert asked.alertmanager.asked[-1] == "status"
    assert (await asked.incident()).firing == 1


async def test_what_was_ended_for_being_absent_is_taken_in_soon_when_it_is_back(asked: Stage) -> None:
    await sent_and_shown(asked, critical())
    asked.call.expect(OPENED)
    asked.slack.expect(OPENED)
    asked.alertmanager.forgets(critical())
    await polls(asked, 2)
    assert (await asked.incident()).firing == 0
    # Alertmanager sends nothing: as far as it knows, we were told that it fires.
    asked.alertmanager.shows(critical())
    await polls(asked, 3)
    incident = await asked.incident()
    assert (incident.firing, incident.due_at) == (1, None)


async def test_ended_by_one_replica_it_is_not_ended_again_by_another(asked: Stage) -> None:
    await sent_and_shown(asked, critical())
    asked.call.expect(OPENED)
    asked.slack.expect(OPENED)
    first, second = asked.reconciler, another(asked)
    asked.alertmanager.forgets(critical())
    for _ in range(4):
        await asked.forward(seconds=30)
        await second.reconcile_due()
    assert first is asked.reconciler
    assert asked.metric("reconciled_alerts_total", result="vanished") == 1
    assert (await asked.facts()).count("alerts_resolved") == 1
    await asked.forward(minutes=5)
    asked.call.expect(RESOLVED)
    asked.slack.expect(RESOLVED)


# Missed


async def test_what_fires_there_and_never_reached_us_is_taken_in(asked: Stage) -> None:
    asked.alertmanager.shows(critical())
    await asked.reconciler.reconcile_due()
    await polls(asked, 11)
    assert await asked.incidents() == []
    await polls(asked, 1)
    told = asked.call.expect_one(OPENED, Sev.SEV_2)
    assert told.notice.system == "checkout"
    asked.slack.expect(OPENED)
    assert asked.metric("reconciled_alerts_total", result="missed") == 1
    assert [each.details.get("by") for each in await asked.timeline()][1] == "reconciliation"
    # It comes after all, and is known.
    await asked.push(critical())
    await polls(asked, 3)
    assert (await asked.incident()).firing == 1


async def test_what_is_sent_in_time_is_not_taken_in(asked: Stage) -> None:
    asked.alertmanager.shows(critical())
    await polls(asked, 11)
    await asked.push(critical())
    asked.call.expect(OPENED)
    asked.slack.expect(OPENED)
    await polls(asked, 20)
    assert asked.metric("reconciled_alerts_total", result="missed") == 0


async def test_the_wait_begins_anew_when_it_was_gone(asked: Stage) -> None:
    asked.alertmanager.shows(critical())
    await polls(asked, 11)
    asked.alertmanager.forgets(critical())
    await polls(asked, 1)
    asked.alertmanager.shows(critical())
    await polls(asked, 11)
    assert await asked.incidents() == []


async def test_what_was_resolved_a_moment_ago_is_not_taken_in(asked: Stage) -> None:
    await asked.push(critical())
    asked.call.expect(OPENED)
    asked.slack.expect(OPENED)
    asked.reconciler.use([asked.alertmanager], Terms(missed_after=timedelta(seconds=30)))
    asked.alertmanager.shows(critical())
    await polls(asked, 1)
    await asked.push(over(critical()))
    await polls(asked, 1)
    assert (await asked.incident()).firing == 0
    await polls(asked, 1)
    assert (await asked.incident()).firing == 1, "it was resolved falsely"


async def test_what_comes_and_ends_while_it_is_taken_in_is_not_taken_in(asked: Stage) -> None:
    async def comes_and_ends() -> None:
        await asked.take(warning())
        await asked.take(over(warning(), minute=7))

    asked.alertmanager.shows(warning())
    await polls(asked, 11)
    asked.alertmanager.meanwhile = comes_and_ends
    await polls(asked, 1)
    assert asked.alertmanager.asked[-1] == "groups"
    asked.slack.expect(OPENED)
    assert (await asked.incident()).firing == 0


async def test_a_restart_in_the_middle_of_the_wait_for_what_was_missed_loses_no_time(asked: Stage) -> None:
    asked.alertmanager.shows(warning())
    await polls(asked, 6)
    restart(asked)
    await polls(asked, 5)
    asked.slack.expect()
    await polls(asked, 1)
    asked.slack.expect(OPENED)


async def test_a_webhook_is_given_a_minute_after_a_resolve(asked: Stage) -> None:
    await sent_and_shown(asked, warning())
    asked.slack.expect(OPENED)
    await asked.push(over(warning(), minute=0))
    asked.reconciler.use([asked.alertmanager], Terms(every=timedelta(seconds=1), missed_after=timedelta(seconds=1)))
    await asked.reconciler.reconcile_due()
    for _ in range(59):
        await asked.forward(seconds=1)
    assert (await asked.incident()).firing == 0
    await asked.forward(seconds=1)
    assert (await asked.incident()).firing == 1


@pytest.mark.parametrize("silenced", [True, False], ids=["silenced", "muted by time"])
async def test_what_is_suppressed_there_was_not_missed(asked: Stage, silenced: bool) -> None:
    if silenced:
        asked.alertmanager.hushes(critical())
    else:
        asked.alertmanager.shows(critical())
        asked.alertmanager.mutes = {critical().digest}
    await polls(asked, 30)
    assert await asked.incidents() == []


async def test_nothing_is_taken_in_of_one_of_which_nobody_knows_what_it_mutes_and_that_is_said_once(
    asked: Stage,
) -> None:
    asked.alertmanager.shows(critical())
    asked.alertmanager.mutes = Unanswered("it does not say")
    with structlog.testing.capture_logs() as logs:
        await polls(asked, 30)
    assert await asked.incidents() == []
    assert [each["detail"] for each in logs if each["log_level"] == "warning"] == ["it does not say"]
    other = Showing("http://other:9093")
    other.shows(critical())
    asked.reconciler.use([asked.alertmanager, other], Terms())
    await polls(asked, 1)
    asked.call.expect(OPENED)
    asked.slack.expect(OPENED)


async def test_what_goes_to_others_there_was_not_missed(asked: Stage) -> None:
    asked.alertmanager.receivers = ("sevrouter",)
    asked.alertmanager.shows(critical(), receivers=("null",))
    asked.alertmanager.shows(critical("Ours"), receivers=("null", "sevrouter"))
    await polls(asked, 13)
    assert "Ours" in asked.call.expect_one(OPENED).notice.title
    asked.slack.expect(OPENED)


async def test_what_is_no_incident_is_not_taken_in_unless_it_may_become_one(asked: Stage) -> None:
    asked.routing = routing(rules=(*RULES, SLA), horizon=NO_FORECAST)
    asked.alertmanager.shows(firing("Watchdog", severity="none"))
    await polls(asked, 13)
    assert "groups" not in asked.alertmanager.asked
    asked.alertmanager.shows(firing("Quiet", severity="none", slo="latency"))
    await polls(asked, 13)
    assert [row["labels"] for row in await select(asked.store, "SELECT labels FROM alerts")] == [
        '{"alertname":"Quiet","severity":"none","slo":"latency"}'
    ]
    assert await asked.incidents() == []
    await asked.forward(minutes=30)
    asked.call.expect_one(OPENED, Sev.SEV_2)
    asked.slack.expect(OPENED)


async def test_nothing_is_taken_in_where_that_is_turned_off(asked: Stage) -> None:
    asked.reconciler.use([asked.alertmanager], Terms(missed_after=timedelta(0)))
    asked.alertmanager.shows(critical())
    await polls(asked, 50)
    assert await asked.incidents() == []
    assert "groups" not in asked.alertmanager.asked


async def test_a_thousand_that_were_missed_are_taken_in_and_each_once(asked: Stage) -> None:
    asked.reconciler.use([asked.alertmanager], Terms(missed_after=timedelta(seconds=30)))
    asked.alertmanager.shows(*(firing(severity="info", service="checkout", pod=str(number)) for number in range(1_000)))
    await polls(asked, 5)
    asked.jira.expect(OPENED)
    assert (await asked.incident()).firing == 1_000
    assert asked.metric("reconciled_alerts_total", result="missed") == 1_000


# What it costs and when


async def test_it_is_asked_as_often_as_was_said_and_no_more_than_it_has_to_be(asked: Stage) -> None:
    await sent_and_shown(asked, warning())
    asked.slack.expect(OPENED)
    for _ in range(60):
        await asked.forward(seconds=5)
    assert asked.alertmanager.asked == ["alerts"] * 11
    rows = await select(asked.store, "SELECT seen_there, version FROM alert_states")
    assert [(bool(row["seen_there"]), row["version"]) for row in rows] == [(True, 1)], "marking is no new version"


async def test_a_reload_asks_at_once_and_forgets_who_was_absent(asked: Stage) -> None:
    await sent_and_shown(asked, critical())
    asked.call.expect(OPENED)
    asked.slack.expect(OPENED)
    asked.alertmanager.forgets(critical())
    await polls(asked, 1)
    asked.reconciler.use([Showing("http://new:9093")], Terms())
    await polls(asked, 1)
    assert (await asked.incident()).firing == 1
    await polls(asked, 1)
    assert (await asked.incident()).firing == 0
    await asked.forward(minutes=5)
    asked.call.expect(RESOLVED)
    asked.slack.expect(RESOLVED)


async def test_what_was_asked_before_a_reload_decides_nothing_after_it(asked: Stage) -> None:
    await sent_and_shown(asked, critical())
    asked.call.expect(OPENED)
    asked.slack.expect(OPENED)
    await sent_and_shown(asked, warning("Other"))
    asked.slack.expect(OPENED)
    other = Showing("http://other:9093")
    other.shows(critical(), warning("Other"))

    async def reload() -> None:
        asked.reconciler.use([asked.alertmanager, other], Terms())

    asked.alertmanager.forgets(critical())
    await polls(asked, 1)
    asked.alertmanager.hushes(warning("Other"))
    asked.alertmanager.meanwhile = reload
    await polls(asked, 5)
    assert other.asked
    assert [(each.firing, each.suppressed) for each in await asked.incidents()] == [(1, None), (1, None)]


async def test_a_truncated_incident_is_not_suppressed_nor_completed_by_what_is_shown(asked: Stage) -> None:
    asked.alertmanager.shows(warning())
    await asked.push(warning(), truncated=True)
    asked.slack.expect(OPENED)
    asked.alertmanager.hushes(warning())
    await polls(asked, 3)
    assert (await asked.incident()).suppressed is None
    asked.alertmanager.forgets(warning())
    await polls(asked, 3)
    incident = await asked.incident()
    assert (incident.firing, incident.truncated, incident.due_at) == (0, True, None)
    await asked.push(resolved(severity="warning", service="checkout"))


def another(stage: Stage) -> Reconciler:
    """A second one on the same store."""
    reconciler = Reconciler(stage.store, lambda: stage.routing, stage.metrics, stage.aftermath, clock=stage.clock)
    reconciler.use([stage.alertmanager], Terms())
    return reconciler


def restart(stage: Stage) -> None:
    """Forget what is in memory alone."""
    stage.reconciler = another(stage)
