"""PostgreSQL's schema: made by one of many, read by its indexes; and what its server's settings may cost."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from unittest import mock

import asyncpg
import pytest
from sqlalchemy import insert, text
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_cursor
from structlog.testing import capture_logs

from sevrouter.store import connector as connector_module
from sevrouter.store import postgres as postgres_module
from sevrouter.store.errors import SchemaTooNewError, StoreUnavailableError
from sevrouter.store.migrate import all_migrations
from sevrouter.store.postgres import PostgresDatabase, PostgresStore, durability_doubts
from sevrouter.store.tables import migrations
from tests.domain.building import at
from tests.real.postgres import RealPostgres
from tests.store.postgres_faults import connected, one_time
from tests.store.test_indexes import OFTEN
from tests.stores import connector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sevrouter.store.migrate import Migration
    from sevrouter.store.transaction import Transaction
    from tests.real.postgres import PostgresServer
    from tests.real.postgres_installation import PostgresInstallation


def migrated(dsn: str, **changes: Any) -> list[Migration]:
    """Migrate with connections of its own, and return what was missing."""
    with closing(PostgresDatabase(connector(dsn, **changes))) as database:
        return database.migrate()


def test_of_two_that_migrate_at_once_one_does(postgres_database: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        done = sorted(map(len, threads.map(migrated, [postgres_database] * 4)))
    assert done == [0, 0, 0, len(all_migrations())]


async def test_who_waits_for_another_ones_migration_waits_longer_than_a_statement_may_take(
    postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connector_module, "_GRACE", timedelta())
    other = await asyncpg.connect(postgres_database)
    await other.execute("BEGIN; SELECT pg_advisory_xact_lock(7386318295)")
    short = timedelta(milliseconds=100)
    waiting = asyncio.create_task(
        asyncio.to_thread(migrated, postgres_database, statement_timeout=short, lock_timeout=short)
    )
    while not await other.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
        pass
    await other.execute("SELECT pg_sleep(0.5)")
    await other.close()
    assert len(await waiting) == len(all_migrations())


def test_a_newer_database_is_refused(postgres_copy: str) -> None:
    with closing(PostgresDatabase(connector(postgres_copy))) as database:
        one_time(database, "INSERT INTO schema_migrations VALUES (999, 0) RETURNING version")
    with pytest.raises(SchemaTooNewError):
        PostgresStore.open(connector(postgres_copy))


@pytest.mark.parametrize("works_with", [999, None, all_migrations()[-1].version])
async def test_a_newer_version_that_takes_over_meanwhile_is_noticed(
    postgres_copy: str, monkeypatch: pytest.MonkeyPatch, works_with: int | None
) -> None:
    monkeypatch.setattr(postgres_module, "LOOK_FOR_NEWER", 0.0)
    async with connected(postgres_copy) as store:
        await store.write(lambda tx: tx.touch())
        newer = insert(migrations).values(version=999, applied_at=at(0), works_with=works_with)
        await store.write(lambda tx: tx.quarantine._connection.execute(newer).rowcount)
        if works_with == all_migrations()[-1].version:
            await store.write(lambda tx: tx.touch())
        else:
            with pytest.raises(StoreUnavailableError, match=r"schema 999, .*: run the newer version"):
                await store.write(lambda tx: tx.touch())


def test_a_read_of_what_is_not_there_says_that_the_store_is_not_available(postgres_database: str) -> None:
    database = PostgresDatabase(connector(postgres_database))
    with closing(database), pytest.raises(StoreUnavailableError, match='"quarantine" does not exist'):
        database.read_once(lambda tx: tx.quarantine.count())


# Indexes


@pytest.fixture
def indexed(postgres_copy: str) -> Iterator[PostgresDatabase]:
    """A database with its schema."""
    with closing(PostgresDatabase(connector(postgres_copy))) as database:
        yield database


def plan(database: PostgresDatabase, work: Callable[[Transaction], object]) -> str:
    """How PostgreSQL reads what a work asks for, if it can help it not by reading whole tables."""
    asked: list[tuple[str, Any]] = []
    # In the driver's own layer, for the busiest statements go past SQLAlchemy.
    ask: Any = AsyncAdapt_asyncpg_cursor.execute

    def note(cursor: AsyncAdapt_asyncpg_cursor, statement: str, parameters: Any = None) -> None:
        asked.append((statement, parameters))
        ask(cursor, statement, parameters)

    def explain(tx: Transaction) -> list[str]:
        connection = tx.quarantine._connection
        with mock.patch.object(AsyncAdapt_asyncpg_cursor, "execute", note):
            work(tx)
        # Tables so small are read whole, unless that is forbidden.
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        return [
            line
            for statement, parameters in asked
            if statement.startswith("SELECT")
            for (line,) in connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
        ]

    return "\n".join(database.write_once(explain))


@pytest.mark.parametrize("name", OFTEN)
def test_nothing_that_is_asked_often_reads_a_whole_table(indexed: PostgresDatabase, name: str) -> None:
    found = plan(indexed, OFTEN[name])
    assert "Index" in found or "Bitmap" in found
    assert "Seq Scan" not in found


def test_what_has_no_index_would_be_seen(indexed: PostgresDatabase) -> None:
    found = plan(
        indexed, lambda tx: tx.quarantine._connection.exec_driver_sql("SELECT * FROM incidents WHERE owner = 'me'")
    )
    assert "Seq Scan" in found


# Settings


def doubts(database: PostgresDatabase, *first: str) -> list[str]:
    """The first words of what is doubted after some statements."""

    def work(tx: Transaction) -> list[str]:
        connection = tx.quarantine._connection
        for statement in first:
            connection.exec_driver_sql(statement)
        return [doubt.partition(":")[0] for doubt in durability_doubts(connection)]

    return database.write_once(work)


# As if there were one; a real one takes seconds to make.
STANDBY = ("CREATE SCHEMA made_up", "CREATE VIEW made_up.pg_stat_replication AS SELECT 1",
           "SET LOCAL search_path = made_up, pg_catalog")  # fmt: skip


def test_settings_that_may_lose_alerts_are_said(postgres_installation: PostgresInstallation) -> None:
    with (
        RealPostgres(postgres_installation, fsync=False) as server,
        closing(PostgresDatabase(connector(server.dsn()))) as database,
    ):
        assert doubts(database) == ["fsync is off", "full_page_writes is off"]
        with capture_logs() as lines:
            PostgresStore.open(connector(server.dsn())).close()
        said = [line["reason"].partition(":")[0] for line in lines if line["event"] == "store_may_lose_alerts"]
        assert said == ["fsync is off", "full_page_writes is off"]


@pytest.fixture(scope="module")
def durable(postgres_installation: PostgresInstallation) -> Iterator[RealPostgres]:
    """A server that waits for its disk, and is to wait for a standby that is not there."""
    settings = {"synchronous_standby_names": "nobody", "synchronous_commit": "local"}
    with RealPostgres(postgres_installation, fsync=True, settings=settings) as server:
        yield server


@pytest.mark.parametrize(
    ("first", "found"),
    [
        ((), []),
        (STANDBY, ["synchronous_commit is local"]),
        ((*STANDBY, "SET LOCAL synchronous_commit = on"), []),
    ],
)
def test_a_standby_that_nobody_waits_for_is_said(
    durable: RealPostgres, first: tuple[str, ...], found: list[str]
) -> None:
    with (
        durable.database() as name,
        closing(PostgresDatabase(connector(durable.dsn(name)))) as database,
        # Rolled back, or the commit would wait for the standby.
        pytest.raises(ZeroDivisionError),
    ):
        database.write_once(lambda tx: checked(tx, first, found))


def checked(tx: Transaction, first: tuple[str, ...], found: list[str]) -> None:
    """Look at the doubts, and undo it all."""
    for statement in first:
        tx.quarantine._connection.exec_driver_sql(statement)
    assert [doubt.partition(":")[0] for doubt in durability_doubts(tx.quarantine._connection)] == found
    raise ZeroDivisionError


def test_standbys_that_are_asynchronous_are_said(indexed: PostgresDatabase, postgres_server: PostgresServer) -> None:
    if postgres_server.query("SHOW synchronous_standby_names") != [("",)]:
        pytest.skip("the server that was named has synchronous standbys")
    assert doubts(indexed, *STANDBY)[-1] == "its standbys are asynchronous"
