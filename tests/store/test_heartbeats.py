"""Heartbeats in the store: their times only move forward, whoever writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from sevrouter.domain.heartbeat import Pulse, beat
from sevrouter.store.postgres import PostgresStore
from tests.domain.building import NOW, at
from tests.stores import connector

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sevrouter.store.sqlite import SqliteStore
    from sevrouter.store.transaction import Transaction

NAME = 'alertname="Watchdog", "ü"'


async def put(store: SqliteStore | PostgresStore, pulse: Pulse, name: str = NAME) -> None:
    await store.write(lambda tx: tx.heartbeats.put({name: pulse}))


async def known(store: SqliteStore | PostgresStore) -> Mapping[str, Pulse]:
    return await store.read(lambda tx: tx.heartbeats.known())


async def test_what_is_put_is_known_as_it_was(store: SqliteStore) -> None:
    never = Pulse(since=at(1), beat_at=None, listened_at=at(2))
    await put(store, never)
    await put(store, beat(at(3)), "other")
    assert await known(store) == {NAME: never, "other": beat(at(3))}


async def test_times_only_move_forward(store: SqliteStore) -> None:
    await put(store, beat(at(5)))
    await put(store, Pulse(since=NOW, beat_at=None, listened_at=at(6)))
    assert await known(store) == {NAME: replace(beat(at(5)), listened_at=at(6))}
    await put(store, beat(at(4)))
    assert await known(store) == {NAME: replace(beat(at(5)), listened_at=at(6))}
    await put(store, beat(at(7)))
    assert await known(store) == {NAME: beat(at(7))}
    await put(store, Pulse(since=at(8), beat_at=at(7), listened_at=at(8)))
    assert await known(store) == {NAME: Pulse(since=at(8), beat_at=at(7), listened_at=at(8))}


async def test_what_a_transaction_has_put_it_knows(store: SqliteStore) -> None:
    def work(tx: Transaction) -> Mapping[str, Pulse]:
        tx.heartbeats.put({NAME: beat(at(1))})
        return tx.heartbeats.known(hold=True)

    assert await store.write(work) == {NAME: beat(at(1))}


async def test_what_is_forgotten_is_gone_and_nothing_else(store: SqliteStore) -> None:
    await put(store, beat(NOW))
    await put(store, beat(NOW), "other")
    await store.write(lambda tx: tx.heartbeats.forget(["other", "unknown"]))
    assert await known(store) == {NAME: beat(NOW)}


async def test_a_beat_outlives_its_process(postgres_copy: str) -> None:
    first = PostgresStore.open(connector(postgres_copy))
    await put(first, beat(at(1)))
    first.close()
    second = PostgresStore.open(connector(postgres_copy))
    assert await known(second) == {NAME: beat(at(1))}
    second.close()
