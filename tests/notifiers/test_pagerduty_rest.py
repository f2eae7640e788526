"""Who owns an incident at PagerDuty, as its REST API tells it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from sevrouter.engine.ack_polling import NotAsked, OpenThere, Owned
from sevrouter.notifiers.pagerduty import PagerDuty
from sevrouter.notifiers.pagerduty_rest import PagerDutyRest
from tests.notifiers.notices import a_delivery, a_notice
from tests.standins import pagerduty as standin
from tests.standins.fixtures import pagerduty_api

if TYPE_CHECKING:
    from sevrouter.notifiers.http import Transport

__all__ = ["pagerduty_api"]

KEY = a_notice().key
AT = datetime(2026, 1, 1, 0, 5, tzinfo=UTC)
ASKED = [OpenThere(KEY, f"old {KEY}")]


@pytest.fixture
def rest(pagerduty_api: standin.PagerDutyApi, transport: Transport) -> PagerDutyRest:
    return PagerDutyRest(transport, url=f"{pagerduty_api.url}/", api_token=lambda: standin.API_TOKEN)


@pytest.fixture
async def account(pagerduty: standin.PagerDuty, transport: Transport) -> standin.PagerDuty:
    """An account in which our alert is open."""
    pagerduty.clock = lambda: AT
    notifier = PagerDuty(transport, url=pagerduty.url, routing_key=lambda: standin.ROUTING_KEY)
    await notifier.deliver(a_delivery())
    await pagerduty.expect_call()
    return pagerduty


async def test_what_nobody_owns_is_nobodys(rest: PagerDutyRest, account: standin.PagerDuty) -> None:
    assert KEY in account.open_alerts
    assert await rest.owned(ASKED) == []
    assert await rest.owned([OpenThere("unknown", "")]) == []
    assert await rest.owned([]) == []


async def test_who_acknowledged_it_owns_it_since_then(rest: PagerDutyRest, account: standin.PagerDuty) -> None:
    await account.acknowledge(KEY, by="Ana\nExample")
    assert await rest.owned(ASKED) == [Owned(KEY, "Ana Example", AT)]


async def test_who_resolved_it_ended_it(rest: PagerDutyRest, account: standin.PagerDuty) -> None:
    await account.acknowledge(KEY)
    await account.resolve(KEY, by="Ben Example")
    assert await rest.owned(ASKED) == [Owned(KEY, "Ben Example", AT, is_over=True)]


@pytest.mark.parametrize(
    ("status", "reason"),
    [(401, "unauthorised"), (403, "unauthorised"), (429, "rate_limited"), (500, "server_error"), (204, "unreadable")],
)
async def test_what_cannot_be_asked_says_why(
    rest: PagerDutyRest, pagerduty_api: standin.PagerDutyApi, status: int, reason: str
) -> None:
    pagerduty_api.fail_next(status)
    outcome = await rest.owned(ASKED)
    assert isinstance(outcome, NotAsked)
    assert outcome.reason.startswith(reason)
    assert standin.API_TOKEN not in outcome.reason


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "{}",
        '{"incidents": 1}',
        '{"incidents": [1]}',
        '{"incidents": [{"status": 7}]}',
        '{"incidents": [{"status": "acknowledged", "acknowledgements": [7]}]}',
        "<html>",
    ],
)
async def test_what_makes_no_sense_owns_nothing(
    rest: PagerDutyRest, pagerduty_api: standin.PagerDutyApi, body: str
) -> None:
    pagerduty_api.fail_next(200, body=body)
    outcome = await rest.owned(ASKED)
    assert outcome == [] or isinstance(outcome, NotAsked)


async def test_a_token_that_cannot_be_read_says_so(transport: Transport) -> None:
    def unreadable() -> str:
        raise OSError("secret-in-the-error")

    outcome = await PagerDutyRest(transport, api_token=unreadable).owned(ASKED)
    assert isinstance(outcome, NotAsked)
    assert "secret-in-the-error" not in outcome.reason
