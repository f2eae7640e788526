"""The main job on the real thing: Prometheus fires, Alertmanager sends, somebody is called, a ticket is filed."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pysqlite3.dbapi2

from tests.real.alertmanager import RealAlertmanager, webhook_config
from tests.real.prometheus import RealPrometheus, scrape
from tests.scenarios.team import ANA

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.real.sevrouter import Sevrouter
    from tests.scenarios.team import Team, Vendors

RULES = [
    {
        "alert": "CheckoutErrors",
        "expr": "vector(12.5) > 5",
        "labels": {"service": "checkout", "severity": "critical"},
        "annotations": {"summary": "Checkout fails for {{ $value | humanize }} % of customers"},
    },
    {
        "alert": "TypoOnThePage",
        "expr": "vector(1)",
        "labels": {"service": "checkout", "severity": "info"},
        "annotations": {"summary": "A typo on the page"},
    },
    {"alert": "Watchdog", "expr": "vector(1)", "labels": {"severity": "none"}},
]


async def test_a_firing_rule_becomes_a_call_a_thread_and_a_ticket_and_ends_with_the_alert(
    prometheus_binary: Path, alertmanager_binary: Path, tmp_path: Path, sevrouter: Sevrouter, vendors: Vendors
) -> None:
    config = webhook_config(sevrouter.webhook_url)
    async with RealAlertmanager(alertmanager_binary, config, directory=tmp_path / "am") as alertmanager:
        prometheus = RealPrometheus(
            prometheus_binary,
            directory=tmp_path / "prometheus",
            rules=RULES,
            scrape_configs=[scrape("sevrouter", sevrouter.url)],
            alertmanagers=[alertmanager.url],
        )
        async with prometheus:
            call = await vendors.pagerduty.expect_call("SEV-2.*checkout.*12.5 %", severity="critical")
            message = await vendors.slack.expect_message("SEV-2", channel="C0PAY")
            issue = await vendors.jira.expect_issue("SEV-5.*typo", project="PAY", assignee=ANA)
            assert "severity label" in issue.description
            assert "customers" in message.text

            await prometheus.wait_for('sevrouter_alert_grades_total{sev="SEV-2",unsure="false"} >= 1')
            await prometheus.wait_for('sevrouter_alert_grades_total{sev="none"} >= 1')
            await prometheus.wait_for('sevrouter_incidents{sev="SEV-2",state="triggered"} == 1')
            await prometheus.wait_for('sevrouter_deliveries_total{integration="call",outcome="delivered"} == 1')
            await prometheus.wait_for('sevrouter_delivery_latency_seconds_count{integration="jira"} == 1')
            await prometheus.wait_for("sum(sevrouter_outbox_pending) == 0 and sum(sevrouter_dead_letters) == 0")
            await prometheus.wait_for("sevrouter_config_last_reload_successful == 1")

        # Prometheus is gone, and Alertmanager takes what it no longer hears of for resolved.
        await vendors.pagerduty.expect_resolve(call.dedup_key, within=60)
        await vendors.slack.expect_reply(message, "resolved", within=30)
        await vendors.slack.expect_edit(message, "State: resolved")
        await vendors.jira.expect_comment(issue.key, "resolved", within=30)
        metrics = await sevrouter.metrics()
        assert metrics.metric("sevrouter_incidents", sev="SEV-2", state="resolved") == 1


async def test_a_cluster_of_alertmanagers_makes_one_incident_and_one_call(
    alertmanager_binary: Path, tmp_path: Path, sevrouter: Sevrouter, vendors: Vendors
) -> None:
    # Without time to gossip, both send what each of them knows.
    config = webhook_config(sevrouter.webhook_url, group_interval="1s", repeat_interval="1s")
    async with RealAlertmanager(alertmanager_binary, config, directory=tmp_path / "a", cluster_peers=()) as first:
        second = RealAlertmanager(
            alertmanager_binary, config, directory=tmp_path / "b", cluster_peers=[first.cluster_address]
        )
        async with second:
            await first.wait_for_peers(2)
            fired = {"labels": {"alertname": "CheckoutErrors", "service": "checkout", "severity": "critical"}}
            for alertmanager in (first, second, first, second):
                await alertmanager.push([fired])
            await vendors.pagerduty.expect_call()
            await vendors.slack.expect_message(channel="C0PAY")
            await sevrouter.poll(lambda: _received(sevrouter, 3), "was sent no duplicates", within=30)
            metrics = await sevrouter.metrics()
            assert metrics.metric("sevrouter_duplicate_alerts_total") >= 2
            assert metrics.metric("sevrouter_incidents", sev="SEV-2", state="triggered") == 1
            assert metrics.metric("sevrouter_deliveries_total", integration="call", outcome="delivered") == 1


async def _received(sevrouter: Sevrouter, count: int) -> bool:
    return await sevrouter.metric("sevrouter_alerts_total", status="firing") >= count


async def test_alertmanager_is_let_in_with_its_token_and_nobody_is_without(
    alertmanager_binary: Path, tmp_path: Path, team: Team, sevrouter: Sevrouter, vendors: Vendors
) -> None:
    team.configure(webhook={"auth": {"bearer_token_files": ["webhook"]}})
    assert (await sevrouter.post(b"", path="/-/reload")).status == 200
    token = (team.folder / "webhook").read_text().strip()
    authorization = {"authorization": {"type": "Bearer", "credentials": token}}
    config = webhook_config(sevrouter.webhook_url, http_config=authorization)
    assert (await sevrouter.post({"alerts": []})).status == 401
    async with RealAlertmanager(alertmanager_binary, config, directory=tmp_path / "am") as alertmanager:
        await alertmanager.push([{"labels": {"alertname": "X", "service": "checkout", "severity": "critical"}}])
        await vendors.pagerduty.expect_call("X")
        await vendors.slack.expect_message("X")
    metrics = await sevrouter.metrics()
    assert metrics.metric("sevrouter_webhooks_total", code="401") == 1
    assert token not in "".join(sevrouter.lines)


async def test_alertmanager_asks_again_what_could_not_be_stored(
    alertmanager_binary: Path, tmp_path: Path, team: Team, sevrouter: Sevrouter, vendors: Vendors
) -> None:
    config = webhook_config(sevrouter.webhook_url, group_interval="10s")
    async with RealAlertmanager(alertmanager_binary, config, directory=tmp_path / "am") as alertmanager:
        with _locked(team.database):
            await alertmanager.push([{"labels": {"alertname": "X", "service": "checkout", "severity": "critical"}}])
            await sevrouter.wait_for_log("webhook_refused", status=503, within=30)
            assert (await sevrouter.get("/-/ready")).status == 503
        await vendors.pagerduty.expect_call("X", within=30)
        await vendors.slack.expect_message("X")
        assert (await sevrouter.get("/-/ready")).status == 200


@contextlib.contextmanager
def _locked(database: Path) -> Iterator[None]:
    connection = pysqlite3.dbapi2.connect(str(database), isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        connection.close()
