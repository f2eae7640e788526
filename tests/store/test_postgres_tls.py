"""TLS to PostgreSQL: what each mode believes, and that its files may be renewed."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest

from sevrouter.store.connector import Tls
from sevrouter.store.errors import StoreUnavailableError
from tests.real.postgres import through
from tests.real.tls import Certificate, PostgresTlsProxy, make_certificate
from tests.store.postgres_faults import ask, connected, quarantined
from tests.stores import connector

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.real.postgres import PostgresServer


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    """What the server shows."""
    return make_certificate(tmp_path)


@pytest.fixture
async def tls_proxy(postgres_server: PostgresServer, certificate: Certificate) -> AsyncIterator[PostgresTlsProxy]:
    """A server that requires TLS."""
    async with PostgresTlsProxy(*postgres_server.address, certificate=certificate) as proxy:
        yield proxy
        # Cut off in the middle of its greeting it would leave a stream behind.
        await proxy.wait_for(lambda counts: counts.open == 0)


def stranger(tmp_path: Path, names: str = "IP:127.0.0.1") -> Certificate:
    """A certificate of somebody else's."""
    folder = tmp_path / "stranger"
    folder.mkdir()
    return make_certificate(folder, names=names)


@pytest.mark.parametrize(
    ("verify", "check_name"), [(False, False), (True, False), (True, True)], ids=["require", "verify-ca", "verify-full"]
)
async def test_a_certificate_that_is_trusted_is_good_for_every_mode(
    tls_proxy: PostgresTlsProxy, certificate: Certificate, postgres_copy: str, *, verify: bool, check_name: bool
) -> None:
    tls = Tls(verify=verify, check_name=check_name, ca_file=certificate.certificate if verify else None)
    where = connector(through(tls_proxy.address, postgres_copy), tls=tls)
    assert await ask(where, "SELECT 1") == 1


@pytest.mark.parametrize("check_name", [False, True], ids=["verify-ca", "verify-full"])
@pytest.mark.parametrize("trusts_somebody", [False, True])
async def test_a_certificate_that_is_not_trusted_is_refused(
    tls_proxy: PostgresTlsProxy, postgres_copy: str, tmp_path: Path, *, check_name: bool, trusts_somebody: bool
) -> None:
    ca_file = stranger(tmp_path).certificate if trusts_somebody else None
    tls = Tls(verify=True, check_name=check_name, ca_file=ca_file)
    with pytest.raises(ssl.SSLCertVerificationError):
        await ask(connector(through(tls_proxy.address, postgres_copy), tls=tls), "SELECT 1")


@pytest.mark.parametrize("check_name", [False, True], ids=["verify-ca", "verify-full"])
async def test_a_certificate_of_another_name_is_refused_by_verify_full_alone(
    postgres_server: PostgresServer, postgres_copy: str, tmp_path: Path, *, check_name: bool
) -> None:
    other = stranger(tmp_path, "DNS:database.example")
    async with PostgresTlsProxy(*postgres_server.address, certificate=other) as proxy:
        tls = Tls(verify=True, check_name=check_name, ca_file=other.certificate)
        asked = ask(connector(through(proxy.address, postgres_copy), tls=tls), "SELECT 1")
        if check_name:
            with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
                await asked
        else:
            assert await asked == 1
        await proxy.wait_for(lambda counts: counts.open == 0)


async def test_without_tls_a_server_that_requires_it_is_away(tls_proxy: PostgresTlsProxy, postgres_copy: str) -> None:
    async with connected(through(tls_proxy.address, postgres_copy)) as store:
        with pytest.raises(StoreUnavailableError):
            await store.write(quarantined(b"1"))


async def test_with_tls_a_server_that_has_none_gets_nothing(
    postgres_server: PostgresServer, postgres_copy: str
) -> None:
    if postgres_server.query("SHOW ssl") == [("on",)]:
        pytest.skip("this server speaks TLS")
    tls = Tls(verify=False, check_name=False)
    async with connected(postgres_copy, tls=tls) as store:
        with pytest.raises(StoreUnavailableError, match="SSL"):
            await store.write(quarantined(b"1"))


async def test_a_certificate_authority_that_was_renewed_is_read_at_the_next_connection(
    tls_proxy: PostgresTlsProxy, certificate: Certificate, postgres_copy: str, tmp_path: Path
) -> None:
    ca_file = tmp_path / "ca.crt"
    ca_file.write_bytes(stranger(tmp_path).certificate.read_bytes())
    tls = Tls(verify=True, check_name=True, ca_file=ca_file)
    async with connected(through(tls_proxy.address, postgres_copy), tls=tls) as store:
        with pytest.raises(StoreUnavailableError, match="certificate verify failed"):
            await store.write(quarantined(b"1"))
        ca_file.write_bytes(certificate.certificate.read_bytes())
        await store.write(quarantined(b"2"))
