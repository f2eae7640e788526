"""PostgreSQL that is slow, gone, back, or whose answer is lost: nothing is lost, nothing is there twice."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import asyncpg
import pytest
from structlog.testing import capture_logs

from sevrouter.store import writer as writer_module
from sevrouter.store.errors import StoreUnavailableError
from sevrouter.store.listener import Listener
from sevrouter.store.outbox import CHANNEL
from sevrouter.store.postgres import PostgresDatabase, PostgresStore
from tests.building import select
from tests.domain.building import NOW
from tests.real.postgres import RealPostgres, through
from tests.real.proxy import TcpProxy
from tests.store.postgres_faults import connected, opening, quarantined
from tests.store.test_outbox import filled, new
from tests.stores import connector

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sevrouter.store.connector import Connector
    from sevrouter.store.transaction import Transaction
    from tests.real.postgres import PostgresServer
    from tests.real.postgres_installation import PostgresInstallation


@pytest.fixture
async def proxy(postgres_server: PostgresServer) -> AsyncIterator[TcpProxy]:
    """What stands between a store and its server."""
    async with TcpProxy(*postgres_server.address) as proxy:
        yield proxy


@pytest.fixture
async def far(proxy: TcpProxy, postgres_copy: str) -> AsyncIterator[PostgresStore]:
    """A store behind the proxy."""
    async with connected(through(proxy.address, postgres_copy)) as store:
        yield store


async def test_a_commit_whose_answer_is_lost_is_run_again_and_gives_one_row(
    far: PostgresStore, proxy: TcpProxy
) -> None:
    runs = []

    def work(tx: Transaction) -> int:
        runs.append(tx)
        return opening("k")(tx)

    await far.write(lambda tx: tx.touch())
    loss = proxy.lose_answer(b"COMMIT", answer=b"COMMIT\0")
    with capture_logs() as lines:
        number = await far.write(work)
    assert (loss.happened, len(runs), lines) == (True, 2, [])
    assert await select(cast("Any", far), "SELECT id FROM incidents") == [{"id": number}]


async def test_a_commit_that_never_arrived_is_run_again(far: PostgresStore, proxy: TcpProxy) -> None:
    await far.write(lambda tx: tx.touch())
    loss = proxy.lose_request(b"COMMIT")
    number = await far.write(opening("k"))
    assert loss.happened
    assert await select(cast("Any", far), "SELECT id FROM incidents") == [{"id": number}]


async def test_a_connection_that_is_reset_in_the_middle_is_opened_again(far: PostgresStore, proxy: TcpProxy) -> None:
    loop, runs = asyncio.get_running_loop(), []

    def work(tx: Transaction) -> int:
        runs.append(tx)
        tx.quarantine.add(b"body", reason="", at=NOW)
        if len(runs) == 1:
            asyncio.run_coroutine_threadsafe(proxy.reset(), loop).result(10)
        return opening("k")(tx)

    with capture_logs() as lines:
        await far.write(work)
    assert (len(runs), lines) == (2, [])
    assert await select(cast("Any", far), "SELECT times FROM quarantine") == [{"times": 1}]


async def test_a_session_that_the_server_ends_is_opened_again(
    postgresql_store: PostgresStore, postgres_server: PostgresServer
) -> None:
    find = "SELECT pg_backend_pid() AS pid"
    number = await postgresql_store.write(lambda tx: tx.quarantine._connection.exec_driver_sql(find).scalar())
    with capture_logs() as lines:
        postgres_server.query("SELECT pg_terminate_backend($1)", number)
        await postgresql_store.write(quarantined(b"1"))
    assert lines == []


async def test_a_server_that_is_killed_is_said_once_and_is_found_again(
    postgres_installation: PostgresInstallation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "RECONNECT_AFTER", (0.0, 0.01))
    async with RealPostgres(postgres_installation) as server:
        store = await asyncio.to_thread(PostgresStore.open, connector(server.dsn()))
        try:
            await store.write(quarantined(b"1"))
            await store.read(lambda tx: tx.quarantine.count())
            await asyncio.to_thread(server.kill)
            with capture_logs() as lines:
                for _ in range(3):
                    with pytest.raises(StoreUnavailableError):
                        await store.write(quarantined(b"2"))
                with pytest.raises(StoreUnavailableError):
                    await store.read(lambda tx: tx.quarantine.count())
                await asyncio.to_thread(server.start)
                await store.write(quarantined(b"3"))
                await store.write(quarantined(b"4"))
            assert [line["event"] for line in lines] == ["store_unavailable", "store_recovered"]
            assert await store.read(lambda tx: tx.quarantine.count()) == 3
        finally:
            await asyncio.to_thread(store.close)


async def test_a_dead_peer_is_given_up(far: PostgresStore, proxy: TcpProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "RECONNECT_AFTER", ())
    where = far._writing.connector
    object.__setattr__(where, "connect_timeout", timedelta(milliseconds=200))
    proxy.blackhole()
    with pytest.raises(StoreUnavailableError):
        await far.write(quarantined(b"1"))
    await proxy.heal()
    await far.write(quarantined(b"2"))


async def test_a_statement_that_is_too_slow_is_ended(postgres_copy: str) -> None:
    async with connected(postgres_copy, statement_timeout=timedelta(milliseconds=50)) as store:
        with capture_logs() as lines, pytest.raises(StoreUnavailableError, match="statement timeout"):
            await store.write(lambda tx: tx.quarantine._connection.exec_driver_sql("SELECT pg_sleep(20)"))
        assert [line["event"] for line in lines] == ["store_unavailable"]
        await store.write(quarantined(b"1"))


async def test_a_lock_that_is_let_go_of_in_time_is_waited_for(postgres_copy: str) -> None:
    other = await asyncpg.connect(postgres_copy)
    runs = []

    def work(tx: Transaction) -> None:
        runs.append(tx)
        if len(runs) == 3:
            asyncio.run_coroutine_threadsafe(other.execute("ROLLBACK"), loop).result(10)
        quarantined(b"1")(tx)

    loop = asyncio.get_running_loop()
    async with connected(postgres_copy, lock_timeout=timedelta(milliseconds=20)) as store:
        await other.execute("BEGIN; LOCK TABLE quarantine")
        with capture_logs() as lines:
            await store.write(work)
        assert (len(runs), lines) == (3, [])
    await other.close()


async def test_a_lock_that_is_never_let_go_of_is_a_store_that_is_not_available(postgres_copy: str) -> None:
    other = await asyncpg.connect(postgres_copy)
    async with connected(postgres_copy, lock_timeout=timedelta(milliseconds=20)) as store:
        await other.execute("BEGIN; LOCK TABLE quarantine")
        with pytest.raises(StoreUnavailableError, match="lock timeout"):
            await store.write(quarantined(b"1"))
        assert await store.write(opening("k")), "who needs nothing of it goes on"
        await other.close()
        await store.write(quarantined(b"1"))


async def test_a_start_waits_for_a_database_that_is_away(
    proxy: TcpProxy, postgres_copy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0
    migrate = PostgresDatabase.migrate
    loop = asyncio.get_running_loop()

    def counted(database: PostgresDatabase) -> Any:
        nonlocal tries
        tries += 1
        if tries == 2:
            asyncio.run_coroutine_threadsafe(proxy.heal(), loop).result(10)
        return migrate(database)

    monkeypatch.setattr(PostgresDatabase, "migrate", counted)
    proxy.refuse()
    with capture_logs() as lines:
        store = await asyncio.to_thread(PostgresStore.open, connector(through(proxy.address, postgres_copy)))
    await asyncio.to_thread(store.close)
    assert tries == 2
    assert [line["event"] for line in lines if line["event"] != "store_may_lose_alerts"] == ["store_away_at_start"]


async def test_who_listens_hears_of_what_others_put_into_the_outbox_also_after_a_reset(
    postgresql_store: PostgresStore, proxy: TcpProxy, postgres_copy: str
) -> None:
    first = postgresql_store
    heard: asyncio.Queue[set[str]] = asyncio.Queue()
    async with asyncio.timeout(20):
        listener = Listener(connector(through(proxy.address, postgres_copy)), heard.put_nowait)
        listening = asyncio.create_task(listener.run())
        await until_heard(heard, first, "warm-up")
        await filled(cast("Any", first), new(integration="slack"), new(integration="call", incident_id=2))
        assert await heard.get() == {"call", "slack"}
        await proxy.reset()
        await proxy.wait_for(lambda counts: counts.accepted == 2)
        await until_heard(heard, first, "again")
        listening.cancel()
        await asyncio.wait({listening})


class Failover:
    """Leads to what only reads at first, as a host does in a failover."""

    def __init__(self, then: Connector) -> None:
        self._then = then
        self.asked = 0

    async def connect(self) -> asyncpg.Connection[Any]:
        """Refuse the first time."""
        self.asked += 1
        if self.asked == 1:
            raise asyncpg.TargetServerAttributeNotMatched("none of the hosts takes writes")
        return await self._then.connect()


async def test_who_listens_survives_a_failover(postgresql_store: PostgresStore, postgres_copy: str) -> None:
    heard: asyncio.Queue[set[str]] = asyncio.Queue()
    where = Failover(connector(postgres_copy))
    listening = asyncio.create_task(Listener(cast("Any", where), heard.put_nowait).run())
    async with asyncio.timeout(20):
        await until_heard(heard, postgresql_store, "after it")
    listening.cancel()
    await asyncio.wait({listening})
    assert where.asked == 2


async def until_heard(heard: asyncio.Queue[set[str]], store: PostgresStore, word: str) -> None:
    """Say a word until it is heard: who listens may have to connect first."""
    said = 0
    while heard.empty():
        await store.write(lambda tx: tx.quarantine._connection.exec_driver_sql(f"NOTIFY {CHANNEL}, '{word}'"))
        said += 1
    while not heard.empty():
        assert await heard.get() == {word}
    # Those that were said and are still on their way.
    await store.write(lambda tx: tx.quarantine._connection.exec_driver_sql(f"NOTIFY {CHANNEL}, 'end'"))
    while await heard.get() != {"end"}:
        pass
