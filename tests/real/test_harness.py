"""The real parts of the tests work together, and the payloads that tests make are those that are really sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.real.alertmanager import RealAlertmanager, webhook_config
from tests.real.payloads import alert, posted, webhook
from tests.real.process import ProcessFailedError
from tests.real.prometheus import RealPrometheus, scrape
from tests.real.receiver import WebhookReceiver

if TYPE_CHECKING:
    from pathlib import Path

# True as soon as Prometheus has scraped.
SCRAPED = {
    "alert": "Scraped",
    "expr": 'up{job="alertmanager"} == 1',
    "labels": {"severity": "critical", "service": "checkout"},
    "annotations": {"summary": "It is {{ $value }}."},
}


async def test_what_a_real_prometheus_scrapes_and_finds_alarming_reaches_a_webhook(
    prometheus_binary: Path, alertmanager_binary: Path, tmp_path: Path
) -> None:
    async with (
        WebhookReceiver() as receiver,
        RealAlertmanager(alertmanager_binary, webhook_config(receiver.url), directory=tmp_path) as alertmanager,
        RealPrometheus(
            prometheus_binary,
            directory=tmp_path,
            rules=[SCRAPED],
            scrape_configs=[scrape("alertmanager", alertmanager.url)],
            alertmanagers=[alertmanager.url],
            external_labels={"cluster": "eu-1"},
        ) as prometheus,
    ):
        payload = await receiver.wait_for(lambda payload: payload["status"] == "firing")
        firing = await prometheus.wait_for('ALERTS{alertstate="firing"}')
        assert [sample.value for sample in await prometheus.query("1 + 1")] == [2.0]

    assert [(sent["labels"]["service"], sent["labels"]["cluster"]) for sent in payload["alerts"]] == [
        ("checkout", "eu-1")
    ]
    assert payload["commonAnnotations"] == {"summary": "It is 1."}
    assert [sample.labels["alertname"] for sample in firing] == ["Scraped"]


async def test_the_payloads_of_tests_are_those_of_a_real_alertmanager(
    alertmanager_binary: Path, tmp_path: Path
) -> None:
    labels = {"alertname": "HighErrorRate", "severity": "critical", "region": "Zürich"}
    annotations = {"summary": "Too many errors."}
    async with (
        WebhookReceiver() as receiver,
        RealAlertmanager(alertmanager_binary, webhook_config(receiver.url), directory=tmp_path) as alertmanager,
    ):
        await alertmanager.push([posted(labels, annotations, starts_at="2025-03-02T09:52:26.7Z")])
        firing = await receiver.wait_for(lambda payload: payload["status"] == "firing")
        await alertmanager.push(
            [posted(labels, annotations, starts_at="2025-03-02T09:52:26.7Z", ends_at="2025-03-02T10:00:00Z")]
        )
        resolved = await receiver.wait_for(lambda payload: payload["status"] == "resolved")

    started: dict[str, Any] = {"starts_at": "2025-03-02T09:52:26.7Z", "generatorURL": ""}
    made_firing = alert(labels, annotations, **started)
    made_resolved = alert(labels, annotations, "resolved", ends_at="2025-03-02T10:00:00Z", **started)
    assert firing == webhook([made_firing], externalURL=firing["externalURL"])
    assert resolved == webhook([made_resolved], externalURL=resolved["externalURL"])


async def test_two_alertmanagers_of_a_cluster_find_each_other_and_deliver(
    alertmanager_binary: Path, tmp_path: Path
) -> None:
    async with WebhookReceiver() as receiver:
        config = webhook_config(receiver.url)
        async with (
            RealAlertmanager(alertmanager_binary, config, directory=tmp_path, cluster_peers=[]) as first,
            RealAlertmanager(
                alertmanager_binary, config, directory=tmp_path, cluster_peers=[first.cluster_address]
            ) as second,
        ):
            await first.wait_for_peers(2)
            await second.wait_for_peers(2)
            for member in (first, second):
                await member.push([posted({"alertname": "Clustered"})])
            payload = await receiver.wait_for(lambda payload: payload["status"] == "firing")
            held = await second.alerts()

    assert payload["groupLabels"] == {"alertname": "Clustered"}
    assert [one["labels"] for one in held] == [{"alertname": "Clustered"}]


async def test_an_alertmanager_keeps_its_port_and_its_files_over_an_end(
    alertmanager_binary: Path, tmp_path: Path
) -> None:
    async with RealAlertmanager(
        alertmanager_binary, webhook_config("http://127.0.0.1:9/nobody"), directory=tmp_path
    ) as alertmanager:
        port = alertmanager.port
        assert await alertmanager.stop() == 0
        await alertmanager.start()
        await alertmanager.kill()
        assert not alertmanager.running
        await alertmanager.start()
        assert alertmanager.port == port
        assert await alertmanager.alerts() == []


async def test_a_process_that_ends_instead_of_starting_shows_why(alertmanager_binary: Path, tmp_path: Path) -> None:
    broken = RealAlertmanager(alertmanager_binary, {"route": {"receiver": "nobody"}}, directory=tmp_path)
    with pytest.raises(ProcessFailedError, match=r"ended by itself; it printed:[^$]*undefined receiver"):
        await broken.__aenter__()
    assert not broken.running
