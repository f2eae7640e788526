"""The one writer: a thread that commits everything waiting in one transaction, and wakes all waiters at once."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import DataError, IntegrityError, InterfaceError, ProgrammingError, SQLAlchemyError

from sevrouter.store.errors import StoreBusyError, StoreUnavailableError

if TYPE_CHECKING:
    from sqlalchemy import Engine

log = structlog.get_logger()
T = TypeVar("T")

# Beyond this the sender is asked to come again: what waits longer than it would is answered sooner by a 503.
MOST_WAITING = 10_000
# Seconds. A write that takes longer than this is not large but stuck.
LONGEST_WRITE = 60.0
# One transaction takes no more works than this, so that the first of them does not wait for ever.
MOST_TOGETHER = 500


# What a statement does to itself alone; anything else that a database reports is taken to be about all of it.
_OWN_FAULT = (DataError, IntegrityError, InterfaceError, ProgrammingError)


@dataclass(slots=True)
class _Work:
    run: Callable[[Connection], Any]
    done: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    result: Any = None
    error: BaseException | None = None


class Writer:
    """Runs works on one connection, each whole or not at all, many to a commit.

    A work is answered only after the commit that holds it is on disk. One that fails is run again alone, and so
    are those that shared its transaction: a work must give the same when it is run again.
    """

    def __init__(
        self, engine: Engine, *, check: Callable[[], None] = lambda: None, most_waiting: int = MOST_WAITING
    ) -> None:
        self._engine = engine
        self._check = check
        self._most_waiting = most_waiting
        self._waiting: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._connection: Connection | None = None
        self._failing = False
        self._working_since: float | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._loop, name="store-writer", daemon=True)
        self._thread.start()

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Run a work and commit it. Raises StoreBusyError, StoreUnavailableError or what the work raises."""
        if self._closed:
            # Nobody would ever answer it.
            raise StoreUnavailableError("it is closed")
        waiting = self._waiting.qsize()
        if waiting >= self._most_waiting:
            raise StoreBusyError(waiting)
        loop = asyncio.get_running_loop()
        item = _Work(work, loop.create_future(), loop)
        self._waiting.put(item)
        result: T = await item.done
        return result

    @property
    def is_busy(self) -> bool:
        """Whether it has been writing for a while, and the write before it went well: large, not broken."""
        since = self._working_since
        return not self._failing and since is not None and time.monotonic() - since < LONGEST_WRITE

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
        if self._connection is not None:
            self._connection.close()

    def _take(self) -> tuple[list[_Work], bool]:
        batch: list[_Work] = []
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

    def _commit(self, batch: list[_Work]) -> None:
        try:
            self._run_together(batch)
        except Exception as error:  # noqa: BLE001  whatever it is, those who wait must hear of it
            if _is_about_the_store(error):
                self._fail(batch, error)
            elif len(batch) == 1:
                batch[0].error = error
            else:
                # One of them is at fault, and must not take its neighbours along.
                for item in batch:
                    self._commit([item])
        else:
            if self._failing:
                log.info("store_recovered")
            self._failing = False

    def _run_together(self, batch: list[_Work]) -> None:
        self._check()
        if self._connection is None:
            self._connection = self._engine.connect()
        try:
            with self._connection.begin():
                # Only from here on: to wait for somebody else's lock is not work.
                self._working_since = time.monotonic()
                for item in batch:
                    item.result = item.run(self._connection)
        finally:
            self._working_since = None

    def _fail(self, batch: list[_Work], error: Exception) -> None:
        known = error if isinstance(error, StoreUnavailableError) else None
        reason = known.reason if known else str(getattr(error, "orig", None) or type(error).__name__)
        if not self._failing:
            log.error("store_unavailable", reason=reason)
        self._failing = True
        self._reconnect()
        for item in batch:
            item.error = StoreUnavailableError(reason)

    def _reconnect(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None


def _is_about_the_store(error: Exception) -> bool:
    is_from_database = isinstance(error, SQLAlchemyError) and not isinstance(error, _OWN_FAULT)
    return is_from_database or isinstance(error, StoreUnavailableError)


def _answer(batch: list[_Work]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[_Work]] = {}
    for item in batch:
        by_loop.setdefault(item.loop, []).append(item)
    for loop, items in by_loop.items():
        # In a loop that is gone by now nobody waits for an answer.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_settle, items)


def _settle(items: list[_Work]) -> None:
    for item in items:
        if item.done.done():
            continue
        if item.error is not None:
            item.done.set_exception(item.error)
        else:
            item.done.set_result(item.result)
