"""Stories of alerts: what becomes of them in the store, and who is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from sevrouter.domain.incident import IncidentState
from sevrouter.domain.sev import Sev
from sevrouter.store.errors import StoreUnavailableError
from tests.building import RULES, counts, labelled, over, routing, select
from tests.domain.building import at, by_word, firing, fixed, resolved
from tests.engine.stage import OPENED, REOPENED, RESOLVED, ROSE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sevrouter.domain.alert import Alert
    from sevrouter.domain.delivery import Delivery
    from tests.engine.stage import Stage


def down(name: str = "Down", severity: str = "critical", **labels: str) -> Alert:
    """An alert of the checkout service."""
    return labelled({"alertname": name, "severity": severity, "service": "checkout"} | labels)


def up(name: str = "Down", severity: str = "critical", *, end: float = 1, **labels: str) -> Alert:
    """The end of it."""
    return over(down(name, severity, **labels), minute=end)


class Woken:
    """Lanes that take nothing over, and note who is woken."""

    def __init__(self) -> None:
        self.woken: list[set[str]] = []

    def takes(self, _integration: str) -> bool:
        """Nothing: all goes the way of the outbox."""
        return False

    def hand_over(self, deliveries: Sequence[Delivery]) -> None:
        """Never called by who was told so."""
        raise AssertionError(deliveries)

    def wake(self, integrations: set[str]) -> None:
        """Take note."""
        self.woken.append(integrations)


async def test_a_critical_alert_opens_one_incident_that_calls_and_tells_its_owners(stage: Stage) -> None:
    await stage.push(down())
    call, message = stage.call.expect_one(OPENED, Sev.SEV_2), stage.slack.expect_one(OPENED, Sev.SEV_2)
    assert call.notice.owner == message.notice.owner == "payments"
    assert call.notice.why[0].startswith("SEV-2 by rule 'severity label'")
    assert call.notice.key == message.notice.key
    incident = await stage.incident()
    assert (incident.state, incident.sev, incident.firing, incident.asked) == (
        IncidentState.TRIGGERED,
        Sev.SEV_2,
        1,
        ("call", "slack"),
    )
    assert await stage.facts() == ["opened", "alerts_fired", "delivered", "delivered"]


async def test_a_bug_files_one_ticket_and_calls_nobody(stage: Stage) -> None:
    await stage.push(down(severity="info"))
    stage.jira.expect_one(OPENED, Sev.SEV_5)


async def test_a_warning_that_becomes_critical_is_one_incident_that_rises(stage: Stage) -> None:
    await stage.push(down(severity="warning"))
    stage.slack.expect_one(OPENED, Sev.SEV_4)
    await stage.push(down(severity="critical"))
    called, told = stage.call.expect_one(OPENED, Sev.SEV_2), stage.slack.expect_one(ROSE, Sev.SEV_2)
    assert called.notice.previous_sev is told.notice.previous_sev is Sev.SEV_4
    assert told.reference == "slack-1", "the rise belongs under the first message"
    assert (await stage.incident()).firing == 2
    assert "rose" in await stage.facts()


async def test_the_old_severity_that_resolves_does_not_end_what_became_worse(stage: Stage) -> None:
    await stage.push(down(severity="warning"))
    await stage.push(up(severity="warning"), down(severity="critical"))
    stage.slack.expect(OPENED, ROSE)
    stage.call.expect_one(OPENED)
    await stage.forward(hours=5)
    assert (await stage.incident()).is_open


async def test_an_incident_never_gets_milder_by_itself(stage: Stage) -> None:
    await stage.push(firing(service="checkout", slo="availability", annotations={"users_affected_percent": "30"}))
    await stage.push(firing(service="checkout", slo="availability", annotations={"users_affected_percent": "1"}))
    stage.call.expect_one(OPENED, Sev.SEV_1)
    stage.slack.expect_one(OPENED, Sev.SEV_1)
    assert (await stage.incident()).sev is Sev.SEV_1


async def test_each_rise_calls_once(stage: Stage) -> None:
    def affected(percent: str) -> Alert:
        return firing(service="checkout", slo="availability", annotations={"users_affected_percent": percent})

    await stage.push(affected("1"))
    stage.slack.expect_one(OPENED, Sev.SEV_3)
    for percent in ("6", "7", "6"):
        await stage.push(affected(percent))
    stage.call.expect_one(OPENED, Sev.SEV_2)
    stage.slack.expect_one(ROSE, Sev.SEV_2)
    for percent in ("26", "90"):
        await stage.push(affected(percent))
    stage.call.expect_one(ROSE, Sev.SEV_1)
    stage.slack.expect_one(ROSE, Sev.SEV_1)


async def test_three_replicas_have_one_effect(stage: Stage) -> None:
    for number in range(3):
        await stage.push(replace(down(), generator_url=f"http://prometheus-{number}/graph"))
    stage.call.expect_one(OPENED)
    stage.slack.expect_one(OPENED)
    assert stage.metric("duplicate_alerts_total") == 2
    assert stage.metric("alerts_total", status="firing") == 3


async def test_a_repeat_writes_nothing(stage: Stage) -> None:
    await stage.push(down(), up("Other"))
    stage.call.expect_one(OPENED)
    stage.slack.expect_one(OPENED)
    before = await counts(stage.store), await select(stage.store, "SELECT * FROM alert_states ORDER BY alert_id")
    stage.clock.forward(minutes=3)
    for _ in range(10):
        await stage.push(down(), up("Other"))
    after = await counts(stage.store), await select(stage.store, "SELECT * FROM alert_states ORDER BY alert_id")
    assert after == before


async def test_a_changed_value_is_written_once_and_one_that_stays_is_not(stage: Stage) -> None:
    await stage.push(firing(service="checkout", severity="warning", annotations={"summary": "1"}))
    for _ in range(3):
        await stage.push(firing(service="checkout", severity="warning", annotations={"summary": "2"}))
    stage.slack.expect_one(OPENED)
    assert await counts(stage.store, "alerts", "history") == {"alerts": 1, "history": 2}


async def test_alerts_resolve_one_by_one_and_the_last_one_ends_the_incident(stage: Stage) -> None:
    await stage.push(down(pod="a"), down(pod="b"))
    stage.call.expect_one(OPENED)
    stage.slack.expect_one(OPENED)
    await stage.push(up(pod="a"), down(pod="b"))
    await stage.forward(hours=1)
    assert (await stage.incident()).firing == 1
    await stage.push(up(pod="b", end=61))
    assert (await stage.incident()).is_open, "quiet time comes first"
    await stage.forward(minutes=5)
    stage.call.expect_one(RESOLVED)
    stage.slack.expect_one(RESOLVED)
    assert (await stage.incident()).state is IncidentState.RESOLVED


async def test_what_fires_again_within_the_quiet_time_is_told_to_nobody(stage: Stage) -> None:
    await stage.push(down())
    stage.call.expect_one(OPENED)
    stage.slack.expect_one(OPENED)
    stage.clock.forward(minutes=10)
    await stage.push(up(end=10))
    await stage.forward(minutes=4)
    await stage.push(firing(start=13, severity="critical", service="checkout"))
    await stage.forward(minutes=30)
    assert (await stage.incident()).is_open


async def test_what_comes_back_within_the_window_is_the_same_incident(stage: Stage) -> None:
    await stage.push(down())
    await stage.push(up(end=0))
    await stage.forward(minutes=5)
    stage.call.expect(OPENED, RESOLVED)
    stage.slack.expect(OPENED, RESOLVED)
    await stage.forward(hours=3)
    await stage.push(firing(start=180, severity="critical", service="checkout"))
    called, told = stage.call.expect_one(REOPENED), stage.slack.expect_one(REOPENED)
    assert (called.reference, told.reference) == ("call-1", "slack-1")
    assert (await stage.incident()).id == 1


async def test_what_comes_back_after_the_window_is_a_new_incident(stage: Stage) -> None:
    await stage.push(down())
    await stage.push(up(end=0))
    await stage.forward(minutes=5)
    stage.call.expect(OPENED, RESOLVED)
    stage.slack.expect(OPENED, RESOLVED)
    await stage.forward(hours=4, minutes=1)
    await stage.push(firing(start=245, severity="critical", service="checkout"))
    called = stage.call.expect_one(OPENED)
    stage.slack.expect_one(OPENED)
    old, new = await stage.incidents()
    assert old.dedup_key == new.dedup_key
    assert called.notice.incident_id == new.id
    assert called.notice.key != f"sevrouter-{old.dedup_key}-{int(old.opened_at.timestamp())}"
    assert called.reference is None, "an old ticket is not a new incident's"


async def test_an_alert_of_an_old_incident_joins_the_open_one_of_its_identity(stage: Stage) -> None:
    await stage.push(down(pod="a"))
    await stage.push(up(pod="a", end=0))
    await stage.forward(minutes=5)
    await stage.forward(hours=5)
    await stage.push(labelled(dict(down(pod="b").labels), start=300))
    stage.call.expect(OPENED, RESOLVED, OPENED)
    stage.slack.expect(OPENED, RESOLVED, OPENED)
    await stage.push(labelled(dict(down(pod="a").labels), start=304))
    assert [(each.is_open, each.firing) for each in await stage.incidents()] == [(False, 0), (True, 2)]


async def test_a_truncated_webhook_resolves_nothing(stage: Stage) -> None:
    await stage.push(down())
    stage.call.expect_one(OPENED)
    stage.slack.expect_one(OPENED)
    await stage.push(up(), truncated=True)
    await stage.forward(hours=5)
    incident = await stage.incident()
    assert (incident.is_open, incident.firing, incident.truncated) == (True, 0, True)
    assert "truncated" in await stage.facts()
    # A later webhook that is whole says so, although it repeats what is known.
    await stage.push(up())
    await stage.forward(minutes=5)
    stage.call.expect_one(RESOLVED)
    stage.slack.expect_one(RESOLVED)


async def test_a_firing_that_comes_after_its_resolve_changes_nothing(stage: Stage) -> None:
    await stage.push(down())
    stage.clock.forward(minutes=1)
    await stage.push(up())
    before = await stage.incidents(), await counts(stage.store, "history", "timeline")
    stage.clock.forward(seconds=30)
    await stage.push(down())
    stage.call.expect_one(OPENED)
    stage.slack.expect_one(OPENED)
    assert (await stage.incidents(), await counts(stage.store, "history", "timeline")) == before
    assert stage.metric("duplicate_alerts_total") == 1
    assert stage.metric("stale_alerts_total") == 1


async def test_an_alert_stays_with_its_open_incident_when_group_by_changes(stage: Stage) -> None:
    await stage.push(down(pod="a"))
    stage.call.expect_one(OPENED)
    stage.slack.expect_one(OPENED)
    stage.routing = routing(group_by=("pod",))
    await stage.push(replace(down(pod="a"), annotations={"summary": "worse"}, content=b"else"))
    await stage.push(up(pod="a"))
    await stage.forward(minutes=5)
    stage.call.expect_one(RESOLVED)
    stage.slack.expect_one(RESOLVED)
    assert len(await stage.incidents()) == 1
    await stage.push(down(pod="b"))
    stage.call.expect_one(OPENED)
    stage.slack.expect_one(OPENED)
    assert len(await stage.incidents()) == 2


async def test_an_alert_without_a_system_is_counted_and_still_answered(stage: Stage) -> None:
    await stage.push(down(service="unheard-of"))
    called = stage.call.expect_one(OPENED)
    stage.slack.expect_one(OPENED)
    assert (called.notice.system, called.notice.owner) == (None, None)
    assert stage.metric("unowned_alerts_total") == 1
    stage.routing = routing(default_owner="platform")
    await stage.push(down(service="another"))
    assert stage.call.expect_one(OPENED).notice.owner == "platform"
    stage.slack.expect_one(OPENED)


@pytest.mark.parametrize("resolved_first", [True, False])
async def test_firing_and_resolved_of_one_label_set_in_one_payload_is_firing(
    stage: Stage, *, resolved_first: bool
) -> None:
    both = [up(), down()] if resolved_first else [down(), up()]
    await stage.push(*both)
    stage.call.expect_one(OPENED)
    stage.slack.expect_one(OPENED)
    assert (await stage.incident()).firing == 1
    assert await counts(stage.store, "alerts", "history") == {"alerts": 1, "history": 1}
    assert stage.metric("alerts_total", status="resolved") == 1


async def test_a_resolve_of_an_alert_that_never_fired_is_remembered_and_opens_nothing(stage: Stage) -> None:
    await stage.push(up())
    assert await stage.incidents() == []
    # Its firing, overtaken on the way, is stale.
    await stage.push(down())
    assert await stage.incidents() == []


async def test_an_alert_that_is_no_incident_is_graded_kept_and_told_to_nobody(stage: Stage) -> None:
    await stage.push(firing("Watchdog"))
    assert await stage.incidents() == []
    assert stage.metric("alert_grades_total", sev="none", unsure="false") == 1
    assert await select(stage.store, "SELECT sev, incident_id FROM alert_states") == [
        {"sev": None, "incident_id": None}
    ]


async def test_an_alert_that_no_rule_matches_is_sev_2_and_counted(stage: Stage) -> None:
    await stage.push(firing(service="checkout"))
    called = stage.call.expect_one(OPENED, Sev.SEV_2)
    stage.slack.expect_one(OPENED)
    assert called.notice.unsure
    assert stage.metric("unmatched_alerts_total") == 1
    assert stage.metric("alert_grades_total", sev="SEV-2", unsure="true") == 1


async def test_a_webhook_that_cannot_be_read_opens_one_incident_for_an_hour(stage: Stage) -> None:
    await stage.push(quarantined=("not valid JSON", b"{"))
    called = stage.call.expect_one(OPENED, Sev.SEV_2)
    stage.slack.expect_one(OPENED)
    assert "not valid JSON" in called.notice.title
    for _ in range(3):
        await stage.forward(minutes=59)
        await stage.push(quarantined=("not valid JSON", b"{"))
    assert (await stage.incident()).is_open, "each of them holds it open for another hour"
    await stage.forward(minutes=59)
    assert (await stage.incident()).is_open
    await stage.forward(minutes=1)
    stage.call.expect_one(RESOLVED)
    stage.slack.expect_one(RESOLVED)
    assert await select(stage.store, "SELECT times, reason, body FROM quarantine") == [
        {"times": 4, "reason": "not valid JSON", "body": b"{"}
    ]


async def test_an_unreadable_webhook_is_as_bad_as_an_unmatched_alert(stage: Stage) -> None:
    stage.routing = routing(unmatched=Sev.SEV_3)
    await stage.push(quarantined=("empty", b""))
    stage.slack.expect_one(OPENED, Sev.SEV_3)
    assert (await stage.incident()).unsure


async def test_a_webhook_without_alerts_changes_nothing(stage: Stage) -> None:
    before = await counts(stage.store)
    await stage.push()
    await stage.push(truncated=True)
    assert await counts(stage.store) == before


async def test_alerts_of_several_incidents_in_one_webhook_are_kept_apart(stage: Stage) -> None:
    await stage.push(down("A"), down("B", severity="info"), down("C", severity="warning"))
    stage.call.expect_one(OPENED, Sev.SEV_2)
    stage.jira.expect_one(OPENED, Sev.SEV_5)
    assert {each.notice.sev for each in stage.slack.expect(OPENED, OPENED)} == {Sev.SEV_2, Sev.SEV_4}
    assert [each.firing for each in await stage.incidents()] == [1, 1, 1]


async def test_a_changed_rule_raises_an_open_incident_at_the_next_change_of_its_alert(stage: Stage) -> None:
    await stage.push(down(severity="warning"))
    stage.slack.expect_one(OPENED, Sev.SEV_4)
    stage.routing = routing(rules=(*RULES, fixed("it matters", Sev.SEV_1, 'service="checkout"')), config_hash="new")
    await stage.push(replace(down(severity="warning"), annotations={"summary": "x"}, content=b"changed"))
    called = stage.call.expect_one(OPENED, Sev.SEV_1)
    stage.slack.expect_one(ROSE, Sev.SEV_1)
    assert called.notice.config_hash == "new"


async def test_an_alert_that_a_changed_rule_makes_an_incident_opens_one(stage: Stage) -> None:
    await stage.push(down(severity="none"))
    assert await stage.incidents() == []
    stage.routing = routing(rules=(by_word("severity label", {"none": Sev.SEV_3}),))
    await stage.push(replace(down(severity="none"), annotations={"summary": "x"}, content=b"changed"))
    stage.slack.expect_one(OPENED, Sev.SEV_3)
    assert (await stage.incident()).firing == 1
    await stage.push(up(severity="none"))
    await stage.forward(minutes=5)
    stage.slack.expect_one(RESOLVED)


async def test_what_becomes_an_incident_by_a_changed_value_belongs_to_somebody(stage: Stage) -> None:
    for share in ("0", "10"):
        annotations = {"users_affected_percent": share}
        await stage.push(firing(annotations=annotations, slo="availability", severity="none", service="checkout"))
    assert stage.call.expect_one(OPENED, Sev.SEV_2).notice.owner == "payments"
    stage.slack.expect(OPENED)


async def test_every_fact_is_one_log_line_with_its_own_key(stage: Stage) -> None:
    with capture_logs() as lines:
        await stage.push(down(severity="warning"))
        await stage.push(down())
    stage.slack.expect(OPENED, ROSE)
    stage.call.expect_one(OPENED)
    events = [line["event"] for line in lines if line["event"].startswith("incident_")]
    assert events == ["incident_opened", "incident_alerts_fired", "incident_rose", "incident_alerts_fired"]
    rose = next(line for line in lines if line["event"] == "incident_rose")
    assert (rose["from"], rose["sev"], rose["rule"], rose["incident"]) == ("SEV-4", "SEV-2", "severity label", 1)


async def test_a_timeline_says_why_and_by_which_configuration(stage: Stage) -> None:
    await stage.push(down())
    stage.call.expect_one(OPENED)
    stage.slack.expect_one(OPENED)
    opened = (await stage.timeline())[0]
    assert opened.at == at(0)
    assert opened.details["rule"] == "severity label"
    assert opened.details["reason"] == "value_known"
    assert opened.details["config"] == "c0ffee"


async def test_history_is_enough_to_rebuild_what_happened(stage: Stage) -> None:
    story = [
        firing(service="checkout", severity="warning", annotations={"summary": "1"}, values={"A": "1"}),
        firing(service="checkout", severity="warning", annotations={"summary": "2"}, values={"A": "2"}),
        resolved(service="checkout", severity="warning", end=2),
        firing(start=3, service="checkout", severity="warning", annotations={"summary": "2"}, values={"A": "2"}),
    ]
    for alert in story:
        await stage.push(alert)
        stage.clock.forward(minutes=1)
    stage.slack.expect_one(OPENED)
    rows = await select(
        stage.store,
        "SELECT labels, status, h.starts_at, h.ends_at, h.content, h.sev, h.at FROM history h"
        " JOIN alerts a ON a.id = h.alert_id ORDER BY h.id",
    )
    assert {row["labels"] for row in rows} == {'{"alertname":"Down","service":"checkout","severity":"warning"}'}
    assert [row["status"] for row in rows] == ["firing", "firing", "resolved", "firing"]
    assert [row["content"] for row in rows] == [
        '{"annotations":{"summary":"1"},"values":{"A":"1"}}',
        '{"annotations":{"summary":"2"},"values":{"A":"2"}}',
        None,
        None,
    ]
    assert [row["sev"] for row in rows] == [4, 4, 4, 4]
    minutes = [(row["at"] - rows[0]["at"]) / 60e6 for row in rows]
    assert minutes == [0, 1, 2, 3]
    assert [row["ends_at"] and (row["ends_at"] - rows[0]["at"]) / 60e6 for row in rows] == [None, None, 2, None]
    assert await counts(stage.store, "alerts") == {"alerts": 1}


async def test_the_reading_that_decided_is_kept(stage: Stage) -> None:
    await stage.push(firing(service="checkout", slo="availability", annotations={"users_affected_percent": "6 %"}))
    stage.call.expect_one(OPENED)
    stage.slack.expect_one(OPENED)
    assert await select(stage.store, "SELECT reading, sev FROM history") == [{"reading": "6 %", "sev": 2}]


async def test_nothing_is_counted_or_told_where_the_store_fails(stage: Stage) -> None:
    lanes = stage.aftermath._lanes = Woken()
    stage.store._writer.close()
    with pytest.raises(StoreUnavailableError):
        await stage.take(down())
    assert stage.metric("alerts_total", status="firing") == 0
    assert lanes.woken == []


async def test_an_alert_that_is_no_incident_does_not_keep_its_neighbours_incident_open(stage: Stage) -> None:
    await stage.push(down(severity="none"), down())
    stage.call.expect_one(OPENED)
    stage.slack.expect_one(OPENED)
    assert (await stage.incident()).firing == 1
    linked = await select(stage.store, "SELECT sev, incident_id FROM alert_states ORDER BY alert_id")
    assert linked == [{"sev": None, "incident_id": None}, {"sev": 2, "incident_id": 1}]
    await stage.push(down(severity="none"), up())
    await stage.forward(minutes=5)
    stage.call.expect_one(RESOLVED)
    stage.slack.expect_one(RESOLVED)


async def test_the_start_of_an_episode_only_moves_forward(stage: Stage) -> None:
    late, early = firing(severity="info", start=1), firing(severity="info", annotations={"summary": "other"})
    await stage.push(late)
    stage.jira.expect_one(OPENED)
    began = await select(stage.store, "SELECT starts_at FROM alert_states")
    await stage.push(early)
    assert await select(stage.store, "SELECT starts_at FROM alert_states") == began


async def test_who_has_something_to_deliver_is_woken_and_nobody_else(empty_stage: Stage) -> None:
    lanes = empty_stage.aftermath._lanes = Woken()
    await empty_stage.take(down())
    await empty_stage.take(down())
    await empty_stage.take(down(severity="info", service="search"))
    assert lanes.woken == [{"call", "slack"}, {"jira"}]
