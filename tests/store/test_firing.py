"""What fires, as it is held against what Alertmanagers show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from sevrouter.domain.alert import AlertStatus
from sevrouter.domain.reconciliation import Held
from tests.building import select
from tests.domain.building import at, firing, incident, resolved
from tests.store.test_alerts import entry, records, save, save_incident

if TYPE_CHECKING:
    from sevrouter.domain.incident import Incident
    from sevrouter.store.sqlite import SqliteStore
    from sevrouter.store.transaction import Transaction


async def test_what_fires_is_held_with_its_incident_and_without_what_is_over(store: SqliteStore) -> None:
    await save(
        store,
        entry(firing("A"), minute=1, incident_id=7),
        entry(firing("B"), minute=2, incident_id=None, sev=None),
        entry(resolved("C", end=1)),
    )
    held = await store.read(lambda tx: tx.firing.held())
    assert sorted(held, key=lambda each: each.id) == [
        Held(1, firing("A").digest, 7, 1, at(1), False),
        Held(2, firing("B").digest, None, 1, at(2), False),
    ]
    assert await store.read(lambda tx: tx.firing.of_incidents([7, 8])) == {7: [firing("A").digest], 8: []}


async def test_what_was_saved_in_the_same_transaction_is_held_too(store: SqliteStore) -> None:
    def work(tx: Transaction) -> tuple[list[Held], dict[int, list[bytes]]]:
        tx.alerts.save([entry(firing(), incident_id=7)])
        return tx.firing.held(), tx.firing.of_incidents([7])

    held, of_incident = await store.write(work)
    assert ([each.digest for each in held], of_incident) == ([firing().digest], {7: [firing().digest]})


async def test_that_it_was_seen_is_kept_through_all_that_becomes_of_it_and_is_no_new_version(
    store: SqliteStore,
) -> None:
    await save(store, entry(firing("A")), entry(firing("B")))
    await store.write(lambda tx: tx.firing.see([1]))
    (record, _) = await records(store, firing("A"), firing("B"))
    assert record.version == 1
    over = replace(record, status=AlertStatus.RESOLVED, closed_until=at(1))
    await save(store, replace(entry(firing("A")), record=over))
    await save(store, replace(entry(firing("A")), record=replace(over, version=2, status=AlertStatus.FIRING)))
    held = await store.read(lambda tx: tx.firing.held())
    assert {each.id: each.seen_there for each in held} == {1: True, 2: False}
    await store.write(lambda tx: tx.firing.see([]))


async def test_alerts_come_with_their_labels(store: SqliteStore) -> None:
    alert = firing("A", start=3, generator_url="http://p:9090/g", region="Zürich")
    await save(store, entry(alert), entry(firing("B")))
    found = await store.read(lambda tx: tx.firing.labelled([1]))
    assert found == {alert.digest: alert}


async def test_the_suppressed_incidents_are_known_until_they_are_not(store: SqliteStore) -> None:
    await store.write(lambda tx: tx.incidents.add([fresh("a", suppressed="silenced"), fresh("b")]))
    assert await store.read(lambda tx: tx.firing.suppressed()) == {1}
    (read,) = (await store.read(lambda tx: tx.incidents.by_id([1]))).values()
    assert read.suppressed == "silenced"
    await save_incident(store, replace(read, suppressed=None))
    assert await store.read(lambda tx: tx.firing.suppressed()) == set()
    assert len(await select(store, "SELECT id FROM incidents")) == 2


def fresh(key: str, *, suppressed: str | None = None) -> Incident:
    """A new incident."""
    return replace(incident(), id=None, dedup_key=key, suppressed=suppressed)
