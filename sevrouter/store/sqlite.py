"""SQLite as the store: its file, its lock, its settings. One process, one writer, any number of readers."""

from __future__ import annotations

import asyncio
import fcntl
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import pysqlite3.dbapi2
import structlog
from sqlalchemy import create_engine, event
from sqlalchemy.exc import DataError, IntegrityError, InterfaceError, ProgrammingError, SQLAlchemyError

from sevrouter.store.checkpoint import Checkpointer
from sevrouter.store.errors import ConflictError, StoreInUseError, StoreUnavailableError
from sevrouter.store.memory import Memory
from sevrouter.store.migrate import Migration, migrate
from sevrouter.store.rows import execute
from sevrouter.store.transaction import Transaction
from sevrouter.store.writer import Trouble, Writer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy import Connection, Engine
    from sqlalchemy.engine.interfaces import DBAPIConnection

    from sevrouter.domain.alert import AlertRecord

log = structlog.get_logger()
T = TypeVar("T")

# Before this one a write-ahead log can be corrupted by two connections that write and checkpoint at once.
SAFE_SQLITE = (3, 51, 3)
# What a statement does to itself alone; anything else that a database reports is taken to be about all of it.
_OWN_FAULT = (
    DataError, IntegrityError, InterfaceError, ProgrammingError, pysqlite3.dbapi2.DataError,
    pysqlite3.dbapi2.IntegrityError, pysqlite3.dbapi2.InterfaceError, pysqlite3.dbapi2.ProgrammingError,
)  # fmt: skip
# Pages of the write-ahead log, 64 MiB, at which a commit checkpoints what is left: beside ceaseless writes there is
# always something left.
MOST_LOGGED = 16_384
# Milliseconds that a statement waits for another process' lock, such as the command line's.
BUSY_TIMEOUT = 5_000
# How values of these types are written is looked for each time, and unless it is found here at once that takes the
# driver longer than the row itself.
for _kind, _same in ((bool, int), (bytes, bytes), (type(None), {}.get)):
    pysqlite3.dbapi2.register_adapter(_kind, _same)


def sqlite_version() -> str:
    """The version of the SQLite library in use."""
    return str(pysqlite3.dbapi2.sqlite_version)


class SqliteStore:
    """The store on one SQLite file. `open` it, `close` it; `write` and `read` run a work in a transaction."""

    is_exclusive = True

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self.name = str(path)
        self._lock = lock
        self._memory = Memory()
        self._database = SqliteDatabase(path)
        self._database.watch()
        self._writer = Writer(self._database, self._memory)
        self._checkpointer = Checkpointer(path, self._database.engine)
        self._readers = ThreadPoolExecutor(1, thread_name_prefix="store-reader")

    @classmethod
    def open(cls, path: Path) -> SqliteStore:
        """Take the file for this process alone and bring it to this version's schema.

        Raises StoreInUseError, SchemaTooNewError, or StoreUnavailableError where the file cannot be used.
        """
        lock, engine, _ = _take(path)
        if pysqlite3.dbapi2.sqlite_version_info < SAFE_SQLITE:
            log.warning("sqlite_too_old", version=sqlite_version(), wanted=".".join(map(str, SAFE_SQLITE)))
        engine.dispose()
        return cls(path, lock)

    async def write(self, work: Callable[[Transaction], T], *, ahead: Callable[[Transaction], None] | None = None) -> T:
        """Run a work whole or not at all; returns after its commit is on disk.

        Raises StoreBusyError or StoreUnavailableError.
        """
        return await self._writer.run(work, ahead=ahead)

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """Run a work that only reads, beside the writer. Raises StoreUnavailableError."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._database.read_once, work)

    def listening(self, _wake: Callable[[set[str]], None]) -> None:
        """Nobody else writes here, so there is nobody to listen to."""

    def remembered(self, sighting: bytes) -> AlertRecord | None:
        """The alert that was last sent just like this."""
        return self._memory.sightings.get(sighting)

    @property
    def is_sure(self) -> bool:
        """Whether what is remembered is all there is to know of an alert that says nothing new.

        Nobody else writes here; the last write has to have gone well, and no incident to wait for alerts left out.
        """
        return not self._writer.is_failing and self._memory.any_truncated is False

    @property
    def is_busy(self) -> bool:
        """Whether it is in the middle of something large rather than broken."""
        return self._writer.is_busy

    def close(self) -> None:
        """Finish what waits to be written, then let go of the file."""
        self._writer.close()
        self._checkpointer.close()
        self._readers.shutdown()
        self._database.close()
        os.close(self._lock)


class SqliteDatabase:
    """A SQLite file, also beside a daemon that is using it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.engine = make_engine(path)
        self._check: Callable[[], None] = lambda: None
        self._data_version: object = None

    def __str__(self) -> str:
        return str(self.path)

    def watch(self) -> None:
        """From now on refuse to write once the name leads to another file, or to none."""
        self._check = _same_file(self.path)

    def call(self, work: Callable[[], T]) -> T:
        """Run it."""
        return work()

    def connect(self) -> Connection:
        """Open a connection; not to a file that would be made for it."""
        self._check()
        return self.engine.connect()

    def begin(self, connection: Connection, memory: Memory) -> None:
        """Forget what is remembered where somebody else has written: the command line may, beside the daemon."""
        self._check()
        data_version = execute(connection, "PRAGMA data_version", ()).fetchone()
        if data_version != self._data_version:
            memory.clear()
        self._data_version = data_version

    def trouble(self, error: Exception) -> Trouble:
        """Say what an error means."""
        if isinstance(error, ConflictError):
            return Trouble.CONFLICT
        is_from_database = isinstance(error, SQLAlchemyError | pysqlite3.dbapi2.Error)
        is_from_database = is_from_database and not isinstance(error, _OWN_FAULT)
        return Trouble.AWAY if is_from_database or isinstance(error, StoreUnavailableError) else Trouble.OWN

    def read_once(self, work: Callable[[Transaction], T]) -> T:
        """Run a work that only reads. Raises StoreUnavailableError."""
        return read_once(self.engine, work)

    def write_once(self, work: Callable[[Transaction], T]) -> T:
        """Run a work beside a daemon that may have the file. Raises StoreUnavailableError."""
        return write_once(self.engine, work)

    def migrate(self) -> list[Migration]:
        """Bring it to this version's schema, and return the steps that were missing; no daemon may have it."""
        return migrate_file(self.path)

    def alone(self, work: Callable[[Connection], T], *, keep: bool) -> T:
        """Run a work on this version's schema, with the file for us alone. Raises StoreError."""
        lock = _locked(self.path)
        try:
            with self.engine.connect() as connection, connection.begin() as transaction:
                migrate(connection, now=datetime.now(UTC))
                result = work(connection)
                if not keep:
                    transaction.rollback()
                return result
        except SQLAlchemyError as error:
            raise StoreUnavailableError(f"{self}: {getattr(error, 'orig', error)}") from error
        finally:
            os.close(lock)

    def close(self) -> None:
        """Let go of the file."""
        self.engine.dispose()


def migrate_file(path: Path) -> list[Migration]:
    """Bring a database file to this version's schema, and return the steps that were missing."""
    lock, engine, applied = _take(path)
    engine.dispose()
    os.close(lock)
    return applied


def _same_file(path: Path) -> Callable[[], None]:
    """Raises StoreUnavailableError once the name leads to another file, or to none.

    SQLite would go on writing what nobody finds again.
    """
    files = [path, _lock_path(path)]
    opened = [_identity(file) for file in files]

    def check() -> None:
        for file, identity in zip(files, opened, strict=True):
            if _identity(file) != identity:
                raise StoreUnavailableError(f"{file} was removed or replaced while in use: restart with the right one")

    return check


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _take(path: Path) -> tuple[int, Engine, list[Migration]]:
    lock = _locked(path)
    engine = make_engine(path)
    try:
        with engine.connect() as connection, connection.begin():
            applied = migrate(connection, now=datetime.now(UTC))
    except BaseException as error:
        os.close(lock)
        if isinstance(error, SQLAlchemyError):
            raise StoreUnavailableError(f"{path}: {getattr(error, 'orig', error)}") from error
        raise
    return lock, engine, applied


def read_once(engine: Engine, work: Callable[[Transaction], T]) -> T:
    """Run a work that only reads. Raises StoreUnavailableError."""
    try:
        with engine.connect().execution_options(sevrouter_reads=True) as connection, connection.begin():
            return work(Transaction(connection, Memory()))
    except (SQLAlchemyError, pysqlite3.dbapi2.Error) as error:
        raise StoreUnavailableError(str(getattr(error, "orig", error))) from error


def write_once(engine: Engine, work: Callable[[Transaction], T]) -> T:
    """Run a work beside a daemon that may have the file. Raises StoreUnavailableError."""
    try:
        with engine.connect() as connection, connection.begin():
            transaction = Transaction(connection, Memory())
            result = work(transaction)
            transaction.flush()
            return result
    except (SQLAlchemyError, pysqlite3.dbapi2.Error) as error:
        raise StoreUnavailableError(str(getattr(error, "orig", error))) from error


def make_engine(path: Path) -> Engine:
    """An engine on a file, set up for durable commits. Takes no lock: for the command line beside a daemon."""
    engine = create_engine(f"sqlite:///{path}", module=pysqlite3.dbapi2, pool_size=2, max_overflow=2)
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    return engine


def _set_up(connection: DBAPIConnection, _record: Any) -> None:
    # The driver's own transactions begin too late and break savepoints; `_begin` does it instead.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"busy_timeout={BUSY_TIMEOUT}",
        f"wal_autocheckpoint={MOST_LOGGED}",
        "cache_size=-16000",
        "temp_store=MEMORY",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    reads = connection.get_execution_options().get("sevrouter_reads", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _lock_path(path: Path) -> Path:
    # Two names of one file have one lock.
    path = path.resolve()
    return path.with_name(path.name + ".lock")


def _locked(path: Path) -> int:
    lock_path = _lock_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreUnavailableError(f"{path}: {error.strerror}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise StoreInUseError(path) from None
    return handle
