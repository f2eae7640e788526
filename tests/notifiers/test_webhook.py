"""Our own webhook: what is posted, that its signature is what the documentation says, and that it stays small."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sevrouter.domain.delivery import Delivered, NoticeKind, OutcomeReason, Rejected, Retry, Unknown
from sevrouter.domain.sev import Sev
from sevrouter.notifiers.webhook import LARGEST_BODY, SCHEDULE, Webhook, document, event_id_of, signature
from tests.notifiers.notices import HINT, NOW, a_delivery, a_notice
from tests.standins import hook as standin

if TYPE_CHECKING:
    from collections.abc import Callable

    from sevrouter.notifiers.http import Transport

KEY = a_notice().key
DOCUMENTATION = (Path(__file__).parents[2] / "docs" / "webhook-out.md").read_text()


@pytest.fixture
def notifier(hook: standin.Hook, transport: Transport) -> Webhook:
    return Webhook(
        transport,
        url=lambda: hook.hook_url,
        secrets=[lambda: standin.SIGNING_KEY, lambda: "an older one"],
        bearer_token=lambda: standin.BEARER_TOKEN,
    )


async def test_an_event_says_all_that_there_is(notifier: Webhook, hook: standin.Hook) -> None:
    delivery = a_delivery(
        NoticeKind.ROSE,
        sev=Sev.SEV_1,
        previous_sev=Sev.SEV_2,
        deployments=(HINT,),
        bridge="https://meet.example/major",
        bridge_dial="+49301234,,77#",
        acknowledged_by="ana",
        note="more users",
    )
    assert await notifier.deliver(delivery) == Delivered(KEY)
    event = await hook.expect_event("rose")
    assert event.document == {
        "version": 1,
        "event_id": f"{KEY}-7",
        "kind": "rose",
        "key": KEY,
        "incident_id": 1,
        "sev": "SEV-1",
        "previous_sev": "SEV-2",
        "unsure": False,
        "title": "[SEV-2] checkout: too many errors (HighErrorRate)",
        "note": "more users",
        "description": a_notice().description,
        "system": "checkout",
        "owner": "payments",
        "why": list(a_notice().why),
        "labels": dict(a_notice().labels),
        "links": dict(a_notice().links),
        "deployments": [HINT],
        "suppressed": None,
        "bridge": {"url": "https://meet.example/major", "dial": "+49301234,,77#"},
        "acknowledged_by": "ana",
        "firing": 3,
        "opened_at": "2026-01-31T09:00:00Z",
        "at": "2026-01-31T09:05:00Z",
        "config_hash": "c0ffee12",
        "left_out": [],
    }
    assert hook.requests[0].headers["Authorization"] == f"Bearer {standin.BEARER_TOKEN}"


@pytest.mark.parametrize("kind", NoticeKind)
async def test_every_kind_of_notice_is_posted(notifier: Webhook, hook: standin.Hook, kind: NoticeKind) -> None:
    assert isinstance(await notifier.deliver(a_delivery(kind)), Delivered)
    await hook.expect_event(kind.value)


async def test_the_same_event_comes_with_the_same_id_and_is_taken_once(notifier: Webhook, hook: standin.Hook) -> None:
    hook.lose_answer()
    assert isinstance(await notifier.deliver(a_delivery()), Unknown)
    assert isinstance(await notifier.deliver(a_delivery(unknowns=1)), Delivered)
    assert (await hook.expect_event()).event_id == f"{KEY}-7"
    assert [each.headers["X-Sevrouter-Delivery"] for each in hook.requests] == [f"{KEY}-7"] * 2


def sample() -> Callable[..., bool]:
    """The verification as the documentation shows it."""
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENTATION, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102  it is ours, and has to work
    found: Callable[..., bool] = names["is_from_sevrouter"]
    return found


async def test_the_documented_verification_takes_what_is_sent(notifier: Webhook, hook: standin.Hook) -> None:
    await notifier.deliver(a_delivery())
    await hook.expect_event()
    (seen,) = hook.requests
    header = seen.headers["X-Sevrouter-Signature"]
    assert sample()(seen.body, header, standin.SIGNING_KEY)
    assert not sample()(seen.body + b" ", header, standin.SIGNING_KEY)
    assert not sample()(seen.body, header, "another key")


@pytest.mark.parametrize(
    ("header", "now"),
    [
        ("", NOW),
        ("t=,v1=", NOW),
        ("t=x,v1=00", NOW),
        ("t=²,v1=00", NOW),
        ("v1=00", NOW),
        ("t=1769850300", NOW),
        ("t=1769850300,v1=é", NOW),
        (signature(b"{}", secret="k", at=NOW), NOW + timedelta(seconds=301)),
        (signature(b"{}", secret="k", at=NOW), NOW - timedelta(seconds=301)),
        (signature(b"{}", secret="k", at=NOW).replace("t=17", "t=18"), NOW),
    ],
)
def test_the_documented_verification_refuses_all_else(header: str, now: datetime) -> None:
    assert sample()(b"{}", signature(b"{}", secret="k", at=now), "k", now=now.timestamp())
    assert not sample()(b"{}", header, "k", now=now.timestamp())


def test_every_field_is_documented() -> None:
    rows = re.findall(r"^\| (`.*?) \|", DOCUMENTATION, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert json.loads(document(a_delivery())).keys() <= named


async def test_it_is_signed_at_the_time_of_the_attempt(hook: standin.Hook, transport: Transport) -> None:
    hook.allow_refusals()
    old = datetime.now(UTC) - timedelta(minutes=6)
    late = Webhook(transport, url=lambda: hook.hook_url, secrets=[lambda: standin.SIGNING_KEY], clock=lambda: old)
    outcome = await late.deliver(a_delivery())
    assert outcome == Rejected(OutcomeReason.UNAUTHORISED, "answered 401: the signature is old")


@pytest.mark.parametrize(
    ("changes", "left_out"),
    [
        ({}, []),
        ({"labels": {f"l{number}": "数" * 4_000 for number in range(100)}}, ["labels"]),
        ({"why": ("数" * 100_000,) * 9}, ["labels", "description", "why"]),
        (
            {"why": ("x" * LARGEST_BODY,), "links": {"a": f"http://a.example/{'x' * LARGEST_BODY}"}},
            ["labels", "description", "why", "deployments", "links"],
        ),
    ],
)
def test_a_body_that_is_too_large_loses_what_is_needed_least(changes: dict[str, Any], left_out: list[str]) -> None:
    body = document(a_delivery(**changes))
    assert len(body) <= LARGEST_BODY
    whole = json.loads(body)
    assert whole["left_out"] == left_out
    assert not any(whole[name] for name in left_out)
    assert whole["title"] == a_notice().title


async def test_the_address_and_the_keys_are_not_told_on(notifier: Webhook, hook: standin.Hook) -> None:
    secrets = ("s3cr3t-path", "s3cr3t-query", standin.SIGNING_KEY[:12], standin.BEARER_TOKEN[:12])
    echo = f"{hook.hook_url} {standin.PATH} s3cr3t-query-0123456789 {standin.SIGNING_KEY} {standin.BEARER_TOKEN}"
    for status in (400, 429, 500):
        for body in (echo, json.dumps({"error": echo}), *echo.split()):
            hook.fail_next(status, body=body)
            outcome = repr(await notifier.deliver(a_delivery()))
            assert not any(secret in outcome for secret in secrets), outcome
    await hook.go_down()
    for _ in range(2):
        outcome = repr(await notifier.deliver(a_delivery()))
        assert not any(secret in outcome for secret in (*secrets, "127.0.0.1"))
    assert not any(secret in repr(vars(notifier)) for secret in secrets)


@pytest.mark.parametrize("url", ["hooks.example/x", "file:///etc/passwd", "https://"])
async def test_what_is_no_address_is_refused_without_telling_it(transport: Transport, url: str) -> None:
    outcome = await Webhook(transport, url=lambda: url, secrets=[lambda: "k"]).deliver(a_delivery())
    assert outcome == Rejected(OutcomeReason.NOT_CONFIGURED, "not an http(s) address")


async def test_an_unreadable_address_or_token_sends_nothing(hook: standin.Hook, transport: Transport) -> None:
    def gone() -> str:
        raise OSError("it held s3cr3t")

    keys = [lambda: standin.SIGNING_KEY]
    for notifier in (
        Webhook(transport, url=gone, secrets=keys),
        Webhook(transport, url=lambda: hook.hook_url, secrets=keys, bearer_token=gone),
    ):
        outcome = await notifier.deliver(a_delivery())
        assert outcome == Retry(OutcomeReason.SECRET_UNREADABLE, "the secret cannot be read: OSError")
    assert hook.requests == []


def test_an_event_is_named_by_its_incident_and_its_delivery() -> None:
    assert event_id_of(a_delivery()) == f"{KEY}-7"


def test_a_call_is_tried_at_least_twice_a_minute() -> None:
    assert (SCHEDULE.first.total_seconds(), SCHEDULE.longest.total_seconds(), SCHEDULE.settle) == (1, 30, ())
