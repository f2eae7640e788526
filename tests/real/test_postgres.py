"""The PostgreSQL of the tests: it starts, it is strict, and it loses nothing that it said it has."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import pytest

from tests.real.families import children_of
from tests.real.postgres import RealPostgres
from tests.real.process import ProcessFailedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.real.postgres import PostgresServer
    from tests.real.postgres_installation import PostgresInstallation

# How asyncpg says that a connection has gone depends on whether it noticed before or during the call.
_LOST = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, ConnectionError)


@pytest.fixture(scope="module")
def own_server(postgres_installation: PostgresInstallation) -> Iterator[RealPostgres]:
    """A server to stop and kill, which waits for its disk."""
    with RealPostgres(postgres_installation, fsync=True) as server:
        yield server


async def test_it_answers(postgres_database: str) -> None:
    connection = await asyncpg.connect(postgres_database)
    assert await connection.fetchval("SELECT 1") == 1
    await connection.close()


async def test_a_wrong_password_is_refused(postgres_database: str) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(postgres_database, password="wrong")


def test_two_databases_are_apart(postgres_server: PostgresServer) -> None:
    with postgres_server.database() as first, postgres_server.database() as second:
        postgres_server.query("CREATE TABLE held (value int)", database=first)
        with pytest.raises(asyncpg.UndefinedTableError):
            postgres_server.query("SELECT * FROM held", database=second)


def test_a_database_starts_as_a_copy_of_another(postgres_server: PostgresServer) -> None:
    with postgres_server.database() as template:
        postgres_server.query("CREATE TABLE held AS SELECT 7 AS value", database=template)
        with postgres_server.database(template=template) as copy:
            assert postgres_server.query("SELECT value FROM held", database=copy) == [(7,)]


async def test_a_database_is_dropped_under_those_who_are_still_connected(postgres_server: PostgresServer) -> None:
    with postgres_server.database() as name:
        connection = await asyncpg.connect(postgres_server.dsn(name))
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await asyncpg.connect(postgres_server.dsn(name))
    connection.terminate()


def test_what_was_committed_is_there_after_a_kill(own_server: RealPostgres) -> None:
    own_server.query("CREATE TABLE committed AS SELECT 7 AS value")
    family = [own_server.pid, *children_of(own_server.pid)]
    own_server.kill()
    assert not own_server.running
    assert len(family) > 1
    own_server.start()
    assert own_server.query("SELECT value FROM committed") == [(7,)]
    assert own_server.pid not in family


async def test_what_was_not_committed_is_gone_after_a_kill(own_server: RealPostgres) -> None:
    own_server.query("CREATE TABLE open (value int)")
    connection = await asyncpg.connect(own_server.dsn())
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("INSERT INTO open VALUES (7)")
    await asyncio.to_thread(own_server.kill)
    with pytest.raises(_LOST):
        await transaction.commit()
    await asyncio.to_thread(own_server.start)
    assert own_server.query("SELECT value FROM open") == []


async def test_a_stop_does_not_wait_for_clients(own_server: RealPostgres) -> None:
    connection = await asyncpg.connect(own_server.dsn())
    assert await asyncio.to_thread(own_server.stop) == 0
    with pytest.raises(_LOST):
        await connection.execute("SELECT 1")
    own_server.start()
    assert own_server.query("SELECT 1") == [(1,)]


def test_one_that_cannot_start_shows_why(postgres_installation: PostgresInstallation) -> None:
    broken = RealPostgres(postgres_installation, settings={"max_connections": "many"})
    with pytest.raises(ProcessFailedError, match=r"ended by itself; it printed:[^$]*invalid value for parameter"):
        broken.__enter__()
    assert not broken.running
