"""Jira, afterwards: what goes on is a comment, posted once; and what humans edited stays theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from sevrouter.domain.delivery import Delivered, NoticeKind, OutcomeReason, Rejected, Retry, Unknown
from sevrouter.domain.sev import Sev
from sevrouter.notifiers.jira import Jira
from tests.notifiers.notices import TEAMS, a_delivery, a_notice
from tests.standins import jira as standin

if TYPE_CHECKING:
    from sevrouter.notifiers.http import Transport

R = OutcomeReason
KEY = a_notice().key
FOLLOW_UPS = [NoticeKind.ROSE, NoticeKind.REOPENED, NoticeKind.RESOLVED]


@pytest.fixture
def notifier(jira: standin.Jira, transport: Transport) -> Jira:
    return Jira(
        transport, url=jira.url, deployment="cloud", email=standin.EMAIL, token=lambda: standin.TOKEN, teams=TEAMS
    )


async def filed(notifier: Jira, jira: standin.Jira) -> standin.Issue:
    assert isinstance(await notifier.deliver(a_delivery()), Delivered)
    return await jira.expect_issue()


# Comments


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (NoticeKind.ROSE, "SEV-1: rose from SEV-2 at 2026-01-31 09:05:00 UTC"),
        (NoticeKind.REOPENED, "SEV-1: reopened at 2026-01-31 09:05:00 UTC"),
        (NoticeKind.RESOLVED, "SEV-1: resolved at 2026-01-31 09:05:00 UTC"),
    ],
)
async def test_what_goes_on_is_a_comment_and_the_fields_stay_as_humans_left_them(
    notifier: Jira, jira: standin.Jira, kind: NoticeKind, told: str
) -> None:
    issue = await filed(notifier, jira)
    before = dict(issue.fields)
    outcome = await notifier.deliver(a_delivery(kind, reference=issue.key, sev=Sev.SEV_1, previous_sev=Sev.SEV_2))
    comment = await jira.expect_comment(issue.key, told)
    assert outcome == Delivered(reference=issue.key)
    assert comment.text.splitlines()[-1] == f"sevrouter · {KEY} · {kind.value} · 7"
    assert issue.fields == before
    assert {each.method for each in jira.requests} == {"POST"}


async def test_a_comment_whose_answer_was_lost_is_not_posted_again(notifier: Jira, jira: standin.Jira) -> None:
    issue = await filed(notifier, jira)
    jira.lose_answer()
    assert isinstance(await notifier.deliver(a_delivery(NoticeKind.RESOLVED, reference=issue.key)), Unknown)
    await jira.expect_comment(issue.key, "resolved")
    outcome = await notifier.deliver(a_delivery(NoticeKind.RESOLVED, reference=issue.key, unknowns=1))
    assert outcome == Delivered(reference=issue.key, detail="found among the comments")


async def test_a_comment_is_found_where_humans_said_a_lot_before_it(notifier: Jira, jira: standin.Jira) -> None:
    issue = await filed(notifier, jira)
    issue.comments += [standin.Comment(id=str(n), issue=issue.key, text="hm", body={}) for n in range(200)]
    jira.lose_answer()
    await notifier.deliver(a_delivery(NoticeKind.RESOLVED, reference=issue.key))
    await jira.expect_comment(issue.key, "resolved")
    outcome = await notifier.deliver(a_delivery(NoticeKind.RESOLVED, reference=issue.key, unknowns=1))
    assert outcome == Delivered(reference=issue.key, detail="found among the comments")


async def test_a_comment_that_never_arrived_is_posted_again(notifier: Jira, jira: standin.Jira) -> None:
    issue = await filed(notifier, jira)
    jira.reset_before()
    assert isinstance(await notifier.deliver(a_delivery(NoticeKind.RESOLVED, reference=issue.key)), Unknown)
    outcome = await notifier.deliver(a_delivery(NoticeKind.RESOLVED, reference=issue.key, unknowns=1))
    assert outcome == Delivered(reference=issue.key)
    await jira.expect_comment(issue.key)


async def test_the_comment_of_another_delivery_is_not_taken_for_this_one(notifier: Jira, jira: standin.Jira) -> None:
    issue = await filed(notifier, jira)
    another = replace(a_delivery(NoticeKind.RESOLVED, reference=issue.key), id=77)
    await notifier.deliver(another)
    await jira.expect_comment(issue.key)
    await notifier.deliver(a_delivery(NoticeKind.RESOLVED, reference=issue.key, unknowns=1))
    await jira.expect_comment(issue.key)


async def test_a_look_at_the_comments_that_fails_has_changed_nothing(notifier: Jira, jira: standin.Jira) -> None:
    issue = await filed(notifier, jira)
    for status in (429, 500, 503):
        jira.fail_next(status)
        outcome = await notifier.deliver(a_delivery(NoticeKind.RESOLVED, reference=issue.key, unknowns=1))
        assert isinstance(outcome, Retry)
    assert issue.comments == []


async def test_a_comment_on_an_issue_that_was_deleted_is_rejected(notifier: Jira, jira: standin.Jira) -> None:
    jira.allow_refusals()
    outcome = await notifier.deliver(a_delivery(NoticeKind.RESOLVED, reference="PAY-404"))
    assert (type(outcome), outcome.reason) == (Rejected, R.NOT_FOUND)


@pytest.mark.parametrize(("status", "expected"), [(429, Retry), (500, Unknown), (403, Rejected), (200, Rejected)])
async def test_a_comment_has_the_same_outcomes(
    notifier: Jira, jira: standin.Jira, status: int, expected: type[object]
) -> None:
    jira.fail_next(status)
    assert isinstance(await notifier.deliver(a_delivery(NoticeKind.RESOLVED, reference="PAY-1")), expected)


# Without a reference


@pytest.mark.parametrize("kind", FOLLOW_UPS)
async def test_without_a_reference_the_ticket_is_found_by_its_label(
    notifier: Jira, jira: standin.Jira, kind: NoticeKind
) -> None:
    issue = await filed(notifier, jira)
    outcome = await notifier.deliver(a_delivery(kind))
    assert outcome == Delivered(reference=issue.key)
    await jira.expect_comment(issue.key, kind.value)


@pytest.mark.parametrize("kind", [NoticeKind.ROSE, NoticeKind.REOPENED])
async def test_what_goes_on_without_a_ticket_gets_one(notifier: Jira, jira: standin.Jira, kind: NoticeKind) -> None:
    outcome = await notifier.deliver(a_delivery(kind))
    assert outcome == Delivered(reference=(await jira.expect_issue()).key)


async def test_a_resolve_without_a_ticket_is_rejected(notifier: Jira, jira: standin.Jira) -> None:
    outcome = await notifier.deliver(a_delivery(NoticeKind.RESOLVED))
    assert outcome == Rejected(R.NOT_FOUND, "there is no ticket to comment on")
    assert jira.issues == {}


@pytest.mark.parametrize("reference", ["", "../../../admin", "PAY-1/comment", "pay-1", "PAY-1\n", "PAY-" + "1" * 300])
async def test_a_reference_that_is_no_key_is_never_part_of_an_address(
    notifier: Jira, jira: standin.Jira, reference: str
) -> None:
    await notifier.deliver(a_delivery(NoticeKind.RESOLVED, reference=reference))
    assert [each.path for each in jira.requests] == ["/rest/api/3/search/jql"]
