"""The outbox: whose turn it is, who holds it, and that nobody writes over what another finished."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from sevrouter.domain.delivery import DeliveryState, LaneCounts, NewDelivery, NoticeKind, OutcomeReason, Sibling
from sevrouter.domain.sev import Sev
from tests.building import select
from tests.domain.building import at, incident, notice

if TYPE_CHECKING:
    from sevrouter.domain.delivery import Delivery
    from sevrouter.store.sqlite import SqliteStore
    from sevrouter.store.transaction import Transaction

OPENED, ROSE, RESOLVED = NoticeKind.OPENED, NoticeKind.ROSE, NoticeKind.RESOLVED
PENDING, SENDING, DELIVERED, DEAD = (
    DeliveryState.PENDING,
    DeliveryState.SENDING,
    DeliveryState.DELIVERED,
    DeliveryState.DEAD,
)


def new(
    kind: NoticeKind = OPENED, *, incident_id: int = 1, integration: str = "slack", sev: Sev = Sev.SEV_2, due: float = 0
) -> NewDelivery:
    """A delivery that is due at minute `due`."""
    told = replace(notice(kind, sev=sev), incident_id=incident_id, at=at(due))
    return NewDelivery(integration=integration, notice=told, received_at=at(due), expires_at=at(due + 60))


async def filled(store: SqliteStore, *deliveries: NewDelivery, incidents: int = 3) -> None:
    """Write incidents, numbered from 1, and deliveries, numbered from 1."""

    def work(tx: Transaction) -> None:
        tx.incidents.add([replace(incident(), dedup_key=f"{number:04x}", id=None) for number in range(incidents)])
        tx.outbox.add(deliveries)

    await store.write(work)


async def heads(store: SqliteStore, *, minute: float = 0, integration: str = "slack", most: int = 10) -> list[Delivery]:
    """The deliveries whose turn it is."""
    return await store.read(lambda tx: tx.outbox.heads(integration, now=at(minute), most=most))


async def numbers(store: SqliteStore, *, minute: float = 0, integration: str = "slack", most: int = 10) -> list[int]:
    """Their numbers."""
    return [each.id for each in await heads(store, minute=minute, integration=integration, most=most)]


async def begun(store: SqliteStore, number: int, *, lease: str = "mine", until: float = 1) -> Delivery:
    """A delivery that is being sent by who holds the lease."""
    (head,) = [each for each in await heads(store, minute=99) if each.id == number]
    mine = replace(head, lease=lease, attempts=head.attempts + 1)
    await store.write(lambda tx: tx.outbox.begin([mine], until=at(until)))
    return mine


async def finished(
    store: SqliteStore, delivery: Delivery, state: DeliveryState = DELIVERED, *, minute: float = 1
) -> bool:
    """Whether it could be finished."""
    reason = OutcomeReason.ACCEPTED
    return await store.write(lambda tx: tx.outbox.finish(delivery, state, reason=reason, detail="ok", at=at(minute)))


async def row(store: SqliteStore, number: int = 1) -> dict[str, object]:
    """A delivery as it stands in the database."""
    (found,) = await select(store, "SELECT * FROM deliveries WHERE id = :id", id=number)
    return found


async def test_a_delivery_comes_back_as_it_was_written(store: SqliteStore) -> None:
    written = new()
    await filled(store, written)
    (head,) = await heads(store)
    assert head.notice == written.notice
    assert (head.attempts, head.unknowns, head.reference, head.lease) == (0, 0, None, "")
    assert (head.received_at, head.expires_at) == (at(0), at(60))


async def test_the_worst_comes_first_and_among_equals_the_oldest(store: SqliteStore) -> None:
    await filled(
        store,
        new(incident_id=1, sev=Sev.SEV_4),
        new(incident_id=2, sev=Sev.SEV_1),
        new(incident_id=3, sev=Sev.SEV_1),
    )
    assert await numbers(store) == [2, 3, 1]
    assert await numbers(store, most=1) == [2]


async def test_of_an_incident_the_oldest_comes_first_however_bad_the_next_is(store: SqliteStore) -> None:
    await filled(store, new(sev=Sev.SEV_4), new(ROSE, sev=Sev.SEV_1), new(RESOLVED), new(incident_id=2))
    assert await numbers(store) == [4, 1]


@pytest.mark.parametrize("state", [DELIVERED, DEAD])
async def test_the_next_of_an_incident_comes_once_the_one_before_is_finished(
    store: SqliteStore, state: DeliveryState
) -> None:
    await filled(store, new(), new(ROSE))
    first = await begun(store, 1)
    assert await numbers(store) == []
    assert await finished(store, first, state)
    assert await numbers(store) == [2]


async def test_integrations_do_not_wait_for_each_other(store: SqliteStore) -> None:
    await filled(store, new(), new(ROSE), new(integration="call"))
    await begun(store, 1)
    assert await numbers(store, integration="call") == [3]


async def test_what_is_not_due_yet_is_left(store: SqliteStore) -> None:
    await filled(store, new(due=5))
    assert await numbers(store, minute=4.9) == []
    assert await numbers(store, minute=5) == [1]


async def test_the_next_due_time_is_that_of_a_head(store: SqliteStore) -> None:
    await filled(store, new(due=5), new(ROSE, due=1), new(incident_id=2, due=7))
    assert await store.read(lambda tx: tx.outbox.next_due_at("slack")) == at(5)
    await begun(store, 1)
    assert await store.read(lambda tx: tx.outbox.next_due_at("slack")) == at(7)
    assert await store.read(lambda tx: tx.outbox.next_due_at("call")) is None


async def test_a_begun_delivery_is_counted_and_nobody_elses_turn(store: SqliteStore) -> None:
    await filled(store, new())
    await begun(store, 1, lease="mine", until=1)
    found = await row(store)
    assert (found["state"], found["lease"], found["attempts"]) == ("sending", "mine", 1)
    assert await numbers(store, minute=99) == []


async def test_who_begins_second_does_not_take_it_away(store: SqliteStore) -> None:
    await filled(store, new())
    (head,) = await heads(store)
    await begun(store, 1, lease="first")
    await store.write(lambda tx: tx.outbox.begin([replace(head, lease="second")], until=at(9)))
    found = await row(store)
    assert (found["lease"], found["attempts"]) == ("first", 1)


async def test_a_delivery_is_finished_by_who_holds_it(store: SqliteStore) -> None:
    await filled(store, new())
    mine = await begun(store, 1)
    assert await finished(store, mine)
    found = await row(store)
    assert (found["state"], found["lease"], found["lease_until"], found["reason"]) == (
        "delivered",
        None,
        None,
        "accepted",
    )


async def test_a_late_worker_finishes_nothing(store: SqliteStore) -> None:
    await filled(store, new())
    late = await begun(store, 1, lease="late")
    await store.write(
        lambda tx: tx.outbox.postpone(late, not_before=at(0), unknowns=1, reason=OutcomeReason.LEASE_EXPIRED, detail="")
    )
    assert not await finished(store, late), "it is pending again"
    second = await begun(store, 1, lease="second")
    assert not await finished(store, late, DEAD), "another holds it"
    assert (await row(store))["state"] == "sending"
    assert await finished(store, second)
    assert not await finished(store, late, DEAD), "it is over"
    assert (await row(store))["state"] == "delivered"


async def test_a_late_worker_postpones_nothing(store: SqliteStore) -> None:
    await filled(store, new())
    mine = await begun(store, 1)
    other = replace(mine, lease="another's")
    assert not await store.write(
        lambda tx: tx.outbox.postpone(
            other, not_before=at(9), unknowns=9, reason=OutcomeReason.TIMED_OUT, detail="late"
        )
    )
    assert (await row(store))["state"] == "sending"


async def test_a_postponed_delivery_is_tried_again_at_its_time(store: SqliteStore) -> None:
    await filled(store, new())
    mine = await begun(store, 1)
    assert await store.write(
        lambda tx: tx.outbox.postpone(
            mine, not_before=at(3), unknowns=1, reason=OutcomeReason.TIMED_OUT, detail="no answer"
        )
    )
    assert await numbers(store, minute=2.9) == []
    (again,) = await heads(store, minute=3)
    assert (again.attempts, again.unknowns, again.lease) == (1, 1, "")
    assert (await row(store))["detail"] == "no answer"


async def test_only_what_is_pending_can_be_voided(store: SqliteStore) -> None:
    await filled(store, new(), new(incident_id=2))
    mine = await begun(store, 1)
    other = next(each for each in await heads(store))
    for each in (mine, other):
        await store.write(
            lambda tx, each=each: tx.outbox.void(each, DeliveryState.SUPERSEDED, reason="acknowledged", at=at(1))  # type: ignore[misc]
        )
    assert (await row(store, 1))["state"] == "sending"
    assert (await row(store, 2))["state"] == "superseded"


async def test_leases_that_ran_out_are_found(store: SqliteStore) -> None:
    await filled(store, new(), new(incident_id=2))
    await begun(store, 1, until=1)
    await begun(store, 2, lease="other", until=5)
    assert [each.id for each in await store.read(lambda tx: tx.outbox.expired_leases(at(1), most=10))] == []
    (expired,) = await store.read(lambda tx: tx.outbox.expired_leases(at(2), most=10))
    assert (expired.id, expired.lease, expired.attempts) == (1, "mine", 1)
    everybody = await store.read(lambda tx: tx.outbox.expired_leases(None, most=10))
    assert [each.id for each in everybody] == [1, 2]


async def test_siblings_are_of_the_same_incident_and_integration(store: SqliteStore) -> None:
    await filled(store, new(), new(RESOLVED), new(incident_id=2), new(integration="call"))
    found = await store.read(lambda tx: tx.outbox.siblings("slack", {1, 2, 99}))
    assert found == {
        1: [Sibling(1, OPENED, PENDING, 0), Sibling(2, RESOLVED, PENDING, 0)],
        2: [Sibling(3, OPENED, PENDING, 0)],
        99: [],
    }
    assert await store.read(lambda tx: tx.outbox.siblings("slack", set())) == {}


async def test_the_last_reference_is_remembered(store: SqliteStore) -> None:
    await filled(store, new(), new(integration="jira"))
    (head,) = await heads(store)
    for reference in ("first", "second"):
        await store.write(lambda tx, reference=reference: tx.outbox.refer(head, reference))  # type: ignore[misc]
    assert [each.reference for each in await heads(store)] == ["second"]
    assert [each.reference for each in await heads(store, integration="jira")] == [None], "it is another's name"
    assert await store.read(lambda tx: tx.outbox.references("slack", [1, 2])) == {1: "second"}


async def test_dead_letters_are_listed_the_last_first(store: SqliteStore) -> None:
    await filled(store, new(), new(incident_id=2), new(incident_id=3))
    for number in (1, 2):
        await finished(store, await begun(store, number), DEAD, minute=number)
    letters = await store.read(lambda tx: tx.outbox.dead_letters(most=10))
    assert [(each.id, each.finished_at, each.attempts, each.reason, each.detail) for each in letters] == [
        (2, at(2), 1, "accepted", "ok"),
        (1, at(1), 1, "accepted", "ok"),
    ]
    assert letters[0].notice == new(incident_id=2).notice
    assert len(await store.read(lambda tx: tx.outbox.dead_letters(most=1))) == 1


async def test_dead_letters_are_revived_by_name_or_all(store: SqliteStore) -> None:
    await filled(store, new(), new(incident_id=2), new(incident_id=3))
    for number in (1, 2):
        await finished(store, await begun(store, number), DEAD)
    await finished(store, await begun(store, 3))
    assert await store.write(lambda tx: tx.outbox.revive([2, 3, 99], now=at(5), expires_at=at(65))) == 1
    (again,) = await heads(store, minute=5)
    assert (again.id, again.expires_at, again.attempts) == (2, at(65), 1)
    assert await store.write(lambda tx: tx.outbox.revive([], now=at(5), expires_at=at(65))) == 0
    assert await store.write(lambda tx: tx.outbox.revive(None, now=at(5), expires_at=at(65))) == 1
    assert await numbers(store, minute=5) == [1, 2]
    assert (await row(store, 3))["state"] == "delivered"


async def test_lanes_are_counted(store: SqliteStore) -> None:
    await filled(
        store,
        new(due=3),
        new(incident_id=2, due=1),
        new(incident_id=3),
        new(integration="call"),
        new(integration="jira"),
    )
    await begun(store, 1)
    await finished(store, await begun(store, 3), DEAD)
    (call,) = await heads(store, integration="call")
    await store.write(lambda tx: tx.outbox.void(call, DEAD, reason="expired", at=at(9)))
    (jira,) = await heads(store, integration="jira")
    await store.write(lambda tx: tx.outbox.void(jira, DeliveryState.SUPERSEDED, reason="", at=at(9)))
    assert await store.read(lambda tx: tx.outbox.counts()) == {
        "slack": LaneCounts(pending=2, oldest_pending_at=at(1), dead=1),
        "call": LaneCounts(dead=1),
    }


async def test_what_expired_for_nobody_is_given_up(store: SqliteStore) -> None:
    await filled(store, new(integration="slack"), new(integration="call"))
    assert await store.write(lambda tx: tx.outbox.give_up_orphans(["call"], now=at(59), most=9)) == []
    assert await store.write(lambda tx: tx.outbox.give_up_orphans(["call", "slack"], now=at(60), most=9)) == []
    given_up = await store.write(lambda tx: tx.outbox.give_up_orphans(["call"], now=at(60), most=9))
    assert [each.integration for each in given_up] == ["slack"]
    assert [each.reason for each in await store.read(lambda tx: tx.outbox.dead_letters(most=9))] == ["expired"]
