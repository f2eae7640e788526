"""A real PostgreSQL server: one that is there already, or one of the tests' own, which can be killed.

Everything here is synchronous and belongs to no event loop, so that one server serves a whole run of pytest. An async
test whose loop must go on meanwhile calls it through `asyncio.to_thread`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, urlsplit

import asyncpg

from tests.real.families import children_of, end_all
from tests.real.ports import free_port
from tests.real.process import ENDED_WITHIN, READY_WITHIN, ProcessFailedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

    from tests.real.postgres_installation import PostgresInstallation

USER = "sevrouter"
# A DSN has to quote every second character of it.
PASSWORD = "p@s/w:r%d #1"
_POLL = 0.01  # seconds
_SHOWN_LINES = 200


def through(address: tuple[str, int], dsn: str) -> str:
    """Name the same database by the address of a proxy that stands before its server."""
    parts = urlsplit(dsn)
    account, at, _ = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{account}{at}{address[0]}:{address[1]}").geturl()


class PostgresServer:
    """A server that listens on TCP and lets its user make databases, named by a DSN of any of them."""

    def __init__(self, dsn: str) -> None:
        self._dsn = urlsplit(dsn)
        assert self._dsn.hostname, "the DSN names no host"

    @property
    def address(self) -> tuple[str, int]:
        """Say where it listens: host and port."""
        return self._dsn.hostname or "", self._dsn.port or 5432

    def dsn(self, database: str = "postgres") -> str:
        """Name a database."""
        return self._dsn._replace(path=f"/{quote(database)}").geturl()

    def query(self, statement: str, *arguments: object, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement in a connection of its own and return its rows."""
        # In a thread of its own, for an async test has a loop running in this one.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, _query(self.dsn(database), statement, arguments)).result()

    def create_database(self, name: str, *, template: str | None = None) -> None:
        """Make a database, perhaps as a copy of another one, to which nobody is connected."""
        copied = f" TEMPLATE {_identifier(template)}" if template is not None else ""
        self.query(f"CREATE DATABASE {_identifier(name)}{copied}")

    def drop_database(self, name: str) -> None:
        """Remove a database, whoever is still connected to it; one that is not there is no error."""
        self.query(f"DROP DATABASE IF EXISTS {_identifier(name)} WITH (FORCE)")

    @contextlib.contextmanager
    def database(self, *, template: str | None = None) -> Iterator[str]:
        """Lend a database of its own, and drop it afterwards; this is its name."""
        name = f"sevrouter_test_{secrets.token_hex(6)}"
        self.create_database(name, template=template)
        try:
            yield name
        finally:
            self.drop_database(name)


class RealPostgres(PostgresServer):
    """A server of the tests' own, with a data folder that goes with it.

    Use it as a context manager, plain or async; inside, it can be stopped, killed and started again, on the same port
    and data. `fsync` makes a commit wait for the disk, which costs time and makes no difference to a killed process;
    `settings` are those of postgresql.conf.
    """

    def __init__(
        self, installation: PostgresInstallation, *, fsync: bool = False, settings: Mapping[str, str] | None = None
    ) -> None:
        self.port = free_port()
        super().__init__(f"postgresql://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/postgres")
        self.name = f"postgres-{self.port}"
        self._installation = installation
        self._settings = {**_defaults(self.port, fsync=fsync), **(settings or {})}
        self._stack = contextlib.ExitStack()
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def folder(self) -> Path:
        """Say where its files are: `data`, and what it printed in `output.log`."""
        assert self._folder is not None, f"{self.name} is used outside of its context"
        return self._folder

    @property
    def pid(self) -> int:
        """Name the postmaster, the parent of all its processes."""
        return self._postmaster.pid

    @property
    def running(self) -> bool:
        """Tell whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def __enter__(self) -> Self:
        self._folder = self._stack.enter_context(self._installation.folder())
        try:
            self._make_data()
            self.start()
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._leave)

    def start(self, within: float = READY_WITHIN) -> None:
        """Start it, also again after an end, and wait until it takes connections; that includes its recovery."""
        assert not self.running, f"{self.name} runs already"
        # Whoever was killed has left it behind. The folder is this server's alone, and its process is gone.
        self._status_file.unlink(missing_ok=True)
        settings = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "output.log").open("ab") as output:
            self._process = self._installation.launch(
                "postgres", "-D", self.folder / "data", *settings, cwd=self.folder, output=output
            )
        self._wait_ready(within)

    def stop(self, within: float = ENDED_WITHIN) -> int:
        """End it in good order, though not waiting for its clients, and return its exit code."""
        self._postmaster.send_signal(signal.SIGINT)
        try:
            return self._postmaster.wait(within)
        except subprocess.TimeoutExpired:
            self.kill()
            raise self.failure(f"did not end within {within:g} s, and was killed") from None

    def kill(self) -> None:
        """Kill all of its processes at once (SIGKILL), as a crash would, and wait until they are gone."""
        postmaster = self._postmaster
        # Halted first: it would end its children in good order, or start others while they are being listed.
        postmaster.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, postmaster.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        end_all([*children_of(postmaster.pid), postmaster.pid], within=ENDED_WITHIN)
        postmaster.wait()

    def restart(self) -> None:
        """End it in good order and start it again."""
        self.stop()
        self.start()

    def failure(self, what: str) -> ProcessFailedError:
        """Make an error that shows the last of its output."""
        return ProcessFailedError(f"{self.name} {what}; it printed:\n{self._tail()}")

    @property
    def _postmaster(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, f"{self.name} was not started"
        return self._process

    @property
    def _status_file(self) -> Path:
        return self.folder / "data" / "postmaster.pid"

    def _make_data(self) -> None:
        password_file = self.folder / "password"
        password_file.write_text(PASSWORD)
        self._installation.own(password_file)
        account = [f"--username={USER}", f"--pwfile={password_file}", "--auth=scram-sha-256"]
        locale = ["--no-locale", "--encoding=UTF8"]
        options = [*account, *locale, "--no-sync", "--no-instructions"]
        self._installation.run("initdb", "-D", self.folder / "data", *options, cwd=self.folder)

    def _wait_ready(self, within: float) -> None:
        deadline = time.monotonic() + within
        while not self._is_ready():
            if not self.running:
                raise self.failure("ended by itself")
            if time.monotonic() > deadline:
                raise self.failure(f"was not ready within {within:g} s")
            time.sleep(_POLL)

    def _is_ready(self) -> bool:
        # As `pg_ctl` does: the first line is the process, the eighth how far it is.
        try:
            lines = self._status_file.read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def _leave(self) -> None:
        try:
            if self.running:
                self.stop()
        finally:
            # Pytest shows this for a test that failed, and for no other.
            sys.stdout.write(f"--- {self.name} printed\n{self._tail()}\n")
            self._stack.close()

    def _tail(self) -> str:
        try:
            printed = (self.folder / "output.log").read_text(errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(printed.splitlines()[-_SHOWN_LINES:])


def _defaults(port: int, *, fsync: bool) -> dict[str, str]:
    return {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        "fsync": "on" if fsync else "off",
        # A torn page comes with a power cut, against which nothing helps without fsync.
        "full_page_writes": "on" if fsync else "off",
        # In the data folder, so that a killed server leaves nothing elsewhere.
        "dynamic_shared_memory_type": "mmap",
        "log_line_prefix": "%m [%p] %d ",
    }


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


async def _query(dsn: str, statement: str, arguments: tuple[object, ...]) -> list[tuple[Any, ...]]:
    connection = await asyncpg.connect(dsn)
    try:
        return [tuple(row) for row in await connection.fetch(statement, *arguments)]
    finally:
        await connection.close()
