"""TLS of the tests: who trusts the certificate gets through, and nobody else."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import asyncpg
import pytest

from tests.real.postgres import RealPostgres, through
from tests.real.postgres_installation import NAMED_BY
from tests.real.tls import Certificate, PostgresTlsProxy, make_certificate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.real.postgres import PostgresServer
    from tests.real.postgres_installation import PostgresInstallation


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path)


@pytest.fixture
async def proxy(postgres_server: PostgresServer, certificate: Certificate) -> AsyncIterator[PostgresTlsProxy]:
    async with PostgresTlsProxy(*postgres_server.address, certificate=certificate) as proxy:
        yield proxy


async def test_who_trusts_the_certificate_gets_through(
    proxy: PostgresTlsProxy, postgres_database: str, certificate: Certificate
) -> None:
    dsn = f"{through(proxy.address, postgres_database)}?sslmode=verify-full&sslrootcert={certificate.certificate}"
    connection = await asyncpg.connect(dsn)
    assert await connection.fetchval("SELECT repeat('x', 1000000)") == "x" * 1_000_000
    await connection.close()
    await proxy.wait_for(lambda counts: counts.open == 0)


async def test_who_does_not_trust_it_does_not(proxy: PostgresTlsProxy, postgres_database: str, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    trusted = make_certificate(other).certificate
    dsn = f"{through(proxy.address, postgres_database)}?sslmode=verify-full&sslrootcert={trusted}"
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncpg.connect(dsn)


async def test_who_expects_another_name_does_not(
    postgres_server: PostgresServer, postgres_database: str, tmp_path: Path
) -> None:
    certificate = make_certificate(tmp_path, names="DNS:database.example")
    async with PostgresTlsProxy(*postgres_server.address, certificate=certificate) as proxy:
        dsn = f"{through(proxy.address, postgres_database)}?sslmode=verify-full&sslrootcert={certificate.certificate}"
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncpg.connect(dsn)


async def test_who_speaks_no_tls_is_reset(proxy: PostgresTlsProxy, postgres_database: str) -> None:
    with pytest.raises((asyncpg.ConnectionDoesNotExistError, ConnectionError)):
        await asyncpg.connect(f"{through(proxy.address, postgres_database)}?sslmode=disable")


async def test_an_answer_inside_of_tls_can_be_lost(proxy: PostgresTlsProxy, postgres_database: str) -> None:
    connection = await asyncpg.connect(f"{through(proxy.address, postgres_database)}?sslmode=require")
    loss = proxy.lose_answer(b"CREATE TABLE held", answer=b"CREATE TABLE")
    with pytest.raises((asyncpg.ConnectionDoesNotExistError, ConnectionError)):
        await connection.execute("CREATE TABLE held (value int)")
    await loss.wait()


async def test_a_server_that_was_built_with_tls_speaks_it_itself(
    postgres_installation: PostgresInstallation, certificate: Certificate
) -> None:
    if not postgres_installation.has_tls():
        pytest.skip(f"these binaries were built without TLS; {NAMED_BY} can name others")
    async with RealPostgres(postgres_installation, tls=certificate) as server:
        dsn = f"{server.dsn()}?sslmode=verify-full&sslrootcert={certificate.certificate}"
        connection = await asyncpg.connect(dsn)
        assert await connection.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        await connection.close()
