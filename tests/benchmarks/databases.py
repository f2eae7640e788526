"""PostgreSQL for the contestants that keep their alerts in it: one server, a database each."""

from __future__ import annotations

import asyncio
import contextlib
import io
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from sevrouter.config import ConfigurationError, load
from tests.benchmarks.configuration import Configured
from tests.benchmarks.contestants import alerta, sevrouter
from tests.real.postgres import PASSWORD, USER, RealPostgres
from tests.real.process import ProcessFailedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from tests.benchmarks.contestants import Contestant
    from tests.real.postgres_installation import PostgresInstallation

OURS_THERE = "sevrouter on PostgreSQL"
_DATABASE, _ALERTA_DATABASE = "sevrouter", "alerta"


@contextlib.asynccontextmanager
async def open_postgres(installation: PostgresInstallation | None) -> AsyncIterator[RealPostgres | None]:
    """Start a server whose commits wait for the disk, as ours do on SQLite; None where there is none."""
    async with contextlib.AsyncExitStack() as stack:
        if installation is None:
            yield None
        else:
            durable = {"synchronous_commit": "on"}
            yield await stack.enter_async_context(RealPostgres(installation, fsync=True, settings=durable))


def on_postgres(folder: Path, server: RealPostgres) -> Contestant:
    """Prepare sevrouter on an empty database of a server."""
    (only,) = replicas_on_postgres(folder, server, [OURS_THERE], database=_DATABASE)
    return only


def replicas_on_postgres(
    folder: Path, server: RealPostgres, names: Sequence[str], *, database: str
) -> list[Contestant]:
    """Prepare replicas of sevrouter on one empty database of a server."""
    server.create_database(database)
    _, port = server.address
    store = _store(folder, port, database)
    return [sevrouter(folder, Configured(store=store), name=name) for name in names]


def alerta_on_postgres(folder: Path, programs: Path, server: RealPostgres) -> Contestant:
    """Prepare alerta on an empty database of a server."""
    server.create_database(_ALERTA_DATABASE)
    return alerta(programs, server.dsn(_ALERTA_DATABASE), directory=folder)


def why_not_on_postgres(installation: PostgresInstallation) -> str | None:
    """Try to start sevrouter on PostgreSQL, and say why that cannot be; None where it can."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            load(Configured(store=_store(folder, 5432)).write(folder))
            # What the processes hand over when they end is not wanted here.
            with contextlib.redirect_stdout(io.StringIO()):
                asyncio.run(_start(folder, installation))
        except ConfigurationError as error:
            return "; ".join(problem.message for problem in error.problems)
        except ProcessFailedError as error:
            # Python's own warnings come last, with lines of code that are set in.
            said = [line for line in str(error).splitlines() if line[:1].strip() and "Warning" not in line]
            return said[-1]
    return None


async def _start(folder: Path, installation: PostgresInstallation) -> None:
    async with open_postgres(installation) as server:
        assert server is not None
        async with on_postgres(folder, server).process:
            pass


def _store(folder: Path, port: int, database: str = _DATABASE) -> dict[str, str]:
    folder.mkdir(parents=True, exist_ok=True)
    password_file = folder / "postgres-password"
    password_file.write_text(PASSWORD)
    return {"url": f"postgresql://{USER}@127.0.0.1:{port}/{database}", "password_file": str(password_file)}
