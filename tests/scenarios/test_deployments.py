"""What begins soon after a deployment says so to everybody: on the call, in the thread, in the ticket."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tests.scenarios.alerts import bug, critical, one

if TYPE_CHECKING:
    from tests.real.sevrouter import Sevrouter
    from tests.scenarios.team import Team, Vendors

PATH = "/api/v1/deployments"
LINK = "https://ci.example/deploys/7"


def deployed(minutes_ago: float, **changes: str) -> dict[str, str]:
    """A deployment of the checkout."""
    time = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    return {
        "system": "checkout",
        "version": "2.14.0",
        "time": time.isoformat(timespec="seconds"),
        "link": LINK,
    } | changes


async def report(sevrouter: Sevrouter, deployment: dict[str, str], status: int = 201) -> None:
    """Report it, as a pipeline does."""
    answer = await sevrouter.post(deployment, path=PATH)
    assert (answer.status, "warning" in answer.body) == (status, False), answer


async def test_a_call_a_thread_and_a_ticket_name_the_deployment_before_them_and_lead_to_it(
    sevrouter: Sevrouter, vendors: Vendors
) -> None:
    recent = deployed(12)
    await report(sevrouter, recent)
    await report(sevrouter, recent, 200)
    hint = "checkout 2.14.0 was deployed 12 min before it began: if related, roll back"
    await sevrouter.post(one(critical()))
    call = await vendors.pagerduty.expect_call("SEV-2")
    assert hint in str(call.payload)
    assert {"href": LINK, "text": "Deployment"} in call.links
    message = await vendors.slack.expect_message("SEV-2", channel="C0PAY")
    assert hint in message.text
    assert LINK in message.links
    await sevrouter.post(one(bug()))
    issue = await vendors.jira.expect_issue("SEV-5")
    assert hint in issue.description
    assert LINK in repr(issue.fields["description"])
    metrics = await sevrouter.metrics()
    assert [metrics.metric("sevrouter_deployments_total", result=name) for name in ("new", "known", "refused")] == [
        1,
        1,
        0,
    ]


async def test_nobody_hears_of_what_was_deployed_long_before_or_elsewhere(
    sevrouter: Sevrouter, vendors: Vendors
) -> None:
    await report(sevrouter, deployed(31))
    assert "warning" in (await sevrouter.post(deployed(1, system="search"), path=PATH)).json()
    await sevrouter.post(one(critical()))
    call = await vendors.pagerduty.expect_call("SEV-2")
    message = await vendors.slack.expect_message("SEV-2")
    for told in (repr(call), str(call.payload), repr(call.links), message.text):
        assert "deployed" not in told
        assert LINK not in told


async def test_a_link_that_nobody_should_click_on_is_shown_nowhere(sevrouter: Sevrouter, vendors: Vendors) -> None:
    evil = "http://169.254.169.254/latest/meta-data"
    answer = await sevrouter.post(deployed(3, link=evil), path=PATH)
    assert (answer.status, "will not be shown" in answer.json()["warning"]) == (201, True)
    await sevrouter.post(one(critical()))
    call = await vendors.pagerduty.expect_call("SEV-2")
    message = await vendors.slack.expect_message("SEV-2")
    assert "2.14.0 was deployed 3 min before" in message.text
    assert not any(evil in each for each in (str(call.payload), repr(call.links), message.text, repr(message.blocks)))


async def test_a_window_of_the_configuration_counts_and_none_says_nothing(
    sevrouter: Sevrouter, vendors: Vendors, team: Team
) -> None:
    team.configure(deployments={"window": "2h"})
    assert (await sevrouter.post(b"", path="/-/reload")).status == 200
    await report(sevrouter, deployed(100))
    await sevrouter.post(one(bug()))
    assert "100 min before" in (await vendors.jira.expect_issue()).description
    team.configure(deployments={"window": "0s"})
    assert (await sevrouter.post(b"", path="/-/reload")).status == 200
    await sevrouter.post(one(critical()))
    await vendors.pagerduty.expect_call("SEV-2")
    assert "deployed" not in (await vendors.slack.expect_message("SEV-2")).text


async def test_a_deployment_outlives_a_restart_and_a_late_one_is_in_the_timeline(
    sevrouter: Sevrouter, vendors: Vendors
) -> None:
    await report(sevrouter, deployed(12))
    assert await sevrouter.restart() == 0
    await sevrouter.post(one(critical()))
    await vendors.pagerduty.expect_call("SEV-2")
    assert "2.14.0" in (await vendors.slack.expect_message("SEV-2")).text
    await report(sevrouter, deployed(5, version="2.14.1"))
    line = await sevrouter.wait_for_log("incident_deployment_nearby", version="2.14.1")
    assert (line["system"], line["minutes_before"], line["link"]) == ("checkout", 5, LINK)
