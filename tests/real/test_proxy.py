"""The proxy of the tests: what passes, what does not, and how an end looks to both sides."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Self

import asyncpg
import pytest

from tests.real.postgres import through
from tests.real.proxy import TcpProxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType

    from tests.real.postgres import PostgresServer


class Upper:
    """A server that answers in capitals, and keeps what it was sent and how its connections ended."""

    def __init__(self) -> None:
        self.taken = b""
        self.ends: asyncio.Queue[str] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1")
        self.address: tuple[str, int] = self._listener.sockets[0].getsockname()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(1_000_000):
                self.taken += chunk
                writer.write(chunk.upper())
            self.ends.put_nowait("closed")
        except ConnectionResetError:
            self.ends.put_nowait("reset")
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


class Client:
    """A connection that is closed with its context."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, said: bytes) -> bytes:
        """Say something and read as much."""
        self.writer.write(said)
        async with asyncio.timeout(20):
            return await self.reader.readexactly(len(said))


@contextlib.asynccontextmanager
async def connected(proxy: TcpProxy) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection(*proxy.address)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@pytest.fixture
async def server() -> AsyncIterator[Upper]:
    async with Upper() as server:
        yield server


@pytest.fixture
async def proxy(server: Upper) -> AsyncIterator[TcpProxy]:
    async with TcpProxy(*server.address) as proxy:
        yield proxy


async def test_it_forwards_both_ways_and_counts(proxy: TcpProxy, server: Upper) -> None:
    async with connected(proxy) as client:
        assert await client.ask(b"hello") == b"HELLO"
        assert (proxy.counts.open, proxy.counts.from_client, proxy.counts.from_server) == (1, 5, 5)
    assert await server.ends.get() == "closed"
    await proxy.wait_for(lambda counts: counts.open == 0)
    assert (proxy.counts.accepted, proxy.counts.swallowed) == (1, 0)


async def test_it_forwards_more_than_any_buffer_holds(proxy: TcpProxy) -> None:
    async with connected(proxy) as client:
        assert await client.ask(b"x" * 10_000_000) == b"X" * 10_000_000


async def test_an_end_of_one_side_alone_is_forwarded(proxy: TcpProxy) -> None:
    async with connected(proxy) as client:
        client.writer.write(b"last words")
        client.writer.write_eof()
        assert await client.reader.read() == b"LAST WORDS"


async def test_what_is_sent_arrives_later_and_in_order(proxy: TcpProxy) -> None:
    loop = asyncio.get_running_loop()
    async with connected(proxy) as client:
        proxy.delay(to_server=0.1, to_client=0.1)
        begun = loop.time()
        client.writer.write(b"one ")
        await proxy.wait_for(lambda counts: counts.from_server == 4)
        assert loop.time() - begun >= 0.1
        assert await client.ask(b"two ") == b"ONE "
        assert loop.time() - begun >= 0.2
        assert await client.reader.readexactly(4) == b"TWO "


async def test_one_direction_alone_can_be_slow(proxy: TcpProxy, server: Upper) -> None:
    async with connected(proxy) as client:
        proxy.delay(to_client=3600)
        client.writer.write(b"hello")
        await proxy.wait_for(lambda counts: counts.from_server == 5)
        assert server.taken == b"hello"


async def test_a_cut_closes_both_sides(proxy: TcpProxy, server: Upper) -> None:
    async with connected(proxy) as client:
        await client.ask(b"hello")
        await proxy.cut()
        assert await client.reader.read() == b""
        assert await server.ends.get() == "closed"
        assert proxy.counts.open == 0
    async with connected(proxy) as again:
        assert await again.ask(b"hello") == b"HELLO"


async def test_a_reset_resets_both_sides(proxy: TcpProxy, server: Upper) -> None:
    async with connected(proxy) as client:
        await client.ask(b"hello")
        await proxy.reset()
        with pytest.raises(ConnectionResetError):
            await client.reader.read()
        assert await server.ends.get() == "reset"


async def test_a_reset_of_the_client_reaches_the_server(proxy: TcpProxy, server: Upper) -> None:
    async with TcpProxy(*proxy.address) as nearer, connected(nearer) as client:
        await client.ask(b"hello")
        await nearer.reset()
        assert await server.ends.get() == "reset"


async def test_new_connections_are_refused_until_it_heals(proxy: TcpProxy) -> None:
    async with connected(proxy) as client:
        await client.ask(b"hello")
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*proxy.address)
        assert await client.ask(b"still") == b"STILL"
        await proxy.heal()
        async with connected(proxy) as other:
            assert await other.ask(b"hello") == b"HELLO"


async def test_a_server_that_refuses_shows_as_a_reset(proxy: TcpProxy, server: Upper) -> None:
    server._listener.close()
    async with connected(proxy) as client:
        with pytest.raises(ConnectionResetError):
            await client.ask(b"hello")


async def test_a_dead_peer_takes_connections_and_bytes_and_never_answers(proxy: TcpProxy, server: Upper) -> None:
    async with connected(proxy) as old:
        await old.ask(b"hello")
        proxy.blackhole()
        async with connected(proxy) as new:
            old.writer.write(b"old")
            new.writer.write(b"newer")
            await proxy.wait_for(lambda counts: counts.swallowed == 8)
            assert server.taken == b"hello"
            # When it comes back, it knows neither of them.
            await proxy.heal()
            for client in (old, new):
                with pytest.raises(ConnectionResetError):
                    await client.reader.read()


async def test_a_dead_peer_that_nobody_spoke_to_is_not_missed(proxy: TcpProxy) -> None:
    async with connected(proxy) as client:
        await client.ask(b"hello")
        proxy.blackhole()
        await proxy.heal()
        assert await client.ask(b"again") == b"AGAIN"


async def test_what_is_held_arrives_later_and_whole(proxy: TcpProxy, server: Upper) -> None:
    async with connected(proxy) as client:
        await client.ask(b"hello")
        proxy.hold()
        asked = asyncio.create_task(client.ask(b" again"))
        await proxy.wait_for(lambda counts: counts.from_client == 11)
        assert (server.taken, asked.done()) == (b"hello", False)
        await proxy.heal()
        assert await asked == b" AGAIN"


async def test_a_request_is_lost_before_it_is_forwarded(proxy: TcpProxy, server: Upper) -> None:
    async with connected(proxy) as client:
        await client.ask(b"begin;")
        loss = proxy.lose_request(b"commit")
        client.writer.write(b"commit;")
        await loss.wait()
        with pytest.raises(ConnectionResetError):
            await client.reader.read()
        assert await server.ends.get() == "reset"
        assert server.taken == b"begin;"


async def test_an_answer_is_lost_after_the_request_was_forwarded(proxy: TcpProxy, server: Upper) -> None:
    async with connected(proxy) as client:
        await client.ask(b"begin;")
        loss = proxy.lose_answer(b"commit", answer=b"COMMIT;")
        client.writer.write(b"commit;")
        await loss.wait()
        with pytest.raises(ConnectionResetError):
            await client.reader.read()
        assert server.taken == b"begin;commit;"
        assert proxy.counts.swallowed == len(b"COMMIT;")


async def test_a_loss_can_be_a_close(proxy: TcpProxy) -> None:
    async with connected(proxy) as client:
        loss = proxy.lose_answer(b"commit", reset=False)
        client.writer.write(b"commit;")
        assert await client.reader.read() == b""
        await loss.wait()


async def test_a_loss_happens_once_and_only_to_those_who_send_the_bytes(proxy: TcpProxy) -> None:
    loss = proxy.lose_request(b"commit")
    async with connected(proxy) as other, connected(proxy) as unlucky:
        assert await other.ask(b"select") == b"SELECT"
        assert not loss.happened
        unlucky.writer.write(b"commit")
        await loss.wait()
        assert await other.ask(b"commit") == b"COMMIT"


async def test_bytes_that_arrive_in_pieces_are_recognised(proxy: TcpProxy, server: Upper) -> None:
    async with connected(proxy) as client:
        loss = proxy.lose_request(b"commit")
        await client.ask(b"com")
        client.writer.write(b"mit")
        await loss.wait()
        assert server.taken == b"com"


async def test_bytes_that_were_sent_before_do_not_count(proxy: TcpProxy) -> None:
    async with connected(proxy) as client:
        await client.ask(b"commit")
        loss = proxy.lose_request(b"commit")
        assert await client.ask(b"select") == b"SELECT"
        assert not loss.happened


async def test_a_commit_whose_answer_is_lost_has_happened(
    postgres_server: PostgresServer, postgres_database: str
) -> None:
    async with TcpProxy(*postgres_server.address) as proxy:
        dsn = through(proxy.address, postgres_database)
        connection = await asyncpg.connect(dsn)
        await connection.execute("CREATE TABLE held (value int)")
        loss = proxy.lose_answer(b"COMMIT", answer=b"COMMIT\0")
        with pytest.raises((asyncpg.ConnectionDoesNotExistError, ConnectionError)):
            async with connection.transaction():
                await connection.execute("INSERT INTO held VALUES (7)")
        await loss.wait()
        again = await asyncpg.connect(dsn)
        assert await again.fetchval("SELECT value FROM held") == 7
        await again.close()


async def test_a_commit_that_is_lost_has_not_happened(postgres_server: PostgresServer, postgres_database: str) -> None:
    async with TcpProxy(*postgres_server.address) as proxy:
        dsn = through(proxy.address, postgres_database)
        connection = await asyncpg.connect(dsn)
        await connection.execute("CREATE TABLE held (value int)")
        loss = proxy.lose_request(b"COMMIT")
        with pytest.raises((asyncpg.ConnectionDoesNotExistError, ConnectionError)):
            async with connection.transaction():
                await connection.execute("INSERT INTO held VALUES (7)")
        await loss.wait()
        again = await asyncpg.connect(dsn)
        assert await again.fetchval("SELECT value FROM held") is None
        await again.close()
