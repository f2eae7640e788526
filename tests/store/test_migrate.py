"""The schema: the migrations make what the statements expect, and the database itself refuses what cannot be."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pysqlite3.dbapi2
import pytest
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.exc import IntegrityError

from sevrouter.store.errors import SchemaTooNewError
from sevrouter.store.migrate import all_migrations, migrate
from sevrouter.store.sqlite import SqliteStore, make_engine, migrate_file
from sevrouter.store.tables import metadata

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def connection(database: Path) -> Iterator[Connection]:
    """A connection to an empty database."""
    engine = make_engine(database)
    with engine.connect() as connection, connection.begin():
        yield connection
    engine.dispose()


@pytest.fixture
def migrated(connection: Connection) -> Connection:
    """A connection to a database that has its schema."""
    migrate(connection, now=NOW)
    return connection


def test_a_migrated_database_has_the_tables_that_the_statements_expect(migrated: Connection) -> None:
    found = inspect(migrated)
    assert set(found.get_table_names()) - {"sqlite_sequence"} == set(metadata.tables)


@pytest.mark.parametrize("name", sorted(metadata.tables))
def test_a_migrated_table_has_the_columns_that_the_statements_expect(migrated: Connection, name: str) -> None:
    keys = inspect(migrated).get_pk_constraint(name)["constrained_columns"]
    found = {
        column["name"]: column["nullable"] and column["name"] not in keys
        for column in inspect(migrated).get_columns(name)
    }
    assert found == {column.name: column.nullable for column in metadata.tables[name].columns}


@pytest.mark.parametrize("name", sorted(metadata.tables))
def test_a_migrated_table_has_the_keys_that_the_statements_expect(migrated: Connection, name: str) -> None:
    found = inspect(migrated)
    expected = metadata.tables[name]
    assert found.get_pk_constraint(name)["constrained_columns"] == [each.name for each in expected.primary_key]
    unique = {tuple(each["column_names"]) for each in found.get_unique_constraints(name)}
    assert unique == {(column.name,) for column in expected.columns if column.unique}


def test_the_columns_hold_what_the_statements_write(migrated: Connection) -> None:
    kinds = {
        (table.name, column.name): (column.type.compile(migrated.dialect), found["type"].compile(migrated.dialect))
        for table in metadata.sorted_tables
        for column in table.columns
        for found in inspect(migrated).get_columns(table.name)
        if found["name"] == column.name
    }
    different = {name: pair for name, pair in kinds.items() if pair[0] != pair[1]}
    assert different == {}


def test_applying_twice_changes_nothing(connection: Connection) -> None:
    assert [each.version for each in migrate(connection, now=NOW)] == [each.version for each in all_migrations()]
    before = connection.execute(text("SELECT sql FROM sqlite_master")).all()
    assert migrate(connection, now=NOW) == []
    assert connection.execute(text("SELECT sql FROM sqlite_master")).all() == before


def test_migrations_are_numbered_without_a_gap() -> None:
    assert [each.version for each in all_migrations()] == list(range(1, len(all_migrations()) + 1))


def test_a_newer_database_is_refused(migrated: Connection) -> None:
    newest = all_migrations()[-1].version
    migrated.execute(text("INSERT INTO schema_migrations (version, applied_at) VALUES (:new, 0)"), {"new": newest + 1})
    with pytest.raises(SchemaTooNewError, match=rf"schema {newest + 1}, this version knows up to {newest}"):
        migrate(migrated, now=NOW)


@pytest.mark.parametrize("known", range(1, len(all_migrations())))
def test_a_program_of_an_older_schema_goes_on(
    migrated: Connection, monkeypatch: pytest.MonkeyPatch, known: int
) -> None:
    older = all_migrations()[:known]
    monkeypatch.setattr("sevrouter.store.migrate.all_migrations", lambda: older)
    assert migrate(migrated, now=NOW) == []


def test_a_database_that_is_refused_is_let_go_of(database: Path) -> None:
    migrate_file(database)
    raw = pysqlite3.dbapi2.connect(str(database))
    raw.execute("INSERT INTO schema_migrations (version, applied_at) VALUES (999, 0)")
    raw.commit()
    with pytest.raises(SchemaTooNewError):
        SqliteStore.open(database)
    raw.execute("DELETE FROM schema_migrations WHERE version = 999")
    raw.commit()
    raw.close()
    store = SqliteStore.open(database)
    assert store.path == database
    store.close()


def test_migrating_a_file_says_what_was_missing(database: Path) -> None:
    assert (1, "first") in [(each.version, each.name) for each in migrate_file(database)]
    assert migrate_file(database) == []


def test_a_migration_that_fails_leaves_nothing_behind(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make_engine(database)
    newest = all_migrations()[-1]
    broken = [*all_migrations(), type(newest)(newest.version + 1, "broken", "CREATE TABLE more (id INTEGER); NONSENSE")]
    monkeypatch.setattr("sevrouter.store.migrate.all_migrations", lambda: broken)
    with pytest.raises(Exception, match="NONSENSE"), engine.connect() as connection, connection.begin():
        migrate(connection, now=NOW)
    with engine.connect() as connection, connection.begin():
        assert inspect(connection).get_table_names() == []
    engine.dispose()


def test_what_was_stored_before_there_were_more_kinds_of_notices_is_kept(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = all_migrations()[:5]
    monkeypatch.setattr("sevrouter.store.migrate.all_migrations", lambda: newest[:4])
    migrate(connection, now=NOW)
    insert(connection, "incidents", INCIDENT)
    for number in range(1, 5):
        insert(connection, "deliveries", DELIVERY | {"id": number, "integration": f"call-{number}"})
    connection.execute(text("DELETE FROM deliveries WHERE id = 4"))
    before = connection.execute(text("SELECT * FROM deliveries ORDER BY id")).mappings().all()
    monkeypatch.setattr("sevrouter.store.migrate.all_migrations", lambda: newest)
    assert [each.version for each in migrate(connection, now=NOW)] == [5]
    assert connection.execute(text("SELECT * FROM deliveries ORDER BY id")).mappings().all() == before
    insert(connection, "deliveries", DELIVERY | {"kind": "likely"})
    numbers = connection.execute(text("SELECT id FROM deliveries ORDER BY id")).scalars().all()
    assert numbers == [1, 2, 3, 5], "a number that was used is never used again"
    heard = connection.execute(text("SELECT heard_at FROM incidents")).scalar_one()
    assert heard > 1_700_000_000_000_000, "what is open counts as heard of when it was upgraded"


def test_the_schema_is_plain_enough_for_another_database() -> None:
    # PostgreSQL follows with the same migrations: nothing of SQLite's own may be in them.
    for each in all_migrations():
        assert re.findall(r"(?i)autoincrement|without rowid|\bblob\b|pragma|strict\b", each.sql) == []


INCIDENT: dict[str, Any] = {
    "id": 1, "dedup_key": "k", "state": "triggered", "sev": 2, "unsure": False, "opened_at": 0, "resolved_at": None,
    "firing": 1, "truncated": False, "asked": "", "evidence": "{}",
}  # fmt: skip
DELIVERY: dict[str, Any] = {
    "incident_id": 1, "integration": "call", "kind": "opened", "sev": 2, "notice": "{}", "state": "pending",
    "attempts": 0, "unknowns": 0, "received_at": 0, "not_before": 0, "expires_at": 0, "lease": None,
}  # fmt: skip
ALERT: dict[str, Any] = {"id": 1, "digest": b"d", "labels": "{}", "generator_url": "", "first_seen_at": 0}
STATE: dict[str, Any] = {
    "alert_id": 1, "status": "firing", "starts_at": 0, "changed_at": 0, "sev": 1, "unsure": False, "content": b"",
}  # fmt: skip
HISTORY: dict[str, Any] = {"alert_id": 1, "at": 0, "status": "firing", "starts_at": 0, "sev": None, "unsure": False}
TIMELINE: dict[str, Any] = {"incident_id": 1, "at": 0, "fact": "opened", "details": "{}"}
REFERENCE: dict[str, Any] = {"incident_id": 1, "integration": "jira", "reference": "OPS-1"}
DEPLOYMENT: dict[str, Any] = {"system": "checkout", "version": "1", "at": 0, "link": None, "received_at": 0}
QUARANTINE: dict[str, Any] = {"digest": b"d", "first_at": 0, "last_at": 0, "times": 1, "reason": "", "body": b""}


def insert(connection: Connection, table: str, row: dict[str, Any]) -> None:
    """Write a row without asking anybody's types."""
    names = ", ".join(row)
    values = ", ".join(f":{name}" for name in row)
    connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({values})"), row)  # noqa: S608  names of ours


@pytest.fixture
def filled(migrated: Connection) -> Connection:
    """A row in every table."""
    for table, row in (
        ("incidents", INCIDENT),
        ("deliveries", DELIVERY),
        ("alerts", ALERT),
        ("alert_states", STATE),
        ("history", HISTORY),
        ("timeline", TIMELINE),
        ("delivery_references", REFERENCE),
        ("deployments", DEPLOYMENT),
        ("quarantine", QUARANTINE),
    ):
        insert(migrated, table, row)
    return migrated


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("incidents", INCIDENT | {"id": 2, "state": "open"}),
        ("incidents", INCIDENT | {"id": 2, "state": "resolved"}),
        ("incidents", INCIDENT | {"id": 2, "resolved_at": 1}),
        ("incidents", INCIDENT | {"id": 2, "sev": 0}),
        ("incidents", INCIDENT | {"id": 2, "sev": 6}),
        ("incidents", INCIDENT | {"id": 2, "sev": None}),
        ("incidents", INCIDENT | {"id": 2, "firing": -1}),
        ("incidents", INCIDENT | {"id": 2, "evidence": None}),
        ("deliveries", DELIVERY | {"state": "sending"}),
        ("deliveries", DELIVERY | {"lease": "mine"}),
        ("deliveries", DELIVERY | {"state": "delivered", "lease": "mine"}),
        ("deliveries", DELIVERY | {"state": "lost"}),
        ("deliveries", DELIVERY | {"sev": 0}),
        ("deliveries", DELIVERY | {"incident_id": 99}),
        ("alerts", ALERT | {"id": 2}),
        ("alert_states", STATE | {"alert_id": 99}),
        ("alert_states", STATE),
        ("history", HISTORY | {"status": "pending"}),
        ("history", HISTORY | {"sev": 6}),
        ("history", HISTORY | {"alert_id": 99}),
        ("timeline", TIMELINE | {"incident_id": 99}),
        ("delivery_references", REFERENCE | {"reference": "OPS-2"}),
        ("delivery_references", REFERENCE | {"incident_id": 99}),
        ("deployments", DEPLOYMENT),
        ("deployments", DEPLOYMENT | {"at": 1, "version": None}),
        ("quarantine", QUARANTINE),
    ],
)
def test_the_database_refuses_what_cannot_be(filled: Connection, table: str, row: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError):
        insert(filled, table, row)


def test_what_belongs_to_an_incident_goes_with_it(filled: Connection) -> None:
    filled.execute(text("DELETE FROM incidents"))
    filled.execute(text("DELETE FROM alerts"))
    for table in ("deliveries", "timeline", "delivery_references", "alert_states", "history"):
        assert filled.execute(text(f"SELECT count(*) FROM {table}")).scalar() == 0  # noqa: S608  names of ours


def test_an_incidents_number_is_never_given_again(filled: Connection) -> None:
    filled.execute(text("DELETE FROM incidents"))
    insert(filled, "incidents", {name: value for name, value in INCIDENT.items() if name != "id"})
    assert filled.execute(text("SELECT id FROM incidents")).scalar() == 2


def test_a_database_of_nothing_but_migrations_needs_no_file() -> None:
    engine = create_engine("sqlite://", module=pysqlite3.dbapi2)
    with engine.connect() as connection, connection.begin():
        migrate(connection, now=NOW)
        assert connection.execute(text("SELECT version FROM schema_migrations")).scalars().all() == [
            each.version for each in all_migrations()
        ]
    engine.dispose()
