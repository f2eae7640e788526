"""Fixtures of a real store: the schema is made once, and each test gets a copy of it for itself."""

from __future__ import annotations

import shutil
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest

from sevrouter.store.connector import Connector
from sevrouter.store.postgres import PostgresDatabase, PostgresStore
from sevrouter.store.sqlite import SqliteStore, migrate_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.real.postgres import PostgresServer


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that has its schema and nothing else; to be copied, not opened."""
    path = tmp_path_factory.mktemp("database") / "sevrouter.db"
    migrate_file(path)
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> SqliteStore | PostgresStore:
    """An open store with nothing in it, of either kind: what holds for one has to hold for both."""
    store: SqliteStore | PostgresStore = request.getfixturevalue(f"{request.param}_store")
    return store


@pytest.fixture
def sqlite_store(tmp_path: Path, empty_database: Path) -> Iterator[SqliteStore]:
    """An open SQLite store with nothing in it."""
    path = tmp_path / "sevrouter.db"
    shutil.copyfile(empty_database, path)
    store = SqliteStore.open(path)
    yield store
    store.close()


@pytest.fixture(scope="session")
def empty_postgres(postgres_server: PostgresServer) -> Iterator[str]:
    """The name of a PostgreSQL database that has its schema and nothing else; to be copied, not written to."""
    with postgres_server.database() as name:
        database = PostgresDatabase(connector(postgres_server.dsn(name)))
        database.migrate()
        database.close()
        yield name


@pytest.fixture
def postgres_copy(postgres_server: PostgresServer, empty_postgres: str) -> Iterator[str]:
    """The DSN of a database with its schema and nothing else."""
    with postgres_server.database(template=empty_postgres) as name:
        yield postgres_server.dsn(name)


@pytest.fixture
def postgresql_store(postgres_copy: str) -> Iterator[PostgresStore]:
    """An open PostgreSQL store with nothing in it."""
    store = PostgresStore.open(connector(postgres_copy))
    yield store
    store.close()


def connector(dsn: str, **changes: Any) -> Connector:
    """How a database of the tests is reached."""
    parts = urlsplit(dsn)
    settings: dict[str, Any] = {
        "name": f"postgresql://{parts.hostname}:{parts.port}{parts.path}",
        "hosts": ((parts.hostname or "", parts.port or 5432),),
        "database": unquote(parts.path[1:]),
        "user": unquote(parts.username or ""),
        "password": lambda: unquote(parts.password or ""),
        "tls": None,
        "schema": None,
        "application_name": "sevrouter",
        "connect_timeout": timedelta(seconds=5),
        "statement_timeout": timedelta(seconds=20),
        "lock_timeout": timedelta(seconds=5),
    }
    return Connector(**settings | changes)
