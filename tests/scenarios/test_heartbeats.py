"""Prometheus falls silent, and somebody is called; sevrouter gets stuck, and somebody else can notice."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.real.alertmanager import RealAlertmanager, webhook_config
from tests.real.payloads import alert
from tests.real.prometheus import RealPrometheus
from tests.real.sevrouter import Sevrouter
from tests.scenarios.alerts import one

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from tests.scenarios.team import Team, Vendors

WATCHDOG = alert({"alertname": "Watchdog", "severity": "critical"})
PROMETHEUS = {
    "name": "prometheus",
    "matchers": ['alertname="Watchdog"'],
    "every": "3s",
    "grace": "1s",
    "missed": "SEV-1",
}
STUCK = """
from datetime import timedelta
from sevrouter import cli
from sevrouter.engine import rounds
rounds.LONGEST_ROUND = timedelta(seconds=-1)
cli.main()
"""


class Monitor:
    """A service that is asked for its address; it takes note, and redirects where it is told to."""

    def __init__(self) -> None:
        self.pings = 0
        self.redirects = False
        self._news = asyncio.Event()
        app = web.Application()
        app.router.add_get("/ping/hunter2", self._ping)
        self.server = TestServer(app)

    async def _ping(self, _request: web.Request) -> web.Response:
        self.pings += 1
        self._news.set()
        if self.redirects:
            raise web.HTTPFound("/elsewhere")
        return web.Response(text="OK")

    @property
    def url(self) -> str:
        """The address that is a secret."""
        return str(self.server.make_url("/ping/hunter2"))

    async def is_pinged(self, times: int) -> None:
        """Wait for so many more."""
        wanted = self.pings + times
        async with asyncio.timeout(20):
            while self.pings < wanted:
                self._news.clear()
                await self._news.wait()


@pytest_asyncio.fixture
async def monitor() -> AsyncIterator[Monitor]:
    """A monitor that runs."""
    monitor = Monitor()
    await monitor.server.start_server()
    yield monitor
    await monitor.server.close()


async def test_a_prometheus_that_falls_silent_calls_also_over_a_kill_and_that_is_over_when_it_speaks_again(
    team: Team, sevrouter: Sevrouter, vendors: Vendors
) -> None:
    team.configure(heartbeats=[PROMETHEUS])
    assert (await sevrouter.post(b"", path="/-/reload")).status == 200
    assert (await sevrouter.post(one(WATCHDOG))).status == 200
    await sevrouter.kill9()
    await sevrouter.start()
    call = await vendors.pagerduty.expect_call("SEV-1.*heartbeat prometheus is missing", within=20)
    assert "nothing came since" in str(call.payload)
    message = await vendors.slack.expect_message("SEV-1.*heartbeat prometheus", channel="C0DEFAULT")
    await sevrouter.wait_for_log("delivered", integration="slack")
    # Killed while it is missing, too: nobody is called again, and its end is noticed.
    await sevrouter.kill9()
    team.configure(heartbeats=[PROMETHEUS | {"every": "1h"}])
    await sevrouter.start()
    assert (await sevrouter.post(one(WATCHDOG))).status == 200
    await vendors.pagerduty.expect_resolve(call.dedup_key, within=20)
    await vendors.slack.expect_reply(message, "resolved")
    metrics = await sevrouter.metrics()
    assert metrics.metric("sevrouter_heartbeats_missing") == 0
    assert metrics.metric("sevrouter_heartbeat_last_beat_timestamp_seconds", heartbeat="prometheus") > 0
    assert metrics.metric("sevrouter_incidents", sev="SEV-1", state="resolved") == 1


async def test_what_repeats_word_for_word_is_heard(team: Team, sevrouter: Sevrouter) -> None:
    team.configure(heartbeats=[PROMETHEUS | {"every": "1h"}])
    assert (await sevrouter.post(b"", path="/-/reload")).status == 200
    last = 0.0
    for _ in range(3):
        assert (await sevrouter.post(one(WATCHDOG))).status == 200
        before = last

        async def is_heard(before: float = before) -> bool:
            nonlocal last
            last = await _last_beat(sevrouter)
            return last > before

        await sevrouter.poll(is_heard, "has not heard it again", within=20)
    metrics = await sevrouter.metrics()
    assert metrics.metric("sevrouter_duplicate_alerts_total") == 2
    assert metrics.metric("sevrouter_alert_grades_total", sev="none", unsure="false") == 3


async def test_a_real_alertmanager_that_dies_is_missed_and_heard_again_when_it_is_back(
    prometheus_binary: Path,
    alertmanager_binary: Path,
    tmp_path: Path,
    team: Team,
    sevrouter: Sevrouter,
    vendors: Vendors,
) -> None:
    team.configure(heartbeats=[PROMETHEUS | {"every": "10s", "grace": "2s"}])
    assert (await sevrouter.post(b"", path="/-/reload")).status == 200
    config = webhook_config(sevrouter.webhook_url, group_interval="1s", repeat_interval="1s")
    async with RealAlertmanager(alertmanager_binary, config, directory=tmp_path / "am") as alertmanager:
        prometheus = RealPrometheus(
            prometheus_binary,
            directory=tmp_path / "prometheus",
            rules=[{"alert": "Watchdog", "expr": "vector(1)", "labels": {"severity": "critical"}}],
            alertmanagers=[alertmanager.url],
        )
        async with prometheus:
            await sevrouter.poll(lambda: _is_heard(sevrouter), "has heard nothing", within=30)
            await alertmanager.kill()
            call = await vendors.pagerduty.expect_call("SEV-1.*heartbeat prometheus", within=40)
            message = await vendors.slack.expect_message("SEV-1.*heartbeat prometheus")
            await alertmanager.start()
            await vendors.pagerduty.expect_resolve(call.dedup_key, within=40)
            await vendors.slack.expect_reply(message, "resolved")


async def _is_heard(sevrouter: Sevrouter) -> bool:
    return await _last_beat(sevrouter) > 0


async def _last_beat(sevrouter: Sevrouter) -> float:
    metrics = await sevrouter.metrics()
    return metrics.metric("sevrouter_heartbeat_last_beat_timestamp_seconds", heartbeat="prometheus")


async def test_a_monitor_hears_of_us_until_the_store_takes_nothing_any_more(
    team: Team, sevrouter: Sevrouter, monitor: Monitor
) -> None:
    (team.folder / "address").write_text(monitor.url + "\n")
    team.configure(heartbeat_out={"url_file": "address", "every": "1s"})
    assert (await sevrouter.post(b"", path="/-/reload")).status == 200
    await monitor.is_pinged(3)
    aside = team.database.with_suffix(".aside")
    team.database.rename(aside)
    withheld = await sevrouter.wait_for_log("heartbeat_out_withheld")
    assert withheld["stuck"] == ["store"]
    before = monitor.pings
    await sevrouter.poll(lambda: _withheld(sevrouter, 3), "has no withheld pings", within=20)
    assert monitor.pings == before
    aside.rename(team.database)
    await monitor.is_pinged(1)
    await sevrouter.wait_for_log("heartbeat_out_resumed")
    monitor.redirects = True
    await sevrouter.wait_for_log("heartbeat_out_failed", outcome="refused")
    # And none, by a reload.
    team.configure()
    assert (await sevrouter.post(b"", path="/-/reload")).status == 200
    page = (await sevrouter.get("/metrics")).body
    assert "hunter2" not in "".join(sevrouter.lines) + page


async def _withheld(sevrouter: Sevrouter, count: int) -> bool:
    return await sevrouter.metric("sevrouter_heartbeat_out_pings_total", outcome="withheld") >= count


class Stuck(Sevrouter):
    """sevrouter, which takes each of its loops for one that is stuck."""

    def command(self) -> Sequence[str | Path]:
        """Run it as ever, but for that."""
        python, _, _, *arguments = super().command()
        return [python, "-c", STUCK, *arguments]


async def test_each_loop_has_to_turn(team: Team, monitor: Monitor) -> None:
    team.configure(heartbeat_out={"url": monitor.url, "every": "1s"})
    async with Stuck(team.config, directory=team.folder / "run") as stuck:
        withheld = await stuck.wait_for_log("heartbeat_out_withheld")
    assert withheld["stuck"] == [
        "ack_polling",
        "drills",
        "escalator",
        "hearing",
        "heartbeats",
        "janitor",
        "lane-call",
        "lane-jira",
        "lane-slack",
        "measurer",
        "on_call",
        "reconciler",
        "ringer",
        "rollout",
        "sweep",
        "watcher",
    ]
    assert monitor.pings == 0


async def test_a_shadow_pings_nobody(team: Team, monitor: Monitor) -> None:
    settings = {"url": monitor.url, "every": "1s"}
    team.configure(heartbeats=[PROMETHEUS | {"every": "1s", "grace": "0s"}], heartbeat_out=settings)
    async with Sevrouter(team.config, directory=team.folder / "run", arguments=["--shadow"]) as shadow:
        # It decides what the real one would.
        await shadow.wait_for_log("would_deliver", integration="call")
    assert monitor.pings == 0
