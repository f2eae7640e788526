"""The stage of the chaos: a PostgreSQL that can be killed, replicas behind proxies, vendors, one configuration."""

from __future__ import annotations

import itertools
import math
import os
import signal
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.chaos import hurried
from tests.chaos.vendors import FickleVendors
from tests.real.postgres import PASSWORD, USER, RealPostgres
from tests.real.postgres_installation import PostgresInstallation
from tests.real.proxy import TcpProxy
from tests.real.sevrouter import Sevrouter, _record
from tests.scenarios.team import Team, Vendors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

    from tests.real.postgres import PostgresServer

REPLICAS = 3
DATABASE = "chaos"
# A resolve is soon believed, and what comes back is the same incident, or a little later a new one.
INCIDENTS = {"group_by": ["service", "alertname"], "resolve_after": "1s", "reopen_within": "2s"}


def store_settings(port: int, database: str, folder: Path) -> dict[str, Any]:
    """What a configuration says of a database of the tests."""
    (folder / "postgres").write_text(PASSWORD + "\n")
    return {
        "url": f"postgresql://{USER}@127.0.0.1:{port}/{database}",
        "password_file": "postgres",
        "tls": {"mode": "disable"},
    }


@dataclass(slots=True)
class Trouble:
    """A time (monotonic) in which one process of a replica could do nothing: it was frozen, or killed."""

    worker: str
    at: float
    until: float


READY_WITHIN = 60.0  # seconds


class Replica(Sevrouter):
    """One replica, behind a proxy of its own to the database. Each of its processes has a name of its own."""

    def __init__(self, number: int, config: Path, proxy: TcpProxy, *, directory: Path) -> None:
        super().__init__(config, directory=directory)
        self.number = number
        self.proxy = proxy
        self.troubles: list[Trouble] = []
        self.waits = True
        # The line of its output with which each of its processes begins.
        self.lives: list[tuple[str, int]] = []

    @property
    def worker(self) -> str:
        """The name of the process that runs now."""
        return f"replica-{self.number}-{len(self.lives)}"

    async def wait_ready(self, within: float = READY_WITHIN) -> None:
        """Wait for longer than elsewhere: its database is killed beside it, again and again."""
        await super().wait_ready(within)

    def command(self) -> Sequence[str | Path]:
        """Run it in a hurry."""
        host, port = self.proxy.address
        script = Path(hurried.__file__)
        return [sys.executable, script, self.worker, f"{host}:{port}", *list(super().command())[3:]]

    def environment(self) -> Mapping[str, str]:
        """Find this checkout, wherever the process runs."""
        return {**super().environment(), "PYTHONSAFEPATH": "1"}

    def told_of(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every line that it logged, with the process that did."""
        begins = [*self.lives, ("", len(self.lines))]
        for (worker, begin), (_, end) in itertools.pairwise(begins):
            yield from ((worker, _record(line)) for line in self.lines[begin:end])

    def suffers(self, *, seconds: float) -> None:
        """Write down that something happens to the process that runs now, for so long."""
        now = time.monotonic()
        self.troubles.append(Trouble(self.worker, now, now + seconds))

    async def start(self, *, until_ready: bool = True) -> None:
        """Start it; where it is not to be waited for, that is said in `waits`."""
        self.lives.append((f"replica-{self.number}-{len(self.lives) + 1}", len(self.lines)))
        await super().start(until_ready=until_ready and self.waits)

    async def kill(self) -> None:
        """Kill it, and write that down: of a process, it is the last that happens."""
        # A vendor may come to its last request only after its end.
        self.suffers(seconds=math.inf)
        await super().kill()

    def freeze(self) -> None:
        """Halt it."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)


@dataclass
class Stage:
    """Everything; use it as an async context manager. The replicas are not started by it."""

    installation: PostgresInstallation
    folder: Path
    seed: str
    fsync: bool = True
    replicas: list[Replica] = field(default_factory=list)
    vendors: FickleVendors = field(init=False)
    postgres: RealPostgres = field(init=False)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def __aenter__(self) -> Self:
        enter = self._stack.enter_async_context
        try:
            self.vendors = FickleVendors.of(self.seed)
            for vendor in (self.vendors.pagerduty, self.vendors.slack, self.vendors.jira):
                await enter(vendor)
            self.postgres = await enter(RealPostgres(self.installation, fsync=self.fsync))
            self.postgres.create_database(DATABASE)
            config = self._configure()
            for number in range(REPLICAS):
                proxy = await enter(TcpProxy(*self.postgres.address))
                self.replicas.append(Replica(number, config, proxy, directory=self.folder))
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def open(self, replica: Replica, *, until_ready: bool = True) -> None:
        """Start a replica for the first time; it ends with the stage."""
        replica.waits = until_ready
        await self._stack.enter_async_context(replica)
        replica.waits = True

    def _configure(self) -> Path:
        team = Team(self.folder, Vendors(self.vendors.pagerduty, self.vendors.slack, self.vendors.jira))
        store = store_settings(self.postgres.port, DATABASE, self.folder)
        return team.configure(store=store, incidents=INCIDENTS)


def query(server: PostgresServer, statement: str, *arguments: object) -> list[tuple[Any, ...]]:
    """Ask the database of the stage."""
    return server.query(statement, *arguments, database=DATABASE)
