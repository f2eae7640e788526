"""What becomes of an incident: rises, ends, comes back, and what is left out or late."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tests.real.payloads import alert, grafana_alert, grafana_webhook, webhook
from tests.scenarios.alerts import affected, bug, critical, one, warning
from tests.scenarios.team import ANA, RULES
from tests.scenarios.test_failures import sevrouter_command
from tests.standins.fixtures import data_center

if TYPE_CHECKING:
    from tests.real.sevrouter import Sevrouter
    from tests.scenarios.team import Team, Vendors
    from tests.standins.jira import DataCenter

__all__ = ["data_center"]


async def _post(sevrouter: Sevrouter, payload: object) -> None:
    assert isinstance(payload, dict)
    assert (await sevrouter.post(payload)).status == 200


async def test_a_warning_that_becomes_critical_is_one_incident_whose_rise_calls(
    sevrouter: Sevrouter, vendors: Vendors
) -> None:
    await _post(sevrouter, one(warning()))
    message = await vendors.slack.expect_message("SEV-4", channel="C0PAY")
    await _post(sevrouter, webhook([warning(status="resolved"), critical()]))
    await vendors.pagerduty.expect_call("SEV-2", severity="critical")
    await vendors.slack.expect_reply(message, "SEV-2")
    assert await sevrouter.metric("sevrouter_incidents", sev="SEV-2", state="triggered") == 1


async def test_a_number_in_an_annotation_decides_and_its_rise_is_told_in_the_same_thread(
    sevrouter: Sevrouter, vendors: Vendors
) -> None:
    await _post(sevrouter, one(affected("2%")))
    message = await vendors.slack.expect_message("SEV-3")
    await _post(sevrouter, one(affected("12.5%")))
    call = await vendors.pagerduty.expect_call("SEV-2")
    await vendors.slack.expect_reply(message, "12.5%")
    await _post(sevrouter, one(affected("31%")))
    risen = await vendors.pagerduty.expect_update("SEV-1", dedup_key=call.dedup_key)
    assert risen.severity == "critical"
    await vendors.slack.expect_reply(message, "SEV-1")
    # It gets better: an incident's SEV does not fall by itself, and nobody is told anything.
    await _post(sevrouter, one(affected("1%")))
    assert await sevrouter.metric("sevrouter_incidents", sev="SEV-1", state="triggered") == 1


async def test_a_measure_that_cannot_be_read_is_the_worst_and_says_unsure(
    sevrouter: Sevrouter, vendors: Vendors
) -> None:
    await _post(sevrouter, one(affected("quite a few")))
    call = await vendors.pagerduty.expect_call("SEV-1.*unsure")
    assert "quite a few" in str(call.payload)
    await vendors.slack.expect_message("unsure")
    assert await sevrouter.metric("sevrouter_alert_grades_total", sev="SEV-1", unsure="true") == 1


async def test_an_alert_that_nothing_matches_is_answered_by_the_default_owner(
    sevrouter: Sevrouter, vendors: Vendors, team: Team
) -> None:
    rules = [{"name": "critical", "matchers": ['severity="critical"'], "sev": "SEV-2"}]
    team.configure(rules=rules)
    assert (await sevrouter.post(b"", path="/-/reload")).status == 200
    await _post(sevrouter, one(alert({"alertname": "Odd", "severity": " CRITICAL "})))
    await vendors.pagerduty.expect_call("SEV-2.*unsure")
    await vendors.slack.expect_message("no rule matches", channel="C0DEFAULT")
    metrics = await sevrouter.metrics()
    assert metrics.metric("sevrouter_unmatched_alerts_total") == 1
    assert metrics.metric("sevrouter_unowned_alerts_total") == 1


async def test_a_reload_that_grades_worse_calls_for_what_fires_though_nothing_is_sent(
    sevrouter: Sevrouter, vendors: Vendors, team: Team
) -> None:
    await _post(sevrouter, one(alert({"alertname": "Slow", "service": "checkout", "severity": "warning"})))
    head = await vendors.slack.expect_message("SEV-4")
    worse = {"name": "slow is bad", "matchers": ['alertname="Slow"'], "sev": "SEV-2"}
    team.configure(rules=[*RULES, worse])
    assert (await sevrouter.post(b"", path="/-/reload")).status == 200
    await vendors.pagerduty.expect_call("SEV-2")
    await vendors.slack.expect_reply(head, "slow is bad")
    assert await sevrouter.metric("sevrouter_alerts_total", status="firing") == 1


async def test_a_ticket_lives_through_the_end_and_the_return_of_its_bug(sevrouter: Sevrouter, vendors: Vendors) -> None:
    started = datetime.now(UTC) - timedelta(minutes=5)
    await _post(sevrouter, one(bug(starts_at=started)))
    issue = await vendors.jira.expect_issue("SEV-5", project="PAY", assignee=ANA)
    assert any(label.startswith("sevrouter-") for label in issue.labels)
    ended = started + timedelta(minutes=4)
    await _post(sevrouter, one(bug(status="resolved", starts_at=started, ends_at=ended)))
    await vendors.jira.expect_comment(issue.key, "resolved")
    await _post(sevrouter, one(bug(starts_at=ended + timedelta(seconds=30))))
    await vendors.jira.expect_comment(issue.key, "reopened")
    assert len(vendors.jira.issues) == 1


async def test_a_stale_firing_after_the_resolved_changes_nothing(sevrouter: Sevrouter, vendors: Vendors) -> None:
    started = datetime.now(UTC) - timedelta(minutes=5)
    await _post(sevrouter, one(critical(starts_at=started)))
    call = await vendors.pagerduty.expect_call()
    message = await vendors.slack.expect_message()
    ended = started + timedelta(minutes=4)
    await _post(sevrouter, one(critical(status="resolved", starts_at=started, ends_at=ended)))
    await _post(sevrouter, one(critical(starts_at=started)))
    await vendors.pagerduty.expect_resolve(call.dedup_key)
    await vendors.slack.expect_reply(message, "resolved")
    await _post(sevrouter, one(critical(starts_at=started)))
    metrics = await sevrouter.metrics()
    assert metrics.metric("sevrouter_duplicate_alerts_total") == 2
    assert metrics.metric("sevrouter_incidents", sev="SEV-2", state="resolved") == 1


async def test_a_truncated_webhook_never_resolves(sevrouter: Sevrouter, vendors: Vendors) -> None:
    await _post(sevrouter, one(critical()))
    call = await vendors.pagerduty.expect_call()
    message = await vendors.slack.expect_message()
    await _post(sevrouter, one(critical(status="resolved"), truncatedAlerts=7))
    # Another incident goes through the same quiet time meanwhile, so that time has passed when it is over.
    await _post(sevrouter, one(bug()))
    issue = await vendors.jira.expect_issue()
    await _post(sevrouter, one(bug(status="resolved")))
    await vendors.jira.expect_comment(issue.key, "resolved")
    assert await sevrouter.metric("sevrouter_incidents", sev="SEV-2", state="triggered") == 1
    await _post(sevrouter, one(critical(status="resolved")))
    await vendors.pagerduty.expect_resolve(call.dedup_key)
    await vendors.slack.expect_reply(message, "resolved")


async def test_grafanas_values_are_measures(sevrouter: Sevrouter, vendors: Vendors, team: Team) -> None:
    latency = {"name": "latency", "measure": {"value": "B"}, "thresholds": {"SEV-2": ">= 2", "SEV-4": ">= 0.5"}}
    team.configure(rules=[latency])
    assert (await sevrouter.post(b"", path="/-/reload")).status == 200
    slow = grafana_alert({"alertname": "Latency", "service": "checkout"}, values={"A": 1, "B": 2.75})
    await _post(sevrouter, grafana_webhook([slow]))
    call = await vendors.pagerduty.expect_call("SEV-2.*Latency")
    assert "2.75" in str(call.payload)
    await vendors.slack.expect_message()


async def test_text_in_an_alert_is_inert_everywhere(sevrouter: Sevrouter, vendors: Vendors) -> None:
    hostile = (
        '<!channel> <@U1> <http://evil.example|click> *bold* {html}x{html} [~admin] </Say><Dial>\n{"event":"fake"}'
    )
    labels = {"alertname": "Hostile", "service": "checkout", "severity": "critical", "phone": "+49301111111"}
    links = {"generatorURL": "javascript:alert(1)"}
    annotations = {"summary": hostile, "runbook_url": "http://169.254.169.254/latest/meta-data"}
    await _post(sevrouter, one(alert(labels, annotations, **links)))
    call = await vendors.pagerduty.expect_call("Hostile")
    assert call.links == ()
    message = await vendors.slack.expect_message(channel="C0PAY")
    assert message.mentions == ("!subteam^S0PAY",)
    assert message.links == ()
    assert not sevrouter.logs("fake")


async def test_a_person_sets_the_sev_beside_the_daemon_and_the_story_is_told_afterwards(
    sevrouter: Sevrouter, vendors: Vendors, team: Team
) -> None:
    await _post(sevrouter, one(warning()))
    head = await vendors.slack.expect_message("SEV-4")
    set_sev = ("set-sev", "1", "SEV-2", "--reason", "customers call us", "--by", "ana")
    assert (await sevrouter_command(team, *set_sev))[0] == 0
    call = await vendors.pagerduty.expect_call("SEV-2")
    await vendors.slack.expect_reply(head, "SEV-2 set by ana: customers call us")
    # What the daemon held in memory is out of date, and it goes on from what stands there.
    await _post(sevrouter, one(critical()))
    assert (await sevrouter_command(team, "set-sev", "1", "SEV-5", "--reason", "staging only", "--by", "ana"))[0] == 0
    await vendors.slack.expect_reply(head, "its SEV was set by a person")
    await _post(sevrouter, webhook([warning(status="resolved"), critical(status="resolved")]))
    await vendors.pagerduty.expect_resolve(call.dedup_key, within=20)
    await vendors.slack.expect_reply(head, "resolved", within=20)
    code, story = await sevrouter_command(team, "postmortem", "1")
    assert code == 0
    assert "| SEV-4 | SEV-2 | ana | customers call us |" in story
    assert "| SEV-2 | SEV-5 | ana | staging only |" in story
    assert "| opened | SEV-4 | severity label |" in story


async def test_a_ticket_in_data_center_is_found_out_by_itself(
    team: Team, data_center: DataCenter, sevrouter: Sevrouter
) -> None:
    settings = team.settings()
    jira = {"url": data_center.url, "token_file": "jira", "project": "OPS"}
    team.configure(integrations=settings["integrations"] | {"jira": jira}, people={"ana": {"jira": "ana"}})
    assert (await sevrouter.post(b"", path="/-/reload")).status == 200
    assert (await sevrouter.post(one(bug()))).status == 200
    issue = await data_center.expect_issue("SEV-5", project="PAY", assignee="ana")
    assert "severity label" in issue.description
    assert (await sevrouter.post(one(bug(status="resolved")))).status == 200
    await data_center.expect_comment(issue.key, "resolved")
    assert data_center.requests[0].path == "/rest/api/2/serverInfo"


async def test_a_ticket_closes_and_opens_with_its_incident_until_people_will_not_fix_it(
    team: Team, sevrouter: Sevrouter, vendors: Vendors
) -> None:
    integrations = team.settings()["integrations"]
    life = {"on_resolve": {"category": "done"}, "on_reopen": {"id": "11"}, "wont_fix": ["Won't Do"]}
    team.configure(integrations=integrations | {"jira": integrations["jira"] | life})
    assert (await sevrouter.post(b"", path="/-/reload")).status == 200
    started = datetime.now(UTC) - timedelta(minutes=10)
    await _post(sevrouter, one(bug(starts_at=started)))
    issue = await vendors.jira.expect_issue("SEV-5", project="PAY")
    ended = started + timedelta(minutes=5)
    await _post(sevrouter, one(bug(status="resolved", starts_at=started, ends_at=ended)))
    await vendors.jira.expect_move(issue.key, "Done")
    await vendors.jira.expect_comment(issue.key, "resolved")
    again = ended + timedelta(minutes=1)
    await _post(sevrouter, one(bug(starts_at=again)))
    await vendors.jira.expect_move(issue.key, "To Do")
    await vendors.jira.expect_comment(issue.key, "reopened")
    issue.status, issue.resolution = "Done", "Won't Do"
    await _post(sevrouter, one(bug(status="resolved", starts_at=again, ends_at=again + timedelta(minutes=1))))
    # What it is told from here on it keeps to itself: an issue, a comment or a transition now would fail the story.
    await sevrouter.wait_for_log("delivered", reason="wont_fix")
    assert issue.status == "Done"
