"""How PostgreSQL is reached: hosts, passwords, time-outs, schemas; and that no secret is in what is said of it."""

from __future__ import annotations

import asyncio
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

import asyncpg
import pytest
import tenacity
from structlog.testing import capture_logs

from sevrouter.config.secret import SecretFile
from sevrouter.store import postgres as postgres_module
from sevrouter.store.errors import StoreUnavailableError
from sevrouter.store.postgres import PostgresDatabase, PostgresStore
from tests.real.postgres import PASSWORD, RealPostgres, through
from tests.real.proxy import TcpProxy
from tests.store.postgres_faults import ask, connected, one_time, opened, quarantined
from tests.stores import connector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sevrouter.store.transaction import Transaction
    from tests.real.postgres import PostgresServer
    from tests.real.postgres_installation import PostgresInstallation

OTHER = "an0ther-s3cret"


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A start that does not wait for a database that is away."""
    monkeypatch.setattr(postgres_module, "_START", tenacity.stop_after_attempt(1))


@pytest.fixture
def role(postgres_server: PostgresServer, postgres_copy: str) -> Iterator[str]:
    """The DSN of a user of its own, whose password can be changed."""
    name = urlsplit(postgres_copy).path[1:]
    postgres_server.query(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}' IN ROLE pg_write_all_data, pg_read_all_data")
    yield (
        urlsplit(postgres_copy)
        ._replace(netloc=f"{name}:{quote(PASSWORD, safe='')}@{address(postgres_server)}")
        .geturl()
    )
    postgres_server.query(f"DROP ROLE {name}")


def address(server: PostgresServer) -> str:
    """Host and port as a DSN writes them."""
    host, port = server.address
    return f"{host}:{port}"


# Passwords


@pytest.mark.usefixtures("at_once")
def test_a_wrong_password_is_said_without_it(postgres_copy: str) -> None:
    with capture_logs() as lines, pytest.raises(StoreUnavailableError, match="password authentication failed") as error:
        PostgresStore.open(connector(postgres_copy, password=lambda: OTHER))
    assert OTHER not in f"{error.value!r} {error.value} {lines}"


@pytest.mark.usefixtures("at_once")
def test_a_password_that_cannot_be_read_is_a_store_that_is_not_available(postgres_copy: str) -> None:
    def unreadable() -> str:
        raise ValueError("password cannot be read: Permission denied")

    with closing(PostgresDatabase(connector(postgres_copy, password=unreadable))) as database:
        with pytest.raises(StoreUnavailableError, match="cannot be read: Permission denied"):
            database.read_once(lambda tx: tx.quarantine.count())
        with pytest.raises(StoreUnavailableError, match="cannot be read: Permission denied"):
            database.migrate()


async def test_a_password_that_was_rotated_is_taken_up_at_the_next_connection(
    role: str, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text(PASSWORD)
    name = urlsplit(role).username
    async with connected(role, password=SecretFile(file)) as store:
        await store.write(quarantined(b"before"))
        postgres_server.query(f"ALTER ROLE {name} PASSWORD '{OTHER}'")
        file.write_text(OTHER)
        postgres_server.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1", name)
        with capture_logs() as lines:
            await store.write(quarantined(b"after"))
        assert await store.read(lambda tx: tx.quarantine.count()) == 2
    assert [line["event"] for line in lines] == ["secret_rotated"], "nobody has to hear of it"
    assert OTHER not in str(lines)


async def test_no_secret_is_in_an_error_or_in_the_log(postgres_copy: str) -> None:
    parts = urlsplit(postgres_copy)
    secrets = (unquote(parts.password or ""), parts.password or "")
    proxy = TcpProxy(parts.hostname or "", parts.port or 0)
    async with proxy, connected(through(proxy.address, postgres_copy)) as store:
        await store.write(quarantined(b"1"))
        proxy.refuse()
        await proxy.reset()
        with capture_logs() as lines:
            with pytest.raises(StoreUnavailableError) as error:
                await store.write(quarantined(b"2"))
            with pytest.raises(StoreUnavailableError) as reading:
                await store.read(lambda tx: tx.quarantine.count())
    said = f"{lines} {error.value!r} {reading.value!r} {store.name} {store._writing.connector!r}"
    assert lines
    assert not any(secret in said for secret in secrets)


# Hosts


async def test_the_first_host_that_answers_is_taken(postgres_copy: str, postgres_server: PostgresServer) -> None:
    async with TcpProxy("127.0.0.1", 1) as away:
        away.refuse()
        hosts = (away.address, postgres_server.address)
        assert await ask(connector(postgres_copy, hosts=hosts), "SELECT 1") == 1


async def test_a_host_that_does_not_answer_at_all_is_given_up_for_the_next(
    postgres_copy: str, postgres_server: PostgresServer
) -> None:
    async with TcpProxy("127.0.0.1", 1) as dead:
        dead.blackhole()
        hosts = (dead.address, postgres_server.address)
        where = connector(postgres_copy, hosts=hosts, connect_timeout=timedelta(milliseconds=300))
        assert await ask(where, "SELECT 1") == 1


@pytest.mark.parametrize("state", ["57P03", "53300"], ids=["starting", "full"])
async def test_a_host_that_takes_nobody_now_is_passed_over(
    postgres_copy: str, postgres_server: PostgresServer, state: str
) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        fields = b"SFATAL\0VFATAL\0C" + state.encode() + b"\0Mnot now\0\0"
        writer.write(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as busy:
        hosts = (busy.sockets[0].getsockname()[:2], postgres_server.address)
        assert await ask(connector(postgres_copy, hosts=hosts), "SELECT 1") == 1


async def test_a_password_that_is_refused_is_not_shown_to_the_next_host(
    postgres_copy: str, postgres_server: PostgresServer
) -> None:
    async with TcpProxy(*postgres_server.address) as other:
        where = connector(postgres_copy, hosts=(postgres_server.address, other.address), password=lambda: OTHER)
        with pytest.raises(asyncpg.InvalidPasswordError):
            await ask(where, "SELECT 1")
        assert other.counts.accepted == 0


async def test_a_host_that_only_reads_is_passed_over(
    postgres_copy: str, postgres_server: PostgresServer, postgres_installation: PostgresInstallation
) -> None:
    # Not a standby, but to whoever connects it looks like one.
    name = urlsplit(postgres_copy).path[1:]
    async with RealPostgres(postgres_installation) as other:
        if urlsplit(postgres_copy).password != urlsplit(other.dsn()).password:
            pytest.skip("the server that was named has another password")
        other.create_database(name)
        other.query(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        where = connector(postgres_copy, hosts=(other.address, postgres_server.address))
        assert await ask(where, "SELECT inet_server_port()") == postgres_server.address[1]
        with pytest.raises(asyncpg.TargetServerAttributeNotMatched):
            await ask(connector(postgres_copy, hosts=(other.address,)), "SELECT 1")


async def test_a_database_that_only_reads_takes_no_touch(postgres_copy: str, postgres_server: PostgresServer) -> None:
    name = urlsplit(postgres_copy).path[1:]
    postgres_server.query(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    async with connected(postgres_copy) as store:
        with pytest.raises(StoreUnavailableError):
            await store.write(lambda tx: tx.touch())


async def test_a_session_that_came_to_only_read_is_given_up_by_a_touch(postgresql_store: PostgresStore) -> None:
    def ask_in_session(sql: str) -> Callable[[Transaction], Any]:
        return lambda tx: tx.quarantine._connection.exec_driver_sql(sql)

    before = await postgresql_store.write(lambda tx: ask_in_session("SELECT pg_backend_pid()")(tx).scalar())
    await postgresql_store.write(ask_in_session("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"))
    await postgresql_store.write(lambda tx: tx.touch())
    after = await postgresql_store.write(lambda tx: ask_in_session("SELECT pg_backend_pid()")(tx).scalar())
    assert after != before


# Settings of the session


async def test_a_commit_is_on_disk_whatever_the_server_can_do_without(
    postgres_copy: str, postgres_server: PostgresServer
) -> None:
    name = urlsplit(postgres_copy).path[1:]
    postgres_server.query(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    assert await ask(connector(postgres_copy), "SHOW synchronous_commit") == "on"


@pytest.mark.parametrize("setting", ["local", "remote_write", "on", "remote_apply"])
async def test_a_setting_that_is_durable_stays(
    postgres_copy: str, postgres_server: PostgresServer, setting: str
) -> None:
    name = urlsplit(postgres_copy).path[1:]
    postgres_server.query(f'ALTER DATABASE "{name}" SET synchronous_commit = {setting}')
    assert await ask(connector(postgres_copy), "SHOW synchronous_commit") == setting


async def test_a_session_has_its_limits_and_its_name(postgres_copy: str) -> None:
    limits = {
        "statement_timeout": timedelta(seconds=7),
        "lock_timeout": timedelta(milliseconds=1500),
        "application_name": "sevrouter-of-ours",
    }
    found = {name: await ask(connector(postgres_copy, **limits), f"SHOW {name}") for name in limits}
    assert found == {"statement_timeout": "7s", "lock_timeout": "1500ms", "application_name": "sevrouter-of-ours"}
    assert await ask(connector(postgres_copy), "SHOW idle_in_transaction_session_timeout") == "1min"


async def test_a_schema_of_ones_own_holds_all_tables(postgres_database: str, postgres_server: PostgresServer) -> None:
    async with opened(connector(postgres_database, schema="of-ours")) as store:
        await store.write(quarantined(b"1"))
    name = urlsplit(postgres_database).path[1:]
    found = postgres_server.query(
        "SELECT DISTINCT schemaname FROM pg_tables WHERE schemaname !~ '^(pg_|information)'", database=name
    )
    assert found == [("of-ours",)]
    async with opened(connector(postgres_database)) as store:
        assert await store.read(lambda tx: tx.quarantine.count()) == 0


def test_a_schema_that_an_administrator_made_needs_no_leave_to_make_one(
    postgres_database: str, postgres_server: PostgresServer
) -> None:
    name = urlsplit(postgres_database).path[1:]
    postgres_server.query(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")
    try:
        postgres_server.query(f"CREATE SCHEMA ours AUTHORIZATION {name}", database=name)
        with closing(
            PostgresDatabase(connector(postgres_database, schema="ours", user=name, password=lambda: PASSWORD))
        ) as database:
            assert database.migrate()
            assert one_time(database, "SELECT count(*) FROM incidents") == 0
    finally:
        postgres_server.query(f"DROP OWNED BY {name}", database=name)
        postgres_server.query(f"DROP ROLE {name}")
