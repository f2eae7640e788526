"""Slack: the message, its thread, who is mentioned, and Slack's own words for what went wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs

from sevrouter.domain.delivery import Delivered, NoticeKind, Outcome, OutcomeReason, Rejected, Retry, Unknown
from sevrouter.domain.sev import Sev
from sevrouter.notifiers.slack import Slack
from tests.notifiers.notices import INJECTIONS, PAYMENTS, TEAMS, a_delivery, a_notice, nasty
from tests.standins import slack as standin

if TYPE_CHECKING:
    from sevrouter.notifiers.http import Transport

R = OutcomeReason


@pytest.fixture
def notifier(slack: standin.Slack, transport: Transport) -> Slack:
    return Slack(transport, url=slack.base_url, token=lambda: standin.TOKEN, channel="C0DEFAULT", teams=TEAMS)


async def test_an_opened_incident_is_told_to_its_owners_with_all_that_explains_it(
    notifier: Slack, slack: standin.Slack
) -> None:
    outcome = await notifier.deliver(a_delivery())
    message = await slack.expect_message(r"\[SEV-2\] checkout: too many errors", channel="C0PAY")
    assert outcome == Delivered(reference=f"C0PAY:{message.ts}")
    for line in (
        "SEV: SEV-2",
        "State: opened",
        "System: checkout",
        "Owner: payments",
        "Since: 2026-01-31 09:00:00 UTC",
        "Firing: 3",
        a_notice().why[0],
        a_notice().why[1],
        "Since the last deployment.",
        "instance = 10.0.0.1:9090",
        f"{a_notice().key} · configuration c0ffee12",
    ):
        assert line in message.text
    assert message.links == tuple(a_notice().links.values())
    assert message.fallback == f"{a_notice().title} (opened)"


async def test_what_goes_on_is_told_in_the_thread(notifier: Slack, slack: standin.Slack) -> None:
    opened = await notifier.deliver(a_delivery())
    message = await slack.expect_message()
    assert isinstance(opened, Delivered)
    for kind, state in (
        (NoticeKind.ROSE, "rose from SEV-2"),
        (NoticeKind.RESOLVED, "resolved"),
        (NoticeKind.REOPENED, "reopened"),
    ):
        told = a_delivery(kind, reference=opened.reference, previous_sev=Sev.SEV_2, sev=Sev.SEV_1)
        assert await notifier.deliver(told) == opened, "the reference stays that of the thread"
        await slack.expect_reply(message, f"State: {state}")


@pytest.mark.parametrize(
    ("kind", "changes", "state"),
    [
        (NoticeKind.ROSE, {"sev": Sev.SEV_1, "title": "[SEV-1] worse"}, "open, and nobody owns it yet"),
        (NoticeKind.ACKNOWLEDGED, {"acknowledged_by": "ana"}, "acknowledged"),
        (NoticeKind.ROSE, {"acknowledged_by": "ana"}, "acknowledged"),
        (NoticeKind.SUPPRESSED, {"suppressed": "silenced"}, "suppressed"),
        (NoticeKind.UNANSWERED, {}, "nobody answers"),
        (NoticeKind.STALE, {}, "stale: nothing is heard of it"),
        (NoticeKind.RESOLVED, {}, "resolved"),
    ],
)
async def test_the_head_of_a_thread_says_how_it_stands_and_mentions_nobody(
    slack: standin.Slack, transport: Transport, kind: NoticeKind, changes: dict[str, Any], state: str
) -> None:
    notifier = Slack(transport, url=slack.base_url, token=lambda: standin.TOKEN, teams=TEAMS, buttons=True)
    opened = await notifier.deliver(a_delivery())
    assert isinstance(opened, Delivered)
    message = await slack.expect_message()
    told = a_delivery(kind, reference=opened.reference, note="What is new.", **changes)
    await notifier.deliver(told)
    await slack.expect_reply(message)
    head = await slack.expect_edit(message, f"State: {state}\n")
    assert head.fallback == f"{told.notice.title} ({state})"
    assert (head.mentions, head.links) == ((), tuple(told.notice.links.values()))
    assert a_notice().why[0] in head.text
    assert "What is new" not in head.text
    is_asking = kind is not NoticeKind.RESOLVED and "acknowledged_by" not in changes
    stays = [] if kind is NoticeKind.RESOLVED else ["resolve", "explain"]
    offered = [*(["acknowledge"] if is_asking else []), *stays]
    assert [each["action_id"] for each in standin.buttons_of(head)] == offered


@pytest.mark.parametrize("text", INJECTIONS)
async def test_nothing_in_a_head_that_is_edited_is_live(notifier: Slack, slack: standin.Slack, text: str) -> None:
    opened = await notifier.deliver(a_delivery())
    assert isinstance(opened, Delivered)
    message = await slack.expect_message()
    await notifier.deliver(a_delivery(NoticeKind.ROSE, reference=opened.reference, **nasty(text)))
    await slack.expect_reply(message)
    head = await slack.expect_edit(message)
    assert (head.mentions, head.links) == ((), tuple(a_notice().links.values()))


@pytest.mark.parametrize(
    ("status", "body"), [(429, '{"ok": false, "error": "ratelimited"}'), (500, ""), (200, "<html>")]
)
async def test_where_the_head_cannot_be_edited_yet_nothing_is_told_twice(
    notifier: Slack, slack: standin.Slack, status: int, body: str
) -> None:
    opened = await notifier.deliver(a_delivery())
    assert isinstance(opened, Delivered)
    message = await slack.expect_message()
    rose = a_delivery(NoticeKind.ROSE, reference=opened.reference)
    slack.fail_next(status, body=body, headers={"Retry-After": "30"})
    assert isinstance(await notifier.deliver(rose), Retry)
    assert await notifier.deliver(rose) == opened
    await slack.expect_reply(message, "rose")


@pytest.mark.parametrize(("status", "body"), [(429, '{"ok": false, "error": "ratelimited"}'), (500, "")])
async def test_a_head_that_can_never_be_edited_holds_a_reply_back_but_once(
    notifier: Slack, slack: standin.Slack, status: int, body: str
) -> None:
    opened = await notifier.deliver(a_delivery())
    assert isinstance(opened, Delivered)
    message = await slack.expect_message()
    slack.fail_next(status, body=body, headers={"Retry-After": "30"})
    again = structs.replace(a_delivery(NoticeKind.UNANSWERED, reference=opened.reference), attempts=2)
    assert await notifier.deliver(again) == opened
    await slack.expect_reply(message, "nobody answers")


@pytest.mark.parametrize("error", ["cant_update_message", "edit_window_closed", "message_not_found"])
async def test_a_head_that_may_not_be_edited_keeps_nobody_from_replying(
    notifier: Slack, slack: standin.Slack, error: str
) -> None:
    opened = await notifier.deliver(a_delivery())
    assert isinstance(opened, Delivered)
    message = await slack.expect_message()
    slack.fail_next(200, body=f'{{"ok": false, "error": "{error}"}}')
    assert await notifier.deliver(a_delivery(NoticeKind.ROSE, reference=opened.reference)) == opened
    await slack.expect_reply(message, "rose")


async def test_a_changed_configuration_still_finds_the_thread(slack: standin.Slack, transport: Transport) -> None:
    before = Slack(transport, url=slack.base_url, token=lambda: standin.TOKEN, channel="C0PAY")
    after = Slack(transport, url=slack.base_url, token=lambda: standin.TOKEN, channel="C0DEFAULT")
    opened = await before.deliver(a_delivery())
    message = await slack.expect_message(channel="C0PAY")
    assert isinstance(opened, Delivered)
    await after.deliver(a_delivery(NoticeKind.RESOLVED, reference=opened.reference))
    await slack.expect_reply(message, "resolved")


@pytest.mark.parametrize("kind", list(NoticeKind))
@pytest.mark.parametrize("reference", [None, "", "C0PAY", "C0PAY:", "C0PAY:1.2:3", "console-7", "C0PAY:<!channel>"])
async def test_without_a_thread_any_notice_opens_one(
    notifier: Slack, slack: standin.Slack, kind: NoticeKind, reference: str | None
) -> None:
    assert isinstance(await notifier.deliver(a_delivery(kind, reference=reference)), Delivered)
    await slack.expect_message(channel="C0PAY")


async def test_a_channel_by_name_gives_a_reference_by_id(slack: standin.Slack, transport: Transport) -> None:
    by_name = Slack(transport, url=slack.base_url, token=lambda: standin.TOKEN, channel="#pay")
    outcome = await by_name.deliver(a_delivery())
    await slack.expect_message(channel="C0PAY")
    assert isinstance(outcome, Delivered)
    assert str(outcome.reference).startswith("C0PAY:")


@pytest.mark.parametrize("owner", [None, "nobody knows them"])
async def test_what_nobody_owns_goes_to_the_default_channel(
    notifier: Slack, slack: standin.Slack, owner: str | None
) -> None:
    await notifier.deliver(a_delivery(owner=owner))
    message = await slack.expect_message(channel="C0DEFAULT")
    assert message.mentions == ()


async def test_a_team_without_a_channel_is_mentioned_in_the_default_one(
    slack: standin.Slack, transport: Transport
) -> None:
    teams = {"payments": replace(PAYMENTS, slack_channel=None)}
    notifier = Slack(transport, url=slack.base_url, token=lambda: standin.TOKEN, channel="C0DEFAULT", teams=teams)
    await notifier.deliver(a_delivery())
    assert (await slack.expect_message(channel="C0DEFAULT")).mentions == ("!subteam^S0PAY",)


async def test_without_any_channel_it_is_rejected_with_nothing_sent(slack: standin.Slack, transport: Transport) -> None:
    notifier = Slack(transport, url=slack.base_url, token=lambda: standin.TOKEN)
    outcome = await notifier.deliver(a_delivery())
    assert outcome == Rejected(R.NOT_CONFIGURED, "neither payments nor Slack has a channel")
    assert slack.requests == []


@pytest.mark.parametrize(
    ("mention", "mentions"),
    [
        ("S0PAY", ("!subteam^S0PAY",)),
        ("U0ANA", ("@U0ANA",)),
        ("W0ANA", ("@W0ANA",)),
        (None, ()),
        ("@here", ()),
        ("!channel", ()),
        ("U0ANA> <!channel", ()),
    ],
)
async def test_the_owners_are_mentioned_and_nobody_else(
    slack: standin.Slack, transport: Transport, mention: str | None, mentions: tuple[str, ...]
) -> None:
    teams = {"payments": replace(PAYMENTS, slack_mention=mention)}
    notifier = Slack(transport, url=slack.base_url, token=lambda: standin.TOKEN, teams=teams)
    await notifier.deliver(a_delivery())
    assert (await slack.expect_message()).mentions == mentions


@pytest.mark.parametrize("sev", list(Sev))
@pytest.mark.parametrize("kind", list(NoticeKind))
async def test_only_what_cannot_wait_mentions_the_owners(
    notifier: Slack, slack: standin.Slack, sev: Sev, kind: NoticeKind
) -> None:
    await notifier.deliver(a_delivery(kind, sev=sev))
    gets_worse = {NoticeKind.OPENED, NoticeKind.ROSE, NoticeKind.REOPENED, NoticeKind.UNSUPPRESSED}
    gets_worse |= {NoticeKind.ACK_ENDED, NoticeKind.UNANSWERED}
    urgent = sev in (Sev.SEV_1, Sev.SEV_2, Sev.SEV_3) and kind in gets_worse
    assert bool((await slack.expect_message()).mentions) is urgent


@pytest.mark.parametrize(("foreseen", "is_mentioned"), [(Sev.SEV_2, True), (Sev.SEV_1, True), (Sev.SEV_3, False)])
async def test_the_owners_are_mentioned_where_a_major_incident_is_likely(
    notifier: Slack, slack: standin.Slack, foreseen: Sev, is_mentioned: bool
) -> None:
    likely = a_delivery(NoticeKind.LIKELY, sev=Sev.SEV_4, foreseen=foreseen, note="3.8, it may become worse")
    await notifier.deliver(likely)
    message = await slack.expect_message("3.8, it may become worse")
    assert bool(message.mentions) is is_mentioned


async def test_nobody_is_mentioned_for_what_is_suppressed(notifier: Slack, slack: standin.Slack) -> None:
    await notifier.deliver(a_delivery(NoticeKind.ROSE, suppressed="silenced in Alertmanager"))
    message = await slack.expect_message("Suppressed: silenced in Alertmanager")
    assert not message.mentions


@pytest.mark.parametrize("text", INJECTIONS)
async def test_text_from_an_alert_is_inert(notifier: Slack, slack: standin.Slack, text: str) -> None:
    await notifier.deliver(a_delivery(**nasty(text)))
    message = await slack.expect_message()
    assert message.mentions == ("!subteam^S0PAY",)
    assert message.links == tuple(a_notice().links.values())
    assert text in message.text, "and it is shown as it is"
    post = slack.requests[-1].json
    assert isinstance(post, dict)
    assert (post["mrkdwn"], post["parse"], post["link_names"]) == (False, "none", False)
    assert (post["unfurl_links"], post["unfurl_media"]) == (False, False)


ERRORS: dict[str, tuple[type[Outcome], OutcomeReason]] = {
    "ratelimited": (Retry, R.RATE_LIMITED),
    "rate_limited": (Retry, R.RATE_LIMITED),
    "request_timeout": (Retry, R.TIMED_OUT),
    "team_added_to_org": (Retry, R.SERVER_ERROR),
    "internal_error": (Unknown, R.SERVER_ERROR),
    "fatal_error": (Unknown, R.SERVER_ERROR),
    "service_unavailable": (Unknown, R.SERVER_ERROR),
    "invalid_auth": (Rejected, R.UNAUTHORISED),
    "not_authed": (Rejected, R.UNAUTHORISED),
    "token_revoked": (Rejected, R.UNAUTHORISED),
    "token_expired": (Rejected, R.UNAUTHORISED),
    "account_inactive": (Rejected, R.UNAUTHORISED),
    "missing_scope": (Rejected, R.UNAUTHORISED),
    "msg_too_long": (Rejected, R.REFUSED),
    "a_word_of_next_year": (Rejected, R.REFUSED),
}


@pytest.mark.parametrize("error", ERRORS)
async def test_each_of_their_errors_has_its_outcome(notifier: Slack, slack: standin.Slack, error: str) -> None:
    slack.fail_next(200, body=f'{{"ok": false, "error": "{error}"}}', headers={"Retry-After": "30"})
    outcome = await notifier.deliver(a_delivery())
    assert (type(outcome), outcome.reason) == ERRORS[error]
    assert error in outcome.detail
    assert not isinstance(outcome, Retry) or outcome.not_before is not None


async def test_a_missing_scope_is_named(notifier: Slack, slack: standin.Slack) -> None:
    slack.fail_next(200, body='{"ok": false, "error": "missing_scope", "needed": "chat:write"}')
    outcome = await notifier.deliver(a_delivery())
    assert outcome.detail == "answered 200: missing_scope; chat:write"


async def test_an_unknown_error_word_with_a_server_error_may_be_done(notifier: Slack, slack: standin.Slack) -> None:
    slack.fail_next(500, body='{"ok": false, "error": "something_new"}')
    outcome = await notifier.deliver(a_delivery())
    assert (type(outcome), outcome.reason) == (Unknown, R.SERVER_ERROR)


async def test_ok_with_another_status_is_no_success(notifier: Slack, slack: standin.Slack) -> None:
    slack.fail_next(503, body='{"ok": true, "ts": "1.2", "channel": "C0PAY"}')
    assert isinstance(await notifier.deliver(a_delivery()), Unknown)


async def test_a_success_without_a_readable_body_is_unknown(notifier: Slack, slack: standin.Slack) -> None:
    slack.garble_answer()
    outcome = await notifier.deliver(a_delivery())
    assert (type(outcome), outcome.reason) == (Unknown, R.UNREADABLE_ANSWER)
    await slack.expect_message()


CLOSED = [
    "is_archived",
    "not_in_channel",
    "channel_not_found",
    "restricted_action",
    "restricted_action_read_only_channel",
]


@pytest.mark.parametrize("error", CLOSED)
async def test_where_a_channel_is_closed_the_default_one_is_told(
    notifier: Slack, slack: standin.Slack, error: str
) -> None:
    slack.trouble("C0PAY", error)
    slack.allow_refusals()
    outcome = await notifier.deliver(a_delivery())
    message = await slack.expect_message(
        f"This belongs into C0PAY, where it cannot be told: {error}", channel="C0DEFAULT"
    )
    assert a_notice().why[0] in message.text
    assert message.mentions == ("!subteam^S0PAY",)
    assert outcome == Delivered(f"C0DEFAULT:{message.ts}", R.ELSEWHERE, f"C0PAY: {error}")


@pytest.mark.parametrize("kind", [NoticeKind.ROSE, NoticeKind.UNANSWERED, NoticeKind.RESOLVED])
async def test_a_thread_goes_on_in_the_default_channel_once_its_own_is_closed(
    notifier: Slack, slack: standin.Slack, kind: NoticeKind
) -> None:
    opened = await notifier.deliver(a_delivery())
    assert isinstance(opened, Delivered)
    await slack.expect_message(channel="C0PAY")
    slack.trouble("C0PAY", "is_archived")
    slack.allow_refusals(2)
    moved = await notifier.deliver(a_delivery(kind, reference=opened.reference, note="What is new."))
    message = await slack.expect_message("What is new. This belongs into C0PAY", channel="C0DEFAULT")
    assert isinstance(moved, Delivered)
    await notifier.deliver(a_delivery(NoticeKind.REOPENED, reference=moved.reference))
    await slack.expect_reply(message, "reopened")


async def test_a_thread_that_somebody_deleted_begins_anew_where_it_was(notifier: Slack, slack: standin.Slack) -> None:
    outcome = await notifier.deliver(a_delivery(NoticeKind.ROSE, reference="C0PAY:1600000000.000001"))
    slack.allow_refusals(2)
    message = await slack.expect_message("thread_not_found", channel="C0PAY")
    assert outcome == Delivered(f"C0PAY:{message.ts}", R.ELSEWHERE, "C0PAY: thread_not_found")


async def test_where_the_default_channel_is_closed_too_it_is_said_in_their_words(
    notifier: Slack, slack: standin.Slack
) -> None:
    slack.trouble("C0PAY", "is_archived")
    slack.trouble("C0DEFAULT", "not_in_channel")
    slack.allow_refusals(2)
    assert await notifier.deliver(a_delivery()) == Rejected(R.REFUSED, "answered 200: not_in_channel")
    slack.allow_refusals()
    assert await notifier.deliver(a_delivery(owner=None)) == Rejected(R.REFUSED, "answered 200: not_in_channel")


async def test_without_a_default_channel_a_closed_one_is_a_refusal(slack: standin.Slack, transport: Transport) -> None:
    notifier = Slack(transport, url=slack.base_url, token=lambda: standin.TOKEN, teams=TEAMS)
    slack.trouble("C0PAY", "is_archived")
    slack.allow_refusals()
    assert await notifier.deliver(a_delivery()) == Rejected(R.REFUSED, "answered 200: is_archived")


async def test_an_answer_that_is_lost_elsewhere_is_unknown(notifier: Slack, slack: standin.Slack) -> None:
    slack.fail_next(200, body='{"ok": false, "error": "is_archived"}')
    slack.lose_answer()
    outcome = await notifier.deliver(a_delivery())
    assert (type(outcome), outcome.reason) == (Unknown, R.CONNECTION_LOST)
    await slack.expect_message(channel="C0DEFAULT")


async def test_one_message_a_second_a_channel_is_a_retry_that_says_when(notifier: Slack, slack: standin.Slack) -> None:
    slack.one_a_second = True
    assert isinstance(await notifier.deliver(a_delivery()), Delivered)
    outcome = await notifier.deliver(a_delivery())
    assert isinstance(outcome, Retry)
    assert outcome.not_before is not None
    assert isinstance(await notifier.deliver(a_delivery(owner=None)), Delivered), "another channel has its own limit"
    await slack.expect_message(channel="C0PAY")
    await slack.expect_message(channel="C0DEFAULT")


async def test_a_proxy_of_the_environment_is_not_used_for_slack_alone(
    notifier: Slack, slack: standin.Slack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert isinstance(await notifier.deliver(a_delivery()), Delivered)
    await slack.expect_message()
