"""Jira, filing: one incident, one ticket, whatever is lost on the way."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from sevrouter.domain.delivery import Delivered, NoticeKind, OutcomeReason, Rejected, Retry, Unknown
from sevrouter.domain.sev import Sev
from sevrouter.notifiers.jira import SCHEDULE, SETTLE, Jira
from sevrouter.notifiers.jira_ticket import Form
from tests.notifiers.notices import ANA, HINT, INJECTIONS, PAYMENTS, TEAMS, a_delivery, a_notice, nasty
from tests.standins import jira as standin
from tests.standins.adf import links_of

if TYPE_CHECKING:
    from sevrouter.engine.ports import Notifier
    from sevrouter.notifiers.http import Transport

R = OutcomeReason
KEY = a_notice().key
FOLLOW_UPS = [NoticeKind.ROSE, NoticeKind.REOPENED, NoticeKind.RESOLVED]


def cloud(transport: Transport, jira: standin.Jira, **settings: Any) -> Jira:
    return Jira(
        transport, url=jira.url, deployment="cloud", email=standin.EMAIL, token=lambda: standin.TOKEN, **settings
    )


@pytest.fixture
def notifier(jira: standin.Jira, transport: Transport) -> Jira:
    return Jira(
        transport,
        url=f"{jira.url}/",
        deployment="cloud",
        email=standin.EMAIL,
        token=lambda: standin.TOKEN,
        project="OPS",
        form=Form(labels=("from-alerts",)),
        teams=TEAMS,
    )


async def filed(notifier: Notifier, jira: standin.Jira) -> standin.Issue:
    assert isinstance(await notifier.deliver(a_delivery()), Delivered)
    return await jira.expect_issue()


# Filing


async def test_an_opened_incident_is_filed_with_all_that_explains_it(notifier: Jira, jira: standin.Jira) -> None:
    outcome = await notifier.deliver(a_delivery(sev=Sev.SEV_5, title="[SEV-5] checkout: a typo"))
    issue = await jira.expect_issue(r"^\[SEV-5\] checkout: a typo$", project="PAY", assignee="5b10ac8d")
    assert outcome == Delivered(reference=issue.key)
    assert issue.labels == ("from-alerts", "sevrouter", KEY)
    assert issue.fields["issuetype"] == {"name": "Bug"}
    for line in (
        "SEV: SEV-5",
        "System: checkout",
        "Owner: payments",
        "Since: 2026-01-31 09:00:00 UTC",
        *a_notice().why,
        a_notice().description,
        "instance = 10.0.0.1:9090",
        f"{KEY} · configuration c0ffee12",
    ):
        assert line in issue.description
    assert links_of(issue.fields["description"]) == list(a_notice().links.values())


async def test_a_deployment_that_it_may_come_from_is_told_before_the_reasons(
    notifier: Jira, jira: standin.Jira
) -> None:
    await notifier.deliver(a_delivery(deployments=(HINT,)))
    description = (await jira.expect_issue()).description
    assert description.index("Deployed recently") < description.index(HINT) < description.index("Why")


@pytest.mark.parametrize("owner", [None, "nobody knows them"])
async def test_what_nobody_owns_is_filed_in_the_default_project_for_nobody(
    notifier: Jira, jira: standin.Jira, owner: str | None
) -> None:
    await notifier.deliver(a_delivery(owner=owner))
    assert (await jira.expect_issue(project="OPS")).assignee is None


async def test_a_team_without_a_project_still_has_its_assignee(jira: standin.Jira, transport: Transport) -> None:
    teams = {"payments": replace(PAYMENTS, jira_project=None)}
    notifier = cloud(transport, jira, project="OPS", teams=teams)
    await notifier.deliver(a_delivery())
    await jira.expect_issue(project="OPS", assignee="5b10ac8d")


async def test_without_any_project_it_is_rejected_with_nothing_sent(jira: standin.Jira, transport: Transport) -> None:
    notifier = cloud(transport, jira)
    assert await notifier.deliver(a_delivery()) == Rejected(R.NOT_CONFIGURED, "neither payments nor Jira has a project")
    assert jira.requests == []


async def test_the_issue_type_is_the_configured_one(jira: standin.Jira, transport: Transport) -> None:
    notifier = cloud(transport, jira, form=Form(issue_type="Task"), teams=TEAMS)
    assert (await filed(notifier, jira)).fields["issuetype"] == {"name": "Task"}


LOW = Form(components=("Operations",), priorities={Sev.SEV_5: "Low"}, labels=("ours",))


async def test_components_and_the_priority_of_its_sev_are_the_configured_ones(
    jira: standin.Jira, transport: Transport
) -> None:
    notifier = cloud(transport, jira, form=LOW, teams=TEAMS)
    await notifier.deliver(a_delivery(sev=Sev.SEV_5))
    issue = await jira.expect_issue()
    assert (issue.fields["components"], issue.fields["priority"]) == ([{"name": "Operations"}], {"name": "Low"})
    await notifier.deliver(a_delivery(sev=Sev.SEV_4))
    assert "priority" not in (await jira.expect_issue()).fields


async def test_a_team_has_its_own_issue_type_components_and_labels(jira: standin.Jira, transport: Transport) -> None:
    team = replace(PAYMENTS, jira_issue_type="Task", jira_components=("Checkout",), jira_labels=("theirs",))
    await cloud(transport, jira, form=LOW, teams={"payments": team}).deliver(a_delivery())
    issue = await jira.expect_issue()
    assert (issue.fields["issuetype"], issue.fields["components"]) == ({"name": "Task"}, [{"name": "Checkout"}])
    assert issue.labels == ("theirs", "sevrouter", KEY)
    none = replace(team, jira_components=(), jira_labels=())
    await cloud(transport, jira, form=LOW, teams={"payments": none}).deliver(a_delivery())
    issue = await jira.expect_issue()
    assert "components" not in issue.fields
    assert issue.labels == ("sevrouter", KEY)


async def test_a_component_or_priority_that_is_gone_does_not_keep_a_ticket_from_being_filed(
    jira: standin.Jira, transport: Transport
) -> None:
    jira.components.clear()
    jira.allow_refusals()
    form = Form(components=("Operations",), priorities={Sev.SEV_2: "P5"})
    outcome = await cloud(transport, jira, form=form, teams=TEAMS).deliver(a_delivery())
    issue = await jira.expect_issue(assignee="5b10ac8d")
    assert outcome == Delivered(issue.key, R.INCOMPLETE, "filed without components, priority")


async def test_a_token_without_an_email_is_an_access_token(transport: Transport) -> None:
    async with standin.Jira(email=None) as site:
        notifier = Jira(transport, url=site.url, deployment="cloud", token=lambda: standin.TOKEN, project="OPS")
        await filed(notifier, site)
        assert site.requests[0].headers["Authorization"] == f"Bearer {standin.TOKEN}"
        site.assert_nothing_unexpected()


async def test_an_assignee_who_left_does_not_keep_a_ticket_from_being_filed(notifier: Jira, jira: standin.Jira) -> None:
    jira.assignable.clear()
    jira.allow_refusals()
    outcome = await notifier.deliver(a_delivery())
    issue = await jira.expect_issue()
    assert issue.assignee is None
    assert outcome == Delivered(reference=issue.key, reason=R.UNASSIGNED, detail="filed without assignee")


@pytest.mark.parametrize(
    "body",
    [
        '{"errorMessages": [], "errors": {"assignee": "no", "summary": "no"}}',
        '{"errorMessages": ["no"], "errors": {"assignee": "no"}}',
        '{"errorMessages": [], "errors": ["assignee"]}',
        '{"errorMessages": [], "errors": {}}',
    ],
)
async def test_any_other_refusal_is_not_tried_again(notifier: Jira, jira: standin.Jira, body: str) -> None:
    jira.fail_next(400, body=body)
    assert isinstance(await notifier.deliver(a_delivery()), Rejected)
    assert len(jira.requests) == 1


async def test_a_person_without_an_account_is_not_assigned(jira: standin.Jira, transport: Transport) -> None:
    teams = {"payments": replace(PAYMENTS, jira_assignee=replace(ANA, jira=None))}
    notifier = cloud(transport, jira, teams=teams)
    assert (await filed(notifier, jira)).assignee is None


async def test_a_project_that_is_not_theirs_is_said_in_their_words(jira: standin.Jira, transport: Transport) -> None:
    notifier = cloud(transport, jira, project="NOPE")
    jira.allow_refusals()
    assert await notifier.deliver(a_delivery()) == Rejected(
        R.REFUSED, "answered 400: project: valid project is required"
    )


# An unknown create


async def test_a_ticket_whose_answer_was_lost_is_found_and_not_filed_again(notifier: Jira, jira: standin.Jira) -> None:
    jira.lose_answer()
    assert isinstance(await notifier.deliver(a_delivery()), Unknown)
    issue = await jira.expect_issue()
    outcome = await notifier.deliver(a_delivery(unknowns=1))
    assert outcome == Delivered(reference=issue.key, detail="found by its label")
    assert jira.searches == [f'labels = "{KEY}" ORDER BY created ASC']


async def test_while_search_lags_it_is_looked_for_and_not_filed_again(notifier: Jira, jira: standin.Jira) -> None:
    jira.search_lag = 3
    jira.garble_answer()
    assert isinstance(await notifier.deliver(a_delivery()), Unknown)
    issue = await jira.expect_issue()
    for unknowns in (1, 2, 3):
        outcome = await notifier.deliver(a_delivery(unknowns=unknowns))
        assert isinstance(outcome, Unknown)
        assert outcome.reason is R.NOT_VISIBLE_YET
    assert await notifier.deliver(a_delivery(unknowns=4)) == Delivered(issue.key, detail="found by its label")


async def test_what_no_search_shows_after_all_the_waits_is_filed_again(notifier: Jira, jira: standin.Jira) -> None:
    jira.reset_before()
    assert isinstance(await notifier.deliver(a_delivery()), Unknown)
    for unknowns in range(1, len(SETTLE)):
        assert isinstance(await notifier.deliver(a_delivery(unknowns=unknowns)), Unknown)
    assert jira.issues == {}
    outcome = await notifier.deliver(a_delivery(unknowns=len(SETTLE)))
    assert outcome == Delivered(reference=(await jira.expect_issue()).key)
    assert len(jira.searches) == len(SETTLE)


async def test_after_a_second_unknown_create_it_is_looked_for_as_long_again(notifier: Jira, jira: standin.Jira) -> None:
    for unknowns in range(len(SETTLE) + 1, 2 * len(SETTLE)):
        outcome = await notifier.deliver(a_delivery(unknowns=unknowns))
        assert isinstance(outcome, Unknown)
        assert outcome.reason is R.NOT_VISIBLE_YET


@pytest.mark.parametrize("kind", [NoticeKind.OPENED, *FOLLOW_UPS])
async def test_a_search_that_fails_has_changed_nothing(notifier: Jira, jira: standin.Jira, kind: NoticeKind) -> None:
    for status in (204, 408, 429, 500, 503):
        jira.fail_next(status)
        assert isinstance(await notifier.deliver(a_delivery(kind, unknowns=1)), Retry)
    jira.reset_before()
    assert isinstance(await notifier.deliver(a_delivery(kind, unknowns=1)), Retry)
    jira.fail_next(200, body="<html>log in</html>", content_type="text/html")
    assert await notifier.deliver(a_delivery(kind, unknowns=1)) == Rejected(
        R.UNREADABLE_ANSWER, "answered 200: <html>log in</html>"
    )
    assert jira.issues == {}


async def test_a_search_without_an_answer_has_changed_nothing(jira: standin.Jira, impatient: Transport) -> None:
    jira.hang()
    notifier = cloud(impatient, jira, project="OPS")
    outcome = await notifier.deliver(a_delivery(unknowns=1))
    assert (type(outcome), outcome.reason) == (Retry, R.TIMED_OUT)


@pytest.mark.parametrize(
    "body", ['{"issues": null}', '{"issues": [{"id": "1"}]}', '{"issues": [{"key": "../../evil"}]}', "{}"]
)
async def test_a_search_whose_answer_cannot_be_read_files_nothing(
    notifier: Jira, jira: standin.Jira, body: str
) -> None:
    jira.fail_next(200, body=body)
    assert isinstance(await notifier.deliver(a_delivery(unknowns=1)), Rejected)
    assert len(jira.requests) == 1


async def test_a_503_that_says_when_is_a_retry(notifier: Jira, jira: standin.Jira) -> None:
    jira.fail_next(503, headers={"Retry-After": "60"})
    outcome = await notifier.deliver(a_delivery())
    assert isinstance(outcome, Retry)
    assert outcome.not_before is not None


@pytest.mark.parametrize("key", ['"../admin"', '"PAY-1/../../x"', '"pay-1"', '"PAY-0"', '"PAY-1\\n"', "7", "null"])
async def test_a_key_that_is_none_is_an_unreadable_answer(notifier: Jira, jira: standin.Jira, key: str) -> None:
    jira.fail_next(201, body=f'{{"key": {key}}}')
    outcome = await notifier.deliver(a_delivery())
    assert isinstance(outcome, Unknown)
    assert outcome.reason is R.UNREADABLE_ANSWER


# Text


@pytest.mark.parametrize("text", INJECTIONS)
async def test_text_from_an_alert_stays_literal(notifier: Jira, jira: standin.Jira, text: str) -> None:
    await notifier.deliver(a_delivery(**nasty(text)))
    issue = await jira.expect_issue()
    assert issue.summary == f"[SEV-2] {' '.join(text.split())}"
    assert text in issue.description
    assert links_of(issue.fields["description"]) == list(a_notice().links.values())
    assert issue.labels == ("from-alerts", "sevrouter", KEY)


async def test_a_description_that_is_too_long_is_cut_and_says_so(notifier: Jira, jira: standin.Jira) -> None:
    await notifier.deliver(a_delivery(why=("磁盘 " * 100,) * 100))
    issue = await jira.expect_issue()
    assert issue.description.splitlines()[-2].startswith("… cut here")
    assert issue.description.splitlines()[-1].startswith(KEY)


def test_the_waits_are_those_that_search_was_measured_to_need() -> None:
    assert [wait.total_seconds() for wait in SCHEDULE.settle] == [30, 60, 120, 300]
    assert (SCHEDULE.first.total_seconds(), SCHEDULE.longest.total_seconds()) == (2, 300)
