"""Much of it at once: copies, senders, alerts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.real.payloads import distinct_alerts, webhook
from tests.scenarios.alerts import critical, one
from tests.scenarios.test_failures import sevrouter_command

if TYPE_CHECKING:
    from tests.real.sevrouter import Sevrouter
    from tests.scenarios.team import Team, Vendors


async def test_a_thousand_copies_from_three_senders_are_one_incident_and_one_call(
    sevrouter: Sevrouter, vendors: Vendors
) -> None:
    async def send(name: str) -> None:
        copy = critical(generatorURL=f"http://{name}:9090/graph")
        for number in range(334):
            answer = await sevrouter.post(one(copy, externalURL=f"http://{name}", groupKey=str(number)))
            assert answer.status == 200

    await asyncio.gather(*(send(name) for name in ("a", "b", "c")))
    await vendors.pagerduty.expect_call("SEV-2")
    await vendors.slack.expect_message("SEV-2")
    metrics = await sevrouter.metrics()
    assert metrics.metric("sevrouter_webhooks_total", code="200") == 1002
    assert metrics.metric("sevrouter_duplicate_alerts_total") == 1001
    assert metrics.metric("sevrouter_deliveries_total", integration="call", outcome="delivered") == 1


async def test_a_hundred_thousand_alerts_in_one_webhook_are_all_stored_and_graded(
    sevrouter: Sevrouter, vendors: Vendors, team: Team
) -> None:
    body = webhook(list(distinct_alerts(100_000, service="checkout")))
    sending = asyncio.create_task(sevrouter.post(body))
    health = [(await sevrouter.get("/-/healthy")).status for _ in range(20)]
    assert (await sending).status == 200
    assert set(health) == {200}
    await vendors.slack.expect_message("SEV-4")
    metrics = await sevrouter.metrics()
    assert metrics.metric("sevrouter_alert_grades_total", sev="SEV-4", unsure="false") == 100_000
    code, text = await sevrouter_command(team, "incidents", "1")
    assert (code, "count: 100000" in text) == (0, True)
