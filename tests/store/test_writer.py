"""The one writer: many works to a commit, each whole or not at all, answered only once it is on disk."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError, OperationalError
from structlog.testing import capture_logs

from sevrouter.store import writer as writer_module
from sevrouter.store.errors import StoreBusyError, StoreUnavailableError
from sevrouter.store.memory import Memory
from sevrouter.store.sqlite import SqliteDatabase
from sevrouter.store.writer import CONFLICTS, RECONNECT_AFTER, Trouble, Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Connection, Engine

    from sevrouter.store.transaction import Transaction

PATIENCE = 10.0


class Held:
    """A work that holds the writer until it is let go, so that others come to wait behind it."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self._go = threading.Event()

    def __call__(self, _tx: Transaction) -> str:
        self.begun.set()
        assert self._go.wait(PATIENCE)
        return "held"

    async def has_begun(self) -> None:
        """Wait until the writer is in it."""
        await asyncio.to_thread(self.begun.wait, PATIENCE)

    def let_go(self) -> None:
        """Let the writer go on."""
        self._go.set()


class FaultError(Exception):
    """An error of which the database says what a test wants."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.name)
        self.trouble = trouble


class Faulty(SqliteDatabase):
    """A real file that counts who connects to it, and may lose its connection after a commit."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.connected = 0
        self.cut_after_commit = 0

    def call(self, work: Callable[[], Any]) -> Any:
        """Run it, and say that the connection broke before its end was heard of."""
        result = work()
        if self.cut_after_commit:
            self.cut_after_commit -= 1
            raise FaultError(Trouble.LOST)
        return result

    def connect(self) -> Connection:
        """Count it."""
        self.connected += 1
        return super().connect()

    def trouble(self, error: Exception) -> Trouble:
        """What the error says itself, or what SQLite would."""
        return error.trouble if isinstance(error, FaultError) else super().trouble(error)


@pytest.fixture
def base(database: Path) -> Iterator[Faulty]:
    """A database with one table."""
    base = Faulty(database)
    with base.engine.connect() as connection, connection.begin():
        connection.execute(text("CREATE TABLE numbers (n INTEGER NOT NULL UNIQUE)"))
    yield base
    base.close()


@pytest.fixture
def engine(base: Faulty) -> Engine:
    """Its engine."""
    return base.engine


@pytest.fixture
def memory() -> Memory:
    """What the writer remembers."""
    return Memory()


@pytest.fixture
def writer(base: Faulty, memory: Memory) -> Iterator[Writer]:
    """A writer on it."""
    writer = Writer(base, memory, most_waiting=5)
    yield writer
    writer.close()


@pytest.fixture
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many tries as ever, one right after the other."""
    monkeypatch.setattr(writer_module, "RECONNECT_AFTER", (0.0,) * len(RECONNECT_AFTER))


@pytest.fixture
def commits(engine: Engine) -> list[None]:
    """One entry for each commit."""
    seen: list[None] = []
    event.listen(engine, "commit", lambda _: seen.append(None))
    return seen


def run(tx: Transaction, sql: str, **values: object) -> None:
    """Run a statement in a transaction."""
    tx._connection.execute(text(sql), values)


def add(number: Any) -> Any:
    """A work that writes a number and returns it."""

    def work(tx: Transaction) -> Any:
        run(tx, "INSERT INTO numbers VALUES (:n)", n=number)
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
    def fails(tx: Transaction) -> None:
        add(7)(tx)
        if fault is ZeroDivisionError:
            raise ZeroDivisionError
        add(7)(tx)

    one, failed, two = await together(writer, add(1), fails, add(2))
    assert (one, two) == (1, 2)
    assert isinstance(failed, fault)
    assert numbers(engine) == [1, 2]


async def test_a_work_that_fails_with_nobody_beside_it_leaves_nothing_behind(writer: Writer, engine: Engine) -> None:
    def fails(tx: Transaction) -> None:
        add(7)(tx)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await writer.run(fails)
    assert await writer.run(add(8)) == 8
    assert numbers(engine) == [8]


async def test_a_database_that_fails_fails_all_and_the_next_work_succeeds(writer: Writer, engine: Engine) -> None:
    def database_fails(tx: Transaction) -> None:
        run(tx, "SELECT * FROM no_such_table")

    with capture_logs() as lines:
        results = await together(writer, add(1), database_fails, add(2))
        assert all(isinstance(each, StoreUnavailableError) for each in results)
        assert "no such table" in str(results[0])
        assert numbers(engine) == []
        assert await together(writer, add(3), add(4)) == [3, 4]
    assert [line["event"] for line in lines] == ["store_unavailable", "store_recovered"]


async def test_a_fault_that_stays_is_said_once(writer: Writer, engine: Engine) -> None:
    def break_it(tx: Transaction) -> None:
        run(tx, "ALTER TABLE numbers RENAME TO hidden")

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


class Troubled:
    """A work that writes a number, but fails so many times before it does; counts how often it is run."""

    def __init__(self, number: int, trouble: Trouble, *, times: int) -> None:
        self._number = number
        self._trouble = trouble
        self._left = times
        self.runs = 0

    def __call__(self, tx: Transaction) -> int:
        self.runs += 1
        add(self._number)(tx)
        if self._left > 0:
            self._left -= 1
            raise FaultError(self._trouble)
        return self._number


async def test_all_say_what_they_expect_before_any_of_them_works(writer: Writer) -> None:
    said: list[str] = []

    async def asks(name: str) -> None:
        await writer.run(lambda _: said.append(f"{name} works"), ahead=lambda _: said.append(f"{name} expects"))

    held = Held()
    first = asyncio.create_task(writer.run(held))
    await held.has_begun()
    waiting = [asyncio.create_task(asks(name)) for name in "ab"]
    await asyncio.sleep(0)
    held.let_go()
    await asyncio.gather(first, *waiting)
    assert said == ["a expects", "b expects", "a works", "b works"]


async def test_what_somebody_expects_that_cannot_be_read_is_its_own_fault(writer: Writer, engine: Engine) -> None:
    def expects_nonsense(_tx: Transaction) -> None:
        raise ZeroDivisionError

    held = Held()
    first = asyncio.create_task(writer.run(held))
    await held.has_begun()
    failing = asyncio.create_task(writer.run(add(1), ahead=expects_nonsense))
    other = asyncio.create_task(writer.run(add(2)))
    await asyncio.sleep(0)
    held.let_go()
    assert (await first, await other) == ("held", 2)
    with pytest.raises(ZeroDivisionError):
        await failing
    assert numbers(engine) == [2]


@pytest.mark.parametrize("times", [1, CONFLICTS])
async def test_who_was_too_late_is_run_again_with_all_its_companions(
    writer: Writer, engine: Engine, commits: list[None], base: Faulty, times: int
) -> None:
    late, other = Troubled(1, Trouble.CONFLICT, times=times), Troubled(2, Trouble.CONFLICT, times=0)
    with capture_logs() as lines:
        assert await together(writer, other, late) == [2, 1]
    assert (late.runs, other.runs) == (times + 1, times + 1)
    assert len(commits) == 2, "one for who held it, one for both"
    assert (numbers(engine), base.connected, lines) == ([1, 2], 1, [])


async def test_who_is_always_too_late_fails_alone(writer: Writer, engine: Engine, base: Faulty) -> None:
    late, other = Troubled(1, Trouble.CONFLICT, times=99), Troubled(2, Trouble.CONFLICT, times=0)
    failed, two = await together(writer, late, other)
    assert (str(failed), two) == ("CONFLICT", 2)
    assert late.runs == 2 * (CONFLICTS + 1), "with the other, then alone"
    assert (numbers(engine), base.connected, writer.is_failing) == ([2], 1, False)


@pytest.mark.usefixtures("_no_pauses")
async def test_a_lost_connection_is_made_again_and_nobody_hears_of_it(
    writer: Writer, engine: Engine, base: Faulty, memory: Memory
) -> None:
    await writer.run(add(0))
    memory.last_by_key["a key"] = 1
    cut, other = Troubled(1, Trouble.LOST, times=len(RECONNECT_AFTER)), Troubled(2, Trouble.LOST, times=0)
    with capture_logs() as lines:
        assert await together(writer, other, cut) == [2, 1]
    assert (cut.runs, other.runs) == (len(RECONNECT_AFTER) + 1,) * 2
    assert base.connected == 1 + len(RECONNECT_AFTER)
    assert (numbers(engine), lines, writer.is_failing) == ([0, 1, 2], [], False)
    assert memory.last_by_key == {}, "what is remembered was not relied upon any more"


@pytest.mark.usefixtures("_no_pauses")
async def test_a_connection_that_stays_lost_fails_all_and_then_is_not_waited_for(
    writer: Writer, engine: Engine
) -> None:
    cut, other = Troubled(1, Trouble.LOST, times=99), Troubled(2, Trouble.LOST, times=0)
    with capture_logs() as lines:
        results = await together(writer, other, cut)
        assert [type(each) for each in results] == [StoreUnavailableError] * 2
        assert (cut.runs, writer.is_failing) == (len(RECONNECT_AFTER) + 1, True)
        again = Troubled(3, Trouble.LOST, times=1)
        with pytest.raises(StoreUnavailableError):
            await writer.run(again)
        assert again.runs == 1, "who is away already is not waited for by everybody anew"
        assert await writer.run(add(4)) == 4
    assert [line["event"] for line in lines] == ["store_unavailable", "store_recovered"]
    assert (numbers(engine), writer.is_failing) == ([4], False)


@pytest.mark.usefixtures("_no_pauses")
async def test_a_commit_of_which_nobody_knows_is_run_again(writer: Writer, engine: Engine, base: Faulty) -> None:
    seen: list[list[int]] = []

    def add_unless_there(tx: Transaction) -> int:
        seen.append(list(tx._connection.execute(text("SELECT n FROM numbers")).scalars()))
        if 1 not in seen[-1]:
            add(1)(tx)
        return len(seen)

    await writer.run(add(0))
    base.cut_after_commit = 1
    assert await writer.run(add_unless_there) == 2, "the answer is that of the last run"
    assert seen == [[0], [0, 1]], "it was on disk after all"
    assert (numbers(engine), base.connected) == ([0, 1], 2)


async def test_a_store_that_is_away_is_not_remembered(writer: Writer, memory: Memory, base: Faulty) -> None:
    await writer.run(add(0))
    memory.last_by_key["a key"] = 1
    away = Troubled(1, Trouble.AWAY, times=1)
    with pytest.raises(StoreUnavailableError):
        await writer.run(away)
    assert (away.runs, memory.last_by_key, writer.is_failing) == (1, {}, True)
    assert await writer.run(away) == 1
    assert (base.connected, writer.is_failing) == (2, False)
