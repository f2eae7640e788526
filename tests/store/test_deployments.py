"""Deployments in the store: each once, found again by what it is, read by when it was."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from sevrouter.domain.deployment import Deployment
from sevrouter.domain.incident import Fact, TimelineEntry
from sevrouter.store import deployments as deployments_module
from sevrouter.store.postgres import PostgresStore
from tests.domain.building import at, firing, incident
from tests.stores import connector

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sevrouter.store.sqlite import SqliteStore
    from sevrouter.store.transaction import Transaction


def live(minute: float, version: str = "1", *, system: str = "checkout", link: str | None = None) -> Deployment:
    return Deployment(system=system, version=version, at=at(minute), link=link)


async def add(store: SqliteStore, *deployments: Deployment) -> None:
    """Write them, the first one first."""

    def work(tx: Transaction) -> None:
        for each in deployments:
            tx.deployments.add(each, received_at=at(99))

    await store.write(work)


async def recent(store: SqliteStore, since: float, until: float) -> Mapping[str, Sequence[Deployment]]:
    return await store.read(lambda tx: tx.deployments.recent(since=at(since), until=at(until)))


async def test_what_was_added_is_read_as_it_was(store: SqliteStore) -> None:
    deployment = live(1, "v2 ü", system="Bezahlung ü", link="https://ci.example/7")
    await add(store, deployment)
    assert await recent(store, 0, 2) == {"Bezahlung ü": [deployment]}


async def test_what_is_recent_comes_by_system_and_the_newest_first(store: SqliteStore) -> None:
    search = live(2, system="search")
    await add(store, live(1), live(3), search, live(2), live(99), live(-99))
    assert await recent(store, 0, 4) == {"checkout": [live(3), live(2), live(1)], "search": [search]}


async def test_of_too_many_the_newest_count(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployments_module, "MOST_RECENT", 2)
    await add(store, live(1), live(3), live(2))
    assert await recent(store, 0, 4) == {"checkout": [live(3), live(2)]}


async def test_what_one_transaction_reads_again_it_reads_once_and_sees_what_it_wrote(store: SqliteStore) -> None:
    def work(tx: Transaction) -> list[int]:
        seen = []
        for minute in (1, 2):
            tx.deployments.add(live(minute), received_at=at(99))
            first = tx.deployments.recent(since=at(0), until=at(30))
            assert tx.deployments.recent(since=at(0.5), until=at(30.5)) is first
            assert tx.deployments.recent(since=at(-5), until=at(30)) is not first
            seen.append(len(first["checkout"]))
        return seen

    assert await store.write(work) == [1, 2]


async def test_a_deployment_is_found_by_what_it_is_and_when(store: SqliteStore) -> None:
    await add(store, live(1), live(5), live(3, "2"), live(3, system="search"))

    def found(tx: Transaction) -> list[Deployment | None]:
        return [
            tx.deployments.find("checkout", "1", since=at(since), until=at(until))
            for since, until in ((0, 10), (0, 4), (1, 1), (2, 4), (6, 10))
        ]

    assert await store.write(found) == [live(5), live(1), live(1), None, None]


async def test_the_database_itself_knows_one_deployment_once(store: SqliteStore) -> None:
    await add(store, live(1))
    with pytest.raises(Exception, match=r"(?i)unique"):
        await add(store, live(1))


async def test_two_replicas_that_are_told_at_once_do_not_both_find_nothing(
    postgresql_store: PostgresStore, postgres_copy: str
) -> None:
    def work(tx: Transaction) -> bool:
        tx.deployments.hold()
        if tx.deployments.find("checkout", "1", since=at(0), until=at(9)) is not None:
            return False
        tx._connection.exec_driver_sql("SELECT pg_sleep(0.2)")
        tx.deployments.add(live(next(minutes)), received_at=at(99))
        return True

    minutes = iter((1, 2))
    other = await asyncio.to_thread(PostgresStore.open, connector(postgres_copy))
    try:
        assert sorted(await asyncio.gather(postgresql_store.write(work), other.write(work))) == [False, True]
    finally:
        await asyncio.to_thread(other.close)


async def began(
    store: SqliteStore, key: str, *facts: tuple[Fact, float], system: str | None = None, service: str = ""
) -> None:
    """An incident with these facts, each at its minute."""
    new = replace(incident(system=system, alert=firing(service=service)), dedup_key=key, id=None)

    def work(tx: Transaction) -> None:
        number = tx.incidents.add([new])[key]
        tx.incidents.tell([(number, TimelineEntry(fact, at(minute))) for fact, minute in facts])

    await store.write(work)


async def begun(store: SqliteStore, naming: str, since: float, until: float, most: int = 9) -> list[tuple[float, str]]:
    """The minutes and keys of the incidents that are found."""

    def work(tx: Transaction) -> list[tuple[float, str]]:
        found = tx.incidents.begun(naming, since=at(since), until=at(until), most=most)
        return [((when - at(0)).total_seconds() / 60, each.dedup_key) for when, each in found]

    return await store.write(work)


async def test_incidents_are_found_by_when_they_began_the_last_first(store: SqliteStore) -> None:
    await began(store, "a", (Fact.OPENED, 1), (Fact.ROSE, 5), (Fact.REOPENED, 20), system="checkout")
    await began(store, "b", (Fact.OPENED, 2), (Fact.RESOLVED, 3), system="checkout")
    assert await begun(store, "checkout", 0, 30) == [(20, "a"), (2, "b"), (1, "a")]
    assert await begun(store, "checkout", 3, 6) == []
    assert await begun(store, "checkout", 2, 20, most=1) == [(20, "a")]


async def test_incidents_are_found_by_their_system_and_by_what_their_alert_names(store: SqliteStore) -> None:
    await began(store, "own", (Fact.OPENED, 1), system="100% checkout")
    await began(store, "named", (Fact.OPENED, 2), service="100% checkout")
    await began(store, "other", (Fact.OPENED, 3), system="search", service="100x checkout")
    assert await begun(store, "100% checkout", 0, 9) == [(2, "named"), (1, "own")]


async def test_an_incident_that_was_found_can_be_changed_though_it_has_just_begun(store: SqliteStore) -> None:
    def work(tx: Transaction) -> None:
        number = tx.incidents.add([replace(incident(), id=None)])["00ff"]
        tx.incidents.tell([(number, TimelineEntry(Fact.OPENED, at(1)))])
        for firing_alerts in (7, 8):
            ((_, found),) = tx.incidents.begun("checkout", since=at(0), until=at(2), most=9)
            tx.incidents.save([replace(found, firing=firing_alerts)])

    await store.write(work)
    (kept,) = await store.read(lambda tx: tx.incidents.listed(with_resolved=True, most=9))
    assert kept.firing == 8
