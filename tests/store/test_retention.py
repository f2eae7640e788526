"""Forgetting takes what ended long ago and nothing else, and what it leaves can still be replayed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from sevrouter.domain.alert import HistoryEntry
from sevrouter.domain.delivery import DeliveryState, NewDelivery
from sevrouter.domain.deployment import Deployment
from sevrouter.domain.incident import Fact, IncidentState, TimelineEntry
from sevrouter.store.tables import microseconds
from tests.building import counts, select
from tests.domain.building import at, firing, incident, notice, record_of, resolved

if TYPE_CHECKING:
    from sevrouter.domain.alert import Alert
    from sevrouter.store.sqlite import SqliteStore
    from sevrouter.store.transaction import Transaction

CUT = 100


async def remember(store: SqliteStore, alert: Alert, *, minute: float, with_content: bool = True) -> None:
    """What intake writes of an alert that was received then."""

    def work(tx: Transaction) -> None:
        known = tx.alerts.records([alert.digest]).get(alert.digest)
        record = record_of(alert, received=minute, incident_id=None)
        if known is not None:
            record = replace(record, id=known.id, version=known.version)
        entry = HistoryEntry(record=record, alert=alert, at=at(minute), reading=None, with_content=with_content)
        tx.alerts.save([entry])

    await store.write(work)


async def forget(store: SqliteStore, *, most: int = 100) -> int:
    """Forget what ended before the cut."""
    return await store.write(lambda tx: tx.retention.forget(at(CUT), most=most))


async def history(store: SqliteStore) -> list[tuple[float, str, str | None]]:
    """The minutes, states and contents that are left."""
    rows = await select(store, "SELECT at, status, content FROM history ORDER BY id")
    zero = int(at(0).timestamp()) * 1_000_000
    return [((row["at"] - zero) / 60e6, row["status"], row["content"]) for row in rows]


async def test_an_alert_that_fires_is_never_forgotten(store: SqliteStore) -> None:
    await remember(store, firing(), minute=1)
    assert await forget(store) == 0
    assert await counts(store, "alerts", "alert_states", "history") == {"alerts": 1, "alert_states": 1, "history": 1}


async def test_an_alert_that_ended_is_forgotten_with_its_history(store: SqliteStore) -> None:
    await remember(store, firing(), minute=1)
    await remember(store, resolved(), minute=99.9)
    await remember(store, resolved("Later"), minute=100)
    assert await forget(store) > 0
    assert await counts(store, "alerts", "alert_states", "history") == {"alerts": 1, "alert_states": 1, "history": 1}


async def test_how_an_alert_stood_at_that_time_stays_known(store: SqliteStore) -> None:
    await remember(store, firing(), minute=1)
    await remember(store, resolved(), minute=2)
    await remember(store, firing(start=3), minute=3)
    await remember(store, resolved(start=3), minute=200)
    await remember(store, firing(start=201), minute=201)
    await forget(store)
    assert [(minute, status) for minute, status, _ in await history(store)] == [
        (3, "firing"),
        (200, "resolved"),
        (201, "firing"),
    ]


async def test_the_content_of_what_stays_stays(store: SqliteStore) -> None:
    old, young = {"summary": "old"}, {"summary": "young"}
    await remember(store, firing(annotations=old), minute=1)
    await remember(store, firing(annotations=young), minute=2)
    await remember(store, firing(start=3, annotations=young), minute=3, with_content=False)
    await remember(store, firing(start=4, annotations=young), minute=4, with_content=False)
    await remember(store, firing(start=200, annotations=old), minute=200)
    await forget(store)
    kept = await history(store)
    assert [minute for minute, _, _ in kept] == [2, 4, 200]
    assert "young" in str(kept[0][2])
    assert kept[1][2] is None


def delivery(incident_id: int) -> NewDelivery:
    """A delivery of an incident."""
    told = replace(notice(), incident_id=incident_id)
    return NewDelivery(integration="slack", notice=told, received_at=at(0), expires_at=at(60))


async def an_incident(store: SqliteStore, *, ended: float | None, key: str = "0001") -> int:
    """An incident with a line in its timeline and a reference."""
    state = IncidentState.TRIGGERED if ended is None else IncidentState.RESOLVED
    written = replace(incident(state=state, resolved_at=None if ended is None else at(ended)), dedup_key=key, id=None)

    def work(tx: Transaction) -> int:
        number: int = tx.incidents.add([written])[key]
        tx.incidents.tell([(number, TimelineEntry(Fact.OPENED, at(0)))])
        return number

    return await store.write(work)


async def test_an_open_incident_is_never_forgotten(store: SqliteStore) -> None:
    await an_incident(store, ended=None)
    assert await forget(store) == 0


async def test_an_incident_that_ended_is_forgotten_with_all_that_is_its_own(store: SqliteStore) -> None:
    number = await an_incident(store, ended=99)
    kept = await an_incident(store, ended=100, key="0002")

    def told(tx: Transaction) -> None:
        tx.outbox.add([delivery(number)])
        (head,) = tx.outbox.heads("slack", now=at(1), most=1)
        tx.outbox.refer(head, "1.2")
        tx.outbox.void(head, DeliveryState.DELIVERED, reason="accepted", at=at(1))

    await store.write(told)
    assert await forget(store) == 1
    assert await select(store, "SELECT id FROM incidents") == [{"id": kept}]
    assert await counts(store, "timeline", "deliveries", "delivery_references") == {
        "timeline": 1,
        "deliveries": 0,
        "delivery_references": 0,
    }


@pytest.mark.parametrize("is_begun", [False, True])
async def test_an_incident_with_something_to_deliver_is_never_forgotten(store: SqliteStore, *, is_begun: bool) -> None:
    number = await an_incident(store, ended=1)
    await store.write(lambda tx: tx.outbox.add([delivery(number)]))
    if is_begun:
        (head,) = await store.read(lambda tx: tx.outbox.heads("slack", now=at(1), most=1))
        await store.write(lambda tx: tx.outbox.begin([replace(head, lease="mine")], until=at(1)))
    assert await forget(store) == 0
    assert await counts(store, "incidents", "deliveries") == {"incidents": 1, "deliveries": 1}


async def test_quarantined_bodies_are_forgotten_by_when_they_came_last(store: SqliteStore) -> None:
    await store.write(lambda tx: tx.quarantine.add(b"old", reason="", at=at(1)))
    for minute in (1, 100):
        await store.write(lambda tx, minute=minute: tx.quarantine.add(b"again", reason="", at=at(minute)))  # type: ignore[misc]
    assert await forget(store) == 1
    assert [each.body for each in await store.read(lambda tx: tx.quarantine.listed(most=9))] == [b"again"]


async def test_deployments_are_forgotten_by_when_they_went_live(store: SqliteStore) -> None:
    for minute in (99, 100):
        deployed = Deployment(system="checkout", version="1", at=at(minute))
        await store.write(lambda tx, deployed=deployed: tx.deployments.add(deployed, received_at=at(200)))  # type: ignore[misc]
    assert await forget(store) == 1
    assert [row["at"] for row in await select(store, "SELECT at FROM deployments")] == [microseconds(at(100))]


async def test_no_more_than_was_asked_for_goes_at_once(store: SqliteStore) -> None:
    for number in range(5):
        await remember(store, resolved(f"A{number}"), minute=1)
        await store.write(lambda tx, number=number: tx.quarantine.add(b"%d" % number, reason="", at=at(1)))  # type: ignore[misc]
    assert [await forget(store, most=2) for _ in range(4)] == [4, 4, 2, 0]
