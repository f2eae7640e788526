"""A move from one kind of database to the other: all of it or nothing, and every number stays what it was."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace
from sqlalchemy import text

from sevrouter.store import migrate as migrate_module
from sevrouter.store import move as move_module
from sevrouter.store.errors import MoveError, StoreInUseError, StoreUnavailableError
from sevrouter.store.migrate import all_migrations
from sevrouter.store.move import TABLES, move
from sevrouter.store.postgres import PostgresDatabase, PostgresStore
from sevrouter.store.rows import Rows
from sevrouter.store.sqlite import SqliteDatabase, SqliteStore
from sevrouter.store.tables import metadata, migrations
from tests.domain.building import NOW, incident
from tests.store.moving import everything
from tests.stores import connector

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

    from sevrouter.store.transaction import Transaction


@pytest.fixture
def source(database: Path) -> Iterator[SqliteDatabase]:
    """A file with forty bodies in quarantine, of which the last ten are gone again."""
    with closing(SqliteDatabase(database)) as source:
        source.migrate()
        source.write_once(fill)
        yield source


def fill(tx: Transaction) -> None:
    """Put forty rows into a table, and take the last ten away."""
    for number in range(40):
        tx.quarantine.add(b"%d" % number, reason="no JSON", at=NOW)
    tx.quarantine._connection.execute(text("DELETE FROM quarantine WHERE id > 30"))


@pytest.fixture
def target(postgres_database: str) -> Iterator[PostgresDatabase]:
    """A PostgreSQL database with nothing in it, not even a schema."""
    with closing(PostgresDatabase(connector(postgres_database))) as target:
        yield target


def run(database: SqliteDatabase | PostgresDatabase, sql: str) -> Any:
    """Run one statement and return the first value that it gives."""
    return database.write_once(lambda tx: tx.quarantine._connection.execute(text(sql)).scalar())


def is_bare(target: PostgresDatabase) -> bool:
    """Whether there is not even a table."""
    return bool(run(target, "SELECT to_regclass('schema_migrations') IS NULL"))


def test_no_table_is_left_out() -> None:
    assert {*TABLES} == {*metadata.tables.values()} - {migrations}


def test_a_number_that_was_given_once_is_not_given_again(
    source: SqliteDatabase, target: PostgresDatabase, tmp_path: Path
) -> None:
    assert move(source, target)["quarantine"] == 30
    add = "INSERT INTO quarantine (digest, first_at, last_at, times, reason, body)"
    assert run(target, f"{add} VALUES ('new', 0, 0, 1, '', '') RETURNING id") == 41
    run(target, "DELETE FROM quarantine WHERE id > 20 RETURNING id")
    with closing(SqliteDatabase(tmp_path / "back.db")) as back:
        move(target, back)
        assert run(back, f"{add} VALUES ('new', 0, 0, 1, '', '') RETURNING id") == 42
        assert run(back, f"{add} VALUES ('newer', 0, 0, 1, '', '') RETURNING id") == 43


@pytest.mark.parametrize(("rows", "size"), [(7, 1_000), (1_000, 3)])
def test_rows_are_written_a_few_at_a_time(
    source: SqliteDatabase, target: PostgresDatabase, monkeypatch: pytest.MonkeyPatch, rows: int, size: int
) -> None:
    monkeypatch.setattr(move_module, "_WRITTEN", rows)
    monkeypatch.setattr(move_module, "_LARGE", size)
    before = everything(source)
    written: list[int] = []
    insert = Rows.insert

    def note(self: Rows, connection: Connection, rows: list[Any]) -> None:
        written.append(len(rows))
        insert(self, connection, rows)

    monkeypatch.setattr(Rows, "insert", note)
    move(source, target)
    assert max(written) <= 7
    assert sum(written) == 30
    assert everything(target) == before


def test_a_move_that_fails_leaves_nothing_behind(
    source: SqliteDatabase, target: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The last table of all, when everything else is written.
    monkeypatch.setattr(move_module, "storable", lambda _: 7)
    with pytest.raises(StoreUnavailableError, match="expected str, got int"):
        move(source, target)
    assert is_bare(target)
    assert run(source, "SELECT count(*) FROM quarantine") == 30


def test_a_move_that_would_lose_a_row_is_none(
    source: SqliteDatabase, target: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert = Rows.insert
    monkeypatch.setattr(Rows, "insert", lambda self, connection, rows: insert(self, connection, rows[1:]))
    with pytest.raises(MoveError, match=r"'quarantine': 29.*'quarantine': 30.* nothing was moved"):
        move(source, target)
    assert is_bare(target)


def test_an_older_file_is_moved_and_stays_as_old_as_it_was(
    database: Path, target: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older, closing(SqliteDatabase(database)) as source:
        older.setattr(migrate_module, "all_migrations", lambda: all_migrations()[:1])
        source.migrate()
        source.write_once(fill)
    with closing(SqliteDatabase(database)) as source:
        move(source, target)
        assert run(source, "SELECT max(version) FROM schema_migrations") == 1
    assert run(target, "SELECT max(version) FROM schema_migrations") == all_migrations()[-1].version
    assert run(target, "SELECT count(*) FROM quarantine") == 30


def test_nobody_takes_the_file_or_writes_to_the_target_meanwhile(
    source: SqliteDatabase, target: PostgresDatabase, monkeypatch: pytest.MonkeyPatch, postgres_database: str
) -> None:
    target.migrate()
    count, refused = move_module._counts, []

    def write() -> None:
        with closing(PostgresDatabase(connector(postgres_database, lock_timeout=timedelta(milliseconds=50)))) as other:
            other.write_once(lambda tx: tx.quarantine.add(b"late", reason="", at=NOW))

    def meanwhile(connection: Connection) -> dict[str, int]:
        with pytest.raises(StoreInUseError):
            SqliteStore.open(source.path)
        with ThreadPoolExecutor(1) as thread, pytest.raises(StoreUnavailableError, match="lock timeout"):
            thread.submit(write).result()
        refused.append(connection)
        return count(connection)

    monkeypatch.setattr(move_module, "_counts", meanwhile)
    move(source, target)
    assert refused
    assert run(target, "SELECT count(*) FROM quarantine") == 30


async def test_a_replica_that_serves_already_takes_numbers_that_are_free(
    source: SqliteDatabase, target: PostgresDatabase, postgres_database: str
) -> None:
    def add(tx: Transaction, count: int) -> list[int]:
        new = [replace(incident(), dedup_key=str(number), id=None) for number in range(count)]
        return [*tx.incidents.add(new).values()]

    def fails(tx: Transaction) -> None:
        add(tx, 1)
        raise ZeroDivisionError

    source.write_once(lambda tx: add(tx, 30))
    replica = await asyncio.to_thread(PostgresStore.open, connector(postgres_database))
    try:
        with pytest.raises(ZeroDivisionError):
            await replica.write(fails)  # by now it holds some of the first numbers
        await asyncio.to_thread(move, source, target)
        new = replace(incident(), dedup_key="new", id=None)
        assert (await replica.write(lambda tx: tx.incidents.add([new])))["new"] > 30
    finally:
        replica.close()
