"""SQLite itself: durable settings, one process a file, and what a full disk or somebody else's lock does."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pysqlite3.dbapi2
import pytest
from structlog.testing import capture_logs

from sevrouter.store import sqlite as sqlite_module
from sevrouter.store import writer as writer_module
from sevrouter.store.errors import StoreInUseError, StoreUnavailableError
from sevrouter.store.sqlite import SqliteStore, make_engine, migrate_file, read_once, sqlite_version, write_once
from tests.domain.building import NOW

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sevrouter.store.transaction import Transaction


@pytest.fixture
def store(sqlite_store: SqliteStore) -> SqliteStore:
    """SQLite alone."""
    return sqlite_store


def pragma(name: str) -> Any:
    """A work that asks for a setting."""
    return lambda tx: tx.alerts._connection.exec_driver_sql(f"PRAGMA {name}").scalar()


def set_pragma(text: str) -> Any:
    """A work that changes a setting of its connection."""
    return lambda tx: tx.alerts._connection.exec_driver_sql(f"PRAGMA {text}").scalar()


def quarantine(size: int) -> Any:
    """A work that writes so many bytes."""
    return lambda tx: tx.quarantine.add(b"x" * size, reason="large", at=NOW)


@pytest.mark.parametrize(
    ("name", "value"), [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 5000)]
)
async def test_a_commit_is_on_disk_before_it_is_answered(store: SqliteStore, name: str, value: object) -> None:
    assert await store.write(pragma(name)) == value
    assert await store.read(pragma(name)) == value


async def test_a_second_store_on_the_same_file_is_refused(store: SqliteStore) -> None:
    with pytest.raises(StoreInUseError, match="one process at a time"):
        SqliteStore.open(store.path)
    with pytest.raises(StoreInUseError):
        migrate_file(store.path)
    assert await store.write(lambda tx: tx.quarantine.count()) == 0


def test_a_second_process_on_the_same_file_is_refused(store: SqliteStore) -> None:
    program = (
        "import pathlib, sys\n"
        "from sevrouter.store.errors import StoreInUseError\n"
        "from sevrouter.store.sqlite import SqliteStore\n"
        "try:\n    SqliteStore.open(pathlib.Path(sys.argv[1]))\n"
        "except StoreInUseError as error:\n    print(error)\n    sys.exit(3)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(store.path)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, "another sevrouter is using" in done.stdout) == (3, True), done.stderr


def test_a_closed_store_lets_go_of_its_file(database: Path) -> None:
    SqliteStore.open(database).close()
    again = SqliteStore.open(database)
    again.close()
    assert not database.with_name("sevrouter.db-wal").exists()


def test_a_database_in_a_folder_that_is_not_there_yet_is_made(tmp_path: Path) -> None:
    SqliteStore.open(tmp_path / "a" / "b" / "sevrouter.db").close()
    assert (tmp_path / "a" / "b" / "sevrouter.db").is_file()


def test_what_is_no_database_is_refused_and_left_as_it_is(database: Path) -> None:
    database.write_bytes(b"a letter to my grandmother" * 100)
    for _ in range(2):
        with pytest.raises(StoreUnavailableError, match="not a database"):
            SqliteStore.open(database)
    assert database.read_bytes().startswith(b"a letter")


def test_a_folder_that_cannot_be_written_is_said_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailableError, match=r"file/sevrouter\.db: (File exists|Not a directory)"):
        SqliteStore.open(tmp_path / "file" / "sevrouter.db")


def test_an_old_sqlite_is_warned_of(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_module, "SAFE_SQLITE", (99, 0, 0))
    with capture_logs() as lines:
        SqliteStore.open(database).close()
    assert [(line["event"], line["version"]) for line in lines] == [("sqlite_too_old", sqlite_version())]


async def test_a_full_disk_is_an_answer_and_room_again_is_a_recovery(store: SqliteStore) -> None:
    await store.write(quarantine(100))
    pages = await store.write(pragma("page_count"))
    await store.write(set_pragma(f"max_page_count = {pages + 4}"))
    with capture_logs() as lines:
        with pytest.raises(StoreUnavailableError, match="full"):
            await store.write(quarantine(1_000_000))
        # The connection is a new one by now, and with it the limit is gone: there is room again.
        await store.write(quarantine(1_000_001))
    assert [line["event"] for line in lines] == ["store_unavailable", "store_recovered"]
    assert await store.read(lambda tx: tx.quarantine.count()) == 2


async def test_a_full_disk_fails_everybody_in_the_commit(store: SqliteStore) -> None:
    pages = await store.write(pragma("page_count"))
    await store.write(set_pragma(f"max_page_count = {pages + 4}"))

    def both(tx: Transaction) -> None:
        tx.quarantine.add(b"small", reason="", at=NOW)
        tx.quarantine.add(b"x" * 1_000_000, reason="", at=NOW)

    with pytest.raises(StoreUnavailableError):
        await store.write(both)
    assert await store.read(lambda tx: tx.quarantine.count()) == 0


@pytest.fixture
def impatient(database: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqliteStore]:
    """A store that waits for others' locks a twentieth of a second."""
    monkeypatch.setattr(sqlite_module, "BUSY_TIMEOUT", 50)
    store = SqliteStore.open(database)
    yield store
    store.close()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another process that writes meanwhile."""
    other = pysqlite3.dbapi2.connect(str(path), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


async def test_a_database_locked_by_another_is_not_available_until_it_is_let_go(impatient: SqliteStore) -> None:
    with locked(impatient.path):
        with pytest.raises(StoreUnavailableError, match="locked"):
            await impatient.write(lambda tx: tx.touch())
        assert await impatient.read(lambda tx: tx.quarantine.count()) == 0, "readers do not wait for writers"
    await impatient.write(quarantine(1))
    assert await impatient.read(lambda tx: tx.quarantine.count()) == 1


async def test_a_work_without_a_change_writes_nothing_but_a_touch_does(store: SqliteStore) -> None:
    log = store.path.with_name("sevrouter.db-wal")
    # It is made by who connects first.
    await store.write(lambda tx: tx.quarantine.count())
    before = log.stat().st_size
    await store.write(lambda tx: tx.quarantine.count())
    assert log.stat().st_size == before
    for _ in range(2):
        await store.write(lambda tx: tx.touch())
        assert log.stat().st_size > before
        before = log.stat().st_size
    assert (
        await store.read(
            lambda tx: tx.alerts._connection.exec_driver_sql("SELECT min(version) FROM schema_migrations").scalar()
        )
        == 1
    )


async def test_a_writer_takes_its_turn_before_it_reads(impatient: SqliteStore) -> None:
    # Otherwise what it decides by may have changed by the time that it writes, and the commit is refused.
    with locked(impatient.path), pytest.raises(StoreUnavailableError, match="locked"):
        await impatient.write(lambda tx: tx.quarantine.count())


async def test_a_reader_sees_one_state_however_much_is_written_meanwhile(store: SqliteStore) -> None:
    def read(tx: Transaction) -> tuple[int, int]:
        first = tx.quarantine.count()
        write_once(make_engine(store.path), quarantine(1))
        return first, tx.quarantine.count()

    assert await store.read(read) == (0, 0)
    assert await store.read(lambda tx: tx.quarantine.count()) == 1


async def test_a_read_that_fails_says_that_the_store_is_not_available(store: SqliteStore) -> None:
    with pytest.raises(StoreUnavailableError, match="no such table"):
        await store.read(lambda tx: tx.alerts._connection.exec_driver_sql("SELECT * FROM nowhere"))


def test_the_command_line_reads_and_writes_beside_a_daemon(store: SqliteStore) -> None:
    engine = make_engine(store.path)
    write_once(engine, quarantine(1))
    assert read_once(engine, lambda tx: tx.quarantine.count()) == 1
    engine.dispose()


def test_the_command_line_is_told_what_is_wrong(database: Path) -> None:
    engine = make_engine(database)
    with pytest.raises(StoreUnavailableError, match="no such table"):
        read_once(engine, lambda tx: tx.quarantine.count())
    with pytest.raises(StoreUnavailableError, match="no such table"):
        write_once(engine, lambda tx: tx.touch())
    engine.dispose()


def test_the_command_line_is_told_what_is_wrong_by_the_driver_itself(database: Path) -> None:
    # Not every statement goes through SQLAlchemy, which would say it in errors of its own.
    engine = make_engine(database)
    with pytest.raises(StoreUnavailableError, match="no such table"):
        read_once(engine, lambda tx: tx.alerts.records([b"digest"]))
    with pytest.raises(StoreUnavailableError, match="no such table"):
        write_once(engine, lambda tx: tx.incidents.by_id([1]))
    engine.dispose()


@pytest.mark.parametrize("suffix", ["", ".lock"])
async def test_a_file_that_was_taken_away_takes_no_more(store: SqliteStore, suffix: str) -> None:
    store.path.with_name(store.path.name + suffix).unlink()
    with pytest.raises(StoreUnavailableError, match="was removed or replaced"):
        await store.write(lambda tx: tx.touch())


async def test_a_file_that_was_replaced_takes_no_more(store: SqliteStore) -> None:
    copy = store.path.with_name("copy.db")
    shutil.copyfile(store.path, copy)
    os.replace(copy, store.path)  # noqa: PTH105  ruff takes the method for blocking, and this for old
    with pytest.raises(StoreUnavailableError, match="was removed or replaced"):
        await store.write(lambda tx: tx.touch())


def test_another_name_of_the_same_file_is_in_use_too(store: SqliteStore) -> None:
    other = store.path.with_name("other.db")
    other.symlink_to(store.path.name)
    with pytest.raises(StoreInUseError):
        SqliteStore.open(other)


async def test_a_store_is_busy_while_it_writes_and_not_once_it_fails(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not store.is_busy
    assert await store.write(lambda _: store.is_busy)
    monkeypatch.setattr(writer_module, "LONGEST_WRITE", 0.0)
    assert not await store.write(lambda _: store.is_busy)
    monkeypatch.undo()
    lock = store.path.with_name(store.path.name + ".lock")
    lock.rename(lock.with_suffix(".away"))
    with pytest.raises(StoreUnavailableError):
        await store.write(lambda tx: tx.touch())
    lock.with_suffix(".away").rename(lock)
    assert not await store.write(lambda _: store.is_busy)
