"""The one writer: a thread that commits everything waiting in one transaction, and wakes all waiters at once."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import structlog
from sqlalchemy.exc import SQLAlchemyError

from sevrouter.store.errors import StoreBusyError, StoreUnavailableError
from sevrouter.store.transaction import Transaction

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from sevrouter.store.memory import Memory

log = structlog.get_logger()
T = TypeVar("T")
Work = Callable[[Transaction], Any]

# Beyond this the sender is asked to come again: what waits longer than it would is answered sooner by a 503.
MOST_WAITING = 10_000
# Seconds. A write that takes longer than this is not large but stuck.
LONGEST_WRITE = 60.0
# One transaction takes no more works than this, so that the first of them does not wait for ever.
MOST_TOGETHER = 500
# How often a transaction that lost against another replica's is run again before its works are run apart.
CONFLICTS = 5
# Seconds before a transaction whose connection was lost is run again, whether or not it was committed.
RECONNECT_AFTER = (0.0, 0.1, 0.5, 1.5)


class Trouble(enum.Enum):
    """What an error says about the transaction that it ended."""

    CONFLICT = "another replica was quicker: run it again"
    LOST = "the connection is gone, perhaps after the commit: connect and run it again"
    AWAY = "the store cannot be used now"
    OWN = "one of its works is at fault"


class Base(Protocol):
    """A database, as far as the writer has to know it."""

    def call(self, work: Callable[[], T]) -> T:
        """Run what uses a connection, in the way that its driver needs."""
        ...

    def connect(self) -> Connection:
        """Open a connection. Raises what `trouble` understands."""
        ...

    def begin(self, connection: Connection, memory: Memory) -> None:
        """Called first in each transaction."""
        ...

    def trouble(self, error: Exception) -> Trouble:
        """Say what an error means."""
        ...


@dataclass(slots=True)
class _Item:
    run: Work
    ahead: Work | None
    done: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    result: Any = None
    error: BaseException | None = None


class Writer:
    """Runs works on one connection, each whole or not at all, many to a commit.

    A work is answered only after the commit that holds it is on disk. One that fails is run again alone, and so
    are those that shared its transaction: a work must give the same when it is run again.
    """

    def __init__(self, base: Base, memory: Memory, *, most_waiting: int = MOST_WAITING) -> None:
        self._base = base
        self._memory = memory
        self._most_waiting = most_waiting
        self._waiting: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._connection: Connection | None = None
        self._failing = False
        self._working_since: float | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._loop, name="store-writer", daemon=True)
        self._thread.start()

    async def run(self, work: Callable[[Transaction], T], *, ahead: Work | None = None) -> T:
        """Run a work and commit it; before it and its companions say in `ahead` what they expect to read.

        Raises StoreBusyError, StoreUnavailableError or what the work raises.
        """
        if self._closed:
            # Nobody would ever answer it.
            raise StoreUnavailableError("it is closed")
        waiting = self._waiting.qsize()
        if waiting >= self._most_waiting:
            raise StoreBusyError(waiting)
        loop = asyncio.get_running_loop()
        item = _Item(work, ahead, loop.create_future(), loop)
        self._waiting.put(item)
        result: T = await item.done
        return result

    @property
    def is_busy(self) -> bool:
        """Whether it has been writing for a while, and the write before it went well: large, not broken."""
        since = self._working_since
        return not self._failing and since is not None and time.monotonic() - since < LONGEST_WRITE

    @property
    def is_failing(self) -> bool:
        """Whether the last write did not reach the store."""
        return self._failing

    def close(self) -> None:
        """Finish what waits, then stop."""
        self._closed = True
        self._waiting.put(None)
        self._thread.join()

    def _loop(self) -> None:
        stopping = False
        while not stopping:
            batch, stopping = self._take()
            if batch:
                self._commit(batch)
                _answer(batch)
        self._disconnect()

    def _take(self) -> tuple[list[_Item], bool]:
        batch: list[_Item] = []
        item = self._waiting.get()
        while item is not None:
            batch.append(item)
            if len(batch) >= MOST_TOGETHER:
                return batch, False
            try:
                item = self._waiting.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True

    def _commit(self, batch: list[_Item]) -> None:
        conflicts = 0
        pauses = iter(() if self._failing else RECONNECT_AFTER)
        while True:
            try:
                self._base.call(lambda: self._run_together(batch))
            except Exception as error:  # noqa: BLE001  whatever it is, those who wait must hear of it
                trouble = self._base.trouble(error)
                if trouble is Trouble.CONFLICT and conflicts < CONFLICTS:
                    conflicts += 1
                    continue
                pause = next(pauses, None) if trouble is Trouble.LOST else None
                if pause is not None:
                    self._disconnect()
                    # Whether it was committed nobody knows, so nothing that is remembered can be relied upon.
                    self._memory.clear()
                    time.sleep(pause)
                    continue
                self._end(batch, error, trouble)
            else:
                if self._failing:
                    log.info("store_recovered")
                self._failing = False
            return

    def _end(self, batch: list[_Item], error: Exception, trouble: Trouble) -> None:
        if trouble in (Trouble.AWAY, Trouble.LOST):
            self._fail(batch, error)
        elif len(batch) == 1:
            # Where another replica holds what is needed for so long, the sender is asked to come again.
            is_bare = trouble is Trouble.CONFLICT and isinstance(error, SQLAlchemyError)
            batch[0].error = StoreUnavailableError(_reason(error)) if is_bare else error
        else:
            # One of them is at fault, and must not take its neighbours along.
            for item in batch:
                self._commit([item])

    def _run_together(self, batch: list[_Item]) -> None:
        if self._connection is None:
            self._connection = self._base.connect()
        try:
            with self._connection.begin():
                # Only from here on: to wait for somebody else's lock is not work.
                self._working_since = time.monotonic()
                self._base.begin(self._connection, self._memory)
                transaction = Transaction(self._connection, self._memory)
                try:
                    self._run(batch, transaction)
                except Exception as error:
                    if self._base.trouble(error) is Trouble.CONFLICT:
                        transaction.distrust()
                    raise
            transaction.learn()
        finally:
            self._working_since = None

    @staticmethod
    def _run(batch: list[_Item], transaction: Transaction) -> None:
        for item in batch:
            if item.ahead is not None:
                item.ahead(transaction)
        transaction.load()
        for item in batch:
            item.result = item.run(transaction)
        transaction.flush()

    def _fail(self, batch: list[_Item], error: Exception) -> None:
        known = error if isinstance(error, StoreUnavailableError) else None
        reason = known.reason if known else _reason(error)
        if not self._failing:
            log.error("store_unavailable", reason=reason)
        self._failing = True
        self._disconnect()
        self._memory.clear()
        for item in batch:
            item.error = StoreUnavailableError(reason)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return

        def close() -> None:
            connection.invalidate()
            connection.close()

        # What is broken may break again while it is put away.
        with contextlib.suppress(Exception):
            self._base.call(close)


def _reason(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error) or type(error).__name__


def _answer(batch: list[_Item]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[_Item]] = {}
    for item in batch:
        by_loop.setdefault(item.loop, []).append(item)
    for loop, items in by_loop.items():
        # In a loop that is gone by now nobody waits for an answer.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_settle, items)


def _settle(items: list[_Item]) -> None:
    for item in items:
        if item.done.done():
            continue
        if item.error is not None:
            item.done.set_exception(item.error)
        else:
            item.done.set_result(item.result)
