"""Writes and reads many rows by one statement, in the way that each database takes best.

SQLite runs one prepared statement for row after row; PostgreSQL gets a column at a time, as arrays, in one message.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from sevrouter.store.chunks import chunks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection
    from sqlalchemy.engine.interfaces import DBAPICursor

T = TypeVar("T")
Row: TypeAlias = tuple[Any, ...]

# Rows that go to the database in one message: larger ones are no quicker, and cost memory at both ends.
_TOGETHER = 5_000
# Rows that SQLite adds in one statement
_MOST_AT_ONCE = 1_024


def is_postgres(connection: Connection) -> bool:
    """Whether this is PostgreSQL, or speaks like it."""
    return connection.dialect.name == "postgresql"


class Rows:
    """The columns of a table that are written together, each with PostgreSQL's name of its type.

    Where a row is updated the first column is its key, and `version`, the last one, must be one more than it was.
    `again` says what becomes of a row to be added that is there already.
    """

    def __init__(self, table: str, columns: Mapping[str, str], *, again: str = "") -> None:
        key, *others = columns
        arrays = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(columns.values(), start=1))
        # Nothing but names that stand in this package goes into these statements.
        into = f"INSERT INTO {table} ({', '.join(columns)})"
        places = ", ".join("?" * len(columns))
        assigned = ", ".join(f"{name} = ?" for name in others)
        taken = ", ".join(f"{name} = new.{name}" for name in others)
        known = f"{table}.{key} = new.{key} AND {table}.version = new.version - 1"
        self._row = f"({places})"
        self._insert_row = f"{into} VALUES {self._row}"
        self._inserts: dict[int, str] = {}
        self._again = f" {again}" if again else ""
        self._insert_arrays = f"{into} SELECT * FROM unnest({arrays}){self._again}"  # noqa: S608
        self._update_row = f"UPDATE {table} SET {assigned} WHERE {key} = ? AND version = ?"  # noqa: S608
        self._update_arrays = (
            f"UPDATE {table} SET {taken} FROM unnest({arrays}) AS new ({', '.join(columns)}) WHERE {known}"  # noqa: S608
        )

    def insert(self, connection: Connection, items: Sequence[Any], row: Callable[[Any], Row] = tuple) -> None:
        """Add rows; each item becomes one only when it is written, so that few of very many are there at once."""
        if is_postgres(connection):
            for part in batched(items):
                execute(connection, self._insert_arrays, _columns(map(row, part)))
        elif items:
            cursor = connection.connection.cursor()
            for part in _doubled(items):
                cursor.execute(self._insert_many(len(part)), [value for each in part for value in row(each)])

    def _insert_many(self, count: int) -> str:
        statement = self._inserts.get(count)
        if statement is None:
            statement = self._inserts[count] = self._insert_row + f", {self._row}" * (count - 1) + self._again
        return statement

    def update(self, connection: Connection, items: Sequence[Any], row: Callable[[Any], Row] = tuple) -> int:
        """Change rows that were of the version before, and return how many were; an item becomes one as above."""
        if is_postgres(connection):
            parts = (_columns(map(row, part)) for part in batched(items))
            return sum(execute(connection, self._update_arrays, part).rowcount for part in parts)
        written, cursor = 0, connection.connection.cursor()
        for part in batched(items):
            cursor.executemany(self._update_row, [(*each[1:], each[0], each[-1] - 1) for each in map(row, part)])
            written += cursor.rowcount
        return written


def select_in(connection: Connection, statement: str, kind: str, keys: Iterable[Any]) -> Iterator[Sequence[Any]]:
    """Run a query whose `{keys}` is a list of keys, of PostgreSQL's type `kind`."""
    if is_postgres(connection):
        yield from execute(connection, statement.format(keys=f"= ANY($1::{kind}[])"), (list(keys),)).fetchall()
        return
    for chunk in chunks(keys):
        places = f"IN ({', '.join('?' * len(chunk))})"
        yield from execute(connection, statement.format(keys=places), tuple(chunk)).fetchall()


def execute(connection: Connection, statement: str, values: tuple[Any, ...]) -> DBAPICursor:
    """Run a statement past SQLAlchemy, whose own work is several times that of a small one.

    Raises the driver's own error.
    """
    cursor = connection.connection.cursor()
    cursor.execute(statement, values)
    return cursor


@lru_cache(maxsize=64)
def _numbered(statement: str) -> str:
    first, *others = statement.split("?")
    return first + "".join(f"${number}{text}" for number, text in enumerate(others, start=1))


def numbered(statement: str, connection: Connection) -> str:
    """A statement whose values are question marks, as this database's driver writes them."""
    return _numbered(statement) if is_postgres(connection) else statement


def storable(text: str) -> str:
    """Text as every database takes it: PostgreSQL knows no character 0."""
    return text.replace("\0", "\ufffd") if "\0" in text else text


def batched(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Items in parts of a size that one message to the database may have."""
    return (items[start : start + _TOGETHER] for start in range(0, len(items), _TOGETHER))


def _doubled(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Parts whose sizes are powers of two, so that there are few different statements."""
    start, left = 0, len(items)
    while left:
        size = min(_MOST_AT_ONCE, 1 << (left.bit_length() - 1))
        yield items[start : start + size]
        start += size
        left -= size


def _columns(rows: Iterable[Row]) -> tuple[list[Any], ...]:
    return tuple(map(list, zip(*rows, strict=True)))
