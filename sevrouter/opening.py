"""Opens the store that a configuration names: for the daemon, and for the command line beside it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, assert_never

from sevrouter.config import PostgresSettings, SqliteSettings, StoreSettings
from sevrouter.store.errors import StoreError
from sevrouter.store.sqlite import SqliteDatabase, SqliteStore

if TYPE_CHECKING:
    from types import ModuleType

    from sevrouter.store.connector import Connector
    from sevrouter.store.database import Database
    from sevrouter.store.postgres import PostgresStore


def open_database(settings: StoreSettings, *, shadow: bool) -> Database:
    """The database, for the command line; a shadow has one of its own. Raises StoreError."""
    match settings.in_shadow() if shadow else settings:
        case SqliteSettings(path):
            return SqliteDatabase(path)
        case PostgresSettings() as postgres:
            database: Database = _postgres().PostgresDatabase(_connector(postgres))
            return database
        case other:
            assert_never(other)


def open_store(settings: StoreSettings, *, shadow: bool) -> SqliteStore | PostgresStore:
    """Open the store; a shadow has one of its own. Raises StoreError."""
    match settings.in_shadow() if shadow else settings:
        case SqliteSettings(path):
            return SqliteStore.open(path)
        case PostgresSettings() as postgres:
            store: PostgresStore = _postgres().PostgresStore.open(_connector(postgres))
            return store
        case other:
            assert_never(other)


def _postgres() -> ModuleType:
    # Its driver is an extra, and takes time to import that one process with a file does not need.
    try:
        return importlib.import_module("sevrouter.store.postgres")
    except ModuleNotFoundError as missing:
        raise StoreError(f"PostgreSQL needs {missing.name}: pip install 'sevrouter[postgres]'") from missing


def _connector(settings: PostgresSettings) -> Connector:
    tls = settings.tls
    connector: Connector = _postgres().Connector(
        name=str(settings),
        hosts=settings.hosts,
        database=settings.database,
        user=settings.user,
        password=settings.password,
        tls=tls
        and _postgres().Tls(
            verify=tls.mode != "require",
            check_name=tls.mode == "verify-full",
            ca_file=tls.ca_file,
            cert_file=tls.cert_file,
            key_file=tls.key_file,
        ),
        schema=settings.schema,
        application_name=settings.application_name,
        connect_timeout=settings.connect_timeout,
        statement_timeout=settings.statement_timeout,
        lock_timeout=settings.lock_timeout,
    )
    return connector
