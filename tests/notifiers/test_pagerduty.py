"""PagerDuty: what rings, what stops ringing, and that no event is too large to be taken."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sevrouter.domain.delivery import Delivered, NoticeKind, OutcomeReason, Rejected, Retry, Unknown
from sevrouter.domain.sev import Sev
from sevrouter.notifiers.pagerduty import LARGEST_EVENT, SCHEDULE, PagerDuty, trigger
from tests.notifiers.notices import HINT, a_delivery, a_notice
from tests.standins import pagerduty as standin

if TYPE_CHECKING:
    from sevrouter.domain.delivery import Notice
    from sevrouter.notifiers.http import Transport

KEY = a_notice().key


def trigger_of(notice: Notice, *, routing_key: str) -> dict[str, object]:
    """The event that opens an alert."""
    return trigger(notice, dedup_key=notice.key, routing_key=routing_key)


@pytest.fixture
def notifier(pagerduty: standin.PagerDuty, transport: Transport) -> PagerDuty:
    return PagerDuty(transport, url=f"{pagerduty.url}/", routing_key=lambda: standin.ROUTING_KEY)


async def test_an_opened_incident_rings_with_all_that_explains_it(
    notifier: PagerDuty, pagerduty: standin.PagerDuty
) -> None:
    outcome = await notifier.deliver(a_delivery())
    assert outcome == Delivered(reference=KEY, detail="answered 202: Event processed")
    call = await pagerduty.expect_call(r"checkout: too many errors", severity="critical", dedup_key=KEY)
    assert call.payload["component"] == "checkout"
    assert call.payload["group"] == "eu-1"
    assert call.payload["class"] == "HighErrorRate"
    assert call.payload["source"] == "10.0.0.1:9090"
    assert call.payload["timestamp"] == "2026-01-31T09:00:00+00:00"
    assert [link["href"] for link in call.links] == [
        "https://runbooks.example/checkout?a=1&b=2",
        "http://prometheus.example/graph",
    ]
    details = call.payload["custom_details"]
    assert details == {
        "SEV": "SEV-2",
        "State": "opened",
        "System": "checkout",
        "Owner": "payments",
        "Since": "2026-01-31 09:00:00 UTC",
        "Firing": "3",
        "Why": list(a_notice().why),
        "Incident": f"{KEY} · configuration c0ffee12",
        "Description": a_notice().description,
        "Labels": dict(a_notice().labels),
    }


@pytest.mark.parametrize(
    ("sev", "severity"),
    [
        (Sev.SEV_1, "critical"),
        (Sev.SEV_2, "critical"),
        (Sev.SEV_3, "error"),
        (Sev.SEV_4, "warning"),
        (Sev.SEV_5, "info"),
    ],
)
async def test_each_sev_is_one_of_their_four_words(
    notifier: PagerDuty, pagerduty: standin.PagerDuty, sev: Sev, severity: str
) -> None:
    await notifier.deliver(a_delivery(sev=sev))
    await pagerduty.expect_call(severity=severity)


async def test_a_deployment_that_it_may_come_from_is_among_the_details(
    notifier: PagerDuty, pagerduty: standin.PagerDuty
) -> None:
    await notifier.deliver(a_delivery(deployments=(HINT,)))
    details = (await pagerduty.expect_call()).payload["custom_details"]
    assert isinstance(details, dict)
    assert details["Deployed recently"] == [HINT]


async def test_an_unsure_sev_is_told_as_such(notifier: PagerDuty, pagerduty: standin.PagerDuty) -> None:
    await notifier.deliver(a_delivery(unsure=True))
    details = (await pagerduty.expect_call()).payload["custom_details"]
    assert isinstance(details, dict)
    assert details["SEV"] == "SEV-2, unsure"


async def test_a_rise_goes_to_the_open_alert(notifier: PagerDuty, pagerduty: standin.PagerDuty) -> None:
    await notifier.deliver(a_delivery())
    await pagerduty.expect_call()
    await notifier.deliver(
        a_delivery(NoticeKind.ROSE, sev=Sev.SEV_1, previous_sev=Sev.SEV_2, title="[SEV-1] checkout: worse")
    )
    update = await pagerduty.expect_update("SEV-1", dedup_key=KEY)
    assert json.dumps(update.payload["custom_details"]).count("rose from SEV-2") == 1
    assert list(pagerduty.open_alerts) == [KEY]


async def test_a_resolve_closes_the_alert_and_nothing_rings(notifier: PagerDuty, pagerduty: standin.PagerDuty) -> None:
    await notifier.deliver(a_delivery())
    await pagerduty.expect_call()
    assert isinstance(await notifier.deliver(a_delivery(NoticeKind.RESOLVED)), Delivered)
    await pagerduty.expect_resolve(KEY)
    assert pagerduty.open_alerts == {}
    assert pagerduty.requests[-1].json == {
        "routing_key": standin.ROUTING_KEY,
        "dedup_key": KEY,
        "event_action": "resolve",
    }


async def test_a_reopened_incident_rings_again(notifier: PagerDuty, pagerduty: standin.PagerDuty) -> None:
    for kind in (NoticeKind.OPENED, NoticeKind.RESOLVED, NoticeKind.REOPENED):
        await notifier.deliver(a_delivery(kind))
    await pagerduty.expect_call()
    await pagerduty.expect_resolve()
    await pagerduty.expect_call()


async def test_what_somebody_owns_elsewhere_rings_no_more(notifier: PagerDuty, pagerduty: standin.PagerDuty) -> None:
    await notifier.deliver(a_delivery())
    await pagerduty.expect_call()
    for _ in range(2):
        outcome = await notifier.deliver(a_delivery(NoticeKind.ACKNOWLEDGED, reference=KEY))
        assert isinstance(outcome, Delivered)
        assert outcome.reference == KEY
    await pagerduty.expect_acknowledge(KEY)


@pytest.mark.parametrize(
    ("kind", "acknowledged_by"), [(NoticeKind.ACK_ENDED, None), (NoticeKind.ROSE, "ana")], ids=["time ran out", "rose"]
)
async def test_what_was_owned_rings_by_another_alert_and_the_old_one_is_over(
    notifier: PagerDuty, pagerduty: standin.PagerDuty, kind: NoticeKind, acknowledged_by: str | None
) -> None:
    await notifier.deliver(a_delivery())
    await pagerduty.expect_call()
    await notifier.deliver(a_delivery(NoticeKind.ACKNOWLEDGED, reference=KEY))
    await pagerduty.expect_acknowledge(KEY)
    again = a_delivery(kind, reference=KEY, acknowledged_by=acknowledged_by, sev=Sev.SEV_1)
    outcome = await notifier.deliver(again)
    assert isinstance(outcome, Delivered)
    call = await pagerduty.expect_call()
    assert call.dedup_key == outcome.reference
    assert call.dedup_key.startswith(f"{KEY}/")
    await pagerduty.expect_resolve(KEY)
    # The same again, because nobody knows whether it was done, rings nobody.
    assert await notifier.deliver(again) == outcome
    await notifier.deliver(a_delivery(NoticeKind.ACKNOWLEDGED, reference=outcome.reference))
    await pagerduty.expect_acknowledge(call.dedup_key)
    await notifier.deliver(a_delivery(NoticeKind.RESOLVED, reference=outcome.reference))
    await pagerduty.expect_resolve(call.dedup_key)
    assert pagerduty.open_alerts == {}


async def test_what_cannot_be_resolved_yet_is_resolved_with_what_rings_instead(
    notifier: PagerDuty, pagerduty: standin.PagerDuty
) -> None:
    await notifier.deliver(a_delivery())
    await pagerduty.expect_call()
    pagerduty.per_minute = 2
    outcome = await notifier.deliver(a_delivery(NoticeKind.ACK_ENDED, reference=KEY))
    assert isinstance(outcome, Delivered)
    assert outcome.reference is not None
    call = await pagerduty.expect_call()
    assert outcome.reference == f"{KEY} {call.dedup_key}"
    pagerduty.a_minute_passes()
    await notifier.deliver(a_delivery(NoticeKind.RESOLVED, reference=outcome.reference))
    await pagerduty.expect_resolve(KEY)
    await pagerduty.expect_resolve(call.dedup_key)


async def test_the_bridge_is_a_link_and_a_detail(notifier: PagerDuty, pagerduty: standin.PagerDuty) -> None:
    await notifier.deliver(a_delivery(bridge="https://meet.example.com/1", bridge_dial="+49301,,7#"))
    call = await pagerduty.expect_call()
    assert {"href": "https://meet.example.com/1", "text": "Bridge"} in call.links
    details = call.payload["custom_details"]
    assert isinstance(details, dict)
    assert details["Bridge"] == "https://meet.example.com/1 or dial +49301,,7#"


async def test_the_same_again_after_a_lost_answer_rings_once(notifier: PagerDuty, pagerduty: standin.PagerDuty) -> None:
    pagerduty.lose_answer()
    assert isinstance(await notifier.deliver(a_delivery()), Unknown)
    assert isinstance(await notifier.deliver(a_delivery(unknowns=1)), Delivered)
    await pagerduty.expect_call()


async def test_their_rate_limit_is_a_retry(notifier: PagerDuty, pagerduty: standin.PagerDuty) -> None:
    pagerduty.per_minute = 1
    await notifier.deliver(a_delivery())
    await pagerduty.expect_call()
    outcome = await notifier.deliver(a_delivery())
    assert isinstance(outcome, Retry)
    assert outcome.reason is OutcomeReason.RATE_LIMITED
    pagerduty.a_minute_passes()
    assert isinstance(await notifier.deliver(a_delivery()), Delivered)


async def test_a_wrong_key_is_said_in_their_words(pagerduty: standin.PagerDuty, transport: Transport) -> None:
    pagerduty.allow_refusals()
    outcome = await PagerDuty(transport, url=pagerduty.url, routing_key=lambda: "too short").deliver(a_delivery())
    assert outcome == Rejected(
        OutcomeReason.REFUSED,
        "answered 400: Event object is invalid; Length of 'routing_key' is incorrect (should be 32 characters)",
    )


def test_an_event_that_fits_is_not_cut() -> None:
    notice = a_notice(description="x" * 8_000, labels={f"l{number}": "v" * 300 for number in range(30)})
    payload = trigger_of(notice, routing_key="r")["payload"]
    assert isinstance(payload, dict)
    assert payload["custom_details"]["Labels"] == notice.labels
    assert payload["custom_details"]["Description"] == notice.description


@pytest.mark.parametrize(
    ("field", "value", "kept"),
    [
        ("labels", {"a": "数" * 200_000}, {"Description", "Why"}),
        ("description", "数" * 200_000, {"Why"}),
        ("why", ("数" * 100_000,) * 9, set()),
    ],
)
def test_an_event_that_is_too_large_loses_what_is_needed_least(field: str, value: Any, kept: set[str]) -> None:
    whole = trigger_of(a_notice(**{field: value}), routing_key="r")
    assert len(json.dumps(whole)) <= LARGEST_EVENT
    payload = whole["payload"]
    assert isinstance(payload, dict)
    details = payload["custom_details"]
    assert {name for name in ("Labels", "Description", "Why") if details[name] != "left out: too long"} == kept
    assert details["SEV"] == "SEV-2"


def test_the_longest_title_is_cut_to_their_limit() -> None:
    payload = trigger_of(a_notice(title="é" * 5_000), routing_key="r")["payload"]
    assert isinstance(payload, dict)
    assert len(payload["summary"]) == 1_024
    assert payload["summary"].endswith("…")


def test_nothing_in_an_alert_chooses_the_key_the_action_or_the_address() -> None:
    labels = {"routing_key": "evil", "event_action": "resolve", "dedup_key": "evil", "url": "http://evil.example"}
    whole = trigger_of(a_notice(labels=labels, description="http://evil.example"), routing_key="right")
    assert (whole["routing_key"], whole["event_action"], whole["dedup_key"]) == ("right", "trigger", KEY)
    assert "evil" not in json.dumps(whole["links"])


def test_the_same_notice_is_the_same_event() -> None:
    assert trigger_of(a_notice(), routing_key="r") == trigger_of(a_notice(), routing_key="r")


def test_a_call_is_tried_at_least_twice_a_minute() -> None:
    assert SCHEDULE.first.total_seconds() == 1
    assert SCHEDULE.longest.total_seconds() == 30
    assert SCHEDULE.settle == ()
