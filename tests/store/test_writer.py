"""The one writer: many works to a commit, each whole or not at all, answered only once it is on disk."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import IntegrityError, OperationalError
from structlog.testing import capture_logs

from sevrouter.store import writer as writer_module
from sevrouter.store.errors import StoreBusyError, StoreUnavailableError
from sevrouter.store.sqlite import make_engine
from sevrouter.store.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

PATIENCE = 10.0


class Held:
    """A work that holds the writer until it is let go, so that others come to wait behind it."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self._go = threading.Event()

    def __call__(self, _connection: Connection) -> str:
        self.begun.set()
        assert self._go.wait(PATIENCE)
        return "held"

    async def has_begun(self) -> None:
        """Wait until the writer is in it."""
        await asyncio.to_thread(self.begun.wait, PATIENCE)

    def let_go(self) -> None:
        """Let the writer go on."""
        self._go.set()


@pytest.fixture
def engine(database: Path) -> Iterator[Engine]:
    """An engine on a database with one table."""
    engine = make_engine(database)
    with engine.connect() as connection, connection.begin():
        connection.execute(text("CREATE TABLE numbers (n INTEGER NOT NULL UNIQUE)"))
    yield engine
    engine.dispose()


@pytest.fixture
def writer(engine: Engine) -> Iterator[Writer]:
    """A writer on it."""
    writer = Writer(engine, most_waiting=5)
    yield writer
    writer.close()


@pytest.fixture
def commits(engine: Engine) -> list[None]:
    """One entry for each commit."""
    seen: list[None] = []
    event.listen(engine, "commit", lambda _: seen.append(None))
    return seen


def add(number: Any) -> Any:
    """A work that writes a number and returns it."""

    def work(connection: Connection) -> Any:
        connection.execute(text("INSERT INTO numbers VALUES (:n)"), {"n": number})
        return number

    return work


def numbers(engine: Engine) -> list[int]:
    """What is on disk, as another connection sees it."""
    with engine.connect() as connection, connection.begin():
        return list(connection.execute(text("SELECT n FROM numbers ORDER BY n")).scalars())


async def together(writer: Writer, *works: Any) -> list[Any]:
    """Let works wait for the writer at once, so that it takes them in one transaction."""
    held = Held()
    first = asyncio.create_task(writer.run(held))
    await held.has_begun()
    waiting = [asyncio.create_task(writer.run(work)) for work in works]
    await asyncio.sleep(0)
    held.let_go()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert await first == "held"
    return results


async def test_many_works_are_one_commit(writer: Writer, engine: Engine, commits: list[None]) -> None:
    assert await together(writer, *(add(number) for number in range(5))) == [0, 1, 2, 3, 4]
    assert len(commits) == 2, "one for who held it, one for the five"
    assert numbers(engine) == [0, 1, 2, 3, 4]


async def test_a_commit_takes_only_so_many(
    writer: Writer, commits: list[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "MOST_TOGETHER", 2)
    assert await together(writer, *(add(number) for number in range(5))) == [0, 1, 2, 3, 4]
    assert len(commits) == 4


@pytest.mark.parametrize("fault", [IntegrityError, ZeroDivisionError])
async def test_a_work_that_fails_fails_alone_and_whole(writer: Writer, engine: Engine, fault: type[Exception]) -> None:
    def fails(connection: Connection) -> None:
        add(7)(connection)
        if fault is ZeroDivisionError:
            raise ZeroDivisionError
        add(7)(connection)

    one, failed, two = await together(writer, add(1), fails, add(2))
    assert (one, two) == (1, 2)
    assert isinstance(failed, fault)
    assert numbers(engine) == [1, 2]


async def test_a_work_that_fails_with_nobody_beside_it_leaves_nothing_behind(writer: Writer, engine: Engine) -> None:
    def fails(connection: Connection) -> None:
        add(7)(connection)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await writer.run(fails)
    assert await writer.run(add(8)) == 8
    assert numbers(engine) == [8]


async def test_a_database_that_fails_fails_all_and_the_next_work_succeeds(writer: Writer, engine: Engine) -> None:
    def database_fails(connection: Connection) -> None:
        connection.execute(text("SELECT * FROM no_such_table"))

    with capture_logs() as lines:
        results = await together(writer, add(1), database_fails, add(2))
        assert all(isinstance(each, StoreUnavailableError) for each in results)
        assert "no such table" in str(results[0])
        assert numbers(engine) == []
        assert await together(writer, add(3), add(4)) == [3, 4]
    assert [line["event"] for line in lines] == ["store_unavailable", "store_recovered"]


async def test_a_fault_that_stays_is_said_once(writer: Writer, engine: Engine) -> None:
    def break_it(connection: Connection) -> None:
        connection.execute(text("ALTER TABLE numbers RENAME TO hidden"))

    await writer.run(break_it)
    with capture_logs() as lines:
        for number in range(3):
            with pytest.raises(StoreUnavailableError):
                await writer.run(add(number))
    assert [line["event"] for line in lines] == ["store_unavailable"]
    with engine.connect() as connection, connection.begin():
        connection.execute(text("ALTER TABLE hidden RENAME TO numbers"))
    assert await writer.run(add(9)) == 9


async def test_a_result_is_answered_only_after_the_commit(writer: Writer, engine: Engine) -> None:
    committing, go = threading.Event(), threading.Event()

    def hold(_connection: Connection) -> None:
        committing.set()
        assert go.wait(PATIENCE)

    event.listen(engine, "commit", hold)
    answer = asyncio.create_task(writer.run(add(1)))
    await asyncio.to_thread(committing.wait, PATIENCE)
    await asyncio.sleep(0)
    assert not answer.done()
    go.set()
    assert await answer == 1
    assert numbers(engine) == [1]


async def test_a_commit_that_fails_is_nobodys_success(writer: Writer, engine: Engine) -> None:
    def fail(_connection: Connection) -> None:
        raise OperationalError("COMMIT", {}, Exception("disk I/O error"))

    event.listen(engine, "commit", fail)
    results = await together_or_fail(writer, add(1), add(2))
    event.remove(engine, "commit", fail)
    assert [str(each) for each in results] == ["the store is not available: disk I/O error"] * 3
    assert await writer.run(add(3)) == 3
    assert numbers(engine) == [3]


async def together_or_fail(writer: Writer, *works: Any) -> list[Any]:
    """As `together`, but who holds the writer may fail as well."""
    held = Held()
    waiting = [asyncio.create_task(writer.run(held))]
    await held.has_begun()
    waiting += [asyncio.create_task(writer.run(work)) for work in works]
    await asyncio.sleep(0)
    held.let_go()
    return await asyncio.gather(*waiting, return_exceptions=True)


async def test_when_too_much_waits_the_sender_is_asked_to_come_again(writer: Writer) -> None:
    held = Held()
    first = asyncio.create_task(writer.run(held))
    await held.has_begun()
    waiting = [asyncio.create_task(writer.run(add(number))) for number in range(5)]
    await asyncio.sleep(0)
    with pytest.raises(StoreBusyError, match="5 writes wait"):
        await writer.run(add(99))
    held.let_go()
    assert await asyncio.gather(first, *waiting) == ["held", 0, 1, 2, 3, 4]
    assert await writer.run(add(99)) == 99


async def test_who_no_longer_waits_is_written_all_the_same(writer: Writer, engine: Engine) -> None:
    held = Held()
    first = asyncio.create_task(writer.run(held))
    await held.has_begun()
    impatient = asyncio.create_task(writer.run(add(1)))
    await asyncio.sleep(0)
    impatient.cancel()
    held.let_go()
    assert await first == "held"
    assert await writer.run(add(2)) == 2
    assert numbers(engine) == [1, 2]


async def test_a_close_finishes_what_waits_and_takes_nothing_more(writer: Writer, engine: Engine) -> None:
    held = Held()
    first = asyncio.create_task(writer.run(held))
    await held.has_begun()
    waiting = asyncio.create_task(writer.run(add(1)))
    await asyncio.sleep(0)
    held.let_go()
    await asyncio.to_thread(writer.close)
    assert (await first, await waiting) == ("held", 1)
    with pytest.raises(StoreUnavailableError, match="closed"):
        await writer.run(add(2))
    assert numbers(engine) == [1]
