"""What is remembered between transactions: what was committed and no more, and never what somebody else has changed."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from sevrouter.domain.alert import Alert, AlertRecord, HistoryEntry
from sevrouter.domain.incident import Incident, IncidentState
from sevrouter.engine.ports import ForgottenError
from sevrouter.store.errors import StoreUnavailableError
from sevrouter.store.ids import _AT_ONCE
from sevrouter.store.memory import Memory
from sevrouter.store.sqlite import make_engine, write_once
from tests.building import counts, select
from tests.domain.building import at, firing, incident, record_of, resolved

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from sevrouter.store.sqlite import SqliteStore
    from sevrouter.store.transaction import Transaction

PATIENCE = 10.0
KEY = incident().dedup_key


def a_record(number: int, *, sighting: bytes | None = None, **changes: Any) -> AlertRecord:
    """A record of an alert of its own."""
    seen = b"s%d" % number if sighting is None else sighting
    return replace(record_of(firing(f"A{number}")), id=number, sighting=seen, **changes)


def an_incident(number: int, *, key: str = KEY, **changes: Any) -> Incident:
    """An incident with that number."""
    return replace(incident(**changes), id=number, dedup_key=key)


def test_an_alert_is_found_by_its_labels_and_as_it_was_last_sent() -> None:
    memory, first = Memory(), a_record(1, sighting=b"first")
    memory.learn_records([first])
    again = replace(first, sighting=b"again")
    memory.learn_records([again])
    assert memory.records == {first.digest: again}
    assert memory.sightings == {b"again": again}


def test_an_alert_of_which_nobody_knows_how_it_was_sent_is_not_found_by_how_it_was_before() -> None:
    memory, record = Memory(), a_record(1)
    memory.learn_records([record])
    memory.learn_records([replace(record, sighting=b"")])
    assert (len(memory.records), memory.sightings) == (1, {})


def test_alerts_are_bounded_and_the_first_go_first() -> None:
    memory, records = Memory(most_alerts=16), [a_record(number) for number in range(100)]
    for record in records:
        memory.learn_records([record])
        assert len(memory.records) <= 16
        assert memory.sightings == {each.sighting: each for each in memory.records.values()}
    assert {*memory.records} <= {each.digest for each in records[-16:]}
    assert len(memory.records) >= 14, "only an eighth goes at once"


def test_incidents_are_bounded_and_the_first_go_first() -> None:
    memory = Memory(most_incidents=16)
    for number in range(1, 100):
        memory.learn_incidents([an_incident(number, key=str(number))])
        memory.last_by_key[str(number)] = number
        assert len(memory.incidents) <= 16
        assert memory.last_by_key == {each.dedup_key: number for number, each in memory.incidents.items()}
    assert min(memory.incidents) >= 84
    assert len(memory.incidents) >= 14


def test_what_is_forgotten_by_name_leaves_its_neighbours() -> None:
    memory, records = Memory(), [a_record(number) for number in range(3)]
    memory.learn_records(records)
    memory.learn_incidents([an_incident(1), an_incident(2, key="other")])
    memory.last_by_key.update({KEY: 1, "other": 2})
    memory.forget_records([records[1].digest, b"nobody's"])
    memory.forget_incidents([1, 99])
    assert {*memory.sightings} == {b"s0", b"s2"}
    assert (memory.last_by_key, {*memory.incidents}) == ({"other": 2}, {2})


async def remember(store: SqliteStore, alert: Alert, *, minute: float = 0, **changes: Any) -> None:
    """Write an alert as intake does, sent just like this."""
    await store.write(remembering(alert, minute=minute, **changes))


def remembering(alert: Alert, *, minute: float = 0, **changes: Any) -> Callable[[Transaction], None]:
    """A work that writes an alert at the version at which it is found."""

    def work(tx: Transaction) -> None:
        known = tx.alerts.records([alert.digest]).get(alert.digest)
        record = replace(record_of(alert, received=minute, incident_id=None), sighting=alert.sighting, **changes)
        if known is not None:
            record = replace(record, id=known.id, version=known.version)
        tx.alerts.save([HistoryEntry(record=record, alert=alert, at=at(minute), reading=None, with_content=False)])

    return work


def sent(alert: Alert, sighting: bytes = b"just like this") -> Alert:
    """An alert of which it is known how it was sent."""
    return replace(alert, sighting=sighting)


def contents(store: SqliteStore) -> list[object]:
    """All that is remembered."""
    memory = store._memory
    return [
        dict(memory.records),
        dict(memory.sightings),
        dict(memory.incidents),
        dict(memory.last_by_key),
        memory.any_truncated,
    ]


async def test_what_was_committed_is_remembered(store: SqliteStore) -> None:
    await remember(store, sent(firing()))
    await store.write(lambda tx: tx.incidents.add([replace(incident(), id=None)]))
    record = store.remembered(b"just like this")
    assert record is not None
    assert (record.digest, record.id, record.version) == (firing().digest, 1, 1)
    assert {number: each.version for number, each in store._memory.incidents.items()} == {1: 1}
    assert store._memory.last_by_key == {KEY: 1}
    assert store.remembered(b"in another way") is None


async def test_a_work_that_fails_leaves_the_memory_as_it_was(store: SqliteStore) -> None:
    await remember(store, sent(firing()))
    await store.write(lambda tx: tx.incidents.add([replace(incident(), id=None)]))
    before = contents(store)

    def fails(tx: Transaction) -> None:
        remembering(sent(resolved(), b"over"))(tx)
        remembering(sent(firing("New"), b"new"))(tx)
        tx.alerts.recall([replace(tx.alerts.records([firing().digest])[firing().digest], sighting=b"recalled")])
        found = tx.incidents.last_by_key([KEY])[KEY]
        tx.incidents.save([replace(found, state=IncidentState.RESOLVED, resolved_at=at(1))])
        tx.incidents.add([replace(incident(truncated=True), id=None, dedup_key="new")])
        assert tx.incidents.any_truncated()
        tx.flush()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await store.write(fails)
    assert contents(store) == before
    assert await counts(store, "alerts", "history", "incidents") == {"alerts": 1, "history": 1, "incidents": 1}


async def test_what_is_not_committed_after_all_is_not_remembered(sqlite_store: SqliteStore) -> None:
    def fail(_connection: object) -> None:
        raise OperationalError("COMMIT", {}, Exception("disk I/O error"))

    event.listen(sqlite_store._database.engine, "commit", fail)
    with pytest.raises(StoreUnavailableError):
        await remember(sqlite_store, sent(firing()))
    event.remove(sqlite_store._database.engine, "commit", fail)
    assert contents(sqlite_store) == [{}, {}, {}, {}, None]
    assert not sqlite_store.is_sure
    await remember(sqlite_store, sent(firing()))
    assert sqlite_store.remembered(b"just like this") is not None


async def test_what_a_commit_refuses_is_not_remembered(sqlite_store: SqliteStore) -> None:
    await remember(sqlite_store, sent(firing()))
    before = contents(sqlite_store)

    def refuse(connection: Connection) -> None:
        connection.exec_driver_sql("ROLLBACK")
        raise ZeroDivisionError

    event.listen(sqlite_store._database.engine, "commit", refuse)
    with pytest.raises(ZeroDivisionError):
        await remember(sqlite_store, sent(firing("New"), b"new"))
    event.remove(sqlite_store._database.engine, "commit", refuse)
    assert contents(sqlite_store) == before


def is_remembered(alert: Alert) -> Callable[[Transaction], bool]:
    """A work that says whether this alert is."""
    return lambda tx: not tx.alerts.expect([alert.digest])


async def test_what_another_process_writes_clears_it(sqlite_store: SqliteStore) -> None:
    store = sqlite_store
    await remember(store, sent(firing()))
    await store.write(lambda tx: tx.touch())
    await store.read(lambda tx: tx.quarantine.count())
    assert await store.write(is_remembered(firing())), "what it writes and reads itself is no reason"
    engine = make_engine(store.path)
    write_once(engine, remembering(firing(), minute=5))
    engine.dispose()
    assert not await store.write(is_remembered(firing()))
    assert store.remembered(b"just like this") is None
    await remember(store, sent(resolved()), minute=6)
    assert await select(store, "SELECT status, version FROM alert_states") == [{"status": "resolved", "version": 3}]


async def test_a_number_that_another_process_took_is_not_given_again(sqlite_store: SqliteStore) -> None:
    store = sqlite_store
    await remember(store, firing("A"))
    engine = make_engine(store.path)
    write_once(engine, remembering(firing("B")))
    engine.dispose()
    await remember(store, firing("C"))
    rows = await select(store, "SELECT id, labels FROM alerts ORDER BY id")
    assert [(row["id"], row["labels"]) for row in rows] == [
        (number, f'{{"alertname":"{name}"}}') for number, name in enumerate("ABC", start=1)
    ]


async def test_numbers_of_works_that_failed_are_not_given_twice(store: SqliteStore) -> None:
    def fails(tx: Transaction) -> None:
        remembering(firing("lost"))(tx)
        raise ZeroDivisionError

    await remember(store, firing("A"))
    with pytest.raises(ZeroDivisionError):
        await store.write(fails)
    await remember(store, firing("B"))
    ids = [row["id"] for row in await select(store, "SELECT id FROM alerts ORDER BY id")]
    assert len({*ids}) == 2


async def test_numbers_that_are_not_written_yet_are_not_given_twice(store: SqliteStore) -> None:
    def work(tx: Transaction) -> None:
        # The second leaves none of those that the first took in store.
        for first, count in ((0, 1), (1, _AT_ONCE), (_AT_ONCE + 1, 1)):
            for number in range(first, first + count):
                remembering(firing(f"A{number}"))(tx)

    await store.write(work)
    assert await counts(store, "alerts", "alert_states") == {"alerts": _AT_ONCE + 2, "alert_states": _AT_ONCE + 2}


async def test_retention_evicts_what_it_deletes(store: SqliteStore) -> None:
    await remember(store, sent(resolved("Old"), b"old"), minute=1)
    await remember(store, sent(resolved("Young"), b"young"), minute=100)
    over = replace(incident(state=IncidentState.RESOLVED, resolved_at=at(1)), id=None)
    await store.write(lambda tx: tx.incidents.add([over, replace(incident(), id=None, dedup_key="open")]))
    assert await store.write(lambda tx: tx.retention.forget(at(50), most=10)) == 2
    assert (store.remembered(b"old"), store.remembered(b"young") is not None) == (None, True)
    assert not await store.write(is_remembered(resolved("Old")))
    assert (store._memory.last_by_key, {*store._memory.incidents}) == ({"open": 2}, {2})
    assert await store.write(lambda tx: tx.incidents.last_by_key([KEY])) == {}


async def test_what_retention_deletes_in_the_same_transaction_is_new_again(store: SqliteStore) -> None:
    await remember(store, sent(resolved(), b"old"), minute=1)
    await together(store, lambda tx: tx.retention.forget(at(50), most=10), remembering(firing(), minute=60))
    assert await select(store, "SELECT status FROM alert_states") == [{"status": "firing"}]
    assert await counts(store, "alerts", "history") == {"alerts": 1, "history": 1}


async def together(store: SqliteStore, *works: Callable[[Transaction], Any]) -> list[Any]:
    """Let works wait for the writer at once, so that it takes them in one transaction."""
    begun, go = threading.Event(), threading.Event()

    def hold(_tx: Transaction) -> None:
        begun.set()
        assert go.wait(PATIENCE)

    first = asyncio.create_task(store.write(hold))
    await asyncio.to_thread(begun.wait, PATIENCE)
    waiting = [asyncio.create_task(store.write(work)) for work in works]
    await asyncio.sleep(0)
    go.set()
    await first
    return await asyncio.gather(*waiting)


async def test_a_memory_that_is_wrong_is_found_out_and_put_right(store: SqliteStore) -> None:
    await remember(store, sent(firing()))
    await store.write(lambda tx: tx.incidents.add([replace(incident(), id=None)]))
    record, known = store._memory.records[firing().digest], store._memory.incidents[1]
    store._memory.learn_records([replace(record, version=7)])
    store._memory.learn_incidents([replace(known, version=7)])

    def change(tx: Transaction) -> None:
        remembering(resolved(), minute=1)(tx)
        tx.incidents.save([replace(tx.incidents.last_by_key([KEY])[KEY], firing=0)])

    await store.write(change)
    assert await select(store, "SELECT status, version FROM alert_states") == [{"status": "resolved", "version": 2}]
    assert await select(store, "SELECT firing, version FROM incidents") == [{"firing": 0, "version": 2}]
    assert store._memory.records[firing().digest].version == 2


async def test_who_was_last_sent_otherwise_has_to_be_read(store: SqliteStore) -> None:
    await remember(store, sent(firing()))

    def change_then_ask(tx: Transaction) -> None:
        tx.alerts.expect_sighted([b"just like this"])
        tx.load()
        assert [each.digest for each in tx.alerts.sighted([b"just like this"])] == [firing().digest]
        remembering(sent(resolved(), b"over"))(tx)
        with pytest.raises(ForgottenError):
            tx.alerts.sighted([b"just like this"])

    await store.write(change_then_ask)
    assert store.remembered(b"just like this") is None


async def two_incidents(store: SqliteStore) -> None:
    """An incident that is over, and the open one that followed it."""
    over = replace(incident(state=IncidentState.RESOLVED, resolved_at=at(1)), id=None)
    await store.write(lambda tx: tx.incidents.add([over]))
    await store.write(lambda tx: tx.incidents.add([replace(incident(), id=None)]))


async def test_the_last_incident_of_an_identity_is_the_last_also_where_an_older_one_was_read_since(
    store: SqliteStore,
) -> None:
    await two_incidents(store)
    store._memory.clear()
    # As a lane does for an old delivery.
    assert {*await store.write(lambda tx: tx.incidents.by_id([1]))} == {1}
    found = await store.write(lambda tx: tx.incidents.last_by_key([KEY]))
    assert [each.id for each in found.values()] == [2]


async def test_it_is_sure_while_nothing_is_truncated_and_again_thereafter(sqlite_store: SqliteStore) -> None:
    store, sure = sqlite_store, []

    async def then(work: Callable[[Transaction], Any]) -> None:
        await store.write(work)
        sure.append(store.is_sure)

    def end(tx: Transaction) -> None:
        assert tx.incidents.any_truncated()
        tx.incidents.save([replace(tx.incidents.by_id([1])[1], truncated=False)])

    await then(lambda tx: tx.touch())
    await then(lambda tx: tx.incidents.any_truncated())
    await then(lambda tx: tx.incidents.add([replace(incident(truncated=True), id=None)]))
    await then(lambda tx: tx.incidents.any_truncated())
    await then(end)
    assert not await store.read(lambda tx: tx.incidents.any_truncated())
    await then(lambda tx: tx.incidents.any_truncated())
    assert (sure[:4], sure[-1]) == ([False, True, False, False], True)
