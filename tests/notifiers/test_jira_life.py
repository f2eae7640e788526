"""Jira: a ticket is closed and opened with its incident, and left alone where people said so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from sevrouter.domain.delivery import Delivered, NoticeKind, OutcomeReason, Retry
from sevrouter.domain.sev import Sev
from sevrouter.notifiers.jira import Jira
from sevrouter.notifiers.jira_life import PATIENCE, Life, Move
from sevrouter.notifiers.jira_ticket import Form
from tests.notifiers.notices import TEAMS, a_delivery
from tests.standins import jira as standin
from tests.standins.fixtures import data_center, jira

if TYPE_CHECKING:
    from sevrouter.domain.delivery import Delivery
    from sevrouter.notifiers.http import Transport

__all__ = ["data_center", "jira"]

R = OutcomeReason
DONE, TO_DO = Move(category="done"), Move(id="11")
LIFE = Life(on_resolve=DONE, on_reopen=TO_DO, wont_fix={"Won't Do"})


def living(site: standin.Jira, transport: Transport, life: Life = LIFE, **settings: Any) -> Jira:
    return Jira(
        transport, url=site.url, deployment="cloud", email=standin.EMAIL, token=lambda: standin.TOKEN, teams=TEAMS,
        life=life, **settings,
    )  # fmt: skip


async def filed(notifier: Jira, site: standin.Jira) -> standin.Issue:
    assert isinstance(await notifier.deliver(a_delivery()), Delivered)
    return await site.expect_issue()


def resolved(issue: standin.Issue, **changes: Any) -> Delivery:
    return a_delivery(NoticeKind.RESOLVED, reference=issue.key, **changes)


def reopened(issue: standin.Issue) -> Delivery:
    return a_delivery(NoticeKind.REOPENED, reference=issue.key)


# It is closed and opened with its incident


async def test_a_ticket_is_closed_when_its_incident_is_over(jira: standin.Jira, transport: Transport) -> None:
    notifier = living(jira, transport)
    issue = await filed(notifier, jira)
    assert await notifier.deliver(resolved(issue)) == Delivered(reference=issue.key)
    await jira.expect_move(issue.key, "Done")
    await jira.expect_comment(issue.key, "resolved")


async def test_a_ticket_that_was_closed_opens_again_with_its_incident(jira: standin.Jira, transport: Transport) -> None:
    notifier = living(jira, transport)
    issue = await filed(notifier, jira)
    issue.status, issue.resolution = "Done", "Done"
    assert await notifier.deliver(reopened(issue)) == Delivered(reference=issue.key)
    await jira.expect_move(issue.key, "To Do")
    await jira.expect_comment(issue.key, "reopened")


async def test_a_site_of_ones_own_does_the_same(data_center: standin.DataCenter, transport: Transport) -> None:
    notifier = Jira(transport, url=data_center.url, token=lambda: standin.TOKEN, project="OPS", life=LIFE)
    issue = await filed(notifier, data_center)
    assert await notifier.deliver(resolved(issue)) == Delivered(reference=issue.key)
    await data_center.expect_move(issue.key, "Done")
    await data_center.expect_comment(issue.key, "resolved")


async def test_what_the_screen_demands_is_sent(jira: standin.Jira, transport: Transport) -> None:
    jira.screen = frozenset({"resolution"})
    fixed = Move(id="31", fields={"resolution": {"name": "Fixed"}})
    notifier = living(jira, transport, Life(on_resolve=fixed))
    issue = await filed(notifier, jira)
    await notifier.deliver(resolved(issue))
    await jira.expect_move(issue.key, "Done")
    await jira.expect_comment(issue.key, "resolved")
    assert issue.resolution == "Fixed"


# People's word counts


async def test_what_people_have_closed_already_is_not_closed_again(jira: standin.Jira, transport: Transport) -> None:
    notifier = living(jira, transport)
    issue = await filed(notifier, jira)
    issue.status, issue.resolution = "Done", "Cannot Reproduce"
    assert await notifier.deliver(resolved(issue)) == Delivered(reference=issue.key)
    await jira.expect_comment(issue.key, "resolved")
    assert issue.resolution == "Cannot Reproduce"


async def test_what_people_work_on_is_not_moved_by_a_reopening(jira: standin.Jira, transport: Transport) -> None:
    notifier = living(jira, transport)
    issue = await filed(notifier, jira)
    issue.status = "In Progress"
    assert await notifier.deliver(reopened(issue)) == Delivered(reference=issue.key)
    await jira.expect_comment(issue.key, "reopened")
    assert issue.status == "In Progress"


@pytest.mark.parametrize("kind", [NoticeKind.REOPENED, NoticeKind.ROSE, NoticeKind.RESOLVED])
async def test_what_people_will_not_fix_stays_closed_and_quiet(
    jira: standin.Jira, transport: Transport, kind: NoticeKind
) -> None:
    notifier = living(jira, transport)
    issue = await filed(notifier, jira)
    issue.status, issue.resolution = "Done", "Won't Do"
    outcome = await notifier.deliver(a_delivery(kind, reference=issue.key))
    assert outcome == Delivered(issue.key, R.WONT_FIX, "people closed it as Won't Do, and it is left so")


async def test_a_ticket_that_people_moved_to_another_project_goes_on_there(
    jira: standin.Jira, transport: Transport
) -> None:
    notifier = living(jira, transport)
    issue = await filed(notifier, jira)
    old, issue.key = issue.key, "OPS-9"
    jira.issues["OPS-9"] = jira.issues.pop(old)
    jira.moved[old] = "OPS-9"
    assert await notifier.deliver(a_delivery(NoticeKind.RESOLVED, reference=old)) == Delivered(reference=old)
    await jira.expect_move("OPS-9", "Done")
    await jira.expect_comment("OPS-9", "resolved")


# Its priority


HIGHEST = Form(priorities={Sev.SEV_1: "Highest", Sev.SEV_2: "High"})


async def test_a_rise_writes_the_priority_where_it_may(jira: standin.Jira, transport: Transport) -> None:
    notifier = living(jira, transport, Life(update={"priority"}), form=HIGHEST)
    issue = await filed(notifier, jira)
    risen = a_delivery(NoticeKind.ROSE, reference=issue.key, sev=Sev.SEV_1, previous_sev=Sev.SEV_2)
    assert await notifier.deliver(risen) == Delivered(reference=issue.key)
    assert await jira.expect_edit(issue.key) == {"priority": {"name": "Highest"}}
    await jira.expect_comment(issue.key, "rose")


async def test_nothing_but_a_rise_writes_it(jira: standin.Jira, transport: Transport) -> None:
    notifier = living(jira, transport, Life(update={"priority"}), form=HIGHEST)
    issue = await filed(notifier, jira)
    await notifier.deliver(a_delivery(NoticeKind.REOPENED, reference=issue.key))
    await jira.expect_comment(issue.key, "reopened")
    assert issue.fields["priority"] == {"name": "High"}


async def test_a_priority_that_is_gone_does_not_keep_a_rise_from_being_told(
    jira: standin.Jira, transport: Transport
) -> None:
    notifier = living(jira, transport, Life(update={"priority"}), form=Form(priorities={Sev.SEV_1: "P0"}))
    issue = await filed(notifier, jira)
    jira.allow_refusals()
    risen = a_delivery(NoticeKind.ROSE, reference=issue.key, sev=Sev.SEV_1, previous_sev=Sev.SEV_2)
    outcome = await notifier.deliver(risen)
    await jira.expect_comment(issue.key, "rose")
    assert isinstance(outcome, Delivered)
    assert (outcome.reason, "P0" in outcome.detail) == (R.INCOMPLETE, True)


# What goes wrong


@pytest.mark.parametrize("move", [Move(id="99"), Move(category="unheard of")])
async def test_a_transition_that_is_not_open_to_us_does_not_keep_it_from_being_told(
    jira: standin.Jira, transport: Transport, move: Move
) -> None:
    notifier = living(jira, transport, Life(on_resolve=move))
    issue = await filed(notifier, jira)
    outcome = await notifier.deliver(resolved(issue))
    await jira.expect_comment(issue.key, "resolved")
    assert outcome == Delivered(issue.key, R.INCOMPLETE, f"no {move} is open to us")


async def test_a_screen_that_is_not_filled_in_does_not_keep_it_from_being_told(
    jira: standin.Jira, transport: Transport
) -> None:
    jira.screen = frozenset({"resolution"})
    jira.allow_refusals()
    notifier = living(jira, transport)
    issue = await filed(notifier, jira)
    outcome = await notifier.deliver(resolved(issue))
    await jira.expect_comment(issue.key, "resolved")
    assert isinstance(outcome, Delivered)
    assert outcome.reason is R.INCOMPLETE
    assert "the screen holds ['resolution']" in outcome.detail


async def test_a_look_without_an_answer_is_tried_again_before_anything_is_said(
    jira: standin.Jira, transport: Transport
) -> None:
    notifier = living(jira, transport)
    issue = await filed(notifier, jira)
    jira.fail_next(503)
    assert isinstance(await notifier.deliver(resolved(issue)), Retry)
    assert await notifier.deliver(resolved(issue)) == Delivered(reference=issue.key)
    await jira.expect_move(issue.key, "Done")
    await jira.expect_comment(issue.key, "resolved")


async def test_a_comment_waits_for_a_broken_transition_no_longer_than_that(
    jira: standin.Jira, transport: Transport
) -> None:
    notifier = living(jira, transport)
    issue = await filed(notifier, jira)
    jira.fail_next(503)
    outcome = await notifier.deliver(replace(resolved(issue), attempts=PATIENCE + 1))
    await jira.expect_comment(issue.key, "resolved")
    assert isinstance(outcome, Delivered)
    assert outcome.reason is R.INCOMPLETE
