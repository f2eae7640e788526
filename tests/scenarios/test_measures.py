"""It gets worse, and nobody sends anything: a real Prometheus is asked, and says so."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.real.payloads import alert, webhook
from tests.real.prometheus import RealPrometheus, scrape
from tests.scenarios.alerts import one

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.real.sevrouter import Sevrouter
    from tests.scenarios.team import Team, Vendors

ERRORS = {
    "name": "errors",
    "matchers": ['alertname="CheckoutErrors"'],
    "measure": {"query": 'max(errors_percent{service="{{ service }}"})', "every": "1s", "unsure_after": "2s"},
    "thresholds": {"SEV-1": ">= 25", "SEV-2": ">= 5", "SEV-3": ">= 1"},
}
WORDS = {
    "name": "severity label",
    "matchers": ['severity=~".+"'],
    "measure": {"label": "severity"},
    "values": {"critical": "SEV-2", "warning": "SEV-4"},
}
SLOW = alert({"alertname": "CheckoutErrors", "service": "checkout", "severity": "warning"})


class Exporter:
    """A page of metrics that says what it is told to."""

    def __init__(self) -> None:
        self.percent: float | None = 0.2
        # Per second since it began to climb.
        self.slope = 0.0
        self._climbs_since = 0.0
        app = web.Application()
        app.router.add_get("/metrics", self._page)
        self.server = TestServer(app)

    def climb(self, slope: float) -> None:
        """From now on get worse by so much a second."""
        self.slope, self._climbs_since = slope, time.monotonic()

    async def _page(self, _request: web.Request) -> web.Response:
        climbed = self.slope * (time.monotonic() - self._climbs_since)
        lines = [] if self.percent is None else [f'errors_percent{{service="checkout"}} {self.percent + climbed}']
        return web.Response(text="\n".join([*lines, 'errors_percent{service="other"} 99', ""]))


@pytest_asyncio.fixture
async def exporter() -> AsyncIterator[Exporter]:
    """An exporter that runs."""
    exporter = Exporter()
    await exporter.server.start_server()
    yield exporter
    await exporter.server.close()


def prometheus_of(binary: Path, folder: Path, exporter: Exporter) -> RealPrometheus:
    """A Prometheus that scrapes the exporter."""
    targets = [scrape("exporter", str(exporter.server.make_url("/")))]
    return RealPrometheus(binary, directory=folder, scrape_configs=targets)


def configured(team: Team, prometheus: RealPrometheus, **changes: Any) -> None:
    """Have the errors asked for."""
    team.configure(rules=[WORDS, ERRORS], prometheus={"url": prometheus.url}, **changes)


async def test_an_incident_rises_as_prometheus_says_also_over_a_restart(
    prometheus_binary: Path, tmp_path: Path, team: Team, sevrouter: Sevrouter, vendors: Vendors, exporter: Exporter
) -> None:
    async with prometheus_of(prometheus_binary, tmp_path / "prometheus", exporter) as prometheus:
        await prometheus.wait_for('errors_percent{service="checkout"} < 1')
        configured(team, prometheus)
        assert (await sevrouter.post(b"", path="/-/reload")).status == 200
        assert (await sevrouter.post(one(SLOW))).status == 200
        head = await vendors.slack.expect_message("SEV-4", channel="C0PAY")
        exporter.percent = 2
        await vendors.slack.expect_reply(head, "SEV-3.*errors", within=20)
        await sevrouter.wait_for_log("delivered", integration="slack", kind="rose")
        # Killed in the middle of the wait: what was to be read is read by the next one.
        await sevrouter.kill9()
        exporter.percent = 12.5
        await sevrouter.start()
        await vendors.pagerduty.expect_call("SEV-2", within=20)
        await vendors.slack.expect_reply(head, "12.5 is >= 5", within=20)


async def test_a_trend_is_mentioned_to_the_owner_before_it_rings(
    prometheus_binary: Path, tmp_path: Path, team: Team, sevrouter: Sevrouter, vendors: Vendors, exporter: Exporter
) -> None:
    async with prometheus_of(prometheus_binary, tmp_path / "prometheus", exporter) as prometheus:
        await prometheus.wait_for('errors_percent{service="checkout"} < 1')
        configured(team, prometheus, forecast={"horizon": "1m"})
        assert (await sevrouter.post(b"", path="/-/reload")).status == 200
        assert (await sevrouter.post(one(SLOW))).status == 200
        head = await vendors.slack.expect_message("SEV-4", channel="C0PAY")
        exporter.percent = 1.0
        exporter.climb(0.15)
        await vendors.slack.expect_reply(head, "SEV-3.*errors", within=20)
        likely = await vendors.slack.expect_reply(head, "errors: .*SEV-2 at >= 5 in about .* at this slope", within=40)
        assert likely.mentions == ("!subteam^S0PAY",)
        await vendors.pagerduty.expect_call("SEV-2", within=30)
        await vendors.slack.expect_reply(head, "SEV-2", within=20)
        # What goes on is foreseen, too, and ends the story.
        exporter.slope, exporter.percent = 0.0, 6.0


async def test_a_prometheus_that_is_killed_is_one_incident_and_over_when_it_is_back(
    prometheus_binary: Path, tmp_path: Path, team: Team, sevrouter: Sevrouter, vendors: Vendors, exporter: Exporter
) -> None:
    async with prometheus_of(prometheus_binary, tmp_path / "prometheus", exporter) as prometheus:
        await prometheus.wait_for('errors_percent{service="checkout"} < 1')
        team.configure(rules=[WORDS, ERRORS], prometheus={"url": prometheus.url, "unsure_after": "2s"})
        assert (await sevrouter.post(b"", path="/-/reload")).status == 200
        others = [alert({**SLOW["labels"], "pod": f"pod-{number}"}) for number in range(20)]
        assert (await sevrouter.post(one(SLOW))).status == 200
        assert (await sevrouter.post(webhook(others))).status == 200
        await vendors.slack.expect_message("SEV-4", channel="C0PAY")
        await prometheus.kill()
        call = await vendors.pagerduty.expect_call("cannot measure", within=40)
        head = await vendors.slack.expect_message("cannot measure", channel="C0DEFAULT")
        await prometheus.start()
        await vendors.pagerduty.expect_resolve(call.dedup_key, within=60)
        await vendors.slack.expect_reply(head, "resolved", within=20)


async def test_a_series_that_is_gone_is_the_worst_after_a_while(
    prometheus_binary: Path, tmp_path: Path, team: Team, sevrouter: Sevrouter, vendors: Vendors, exporter: Exporter
) -> None:
    prometheus = prometheus_of(prometheus_binary, tmp_path / "prometheus", exporter)
    async with prometheus:
        await prometheus.wait_for('errors_percent{service="checkout"} < 1')
        configured(team, prometheus)
        assert (await sevrouter.post(b"", path="/-/reload")).status == 200
        assert (await sevrouter.post(one(SLOW))).status == 200
        head = await vendors.slack.expect_message("SEV-4", channel="C0PAY")
        exporter.percent = None
        await vendors.pagerduty.expect_call("SEV-1", within=30)
        await vendors.slack.expect_reply(head, "gives no series", within=20)
        assert await sevrouter.metric("sevrouter_unreadable_measures_total", reason="empty") == 1
