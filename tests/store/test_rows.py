"""Many rows by one statement: what goes in comes out, and only what was seen at its last version is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sevrouter.store import rows as rows_module
from sevrouter.store.rows import Rows, is_postgres, numbered, select_in, storable

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from sevrouter.store.sqlite import SqliteStore

THINGS = Rows(
    "things",
    {"id": "bigint", "name": "text", "flag": "boolean", "raw": "bytea", "sev": "smallint", "version": "bigint"},
)
BY_NAME = "SELECT id FROM things WHERE name {keys}"
# Of every kind of value that is written, and without one.
VALUES = [("ü🔥'\"\\,{}", True, b"\x00\xff", 5), (None, None, None, None), ("", False, b"", -3)]


async def in_table(store: SqliteStore, work: Callable[[Connection], Any]) -> Any:
    """What a work gives that runs on a table of its own."""

    def run(connection: Connection) -> Any:
        raw = "BYTEA" if is_postgres(connection) else "BLOB"
        connection.exec_driver_sql(
            "CREATE TABLE things (id BIGINT PRIMARY KEY, name TEXT, flag BOOLEAN,"
            f" raw {raw}, sev SMALLINT, version BIGINT NOT NULL)"
        )
        return work(connection)

    return await store.write(lambda tx: run(tx._connection))


def things(connection: Connection) -> list[tuple[Any, ...]]:
    """All rows as they stand."""
    found = connection.exec_driver_sql("SELECT id, name, flag, raw, sev, version FROM things ORDER BY id")
    return [tuple(row) for row in found]


def row(number: int, name: str | None = "a", version: int = 1) -> tuple[Any, ...]:
    """A row in which only this matters."""
    return number, name, True, b"", 1, version


async def test_rows_come_back_as_they_were_written(store: SqliteStore) -> None:
    written = [(number, *values, 1) for number, values in enumerate(VALUES)]

    def work(connection: Connection) -> list[tuple[Any, ...]]:
        THINGS.insert(connection, written)
        return things(connection)

    assert await in_table(store, work) == written


async def test_a_row_is_changed_whole_and_others_stay(store: SqliteStore) -> None:
    changed = [(number, *values, 2) for number, values in enumerate(VALUES)]

    def work(connection: Connection) -> tuple[int, list[tuple[Any, ...]]]:
        THINGS.insert(connection, [row(number) for number in range(4)])
        return THINGS.update(connection, changed), things(connection)

    assert await in_table(store, work) == (3, [*changed, row(3)])


async def test_what_was_not_seen_at_its_last_version_is_not_changed(store: SqliteStore) -> None:
    def work(connection: Connection) -> tuple[int, list[tuple[Any, ...]]]:
        THINGS.insert(connection, [row(1, version=1), row(2, version=2), row(3, version=3)])
        return THINGS.update(connection, [row(each, "b", 3) for each in (1, 2, 3, 4)]), things(connection)

    assert await in_table(store, work) == (1, [row(1), row(2, "b", 3), row(3, version=3)])


@pytest.mark.parametrize("together", [1, 3, 7, 100])
async def test_more_rows_than_go_together_are_all_written(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, together: int
) -> None:
    monkeypatch.setattr(rows_module, "_TOGETHER", together)

    def work(connection: Connection) -> tuple[int, int]:
        THINGS.insert(connection, [row(number) for number in range(7)])
        updated = THINGS.update(connection, [row(number, "b", 2) for number in range(7)])
        return updated, len([each for each in things(connection) if each[1] == "b"])

    assert await in_table(store, work) == (7, 7)


async def test_no_rows_are_no_statement(store: SqliteStore) -> None:
    def work(connection: Connection) -> tuple[int, list[Any]]:
        connection.exec_driver_sql("DROP TABLE things")
        THINGS.insert(connection, [])
        return THINGS.update(connection, []), []

    assert await in_table(store, work) == (0, [])


async def test_rows_are_found_by_more_keys_than_one_statement_takes(store: SqliteStore) -> None:
    def work(connection: Connection) -> tuple[set[int], list[Any]]:
        THINGS.insert(connection, [row(number, f"n{number}") for number in range(3_000)])
        found = [each[0] for each in select_in(connection, BY_NAME, "text", (f"n{number}" for number in range(2_500)))]
        assert len(found) == 2_500
        return {*found}, list(select_in(connection, BY_NAME, "text", ["nobody", "n"]))

    assert await in_table(store, work) == ({*range(2_500)}, [])


async def test_nothing_is_found_by_no_keys(store: SqliteStore) -> None:
    def work(connection: Connection) -> list[Any]:
        THINGS.insert(connection, [row(1)])
        return list(select_in(connection, BY_NAME, "text", []))

    assert await in_table(store, work) == []


async def test_a_statement_is_written_as_its_driver_numbers_values(store: SqliteStore) -> None:
    def work(connection: Connection) -> tuple[bool, str, list[Any]]:
        THINGS.insert(connection, [row(1, "a"), row(2, "b")])
        statement = numbered("SELECT id FROM things WHERE name = ? AND version = ?", connection)
        found = connection.exec_driver_sql(statement, ("b", 1)).scalars().all()
        return is_postgres(connection), statement.partition(" WHERE ")[2], list(found)

    is_postgresql, condition, found = await in_table(store, work)
    assert condition == ("name = $1 AND version = $2" if is_postgresql else "name = ? AND version = ?")
    assert found == [2]


@pytest.mark.parametrize(("text", "kept"), [("a\0b\0", "a\ufffdb\ufffd"), ("", ""), ("ü", "ü")])
def test_text_is_kept_without_what_postgresql_does_not_know(text: str, kept: str) -> None:
    assert storable(text) == kept
