"""What the tests of PostgreSQL's faults share: stores that reach their database in some other way, rows to write."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from sevrouter.store.postgres import PostgresDatabase, PostgresStore
from tests.domain.building import NOW, incident
from tests.stores import connector

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sevrouter.store.connector import Connector
    from sevrouter.store.transaction import Transaction


@asynccontextmanager
async def opened(where: Connector) -> AsyncIterator[PostgresStore]:
    """A store, opened and closed beside the loop of the test."""
    store = await asyncio.to_thread(PostgresStore.open, where)
    try:
        yield store
    finally:
        await asyncio.to_thread(store.close)


@asynccontextmanager
async def connected(dsn: str, **changes: Any) -> AsyncIterator[PostgresStore]:
    """A store on a database that has its schema, which is not looked at."""
    store = PostgresStore(connector(dsn, **changes))
    try:
        yield store
    finally:
        await asyncio.to_thread(store.close)


async def ask(where: Connector, sql: str) -> Any:
    """Open one connection in this way and return the first value that it gives."""
    connection = await where.connect()
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


def quarantined(body: bytes) -> Callable[[Transaction], None]:
    """A work that writes a row."""
    return lambda tx: tx.quarantine.add(body, reason="", at=NOW)


def opening(key: str) -> Callable[[Transaction], int]:
    """A work that opens an incident, unless there is an open one of that identity already; its number."""

    def work(tx: Transaction) -> int:
        last = tx.incidents.last_by_key([key]).get(key)
        if last is not None and last.is_open and last.id is not None:
            return last.id
        return tx.incidents.add([replace(incident(), dedup_key=key, id=None)])[key]

    return work


def one_time(database: PostgresDatabase, sql: str) -> Any:
    """Run one statement in a transaction of its own and return its first value."""
    return database.write_once(lambda tx: tx.quarantine._connection.exec_driver_sql(sql).scalar())
