"""What a real Alertmanager shows against what it sends: silences, inhibitions, webhooks that get lost, restarts."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest_asyncio

from tests.real.aged import Aged
from tests.real.alertmanager import RealAlertmanager, webhook_config
from tests.real.payloads import posted
from tests.real.ports import free_port
from tests.scenarios.test_failures import sevrouter_command

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.real.sevrouter import Sevrouter
    from tests.scenarios.team import Team, Vendors

CHECKOUT = {"alertname": "CheckoutErrors", "service": "checkout"}
WARNING, CRITICAL = CHECKOUT | {"severity": "warning"}, CHECKOUT | {"severity": "critical"}
OUTAGE = {"alertname": "Outage", "service": "checkout", "severity": "critical"}
WORDS = {
    "name": "severity label",
    "measure": {"label": "severity"},
    "values": {"critical": "SEV-2", "warning": "SEV-4", "none": "none"},
}
FOR_LONG = {
    "name": "for long",
    "matchers": ['severity="warning"'],
    "measure": "firing_for",
    "thresholds": {"SEV-2": ">= 1h"},
}
INHIBITS = {"source_matchers": ['alertname="Outage"'], "target_matchers": ['severity="warning"'], "equal": ["service"]}


@pytest_asyncio.fixture
async def alertmanager(
    alertmanager_binary: Path, tmp_path: Path, sevrouter: Sevrouter
) -> AsyncIterator[RealAlertmanager]:
    """One that sends to sevrouter, and inhibits warnings during an outage."""
    config = webhook_config(sevrouter.webhook_url) | {"inhibit_rules": [INHIBITS]}
    async with RealAlertmanager(alertmanager_binary, config, directory=tmp_path / "am") as real:
        yield real


async def asking(team: Team, sevrouter: Sevrouter, *urls: str, **changes: Any) -> None:
    """Have Alertmanagers asked every second."""
    reconcile = {"every": "1s", "missed_after": "3s"}
    asked: dict[str, Any] = {"alertmanagers": [*urls], "reconcile": reconcile}
    # What is likely to come by the clock is another story.
    team.configure(**{"rules": [WORDS, FOR_LONG], "forecast": {"horizon": "0s"}} | asked | changes)
    assert (await sevrouter.post(b"", path="/-/reload")).status == 200


async def is_seen_there(team: Team, sevrouter: Sevrouter, count: int = 1) -> None:
    """Wait until so many alerts were seen where they are asked for."""

    async def seen() -> bool:
        with contextlib.closing(sqlite3.connect(team.database)) as database:
            ((found,),) = database.execute("SELECT count(*) FROM alert_states WHERE seen_there")
        return bool(found == count)

    await sevrouter.poll(seen, f"has not seen {count}", within=15)


async def test_what_is_silenced_rises_without_a_call_until_the_silence_is_over(
    team: Team, sevrouter: Sevrouter, vendors: Vendors, alertmanager: RealAlertmanager
) -> None:
    await asking(team, sevrouter, alertmanager.url)
    soon = datetime.now(UTC) - timedelta(minutes=60) + timedelta(seconds=10)
    await alertmanager.push([posted(WARNING, {"summary": "Checkout fails"}, starts_at=soon)])
    head = await vendors.slack.expect_message("SEV-4")
    number = await alertmanager.silence("alertname=CheckoutErrors")
    await vendors.slack.expect_reply(head, r"silenced in Alertmanager \(by ana: maintenance, until ")
    await sevrouter.wait_for_log("delivered", kind="suppressed", integration="slack")
    # Killed in the middle of the silence: what is suppressed stays so.
    await sevrouter.kill9()
    await sevrouter.start()
    risen = await vendors.slack.expect_reply(head, "rose from SEV-4", within=30)
    assert risen.mentions == ()
    assert await sevrouter.metric("sevrouter_incidents_suppressed") == 1
    code, text = await sevrouter_command(team, "incidents")
    assert (code, "suppressed: silenced in Alertmanager (by ana" in text) == (0, True)
    code, text = await sevrouter_command(team, "incidents", "--json")
    assert json.loads(text)[0]["suppressed"].startswith("silenced in Alertmanager")
    await sevrouter.kill9()
    await sevrouter.start()
    assert not vendors.pagerduty.requests
    await alertmanager.amtool("silence", "expire", number)
    await vendors.pagerduty.expect_call("SEV-2", within=20)
    await vendors.slack.expect_reply(head, "no longer suppressed")
    assert await sevrouter.metric("sevrouter_incidents_suppressed") == 0


async def test_replicas_that_disagree_count_as_firing(
    alertmanager_binary: Path,
    tmp_path: Path,
    team: Team,
    sevrouter: Sevrouter,
    vendors: Vendors,
    alertmanager: RealAlertmanager,
) -> None:
    config = webhook_config(sevrouter.webhook_url)
    # Not in one cluster, so that neither knows the other's silences.
    async with RealAlertmanager(alertmanager_binary, config, directory=tmp_path / "other") as other:
        await asking(team, sevrouter, alertmanager.url, other.url)
        soon = datetime.now(UTC) - timedelta(minutes=60) + timedelta(seconds=6)
        for each in (alertmanager, other):
            await each.push([posted(WARNING, starts_at=soon)])
        head = await vendors.slack.expect_message("SEV-4")
        await is_seen_there(team, sevrouter)
        await alertmanager.silence("alertname=CheckoutErrors")
        await vendors.pagerduty.expect_call("SEV-2", within=30)
        await vendors.slack.expect_reply(head, "rose from SEV-4")
        await other.silence("alertname=CheckoutErrors")
        await vendors.slack.expect_reply(head, "silenced in Alertmanager", within=20)


async def test_what_is_inhibited_says_so_and_what_inhibits_it_calls(
    team: Team, sevrouter: Sevrouter, vendors: Vendors, alertmanager: RealAlertmanager
) -> None:
    await asking(team, sevrouter, alertmanager.url)
    await alertmanager.push([posted(WARNING)])
    head = await vendors.slack.expect_message("SEV-4")
    await alertmanager.push([posted(OUTAGE)])
    await vendors.pagerduty.expect_call("Outage")
    await vendors.slack.expect_message("Outage")
    await vendors.slack.expect_reply(head, "inhibited in Alertmanager by Outage", within=20)
    await alertmanager.push([posted(OUTAGE, ends_at=datetime.now(UTC))])
    await vendors.slack.expect_reply(head, "no longer suppressed", within=20)
    await vendors.pagerduty.expect_resolve(within=20)
    await vendors.slack.expect("its end", lambda each: "resolved" in each.text, within=20)


async def test_a_webhook_that_leads_nowhere_loses_nothing_also_over_a_crash(
    alertmanager_binary: Path, tmp_path: Path, team: Team, sevrouter: Sevrouter, vendors: Vendors
) -> None:
    nowhere = webhook_config(f"http://127.0.0.1:{free_port()}/webhoook")
    async with RealAlertmanager(alertmanager_binary, nowhere, directory=tmp_path / "am") as alertmanager:
        await asking(team, sevrouter, alertmanager.url)
        await alertmanager.silence("alertname=Silenced")
        await alertmanager.push([posted(CRITICAL, {"summary": "Checkout fails"}), posted({"alertname": "Silenced"})])
        # In the middle of the wait, which begins anew.
        await sevrouter.kill9()
        await sevrouter.start()
        await vendors.pagerduty.expect_call("SEV-2.*Checkout fails", within=30)
        await vendors.slack.expect_message("SEV-2")
        await sevrouter.wait_for_log("delivered", integration="slack")
        await sevrouter.wait_for_log("delivered", integration="call")
        await sevrouter.kill9()
        await sevrouter.start()
        # It is known by now: a second look takes nothing in.
        await is_seen_there(team, sevrouter)
        assert await sevrouter.metric("sevrouter_reconciled_alerts_total", result="missed") == 0
        assert await sevrouter.metric("sevrouter_incidents", sev="SEV-2", state="triggered") == 1


async def test_a_resolve_that_never_came_is_made_up_for_after_the_quiet_time(
    team: Team, sevrouter: Sevrouter, vendors: Vendors, alertmanager: RealAlertmanager
) -> None:
    async with Aged(alertmanager) as aged:
        await asking(team, sevrouter, aged.url)
        await alertmanager.push([posted(CRITICAL)])
        call = await vendors.pagerduty.expect_call("SEV-2")
        head = await vendors.slack.expect_message("SEV-2")
        await is_seen_there(team, sevrouter)
        await sevrouter.wait_for_log("delivered", integration="slack")
        await sevrouter.wait_for_log("delivered", integration="call")
        await sevrouter.kill9()
        # The silence swallows the resolve, and nobody is there to see it.
        number = await alertmanager.silence("alertname=CheckoutErrors")
        await alertmanager.push([posted(CRITICAL, ends_at=datetime.now(UTC))])
        await alertmanager.amtool("silence", "expire", number)
        await alertmanager.stop()
        await alertmanager.start()
        await sevrouter.start()
        await vendors.pagerduty.expect_resolve(call.dedup_key, within=20)
        await vendors.slack.expect_reply(head, "resolved")
        assert await sevrouter.metric("sevrouter_reconciled_alerts_total", result="vanished") == 1


async def test_an_alertmanager_that_was_just_started_ends_nothing(
    team: Team, sevrouter: Sevrouter, vendors: Vendors, alertmanager: RealAlertmanager
) -> None:
    await asking(team, sevrouter, alertmanager.url)
    await alertmanager.push([posted(CRITICAL)])
    await vendors.pagerduty.expect_call("SEV-2")
    await vendors.slack.expect_message("SEV-2")
    await is_seen_there(team, sevrouter)
    await alertmanager.kill()
    await sevrouter.wait_for_log("alertmanager_unreachable")
    assert await sevrouter.metric("sevrouter_alertmanagers_unreachable") == 1
    await alertmanager.start()
    await sevrouter.wait_for_log("alertmanager_reachable")
    # Another one, which is sent, comes to be seen in a later look than the first after the restart.
    await alertmanager.push([posted(OUTAGE)])
    await vendors.pagerduty.expect_call("Outage")
    await vendors.slack.expect_message("Outage")
    await is_seen_there(team, sevrouter, 2)
    assert await sevrouter.metric("sevrouter_reconciled_alerts_total", result="vanished") == 0
    assert await sevrouter.metric("sevrouter_incidents", sev="SEV-2", state="triggered") == 2


async def test_when_nobody_is_asked_any_more_nothing_is_suppressed(
    team: Team, sevrouter: Sevrouter, vendors: Vendors, alertmanager: RealAlertmanager
) -> None:
    await asking(team, sevrouter, alertmanager.url)
    await alertmanager.push([posted(WARNING)])
    head = await vendors.slack.expect_message("SEV-4")
    await alertmanager.silence("alertname=CheckoutErrors")
    await vendors.slack.expect_reply(head, "silenced in Alertmanager")
    await asking(team, sevrouter)
    await vendors.slack.expect_reply(head, "no Alertmanager is asked any more")
