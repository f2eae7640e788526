"""A long history made of a short one: every row of a SQLite database, so many times over.

Knows of the tables only what their columns are called: `id` numbers a row, and `alert_id` is a row of `alerts`. What
must be unique is made anew.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pysqlite3.dbapi2

if TYPE_CHECKING:
    from pathlib import Path

# Nothing but tables of the schema itself, which is not to be had twice.
_ONCE = ("schema_migrations",)
# Not held by the database to be unique, and yet one row's alone.
_OWN_TEXT = ("dedup_key",)
_FAST = ("journal_mode=OFF", "synchronous=OFF", "foreign_keys=OFF", "cache_size=-500000", "temp_store=MEMORY")


def multiply(database: Path, times: int) -> None:
    """Have each row so many times, at least twice; nobody else may have the file open."""
    with closing(pysqlite3.dbapi2.connect(str(database), isolation_level=None)) as connection:
        for pragma in _FAST:
            connection.execute(f"PRAGMA {pragma}")
        # Filled in the order of their rows and only then indexed: entry by entry, it would take several times as long.
        indexes = _rows(connection, "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        connection.execute("BEGIN")
        tables = [name for (name,) in _rows(connection, _TABLES) if name not in _ONCE]
        strides = {table: _stride(connection, table) for table in tables}
        for table in tables:
            _multiply_table(connection, table, strides, times)
        connection.execute("COMMIT")
        for _, sql in indexes:
            connection.execute(sql)
        connection.execute("PRAGMA journal_mode=WAL")


_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"


def _multiply_table(connection: Any, table: str, strides: dict[str, int], times: int) -> None:
    columns = {str(row[1]): str(row[2]) for row in _rows(connection, f"PRAGMA table_info({table})")}
    unique = _unique(connection, table)
    chosen = ", ".join(_expression(name, kind, table, strides, unique=name in unique) for name, kind in columns.items())
    rows = f"SELECT * FROM {table}"  # noqa: S608  the schema's own names
    connection.execute(f"CREATE TEMP TABLE first AS {rows}")
    # From 1: the first of the copies is there.
    connection.execute(
        f"WITH RECURSIVE copies (copy) AS (SELECT 1 UNION ALL SELECT copy + 1 FROM copies WHERE copy < ? - 1)"  # noqa: S608
        f" INSERT INTO {table} ({', '.join(columns)}) SELECT {chosen} FROM copies CROSS JOIN first",
        (times,),
    )
    connection.execute("DROP TABLE first")


def _expression(name: str, kind: str, table: str, strides: dict[str, int], *, unique: bool) -> str:
    stride = strides[table] if name == "id" else strides.get(f"{name.removesuffix('_id')}s")
    if stride is not None and (name == "id" or name.endswith("_id")):
        return f"{name} + copy * {stride}"
    if unique and kind.upper() in ("BLOB", "BYTEA"):
        return f"randomblob(length({name}))"
    return f"{name} || '-' || copy" if name in _OWN_TEXT else name


def _stride(connection: Any, table: str) -> int:
    """Say how far apart two copies of a row have to be numbered."""
    if "id" not in {row[1] for row in _rows(connection, f"PRAGMA table_info({table})")}:
        return 0
    ((highest,),) = _rows(connection, f"SELECT coalesce(max(id), 0) FROM {table}")  # noqa: S608  the schema's own names
    return int(highest)


def _unique(connection: Any, table: str) -> set[str]:
    """Name the columns that are unique by themselves."""
    indexes = [row[1] for row in _rows(connection, f"PRAGMA index_list({table})") if row[2]]
    columns = [[row[2] for row in _rows(connection, f"PRAGMA index_info({name})")] for name in indexes]
    return {each[0] for each in columns if len(each) == 1}


def _rows(connection: Any, statement: str) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = connection.execute(statement).fetchall()
    return found
