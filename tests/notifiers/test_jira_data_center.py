"""Jira Data Center: the same ticket, in its own words, addresses and user names; and which of the two it is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from sevrouter.domain.delivery import Delivered, NoticeKind, OutcomeReason, Rejected, Retry, Unknown
from sevrouter.domain.sev import Sev
from sevrouter.notifiers.jira import Jira
from tests.notifiers.notices import ANA, HINT, INJECTIONS, PAYMENTS, a_delivery, a_notice, nasty
from tests.standins import jira as standin
from tests.standins.fixtures import data_center, jira
from tests.standins.wiki import render

if TYPE_CHECKING:
    from sevrouter.notifiers.http import Transport

__all__ = ["data_center", "jira"]

R = OutcomeReason
KEY = a_notice().key
TEAMS = {"payments": replace(PAYMENTS, jira_assignee=replace(ANA, jira="ana"))}
SERVER_INFO = "/rest/api/2/serverInfo"
# Headings and lists are ours.
OURS = {"heading", "list"}


def reaching(site: standin.Jira, transport: Transport, **settings: Any) -> Jira:
    known = {"email": None, "teams": TEAMS, "project": "OPS"} | settings
    return Jira(transport, url=site.url, token=lambda: standin.TOKEN, **known)


@pytest.fixture
def notifier(data_center: standin.DataCenter, transport: Transport) -> Jira:
    return reaching(data_center, transport, deployment="data-center")


def paths(site: standin.Jira) -> list[str]:
    return [each.path for each in site.requests]


# The ticket


async def test_an_opened_incident_is_filed_with_all_that_explains_it(
    notifier: Jira, data_center: standin.DataCenter
) -> None:
    outcome = await notifier.deliver(a_delivery(sev=Sev.SEV_5, title="[SEV-5] checkout: a typo", deployments=(HINT,)))
    issue = await data_center.expect_issue(r"^\[SEV-5\] checkout: a typo$", project="PAY", assignee="ana")
    assert outcome == Delivered(reference=issue.key)
    assert issue.labels == ("sevrouter", KEY)
    for line in ("* SEV: SEV-5", "* System: checkout", f"* {HINT}", "instance = 10.0.0.1:9090", a_notice().description):
        assert line in issue.description
    assert render(str(issue.fields["description"])).links == list(a_notice().links.values())
    assert data_center.requests[0].headers["Authorization"] == f"Bearer {standin.TOKEN}"


@pytest.mark.parametrize("text", INJECTIONS)
@pytest.mark.parametrize("kind", [NoticeKind.OPENED, NoticeKind.ROSE])
async def test_nothing_in_an_alert_is_live(
    notifier: Jira, data_center: standin.DataCenter, text: str, kind: NoticeKind
) -> None:
    if kind is NoticeKind.OPENED:
        await notifier.deliver(a_delivery(**nasty(text)))
        source = (await data_center.expect_issue()).fields["description"]
    else:
        await notifier.deliver(a_delivery())
        issue = await data_center.expect_issue()
        await notifier.deliver(a_delivery(kind, reference=issue.key, **nasty(text)))
        source = (await data_center.expect_comment(issue.key)).body
    rendered = render(str(source))
    assert text in rendered.text
    assert [(what, found) for what, found in rendered.live if what not in OURS] == []
    assert rendered.links == list(a_notice().links.values())


async def test_what_is_too_long_is_cut_and_says_so(notifier: Jira, data_center: standin.DataCenter) -> None:
    await notifier.deliver(a_delivery(description="*坏*𠀀{code}\n" * 12_000))
    description = (await data_center.expect_issue()).description
    assert "… cut here: the whole is longer than a ticket can hold." in description
    assert KEY in description.splitlines()[-1]


async def test_an_assignee_who_left_does_not_keep_a_ticket_from_being_filed(
    notifier: Jira, data_center: standin.DataCenter
) -> None:
    data_center.assignable.clear()
    data_center.allow_refusals()
    outcome = await notifier.deliver(a_delivery())
    assert isinstance(outcome, Delivered)
    assert outcome.reason is R.UNASSIGNED
    assert (await data_center.expect_issue()).assignee is None


async def test_a_create_whose_answer_was_lost_is_looked_for(notifier: Jira, data_center: standin.DataCenter) -> None:
    data_center.lose_answer()
    assert isinstance(await notifier.deliver(a_delivery()), Unknown)
    issue = await data_center.expect_issue()
    assert await notifier.deliver(a_delivery(unknowns=1)) == Delivered(reference=issue.key, detail="found by its label")
    assert paths(data_center) == ["/rest/api/2/issue", "/rest/api/2/search"]


async def test_a_comment_whose_answer_was_lost_is_found(notifier: Jira, data_center: standin.DataCenter) -> None:
    await notifier.deliver(a_delivery())
    issue = await data_center.expect_issue()
    data_center.lose_answer()
    rose: dict[str, Any] = {"reference": issue.key, "sev": Sev.SEV_1}
    assert isinstance(await notifier.deliver(a_delivery(NoticeKind.ROSE, **rose)), Unknown)
    comment = await data_center.expect_comment(issue.key)
    assert comment.text.splitlines()[-1] == f"sevrouter · {KEY} · rose · 7"
    outcome = await notifier.deliver(a_delivery(NoticeKind.ROSE, unknowns=1, **rose))
    assert outcome == Delivered(reference=issue.key, detail="found among the comments")


async def test_another_comment_is_not_taken_for_it(notifier: Jira, data_center: standin.DataCenter) -> None:
    await notifier.deliver(a_delivery())
    issue = await data_center.expect_issue()
    outcome = await notifier.deliver(a_delivery(NoticeKind.ROSE, reference=issue.key, unknowns=1))
    await data_center.expect_comment(issue.key)
    assert outcome == Delivered(reference=issue.key)


# Which of the two it is


async def test_a_site_of_ones_own_is_asked_once_what_it_is(
    data_center: standin.DataCenter, transport: Transport
) -> None:
    notifier = reaching(data_center, transport)
    for _ in range(2):
        assert isinstance(await notifier.deliver(a_delivery()), Delivered)
        await data_center.expect_issue()
    assert paths(data_center) == [SERVER_INFO, "/rest/api/2/issue", "/rest/api/2/issue"]


async def test_a_cloud_behind_another_address_says_that_it_is_one(jira: standin.Jira, transport: Transport) -> None:
    await reaching(jira, transport, email=standin.EMAIL, teams={}).deliver(a_delivery())
    await jira.expect_issue()
    assert paths(jira) == [SERVER_INFO, "/rest/api/3/issue"]


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (503, "", (Retry, R.SERVER_ERROR)),
        (500, "", (Retry, R.SERVER_ERROR)),
        (429, "", (Retry, R.RATE_LIMITED)),
        (401, "", (Rejected, R.UNAUTHORISED)),
        (404, "", (Rejected, R.NOT_FOUND)),
        (200, "<html>Log in</html>", (Rejected, R.UNREADABLE_ANSWER)),
        (200, "{}", (Rejected, R.UNREADABLE_ANSWER)),
    ],
)
async def test_where_it_does_not_say_nothing_is_filed_and_it_is_asked_again(
    data_center: standin.DataCenter, transport: Transport, status: int, body: str, expected: tuple[type, OutcomeReason]
) -> None:
    notifier = reaching(data_center, transport)
    data_center.fail_next(status, body=body)
    outcome = await notifier.deliver(a_delivery())
    assert not isinstance(outcome, Delivered)
    assert (type(outcome), outcome.reason) == expected
    assert isinstance(await notifier.deliver(a_delivery()), Delivered)
    await data_center.expect_issue()
    assert paths(data_center) == [SERVER_INFO, SERVER_INFO, "/rest/api/2/issue"]
