"""The contract of every integration: what each way to fail comes to, and that nothing leaks or breaks out."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from sevrouter.domain.delivery import Delivered, Outcome, OutcomeReason, Rejected, Retry, Unknown
from sevrouter.notifiers.http import LONGEST_ANSWER
from tests.notifiers.notices import INJECTIONS, a_delivery, nasty

if TYPE_CHECKING:
    from sevrouter.engine.ports import Notifier
    from tests.notifiers.conftest import Rig

R = OutcomeReason
Expected = tuple[type[Outcome], OutcomeReason]

# A status with an empty body, for all of them, and then where they differ.
EVERYWHERE: dict[int, Expected] = {
    301: (Rejected, R.REFUSED),
    302: (Rejected, R.REFUSED),
    307: (Rejected, R.REFUSED),
    308: (Rejected, R.REFUSED),
    400: (Rejected, R.REFUSED),
    401: (Rejected, R.UNAUTHORISED),
    402: (Rejected, R.REFUSED),
    403: (Rejected, R.UNAUTHORISED),
    404: (Rejected, R.NOT_FOUND),
    409: (Rejected, R.REFUSED),
    410: (Rejected, R.REFUSED),
    413: (Rejected, R.REFUSED),
    422: (Rejected, R.REFUSED),
    429: (Retry, R.RATE_LIMITED),
    204: (Unknown, R.UNREADABLE_ANSWER),
}
ELSEWHERE: dict[str, dict[int, Expected]] = {
    "pagerduty": {
        200: (Unknown, R.UNREADABLE_ANSWER),
        202: (Delivered, R.ACCEPTED),
        408: (Retry, R.TIMED_OUT),
        **dict.fromkeys((500, 502, 503, 504), (Retry, R.SERVER_ERROR)),
    },
    "slack": {
        200: (Unknown, R.UNREADABLE_ANSWER),
        201: (Unknown, R.UNREADABLE_ANSWER),
        408: (Unknown, R.TIMED_OUT),
        **dict.fromkeys((500, 502, 503, 504), (Unknown, R.SERVER_ERROR)),
    },
    "jira": {
        200: (Rejected, R.UNREADABLE_ANSWER),
        201: (Unknown, R.UNREADABLE_ANSWER),
        408: (Unknown, R.TIMED_OUT),
        **dict.fromkeys((500, 502, 503, 504), (Unknown, R.SERVER_ERROR)),
    },
    "pagertree": {
        200: (Unknown, R.UNREADABLE_ANSWER),
        201: (Unknown, R.UNREADABLE_ANSWER),
        408: (Unknown, R.TIMED_OUT),
        503: (Retry, R.SERVER_ERROR),
        **dict.fromkeys((500, 502, 504), (Unknown, R.SERVER_ERROR)),
    },
    "pagertree-webhook": {
        **dict.fromkeys((200, 201, 202, 204), (Delivered, R.ACCEPTED)),
        408: (Unknown, R.TIMED_OUT),
        503: (Retry, R.SERVER_ERROR),
        **dict.fromkeys((500, 502, 504), (Unknown, R.SERVER_ERROR)),
    },
    "webhook": {
        **dict.fromkeys((200, 201, 202, 204), (Delivered, R.ACCEPTED)),
        408: (Retry, R.TIMED_OUT),
        503: (Retry, R.SERVER_ERROR),
        **dict.fromkeys((500, 502, 504), (Unknown, R.SERVER_ERROR)),
    },
}


def is_(outcome: Outcome, expected: Expected) -> bool:
    return (type(outcome), outcome.reason) == expected


async def test_what_is_taken_is_delivered_with_a_reference(rig: Rig) -> None:
    outcome = await rig.notifier.deliver(a_delivery())
    await rig.claim()
    assert is_(outcome, (Delivered, R.ACCEPTED))
    assert isinstance(outcome, Delivered)
    assert outcome.reference


async def test_each_status_has_its_outcome(rig: Rig) -> None:
    for status, expected in (EVERYWHERE | ELSEWHERE[rig.name]).items():
        rig.vendor.fail_next(status, headers={"Location": "/elsewhere"})
        outcome = await rig.notifier.deliver(a_delivery())
        assert is_(outcome, expected), f"{status}: {outcome}"
        assert isinstance(outcome, Delivered) or str(status) in outcome.detail


async def test_each_status_has_its_outcome_whatever_page_a_proxy_puts_there(rig: Rig) -> None:
    for status, expected in (EVERYWHERE | ELSEWHERE[rig.name]).items():
        for content_type in ("text/html", "application/json", "text/plain"):
            rig.vendor.fail_next(status, body="<html>log in</html>" * (status != 204), content_type=content_type)
            outcome = await rig.notifier.deliver(a_delivery())
            assert is_(outcome, expected), f"{status} {content_type}: {outcome}"


async def test_a_redirect_is_not_followed(rig: Rig) -> None:
    rig.vendor.fail_next(307, headers={"Location": "/rest/api/3/issue"})
    await rig.notifier.deliver(a_delivery())
    assert len(rig.vendor.requests) == 1


@pytest.mark.parametrize(
    "body",
    ["", "null", "[]", '"ok"', "7", "{", "\udcff", "[" * 100_000, '{"ok": 1}', '{"key": 7}', '{"ok": true}', "NaN"],
    ids=lambda body: body[:8] or "empty",
)
async def test_an_answer_that_says_nothing_is_never_taken_for_a_refusal_or_a_success(
    reading_rig: Rig, body: str
) -> None:
    status = {"pagerduty": 200, "slack": 200, "jira": 201, "pagertree": 201}[reading_rig.name]
    reading_rig.vendor.fail_next(status, body=body.encode(errors="surrogateescape"))
    outcome = await reading_rig.notifier.deliver(a_delivery())
    assert is_(outcome, (Unknown, R.UNREADABLE_ANSWER))


async def test_an_answer_without_an_end_is_cut(rig: Rig) -> None:
    rig.vendor.fail_next(400, body=" " * LONGEST_ANSWER + '{"message": "too far away to be read"}')
    outcome = await rig.notifier.deliver(a_delivery())
    assert is_(outcome, (Rejected, R.REFUSED))
    assert outcome.detail == "answered 400"


@pytest.mark.parametrize(("text", "seconds"), [("7", 7), (" 120 ", 120), ("0", 0), ("86400", 3600), ("1e300", 3600)])
async def test_retry_after_in_seconds_is_honoured_up_to_an_hour(rig: Rig, text: str, seconds: int) -> None:
    rig.vendor.fail_next(429, headers={"Retry-After": text})
    outcome = await rig.notifier.deliver(a_delivery())
    assert isinstance(outcome, Retry)
    assert outcome.not_before is not None
    assert abs(outcome.not_before - datetime.now(UTC) - timedelta(seconds=seconds)) < timedelta(seconds=2)


@pytest.mark.parametrize("text", ["", "soon", "-1", "nan", "Wed, 99 Foo 2026", "٣", "0x10"])
async def test_a_retry_after_that_means_nothing_is_ignored(rig: Rig, text: str) -> None:
    rig.vendor.fail_next(429, headers={"Retry-After": text.encode().decode("latin-1")})
    outcome = await rig.notifier.deliver(a_delivery())
    assert is_(outcome, (Retry, R.RATE_LIMITED))
    assert isinstance(outcome, Retry)
    assert outcome.not_before is None


async def test_a_refused_connection_is_known_not_to_be_done(rig: Rig) -> None:
    await rig.vendor.go_down()
    assert is_(await rig.notifier.deliver(a_delivery()), (Retry, R.UNREACHABLE))


async def test_after_an_outage_the_same_notifier_delivers(rig: Rig) -> None:
    await rig.vendor.go_down()
    await rig.notifier.deliver(a_delivery())
    await rig.vendor.come_back()
    assert isinstance(await rig.notifier.deliver(a_delivery()), Delivered)
    await rig.claim()


async def test_a_reset_before_the_answer_is_unknown(rig: Rig) -> None:
    rig.vendor.reset_before()
    assert is_(await rig.notifier.deliver(a_delivery()), (Unknown, R.CONNECTION_LOST))
    assert len(rig.vendor.requests) == 1, "a notifier never retries, nor does its client"


async def test_a_lost_answer_is_unknown_although_it_was_done(rig: Rig) -> None:
    rig.vendor.lose_answer()
    assert is_(await rig.notifier.deliver(a_delivery()), (Unknown, R.CONNECTION_LOST))
    await rig.claim()


async def test_no_answer_in_time_is_unknown(impatient_rig: Rig) -> None:
    impatient_rig.vendor.hang()
    assert is_(await impatient_rig.notifier.deliver(a_delivery()), (Unknown, R.TIMED_OUT))


async def test_a_cut_body_is_unknown_whatever_its_status(rig: Rig) -> None:
    rig.vendor.fail_next(400, headers={"Content-Encoding": "gzip"}, body="this is not gzip")
    assert is_(await rig.notifier.deliver(a_delivery()), (Unknown, R.CONNECTION_LOST))


def echoes(rig: Rig) -> list[str]:
    """The forms in which a service says a secret again."""
    secret = rig.secret
    sent = f"bot@example.com:{secret}" if rig.name == "jira" else secret
    encoded = base64.b64encode(sent.encode()).decode()
    return [secret, secret.lower(), f"x{secret}x{secret}", quote(f"a {sent}"), json.dumps(sent), encoded]


@pytest.mark.parametrize("status", [400, 401, 429, 500])
async def test_an_echoed_secret_is_not_told_on(rig: Rig, status: int) -> None:
    for echo in echoes(rig):
        document = {"ok": False, "error": echo, "message": echo, "errors": {"a": echo}, "errorMessages": [echo]}
        for body in (json.dumps(document), echo, "x" * 220 + echo):
            rig.vendor.fail_next(status, body=body)
            outcome = await rig.notifier.deliver(a_delivery())
            for form in (rig.secret, echoes(rig)[-1]):
                # Nor a good part of one, at the end of what is cut.
                assert form[:12].lower() not in repr(outcome).lower()


async def test_an_unreadable_secret_sends_nothing(rig: Rig) -> None:
    def gone() -> str:
        raise OSError(f"no such file, it held {rig.secret}")

    outcome = await rig.make(gone).deliver(a_delivery())
    assert is_(outcome, (Retry, R.SECRET_UNREADABLE))
    assert rig.secret not in repr(outcome)
    assert rig.vendor.requests == []


@pytest.mark.parametrize("secret", ["", "two\nlines", "with\rreturn", "nul\x00", "schlüssel"])
async def test_a_secret_that_no_header_can_carry_sends_nothing(rig: Rig, secret: str) -> None:
    outcome = await rig.make(lambda: secret).deliver(a_delivery())
    assert is_(outcome, (Retry, R.SECRET_UNREADABLE))
    assert rig.vendor.requests == []


async def test_a_rotated_secret_is_used_at_the_next_attempt(rig: Rig) -> None:
    secrets = iter(["an old one that is no longer right", rig.secret])
    notifier = rig.make(lambda: next(secrets))
    rig.vendor.allow_refusals()
    assert isinstance(await notifier.deliver(a_delivery()), Rejected)
    assert isinstance(await notifier.deliver(a_delivery()), Delivered)
    await rig.claim()


async def test_a_hundred_kilobytes_of_chinese_with_markup_are_taken(rig: Rig) -> None:
    text = '数据库<!channel>&<b>磁盘"已满"\\' * 6_000
    outcome = await rig.notifier.deliver(a_delivery(**{**nasty(text), "why": (text,) * 40}))
    assert isinstance(outcome, Delivered), outcome
    await rig.claim()


@pytest.mark.parametrize("text", [*INJECTIONS, "", "🔥" * 5_000, "e\u0301" * 3_000, "&" * 9_000, '"' * 40_000])
async def test_whatever_an_alert_says_is_taken(rig: Rig, text: str) -> None:
    outcome = await rig.notifier.deliver(a_delivery(**nasty(text)))
    assert isinstance(outcome, Delivered), outcome
    await rig.claim()


async def test_an_incident_of_which_nothing_is_known_is_told(rig: Rig) -> None:
    bare = a_delivery(system=None, why=(), labels={}, links={}, description="", title="")
    assert isinstance(await rig.notifier.deliver(bare), Delivered)
    await rig.claim()


async def test_details_are_one_clean_line(rig: Rig) -> None:
    body = json.dumps({"message": "first\nsecond \x1b[31mred\u2028third", "errorMessages": ["x" * 5_000], "error": "e"})
    rig.vendor.fail_next(400, body=body)
    outcome = await rig.notifier.deliver(a_delivery())
    assert outcome.detail.isprintable()
    assert len(outcome.detail) < 300


async def test_the_notifier_is_one(rig: Rig) -> None:
    notifier: Notifier = rig.notifier
    assert "secret" not in vars(notifier)
    assert rig.secret not in repr(vars(notifier))
