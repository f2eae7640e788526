"""Moves all that one database holds into an empty one of the other kind: in one transaction, so all of it or nothing.

Knows tables as rows of plain values, and not what they mean: numbers, leases and times stay as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Boolean, func, select, text
from sqlalchemy.dialects import postgresql

from sevrouter.store.errors import MoveError, SchemaTooNewError
from sevrouter.store.migrate import all_migrations
from sevrouter.store.rows import Rows, is_postgres, storable
from sevrouter.store.tables import (
    alert_states,
    alerts,
    deliveries,
    delivery_references,
    deployments,
    drills,
    escalations,
    heartbeats,
    history,
    incidents,
    migrations,
    quarantine,
    rings,
    summons,
    timeline,
    watches,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import Connection, Table

    from sevrouter.store.database import Database

# What a row refers to comes before it.
TABLES = (
    incidents,
    watches,
    alerts,
    alert_states,
    history,
    timeline,
    deliveries,
    delivery_references,
    escalations,
    rings,
    summons,
    drills,
    deployments,
    heartbeats,
    quarantine,
)
# Rows that are read and that are written at once, and the size in letters and bytes at which it is fewer: a row may
# hold a whole webhook.
_READ = 100
_WRITTEN = 5_000
_LARGE = 4 * 2**20

_POSTGRES = postgresql.dialect()  # type: ignore[no-untyped-call]
_others = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND application_name = current_setting('application_name')"
)
_postgres_number = text("SELECT pg_sequence_last_value(pg_get_serial_sequence(:table, 'id')::regclass)")
_sqlite_number = text("SELECT seq FROM sqlite_sequence WHERE name = :table")
_set_postgres_number = text("SELECT setval(pg_get_serial_sequence(:table, 'id'), :number)")
_forget_sqlite_number = text("DELETE FROM sqlite_sequence WHERE name = :table")
_set_sqlite_number = text("INSERT INTO sqlite_sequence (name, seq) VALUES (:table, :number)")


def move(source: Database, target: Database) -> dict[str, int]:
    """Copy everything into a database that holds nothing, and return how many rows that was, by table.

    The source stays as it is, in its schema too. Raises MoveError, or what the databases raise; then the target is as
    it was, but that its numbers may go on at a higher one.
    """
    return source.alone(
        lambda old: target.alone(lambda new: _move(old, new, source=source, target=target), keep=True), keep=False
    )


def _move(old: Connection, new: Connection, *, source: Database, target: Database) -> dict[str, int]:
    for connection in (old, new):
        _refuse_another_schema(connection)
    _refuse_what_is_in_use(old, source)
    _refuse_what_is_filled(new, target)
    for table in TABLES:
        _copy(table, old, new)
    moved = _counts(new)
    if (held := _counts(old)) != moved:
        raise MoveError(f"{target} would have {moved} of {held}: nothing was moved")
    if is_postgres(new):
        # Otherwise its first queries would be planned as for empty tables.
        new.execute(text(f"ANALYZE {', '.join(table.name for table in TABLES)}"))
    # Last, because this alone would not be undone.
    for table in TABLES:
        if "id" in table.columns:
            _set_number(new, table, max(_number(old, table), _number(new, table)))
    return moved


def _refuse_another_schema(connection: Connection) -> None:
    # A program of an older schema may work with a newer one, and would leave out what it does not know.
    found = connection.execute(select(func.max(migrations.c.version))).scalar_one()
    known = all_migrations()[-1].version
    if found != known:
        raise SchemaTooNewError(found, known)


def _refuse_what_is_in_use(connection: Connection, source: Database) -> None:
    # SQLite has a lock for it.
    if is_postgres(connection) and (count := connection.execute(_others).scalar_one()):
        raise MoveError(f"{source} is in use by {count} connections of sevrouter: stop every replica and shadow first")


def _refuse_what_is_filled(connection: Connection, target: Database) -> None:
    held = [f"{count} {name}" for name, count in _counts(connection).items() if count]
    if held:
        raise MoveError(f"{target} is not empty: it holds {', '.join(held)}")


def _counts(connection: Connection) -> dict[str, int]:
    return {table.name: connection.execute(select(func.count()).select_from(table)).scalar_one() for table in TABLES}


def _copy(table: Table, old: Connection, new: Connection) -> None:
    kinds = {column.name: column.type.compile(_POSTGRES) for column in table.columns}
    into = Rows(table.name, kinds)
    # As plain values: times and SEVs need not be understood to be copied.
    statement = text(f"SELECT {', '.join(kinds)} FROM {table.name}")  # noqa: S608  names of ours
    found = old.execute(statement, execution_options={"yield_per": _READ})
    flags = [number for number, column in enumerate(table.columns) if isinstance(column.type, Boolean)]
    for rows in _parts(_plain(tuple(row), flags) for row in found):
        into.insert(new, rows)


def _plain(row: tuple[Any, ...], flags: list[int]) -> tuple[Any, ...]:
    values = [storable(value) if isinstance(value, str) else value for value in row]
    for number in flags:
        # SQLite says 0 and 1.
        values[number] = bool(values[number])
    return tuple(values)


def _parts(rows: Iterable[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    part: list[tuple[Any, ...]] = []
    size = 0
    for row in rows:
        part.append(row)
        size += sum(len(value) for value in row if isinstance(value, str | bytes))
        if len(part) >= _WRITTEN or size >= _LARGE:
            yield part
            part, size = [], 0
    yield part


def _number(connection: Connection, table: Table) -> int:
    # The highest that was ever given, though its row may be gone: it must not be given again.
    given = _postgres_number if is_postgres(connection) else _sqlite_number
    highest = connection.execute(select(func.max(table.c.id))).scalar()
    return max(connection.execute(given, {"table": table.name}).scalar() or 0, highest or 0)


def _set_number(connection: Connection, table: Table, number: int) -> None:
    if number == 0:
        return
    if is_postgres(connection):
        connection.execute(_set_postgres_number, {"table": table.name, "number": number})
        return
    connection.execute(_forget_sqlite_number, {"table": table.name})
    connection.execute(_set_sqlite_number, {"table": table.name, "number": number})
