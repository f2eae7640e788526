"""What breaks, and what is still kept: crashes, slow and broken vendors, lost answers, shutdown."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from tests.real.sevrouter import Sevrouter
from tests.scenarios.alerts import bug, critical, one, warning

if TYPE_CHECKING:
    from tests.scenarios.team import Team, Vendors


async def test_what_was_answered_is_delivered_once_after_a_crash(sevrouter: Sevrouter, vendors: Vendors) -> None:
    await vendors.pagerduty.go_down()
    assert (await sevrouter.post(one(critical()))).status == 200
    await vendors.slack.expect_message()
    await sevrouter.wait_for_log("delivered", integration="slack")
    await sevrouter.kill9()
    await vendors.pagerduty.come_back()
    await sevrouter.start()
    await vendors.pagerduty.expect_call("SEV-2")
    await sevrouter.poll(lambda: _outbox_is_empty(sevrouter), "has deliveries left", within=30)


async def test_a_crash_in_the_middle_of_a_call_rings_no_second_phone(sevrouter: Sevrouter, vendors: Vendors) -> None:
    hang = vendors.pagerduty.hang()
    assert (await sevrouter.post(one(critical()))).status == 200
    await vendors.slack.expect_message()
    await sevrouter.wait_for_log("delivered", integration="slack")
    await hang.arrived.wait()
    hang.release()
    call = await vendors.pagerduty.expect_call("SEV-2")
    await sevrouter.kill9()
    await sevrouter.start()
    await sevrouter.poll(lambda: _outbox_is_empty(sevrouter), "has deliveries left", within=30)
    assert list(vendors.pagerduty.open_alerts) == [call.dedup_key]


async def test_a_hanging_slack_delays_no_call(sevrouter: Sevrouter, vendors: Vendors) -> None:
    hang = vendors.slack.hang()
    assert (await sevrouter.post(one(critical()))).status == 200
    await hang.arrived.wait()
    await vendors.pagerduty.expect_call("SEV-2")
    hang.release()
    await vendors.slack.expect_message("SEV-2")


async def test_a_lost_answer_of_jira_makes_no_second_ticket(sevrouter: Sevrouter, vendors: Vendors) -> None:
    vendors.jira.lose_answer()
    assert (await sevrouter.post(one(bug()))).status == 200
    await vendors.jira.expect_issue("SEV-5")
    # It is looked for after 30 s, and found.
    await sevrouter.wait_for_log("delivered", integration="jira", within=60)
    assert len(vendors.jira.issues) == 1
    assert vendors.jira.searches


async def test_an_archived_channel_and_a_person_who_left_are_got_round_and_counted(
    sevrouter: Sevrouter, vendors: Vendors, team: Team
) -> None:
    settings = team.settings()["integrations"]
    team.configure(integrations=settings | {"slack": settings["slack"] | {"channel": "C0DEFAULT"}})
    assert (await sevrouter.post(b"", path="/-/reload")).status == 200
    vendors.slack.trouble("C0PAY", "is_archived")
    vendors.slack.allow_refusals()
    vendors.jira.assignable.clear()
    vendors.jira.allow_refusals()
    assert (await sevrouter.post(one(warning()))).status == 200
    message = await vendors.slack.expect_message("belongs into C0PAY.*is_archived", channel="C0DEFAULT")
    assert (await sevrouter.post(one(warning(status="resolved")))).status == 200
    await vendors.slack.expect_reply(message, "resolved")
    assert (await sevrouter.post(one(bug()))).status == 200
    assert (await vendors.jira.expect_issue("SEV-5")).assignee is None
    await sevrouter.wait_for_log("delivered", integration="jira", reason="unassigned")
    metrics = await sevrouter.metrics()
    assert metrics.metric("sevrouter_delivery_fallbacks_total", integration="slack", reason="elsewhere") == 1
    assert metrics.metric("sevrouter_delivery_fallbacks_total", integration="jira", reason="unassigned") == 1


async def test_a_provider_that_asks_for_patience_gets_it(sevrouter: Sevrouter, vendors: Vendors) -> None:
    vendors.pagerduty.fail_next(429, headers={"Retry-After": "2"})
    assert (await sevrouter.post(one(critical()))).status == 200
    await vendors.slack.expect_message()
    await vendors.pagerduty.expect_call("SEV-2")
    metrics = await sevrouter.metrics()
    assert metrics.metric("sevrouter_deliveries_total", integration="call", outcome="retry") == 1


async def test_what_a_vendor_refuses_is_a_dead_letter_that_can_be_tried_again(
    sevrouter: Sevrouter, vendors: Vendors, team: Team
) -> None:
    (team.folder / "pagerduty").write_text("not-the-key\n")
    vendors.pagerduty.allow_refusals()
    assert (await sevrouter.post(one(critical()))).status == 200
    await vendors.slack.expect_message()
    letter = await sevrouter.wait_for_log("delivery_rejected", integration="call")
    assert await sevrouter.metric("sevrouter_dead_letters", integration="call") == 1
    assert "not-the-key" not in "".join(sevrouter.lines)
    (team.folder / "pagerduty").write_text(vendors.pagerduty.routing_key)
    code, text = await sevrouter_command(team, "dead-letters", "retry", str(letter["dead_letter"]))
    assert (code, "1 will be tried again" in text) == (0, True)
    await vendors.pagerduty.expect_call("SEV-2", within=20)
    assert await sevrouter.metric("sevrouter_dead_letters", integration="call") == 0


async def test_sigterm_finishes_what_is_under_way(sevrouter: Sevrouter, vendors: Vendors) -> None:
    hang = vendors.pagerduty.hang()
    assert (await sevrouter.post(one(critical()))).status == 200
    await vendors.slack.expect_message()
    await hang.arrived.wait()
    stopping = asyncio.create_task(sevrouter.terminate())
    await sevrouter.wait_for_log("stopping")
    hang.release()
    await vendors.pagerduty.expect_call("SEV-2")
    assert await stopping == 0
    assert sevrouter.logs("delivered", integration="call")


async def test_a_second_process_on_the_same_database_refuses_to_start(sevrouter: Sevrouter, team: Team) -> None:
    assert sevrouter.running
    code, text = await sevrouter_command(team, "serve", "--listen", "127.0.0.1:0")
    assert (code, "another sevrouter is using" in text) == (2, True)


async def test_a_shadow_decides_everything_and_delivers_nothing(team: Team, vendors: Vendors) -> None:
    shadow = Sevrouter(team.config, directory=team.folder / "shadow", arguments=["--shadow"])
    async with shadow:
        assert (await shadow.post(one(critical()))).status == 200
        would = await shadow.wait_for_log("would_deliver", integration="call")
        assert (would["sev"], would["kind"]) == ("SEV-2", "opened")
        await shadow.wait_for_log("would_deliver", integration="slack")
    assert vendors.pagerduty.requests == []
    assert vendors.slack.requests == []
    code, text = await sevrouter_command(team, "incidents", "--shadow")
    assert (code, "SEV-2" in text) == (0, True)


async def test_a_changed_file_is_taken_up_and_a_bad_one_is_not(
    sevrouter: Sevrouter, team: Team, vendors: Vendors
) -> None:
    team.configure(responses={"SEV-2": ["slack"], "SEV-5": ["jira"]})
    await sevrouter.wait_for_log("configuration_loaded", reason="file changed")
    assert (await sevrouter.post(one(critical()))).status == 200
    await vendors.slack.expect_message("SEV-2")
    team.config.write_text("rules: [")
    await sevrouter.wait_for_log("configuration_refused")
    await sevrouter.poll(lambda: _is_unsuccessful(sevrouter), "has no failed reload", within=10)
    assert (await sevrouter.post(one(bug()))).status == 200
    await vendors.jira.expect_issue("SEV-5")
    team.configure()
    sevrouter.send_signal(signal.SIGHUP)
    await sevrouter.wait_for_log("configuration_loaded", reason="SIGHUP")
    assert await sevrouter.metric("sevrouter_config_last_reload_successful") == 1


async def _is_unsuccessful(sevrouter: Sevrouter) -> bool:
    return await sevrouter.metric("sevrouter_config_last_reload_successful") == 0


async def _outbox_is_empty(sevrouter: Sevrouter) -> bool:
    metrics = await sevrouter.metrics()
    return sum(metrics.metric("sevrouter_outbox_pending", integration=name) for name in ("call", "slack", "jira")) == 0


async def sevrouter_command(team: Team, *arguments: str) -> tuple[int, str]:
    """Run a command on the team's configuration; its exit code, and all that it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "sevrouter",
        *arguments,
        "--config",
        str(team.config),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_a_second_signal_does_not_cut_the_end_short(
    sevrouter: Sevrouter, vendors: Vendors, second: signal.Signals
) -> None:
    hang = vendors.pagerduty.hang()
    assert (await sevrouter.post(one(critical()))).status == 200
    await vendors.slack.expect_message()
    await hang.arrived.wait()
    stopping = asyncio.create_task(sevrouter.terminate())
    await sevrouter.wait_for_log("stopping")
    sevrouter.send_signal(second)
    hang.release()
    await vendors.pagerduty.expect_call("SEV-2")
    assert await stopping == 0
