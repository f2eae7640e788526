"""PagerTree by its webhook integration: ids that ring again, what is resolved, and an address that is not told on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sevrouter.domain.delivery import Delivered, NoticeKind, OutcomeReason, Rejected, Retry, Unknown
from sevrouter.domain.sev import Sev
from sevrouter.notifiers.pagertree_webhook import PagerTreeWebhook
from tests.notifiers.notices import NOW, a_delivery, a_notice
from tests.standins import pagertree as standin
from tests.standins.pagertree import Did

if TYPE_CHECKING:
    from sevrouter.notifiers.http import Transport

KEY = a_notice().key
AGAIN = f"{KEY}/ack_ended-{int(NOW.timestamp() * 1_000_000)}"


@pytest.fixture
def notifier(pagertree: standin.PagerTree, transport: Transport) -> PagerTreeWebhook:
    return PagerTreeWebhook(transport, url=lambda: pagertree.integration_url, token=lambda: standin.WEBHOOK_TOKEN)


async def test_an_opened_incident_rings(notifier: PagerTreeWebhook, pagertree: standin.PagerTree) -> None:
    assert await notifier.deliver(a_delivery()) == Delivered(KEY)
    event = dict((await pagertree.expect_call("too many errors", own_id=KEY)).document)
    assert str(event.pop("Description")).endswith(f"\n{KEY} · configuration c0ffee12")
    assert event == {
        "event_type": "create",
        "Id": KEY,
        "Title": "[SEV-2] checkout: too many errors (HighErrorRate)",
        "Urgency": "critical",
        "Meta": {"incident": True, "incident_severity": "SEV-2", "incident_message": "SEV-2 opened"},
    }


async def test_the_same_again_after_a_lost_answer_rings_once(
    notifier: PagerTreeWebhook, pagertree: standin.PagerTree
) -> None:
    pagertree.lose_answer()
    assert isinstance(await notifier.deliver(a_delivery()), Unknown)
    assert isinstance(await notifier.deliver(a_delivery(unknowns=1)), Delivered)
    await pagertree.expect_call()


async def test_a_rise_rings_by_another_id_and_any_replica_resolves_both(
    notifier: PagerTreeWebhook, pagertree: standin.PagerTree, transport: Transport
) -> None:
    await notifier.deliver(a_delivery())
    await notifier.deliver(a_delivery(NoticeKind.ACKNOWLEDGED))
    await notifier.deliver(a_delivery(NoticeKind.ROSE, sev=Sev.SEV_1, previous_sev=Sev.SEV_2))
    assert pagertree.standing == {KEY: ["resolved"], f"{KEY}/SEV-1": ["open"]}
    other = PagerTreeWebhook(transport, url=lambda: pagertree.integration_url, token=lambda: standin.WEBHOOK_TOKEN)
    assert isinstance(await other.deliver(a_delivery(NoticeKind.RESOLVED, sev=Sev.SEV_1)), Delivered)
    for own_id in (KEY, f"{KEY}/SEV-1"):
        await pagertree.expect_call(own_id=own_id)
        await pagertree.expect_action(Did.RESOLVED, own_id)
    await pagertree.expect_action(Did.ACKNOWLEDGED, KEY)


async def test_what_nobody_owns_any_more_rings_again_and_is_resolved(
    notifier: PagerTreeWebhook, pagertree: standin.PagerTree
) -> None:
    for kind in (NoticeKind.OPENED, NoticeKind.ACKNOWLEDGED, NoticeKind.ACK_ENDED, NoticeKind.RESOLVED):
        assert isinstance(await notifier.deliver(a_delivery(kind)), Delivered)
    for own_id in (KEY, AGAIN):
        await pagertree.expect_call(own_id=own_id)
        await pagertree.expect_action(Did.RESOLVED, own_id)
    await pagertree.expect_action(Did.ACKNOWLEDGED, KEY)


async def test_it_rings_although_what_was_before_is_not_resolved_and_that_is_tried_again(
    notifier: PagerTreeWebhook, pagertree: standin.PagerTree
) -> None:
    await notifier.deliver(a_delivery())
    pagertree.hang().release()
    pagertree.fail_next(500)
    outcome = await notifier.deliver(a_delivery(NoticeKind.ACK_ENDED))
    assert outcome == Delivered(AGAIN, detail="those before it are not resolved: answered 500")
    assert pagertree.standing == {KEY: ["open"], AGAIN: ["open"]}
    await notifier.deliver(a_delivery(NoticeKind.RESOLVED))
    assert pagertree.standing == {KEY: ["resolved"], AGAIN: ["resolved"]}
    pagertree.effects.clear()


async def test_a_reopened_incident_rings_again(notifier: PagerTreeWebhook, pagertree: standin.PagerTree) -> None:
    for kind in (NoticeKind.OPENED, NoticeKind.RESOLVED, NoticeKind.OPENED):
        await notifier.deliver(a_delivery(kind))
    assert pagertree.standing == {KEY: ["resolved", "open"]}
    pagertree.effects.clear()


async def test_a_resolve_that_failed_is_not_delivered(notifier: PagerTreeWebhook, pagertree: standin.PagerTree) -> None:
    await notifier.deliver(a_delivery())
    await pagertree.expect_call()
    pagertree.fail_next(503)
    assert isinstance(await notifier.deliver(a_delivery(NoticeKind.RESOLVED)), Retry)
    assert isinstance(await notifier.deliver(a_delivery(NoticeKind.RESOLVED)), Delivered)
    await pagertree.expect_action(Did.RESOLVED, KEY)


@pytest.mark.parametrize("status", [400, 401, 500])
async def test_their_address_is_not_told_on(
    notifier: PagerTreeWebhook, pagertree: standin.PagerTree, status: int
) -> None:
    for body in (pagertree.integration_url, f"no such integration {standin.INTEGRATION}", '{"error": "/integration"}'):
        pagertree.fail_next(status, body=body)
        assert standin.INTEGRATION not in repr(await notifier.deliver(a_delivery()))
    await pagertree.go_down()
    for _ in range(2):
        outcome = await notifier.deliver(a_delivery())
        assert isinstance(outcome, Retry | Unknown)
        assert "127.0.0.1" not in outcome.detail
    await pagertree.come_back()


@pytest.mark.parametrize("url", ["pagertree", "ftp://api.pagertree.com/x", "http://", "http://[::1/x", "http://:80/"])
async def test_what_is_no_address_is_refused_without_telling_it(transport: Transport, url: str) -> None:
    outcome = await PagerTreeWebhook(transport, url=lambda: url).deliver(a_delivery())
    assert outcome == Rejected(OutcomeReason.NOT_CONFIGURED, "not an http(s) address")


async def test_without_a_token_none_is_sent(pagertree: standin.PagerTree, transport: Transport) -> None:
    pagertree.allow_refusals()
    outcome = await PagerTreeWebhook(transport, url=lambda: pagertree.integration_url).deliver(a_delivery())
    assert outcome.reason is OutcomeReason.UNAUTHORISED
    assert "pagertree-token" not in pagertree.requests[0].headers
