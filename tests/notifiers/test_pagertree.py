"""PagerTree by its API: what rings, what rings again, what stops ringing, and what becomes of lost answers."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from sevrouter.domain.delivery import Delivered, Delivery, NoticeKind, OutcomeReason, Rejected, Retry, Unknown
from sevrouter.domain.sev import Sev
from sevrouter.engine.ack_polling import NotAsked, OpenThere
from sevrouter.notifiers.pagertree import SCHEDULE, Destinations, PagerTree
from tests.notifiers.notices import NOW, a_delivery, a_notice
from tests.standins import pagertree as standin
from tests.standins.pagertree import Did, SameId

if TYPE_CHECKING:
    from sevrouter.notifiers.http import Transport

KEY = a_notice().key
ROSE = f"{KEY}/rose-{int(NOW.timestamp() * 1_000_000)}"
AGAIN = f"{KEY}/ack_ended-{int(NOW.timestamp() * 1_000_000)}"


@pytest.fixture
def notifier(pagertree: standin.PagerTree, transport: Transport) -> PagerTree:
    destinations = Destinations(teams=[standin.TEAM], routers=[standin.ROUTER], account_users=[standin.ACCOUNT_USER])
    return PagerTree(transport, url=f"{pagertree.url}/", api_token=lambda: standin.API_TOKEN, destinations=destinations)


def rose(**changes: Any) -> Delivery:
    return a_delivery(
        NoticeKind.ROSE, sev=Sev.SEV_1, previous_sev=Sev.SEV_2, title="[SEV-1] checkout: worse", **changes
    )


async def test_an_opened_incident_rings_with_all_that_explains_it(
    notifier: PagerTree, pagertree: standin.PagerTree
) -> None:
    bridge: dict[str, Any] = {"bridge": "https://meet.example/major", "bridge_dial": "+49301234,,77#"}
    assert await notifier.deliver(a_delivery(**bridge)) == Delivered("alt_1")
    alert = await pagertree.expect_call("checkout: too many errors", own_id=KEY)
    document = dict(alert.document)
    description = str(document.pop("description"))
    assert document == {
        "title": "[SEV-2] checkout: too many errors (HighErrorRate)",
        "urgency": "critical",
        "thirdparty_id": KEY,
        "meta": {
            "incident": True,
            "incident_severity": "SEV-2",
            "incident_message": "https://meet.example/major or dial +49301234,,77#",
        },
        "destination_team_ids": [standin.TEAM],
        "destination_router_ids": [standin.ROUTER],
        "destination_account_user_ids": [standin.ACCOUNT_USER],
    }
    lines = description.splitlines()
    assert lines[0] == "Bridge: https://meet.example/major or dial +49301234,,77#"
    assert f"Because {a_notice().why[0]}" in lines
    assert "Runbook: https://runbooks.example/checkout?a=1&b=2" in lines
    assert lines[-1] == f"{KEY} · configuration c0ffee12"


@pytest.mark.parametrize(
    ("sev", "urgency"),
    [
        (Sev.SEV_1, "critical"),
        (Sev.SEV_2, "critical"),
        (Sev.SEV_3, "high"),
        (Sev.SEV_4, "medium"),
        (Sev.SEV_5, "low"),
    ],
)
async def test_each_sev_is_theirs_with_one_of_their_urgencies(
    notifier: PagerTree, pagertree: standin.PagerTree, sev: Sev, urgency: str
) -> None:
    await notifier.deliver(a_delivery(sev=sev))
    document = (await pagertree.expect_call()).document
    assert document["urgency"] == urgency
    assert document["meta"] == {
        "incident": True,
        "incident_severity": str(sev),
        "incident_message": f"{sev} opened",
    }


async def test_a_rise_rings_again_although_somebody_owns_it(notifier: PagerTree, pagertree: standin.PagerTree) -> None:
    await notifier.deliver(a_delivery())
    await pagertree.expect_call(own_id=KEY)
    await notifier.deliver(a_delivery(NoticeKind.ACKNOWLEDGED, reference="alt_1"))
    await pagertree.expect_action(Did.ACKNOWLEDGED, KEY)
    assert await notifier.deliver(rose(reference="alt_1")) == Delivered("alt_2")
    await pagertree.expect_call("SEV-1", own_id=ROSE)
    await pagertree.expect_action(Did.RESOLVED, KEY)


async def test_what_nobody_owns_any_more_rings_again_and_is_resolved_as_a_whole(
    notifier: PagerTree, pagertree: standin.PagerTree
) -> None:
    for kind in (NoticeKind.OPENED, NoticeKind.ACKNOWLEDGED, NoticeKind.ACK_ENDED, NoticeKind.ACKNOWLEDGED):
        assert isinstance(await notifier.deliver(a_delivery(kind, reference=None)), Delivered)
    assert pagertree.standing == {KEY: ["resolved"], AGAIN: ["acknowledged"]}
    # Another replica, that was told the first reference only, ends what it has not opened.
    assert isinstance(await notifier.deliver(a_delivery(NoticeKind.RESOLVED, reference="alt_1")), Delivered)
    assert pagertree.standing == {KEY: ["resolved"], AGAIN: ["resolved"]}
    for own_id in (KEY, AGAIN):
        await pagertree.expect_call(own_id=own_id)
        await pagertree.expect_action(Did.ACKNOWLEDGED, own_id)
        await pagertree.expect_action(Did.RESOLVED, own_id)


async def test_a_reopened_incident_rings_by_another_id(notifier: PagerTree, pagertree: standin.PagerTree) -> None:
    pagertree.same_id = SameId.CONFLICT
    await notifier.deliver(a_delivery())
    await notifier.deliver(a_delivery(NoticeKind.RESOLVED, reference="alt_1"))
    assert await notifier.deliver(a_delivery(reference="alt_1")) == Delivered("alt_2")
    assert list(pagertree.standing.values()) == [["resolved"], ["open"]]
    await pagertree.expect_call(own_id=KEY)
    await pagertree.expect_action(Did.RESOLVED, KEY)
    await pagertree.expect_call(own_id=f"{KEY}/opened-{int(NOW.timestamp() * 1_000_000)}")


@pytest.mark.parametrize("keeps_ids", [True, False])
@pytest.mark.parametrize("same_id", SameId)
async def test_after_a_lost_answer_it_rings_once_whatever_they_make_of_the_same_id(
    notifier: PagerTree, pagertree: standin.PagerTree, same_id: SameId, keeps_ids: bool
) -> None:
    pagertree.same_id, pagertree.keeps_ids = same_id, keeps_ids
    pagertree.lose_answer()
    assert isinstance(await notifier.deliver(a_delivery()), Unknown)
    assert await notifier.deliver(a_delivery(unknowns=1)) == Delivered("alt_1", detail="it was there already")
    await pagertree.expect_call()


async def test_what_was_never_there_is_opened_after_all(notifier: PagerTree, pagertree: standin.PagerTree) -> None:
    pagertree.reset_before()
    assert isinstance(await notifier.deliver(a_delivery()), Unknown)
    assert await notifier.deliver(a_delivery(unknowns=1)) == Delivered("alt_1")
    await pagertree.expect_call()


async def test_who_may_not_look_rings_all_the_same(notifier: PagerTree, pagertree: standin.PagerTree) -> None:
    pagertree.fail_next(403)
    assert isinstance(await notifier.deliver(a_delivery(unknowns=1)), Delivered)
    await pagertree.expect_call()


async def test_while_they_are_away_nobody_looks_and_nobody_rings(
    notifier: PagerTree, pagertree: standin.PagerTree
) -> None:
    pagertree.fail_next(500)
    outcome = await notifier.deliver(a_delivery(unknowns=1))
    assert outcome == Retry(OutcomeReason.SERVER_ERROR, "answered 500")
    assert pagertree.alerts == []


async def test_a_conflict_is_the_alert_that_is_there(notifier: PagerTree, pagertree: standin.PagerTree) -> None:
    pagertree.same_id = SameId.CONFLICT
    await notifier.deliver(a_delivery())
    assert await notifier.deliver(a_delivery()) == Delivered("alt_1", detail="it was there already")
    await pagertree.expect_call()


async def test_a_rise_rings_although_the_alert_before_it_cannot_be_resolved(
    notifier: PagerTree, pagertree: standin.PagerTree
) -> None:
    await notifier.deliver(a_delivery())
    await notifier.deliver(rose())
    for own_id in (KEY, ROSE):
        await pagertree.expect_call(own_id=own_id)
    await pagertree.expect_action(Did.RESOLVED, KEY)
    pagertree.alerts[0].status = "open"
    pagertree.hang().release()
    pagertree.fail_next(500)
    outcome = await notifier.deliver(rose(at=NOW + timedelta(minutes=1)))
    assert outcome == Delivered("alt_3", detail="those before it are not resolved: answered 500")
    await pagertree.expect_call("SEV-1")
    await notifier.deliver(a_delivery(NoticeKind.RESOLVED))
    assert {state for states in pagertree.standing.values() for state in states} == {"resolved"}
    pagertree.effects.clear()


@pytest.mark.parametrize("kind", [NoticeKind.ACKNOWLEDGED, NoticeKind.RESOLVED])
async def test_what_was_settled_there_already_is_settled(
    notifier: PagerTree, pagertree: standin.PagerTree, kind: NoticeKind
) -> None:
    await notifier.deliver(a_delivery())
    await pagertree.expect_call()
    pagertree.alerts[0].status = "resolved"
    # Their list is behind, or fails: what is known by its reference is asked for by itself.
    pagertree.fail_next(403)
    assert isinstance(await notifier.deliver(a_delivery(kind, reference="alt_1")), Delivered)
    assert isinstance(await notifier.deliver(a_delivery(kind, reference="alt_1")), Delivered)


async def test_what_was_deleted_there_is_settled(notifier: PagerTree, pagertree: standin.PagerTree) -> None:
    pagertree.allow_refusals()
    assert isinstance(await notifier.deliver(a_delivery(NoticeKind.RESOLVED, reference="alt_9")), Delivered)


async def test_what_is_not_routed_yet_is_tried_again(notifier: PagerTree, pagertree: standin.PagerTree) -> None:
    pagertree.opens_as = "queued"
    await notifier.deliver(a_delivery())
    await pagertree.expect_call()
    outcome = await notifier.deliver(a_delivery(NoticeKind.ACKNOWLEDGED, reference="alt_1"))
    assert outcome == Retry(OutcomeReason.NOT_VISIBLE_YET, "it has not been routed there yet")
    pagertree.alerts[0].status = "open"
    assert isinstance(await notifier.deliver(a_delivery(NoticeKind.ACKNOWLEDGED, reference="alt_1")), Delivered)
    await pagertree.expect_action(Did.ACKNOWLEDGED, KEY)


@pytest.mark.parametrize(("status", "kind"), [(500, Retry), (429, Retry), (403, Rejected)])
async def test_a_resolve_that_may_have_missed_an_alert_is_not_delivered(
    notifier: PagerTree, pagertree: standin.PagerTree, status: int, kind: type
) -> None:
    pagertree.fail_next(status)
    assert isinstance(await notifier.deliver(a_delivery(NoticeKind.RESOLVED)), kind)


async def test_nothing_in_an_alert_makes_it_another_incidents(
    notifier: PagerTree, pagertree: standin.PagerTree
) -> None:
    pagertree.keeps_ids = False
    other = "sevrouter-ffffffffffffffffffffffffffffffff-1"
    await notifier.deliver(a_delivery(key=other, description=f"x\n{KEY} · configuration", note=f"{KEY}/rose-1"))
    await pagertree.expect_call()
    await notifier.deliver(a_delivery(NoticeKind.RESOLVED))
    assert pagertree.alerts[0].status == "open"


async def test_their_words_are_told(notifier: PagerTree, pagertree: standin.PagerTree) -> None:
    pagertree.fail_next(422, body='{"errors": [{"message": "title can\'t be blank"}], "code": 422}')
    outcome = await notifier.deliver(a_delivery())
    assert outcome == Rejected(OutcomeReason.REFUSED, "answered 422: title can't be blank")


async def test_who_asks_hears_how_the_newest_alert_stands(notifier: PagerTree, pagertree: standin.PagerTree) -> None:
    asked = [OpenThere(KEY, "")]
    assert await notifier.owned(asked) == []
    await notifier.deliver(a_delivery())
    await notifier.deliver(rose())
    pagertree.effects.clear()
    pagertree.by_own_id(KEY).status = "acknowledged"
    assert await notifier.owned(asked) == []
    pagertree.by_own_id(ROSE).status = "acknowledged"
    found = await notifier.owned(asked)
    assert not isinstance(found, NotAsked)
    (owned,) = found
    assert (owned.key, owned.by, owned.is_over) == (KEY, "somebody at PagerTree", False)
    pagertree.fail_next(500)
    assert await notifier.owned(asked) == NotAsked("server_error answered 500")


def test_a_call_is_tried_at_least_twice_a_minute() -> None:
    assert (SCHEDULE.first.total_seconds(), SCHEDULE.longest.total_seconds(), SCHEDULE.settle) == (1, 30, ())
