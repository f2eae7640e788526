"""Alerts: labels once, one narrow state, and what cannot be read kept as it came."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from sevrouter.domain.alert import Alert, AlertRecord, HistoryEntry
from sevrouter.domain.incident import Fact, Incident, IncidentState, TimelineEntry
from sevrouter.domain.sev import Sev
from sevrouter.store.quarantine import Quarantined
from tests.building import counts, select
from tests.domain.building import at, firing, incident, record_of, resolved

if TYPE_CHECKING:
    from sevrouter.store.sqlite import SqliteStore
    from sevrouter.store.transaction import Transaction


async def save(store: SqliteStore, *entries: HistoryEntry) -> None:
    """Write entries."""
    await store.write(lambda tx: tx.alerts.save(entries))


async def records(store: SqliteStore, *alerts: Alert) -> list[AlertRecord]:
    """What is remembered of them."""
    found = await store.read(lambda tx: tx.alerts.records([each.digest for each in alerts]))
    return [found[each.digest] for each in alerts if each.digest in found]


async def save_incident(store: SqliteStore, changed: Incident) -> None:
    """Save an incident as it is now, at the version that is found in the store."""

    def work(tx: Transaction) -> None:
        assert changed.id is not None
        found = tx.incidents.by_id([changed.id])[changed.id]
        tx.incidents.save([replace(changed, version=found.version)])

    await store.write(work)


def entry(alert: Alert, *, number: int | None = None, minute: float = 0, **changes: object) -> HistoryEntry:
    """A change of an alert."""
    record = replace(record_of(alert, received=minute), id=number, **changes)
    return HistoryEntry(record=record, alert=alert, at=at(minute), reading="12 %", with_content=number is None)


async def test_a_record_comes_back_as_it_was_written(store: SqliteStore) -> None:
    alert = resolved(start=1, end=2)
    written = entry(alert, closed_until=at(2), sev=Sev.SEV_3, unsure=True, incident_id=None)
    await save(store, written)
    assert await records(store, alert) == [replace(written.record, id=1, version=1)]


async def test_a_record_of_what_is_no_incident_has_no_sev(store: SqliteStore) -> None:
    await save(store, entry(firing(), sev=None))
    (record,) = await records(store, firing())
    assert record.sev is None


async def test_labels_are_written_once_and_the_state_is_replaced(store: SqliteStore) -> None:
    alert = firing()
    await save(store, entry(alert))
    await save(store, entry(alert, number=1, minute=5, sev=Sev.SEV_1, version=1))
    assert await counts(store, "alerts", "alert_states", "history") == {"alerts": 1, "alert_states": 1, "history": 2}
    (record,) = await records(store, alert)
    assert (record.sev, record.changed_at, record.version) == (Sev.SEV_1, at(5), 2)


async def test_each_new_alert_of_one_write_gets_a_number_of_its_own(store: SqliteStore) -> None:
    alerts = [firing(f"A{number}") for number in range(5)]
    await save(store, *(entry(each) for each in alerts[:2]))
    await save(store, *(entry(each) for each in alerts[2:]))
    assert [each.id for each in await records(store, *alerts)] == [1, 2, 3, 4, 5]
    labels = await select(store, "SELECT id, labels FROM alerts ORDER BY id")
    assert [row["labels"] for row in labels] == [f'{{"alertname":"A{number}"}}' for number in range(5)]


async def test_more_alerts_than_one_statement_takes_are_found(store: SqliteStore) -> None:
    alerts = [firing(f"A{number}") for number in range(2_500)]
    await save(store, *(entry(each) for each in alerts))
    assert len(await records(store, *alerts, firing("unknown"))) == 2_500


@pytest.mark.parametrize(
    "moment",
    [
        datetime(1970, 1, 2, tzinfo=UTC),
        datetime(2026, 3, 1, 1, 2, 3, 456_789, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    ],
)
async def test_times_keep_their_microseconds(store: SqliteStore, moment: datetime) -> None:
    alert = replace(firing(), starts_at=moment)
    await save(store, entry(alert))
    assert [each.starts_at for each in await records(store, alert)] == [moment]


@pytest.mark.parametrize("text", ["\u0000", "ü🔥", "'; DROP TABLE alerts; --", '"\\', "\u2028", "x" * 100_000])
async def test_any_text_is_kept_as_it_came(store: SqliteStore, text: str) -> None:
    alert = Alert(labels={"a": text}, annotations={text[:99]: text}, starts_at=at(0), generator_url=text)
    await save(store, entry(alert))
    assert [each.digest for each in await records(store, alert)] == [alert.digest]
    # PostgreSQL has no character 0; in JSON it is spelled out, and stays.
    kept = text.replace("\u0000", "\ufffd")
    assert await select(store, "SELECT generator_url FROM alerts") == [{"generator_url": kept}]


async def test_an_incident_comes_back_as_it_was_written(store: SqliteStore) -> None:
    written = replace(
        incident(due_at=at(5), asked=("call", "slack"), truncated=True, unsure=True, alert=firing(values={"A": "1"})),
        id=None,
    )
    ids = await store.write(lambda tx: tx.incidents.add([written]))
    assert ids == {written.dedup_key: 1}
    found = await store.read(lambda tx: tx.incidents.by_id([1, 99]))
    assert found == {1: replace(written, id=1, version=1)}


async def test_an_incident_that_changed_is_saved_whole(store: SqliteStore) -> None:
    await store.write(lambda tx: tx.incidents.add([replace(incident(), id=None)]))
    changed = incident(Sev.SEV_1, state=IncidentState.RESOLVED, resolved_at=at(9), firing_alerts=0, owner=None)
    await save_incident(store, changed)
    assert await store.read(lambda tx: tx.incidents.by_id([1])) == {1: replace(changed, version=2)}


async def test_the_last_incident_of_an_identity_is_found(store: SqliteStore) -> None:
    old = replace(incident(state=IncidentState.RESOLVED, resolved_at=at(1)), id=None)
    await store.write(lambda tx: tx.incidents.add([old]))
    await store.write(lambda tx: tx.incidents.add([replace(incident(), id=None)]))
    found = await store.read(lambda tx: tx.incidents.last_by_key(["00ff", "unknown"]))
    assert {key: each.id for key, each in found.items()} == {"00ff": 2}


async def test_due_incidents_come_the_longest_over_first(store: SqliteStore) -> None:
    new = [replace(incident(due_at=at(due)), dedup_key=str(due), id=None) for due in (5, 3, 9)]
    await store.write(lambda tx: tx.incidents.add([*new, replace(incident(), dedup_key="open", id=None)]))
    due = await store.read(lambda tx: tx.incidents.due(at(5), most=10))
    assert [each.dedup_key for each in due] == ["3", "5"]
    assert await store.read(lambda tx: tx.incidents.next_due_at()) == at(3)
    assert len(await store.read(lambda tx: tx.incidents.due(at(9), most=1))) == 1


async def test_incidents_are_listed_the_worst_first_or_the_last_first(store: SqliteStore) -> None:
    over = replace(incident(state=IncidentState.RESOLVED, resolved_at=at(1)), dedup_key="over", id=None)
    mild, bad = (replace(incident(sev), dedup_key=str(sev), id=None) for sev in (Sev.SEV_4, Sev.SEV_1))
    await store.write(lambda tx: tx.incidents.add([mild, bad, over]))
    listed = await store.read(lambda tx: tx.incidents.listed(with_resolved=False, most=9))
    assert [each.dedup_key for each in listed] == ["SEV-1", "SEV-4"]
    everything = await store.read(lambda tx: tx.incidents.listed(with_resolved=True, most=2))
    assert [each.dedup_key for each in everything] == ["over", "SEV-1"]
    assert await store.read(lambda tx: tx.incidents.counts()) == {
        (Sev.SEV_4, "triggered"): 1,
        (Sev.SEV_1, "triggered"): 1,
        (Sev.SEV_2, "resolved"): 1,
    }


async def test_a_timeline_comes_back_in_order(store: SqliteStore) -> None:
    await store.write(lambda tx: tx.incidents.add([replace(incident(), id=None)]))
    told = [TimelineEntry(Fact.OPENED, at(2), {"why": "ü"}), TimelineEntry(Fact.ROSE, at(1), {"count": 3})]
    await store.write(lambda tx: tx.incidents.tell([(1, each) for each in told]))
    assert await store.read(lambda tx: tx.incidents.timeline(1)) == told


async def test_the_same_unreadable_body_is_kept_once_and_counted(store: SqliteStore) -> None:
    for minute, reason in enumerate(("empty", "worse")):
        await store.write(lambda tx, m=minute, r=reason: tx.quarantine.add(b"\xff", reason=r, at=at(m)))  # type: ignore[misc]
    await store.write(lambda tx: tx.quarantine.add(b"", reason="empty", at=at(5)))
    assert await store.read(lambda tx: tx.quarantine.listed(most=9)) == [
        Quarantined(2, "empty", 1, b""),
        Quarantined(1, "worse", 2, b"\xff"),
    ]
    assert await store.read(lambda tx: tx.quarantine.count()) == 2
