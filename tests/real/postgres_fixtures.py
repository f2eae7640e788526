"""Fixtures of PostgreSQL: one server for the whole run, started for the first test that asks; a database for each."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.real.postgres import PostgresServer, RealPostgres
from tests.real.postgres_installation import require_postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.real.postgres_installation import PostgresInstallation

# Names a database of a server that is there already, by a user who may make databases.
NAMED_BY = "SEVROUTER_TEST_POSTGRES"


@pytest.fixture(scope="session")
def postgres_installation() -> Iterator[PostgresInstallation]:
    """Find the binaries for a test that runs a server of its own; without them, fail in CI and skip elsewhere."""
    with require_postgres() as installation:
        yield installation


@pytest.fixture(scope="session")
def postgres_server(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    """The server that SEVROUTER_TEST_POSTGRES names, or else one of our own, without fsync; not to be stopped."""
    if named := os.environ.get(NAMED_BY):
        yield PostgresServer(named)
        return
    # Asked for only here: who names a server needs no binaries.
    with RealPostgres(request.getfixturevalue("postgres_installation")) as server:
        yield server


@pytest.fixture
def postgres_database(postgres_server: PostgresServer) -> Iterator[str]:
    """The DSN of a fresh database with nothing in it, dropped afterwards."""
    with postgres_server.database() as name:
        yield postgres_server.dsn(name)
