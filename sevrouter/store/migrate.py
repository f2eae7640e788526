"""Brings a database to the schema of this version. Forward only; a newer database is refused, not guessed at."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from sqlalchemy import func, insert, select, text

from sevrouter.store.errors import SchemaTooNewError
from sevrouter.store.tables import migrations

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

# What the dialects spell differently.
_SPELLING = {
    # A key of type INTEGER is the row's own number in SQLite; of any other type it is an index beside it.
    "sqlite": {"identity": "INTEGER PRIMARY KEY AUTOINCREMENT", "key": "INTEGER", "bytes": "BLOB"},
}


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered step of the schema."""

    version: int
    name: str
    sql: str


def all_migrations() -> list[Migration]:
    """The migrations that this version knows, in order."""
    folder = resources.files("sevrouter.store") / "migrations"
    found = []
    for file in folder.iterdir():
        if file.name.endswith(".sql"):
            number, _, name = file.name.removesuffix(".sql").partition("_")
            found.append(Migration(int(number), name, file.read_text("utf-8")))
    return sorted(found, key=lambda each: each.version)


def migrate(connection: Connection, *, now: datetime) -> list[Migration]:
    """Apply what is missing, in the caller's transaction, and return it.

    Raises SchemaTooNewError where the database was made by a newer version.
    """
    connection.execute(
        text("CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER PRIMARY KEY, applied_at BIGINT)")
    )
    current = connection.execute(select(func.max(migrations.c.version))).scalar() or 0
    known = all_migrations()
    if current > known[-1].version:
        raise SchemaTooNewError(current, known[-1].version)
    missing = [each for each in known if each.version > current]
    for migration in missing:
        for statement in _statements(migration.sql, connection.dialect.name):
            connection.execute(text(statement))
        connection.execute(insert(migrations).values(version=migration.version, applied_at=now))
    return missing


def _statements(sql: str, dialect: str) -> list[str]:
    lines = [line for line in sql.splitlines() if not line.lstrip().startswith("--")]
    spelled = "\n".join(lines).format_map(_SPELLING[dialect])
    return [statement.strip() for statement in spelled.split(";") if statement.strip()]
