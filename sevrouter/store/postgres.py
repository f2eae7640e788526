"""PostgreSQL as the store: for several replicas, each with one writer; the database decides between them."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg
import structlog
import tenacity
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.util import greenlet_spawn

from sevrouter.store.connector import Connector, Tls
from sevrouter.store.errors import ConflictError, SchemaTooNewError, StoreError, StoreUnavailableError
from sevrouter.store.listener import Listener
from sevrouter.store.memory import Memory
from sevrouter.store.migrate import Migration, migrate, refuse_newer
from sevrouter.store.tables import metadata
from sevrouter.store.transaction import Transaction
from sevrouter.store.writer import Trouble, Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from sqlalchemy import Engine

    from sevrouter.domain.alert import AlertRecord

__all__ = ["Connector", "PostgresDatabase", "PostgresStore", "Tls", "durability_doubts", "trouble"]

log = structlog.get_logger()
T = TypeVar("T")

# Deadlock, serialization failure, a lock that was not had in time; a row that another replica was quicker to write,
# or to delete.
_CONFLICTS = ("40P01", "40001", "55P03", "23505", "23503")
# Classes of errors that end with the connection, or with the server that it goes to: connection exceptions, too few
# resources, operator intervention, internal errors, authorisation (a password that was rotated), a standby (a
# failover), a plan that a migration made out of date.
_LOST = ("08", "53", "57P", "XX", "28", "25006", "0A000")
# What was too slow for `statement_timeout` would be so again.
_CANCELLED = "57014"
_SCHEMA = "SELECT count(*) FROM pg_namespace WHERE nspname = $1"
# Seconds between two looks at the schema's version while it is in use.
LOOK_FOR_NEWER = 5.0
# How long a start waits for a database that is away.
_START = tenacity.stop_after_delay(30)
_BETWEEN = tenacity.wait_exponential_jitter(multiplier=0.2, max=3)


class PostgresDatabase:
    """A PostgreSQL database: its connections are used by one thread, in a loop of its own."""

    def __init__(self, connector: Connector) -> None:
        self.connector = connector
        self._loop = asyncio.new_event_loop()
        self._engine = _engine(connector)
        self._look_at = 0.0

    def __str__(self) -> str:
        return self.connector.name

    def call(self, work: Callable[[], T]) -> T:
        """Run what waits for the database in plain calls."""
        return self._loop.run_until_complete(greenlet_spawn(work))

    def connect(self) -> Connection:
        """Open a connection."""
        return self._engine.connect()

    def begin(self, connection: Connection, memory: Memory) -> None:
        """Look now and then whether a newer version has taken over; what is remembered is verified row by row."""
        now = time.monotonic()
        if now >= self._look_at:
            refuse_newer(connection)
            self._look_at = now + LOOK_FOR_NEWER

    def trouble(self, error: Exception) -> Trouble:
        """Say what an error means."""
        return trouble(error)

    def read_once(self, work: Callable[[Transaction], T]) -> T:
        """Run a work that only reads. Raises StoreUnavailableError."""
        return self.write_once(work)

    def write_once(self, work: Callable[[Transaction], T]) -> T:
        """Run a work on a connection of its own. Raises StoreUnavailableError."""

        def run() -> T:
            with self._engine.connect() as connection, connection.begin():
                transaction = Transaction(connection, Memory())
                result = work(transaction)
                transaction.flush()
                return result

        return self._once(run)

    def migrate(self) -> list[Migration]:
        """Bring it to this version's schema, and return the steps that were missing; one replica at a time does it.

        Raises SchemaTooNewError or StoreUnavailableError.
        """

        return self._patiently(self._migrate)

    def alone(self, work: Callable[[Connection], T], *, keep: bool) -> T:
        """Run a work on this version's schema, while others can only read. Raises StoreError."""

        def run(connection: Connection) -> T:
            self._migrate(connection)
            tables = ", ".join(name for name in metadata.tables)
            connection.execute(text(f"LOCK TABLE {tables} IN SHARE ROW EXCLUSIVE MODE"))
            result = work(connection)
            if not keep:
                connection.rollback()
            return result

        return self._patiently(run)

    def _migrate(self, connection: Connection) -> list[Migration]:
        schema = self.connector.schema
        if schema is not None and not connection.exec_driver_sql(_SCHEMA, (schema,)).scalar():
            # Not asked for where it is there: even `IF NOT EXISTS` needs a leave to make schemas.
            connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{schema}"'))
        return migrate(connection, now=datetime.now(UTC))

    def _patiently(self, work: Callable[[Connection], T]) -> T:
        engine = _engine(self.connector.patient())

        def run() -> T:
            with engine.connect() as connection, connection.begin():
                return work(connection)

        try:
            return self.call(run)
        except StoreError:
            raise
        except Exception as error:
            raise StoreUnavailableError(f"{self}: {_reason(error)}") from error

    def doubts(self) -> list[str]:
        """What about this server may break the promise that nothing is lost that was answered with 200.

        Raises StoreUnavailableError.
        """

        def run() -> list[str]:
            with self._engine.connect() as connection:
                return durability_doubts(connection)

        return self._once(run)

    def _once(self, run: Callable[[], T]) -> T:
        try:
            return self.call(run)
        except StoreError:
            raise
        except Exception as error:
            # What the database itself refuses, a table that is not there say, is no fault of a work that only asks.
            if trouble(error) is Trouble.OWN and not isinstance(error, SQLAlchemyError):
                raise
            raise StoreUnavailableError(f"{self}: {_reason(error)}") from error

    def close(self) -> None:
        """Let go of the loop; no connection may be open any more."""
        self._loop.close()


class PostgresStore:
    """The store on PostgreSQL. `open` it, `close` it; `write` and `read` run a work in a transaction."""

    is_exclusive = False
    # What is remembered may have been changed by another replica.
    is_sure = False

    def __init__(self, connector: Connector) -> None:
        self.name = connector.name
        self._memory = Memory()
        self._writing = PostgresDatabase(connector)
        self._writer = Writer(self._writing, self._memory)
        self._reading = PostgresDatabase(connector)
        self._readers = ThreadPoolExecutor(1, thread_name_prefix="store-reader")

    @classmethod
    def open(cls, connector: Connector) -> PostgresStore:
        """Bring the database to this version's schema, waiting a while for one that is away.

        Raises SchemaTooNewError, or StoreUnavailableError where it cannot be used.
        """
        # In a thread, for who opens it has a loop running in this one.
        with ThreadPoolExecutor(1, thread_name_prefix="store-opening") as thread:
            thread.submit(_prepare, connector).result()
        return cls(connector)

    async def write(self, work: Callable[[Transaction], T], *, ahead: Callable[[Transaction], None] | None = None) -> T:
        """Run a work whole or not at all; returns after its commit is on disk.

        Raises StoreBusyError or StoreUnavailableError.
        """
        return await self._writer.run(work, ahead=ahead)

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """Run a work that only reads, beside the writer. Raises StoreUnavailableError."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._reading.read_once, work)

    def listening(self, wake: Callable[[set[str]], None]) -> Coroutine[None, None, None]:
        """Hear what other replicas put into the outbox, until cancelled."""
        return Listener(self._writing.connector, wake).run()

    def remembered(self, sighting: bytes) -> AlertRecord | None:
        """The alert that was last sent just like this, as far as this replica knows."""
        return self._memory.sightings.get(sighting)

    @property
    def is_busy(self) -> bool:
        """Whether it is in the middle of something large rather than broken."""
        return self._writer.is_busy

    def close(self) -> None:
        """Finish what waits to be written, then let go of the connections."""
        self._writer.close()
        self._readers.shutdown()
        self._writing.close()
        self._reading.close()


def _engine(connector: Connector) -> Engine:
    return create_async_engine("postgresql+asyncpg://", async_creator=connector.connect, poolclass=NullPool).sync_engine


def _prepare(connector: Connector) -> None:
    database = PostgresDatabase(connector)
    again = tenacity.Retrying(
        stop=_START, wait=_BETWEEN, retry=tenacity.retry_if_exception_type(StoreUnavailableError),
        before_sleep=_say_that_it_is_away, reraise=True,
    )  # fmt: skip
    try:
        again(database.migrate)
        # It may go away again in between.
        for doubt in again(database.doubts):
            log.warning("store_may_lose_alerts", reason=doubt, store=connector.name)
    finally:
        database.close()


def trouble(error: Exception) -> Trouble:
    """Say what an error of PostgreSQL, its driver or the network between means for the transaction."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    state = getattr(cause, "sqlstate", None) or ""
    if isinstance(error, ConflictError) or state in _CONFLICTS:
        return Trouble.CONFLICT
    if isinstance(error, StoreUnavailableError | SchemaTooNewError) or state == _CANCELLED:
        return Trouble.AWAY
    is_cut = isinstance(error, DBAPIError) and error.connection_invalidated
    if is_cut or state.startswith(_LOST) or (not state and _is_of_the_driver(cause)):
        return Trouble.LOST
    return Trouble.OWN


def _is_of_the_driver(cause: BaseException | None) -> bool:
    # SQLAlchemy wraps the driver's error once more. A value of the wrong type is the fault of who gave it.
    of_driver = getattr(cause, "__cause__", None) or cause
    if isinstance(cause, OSError) or isinstance(of_driver, OSError):
        # First, because a certificate that is refused is a ValueError, too. A time-out has a cause of its own.
        return True
    if isinstance(of_driver, asyncpg.exceptions.DataError | ValueError | TypeError):
        return False
    return isinstance(of_driver, asyncpg.InterfaceError | asyncpg.InternalClientError)


def _reason(error: Exception) -> str:
    cause = error.orig if isinstance(error, SQLAlchemyError) and isinstance(error, DBAPIError) else error
    return str(cause) or type(cause).__name__


def _say_that_it_is_away(state: tenacity.RetryCallState) -> None:
    if state.attempt_number == 1 and state.outcome is not None:
        log.warning("store_away_at_start", reason=str(state.outcome.exception()))


def durability_doubts(connection: Connection) -> list[str]:
    """What the settings of a server say against the promise that nothing answered with 200 is lost."""

    def setting(name: str) -> str:
        return str(connection.exec_driver_sql("SELECT current_setting($1)", (name,)).scalar_one())

    doubts = []
    for name, danger in _DANGEROUS.items():
        if setting(name) == "off":
            doubts.append(f"{name} is off: {danger}")
    standbys: Any = connection.exec_driver_sql("SELECT count(*) FROM pg_stat_replication").scalar_one()
    if standbys and not setting("synchronous_standby_names"):
        doubts.append("its standbys are asynchronous: a failover may lose what was answered in the last second")
    elif standbys and setting("synchronous_commit") == "local":
        doubts.append("synchronous_commit is local: a failover may lose what was answered in the last second")
    return doubts


_DANGEROUS = {
    "fsync": "a crash of the machine may lose or spoil everything",
    "full_page_writes": "a crash of the machine may spoil pages",
}
