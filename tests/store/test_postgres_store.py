"""What is PostgreSQL's own about its store."""

from __future__ import annotations

from sevrouter.store.postgres import PostgresStore
from tests.stores import connector


async def test_it_is_opened_where_a_loop_is_running(postgres_database: str) -> None:
    store = PostgresStore.open(connector(postgres_database))
    assert await store.read(lambda tx: tx.outbox.counts()) == {}
    store.close()
