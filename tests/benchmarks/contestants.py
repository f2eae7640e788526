"""The processes that are measured: sevrouter, the floor below it, and those of its peers that are there."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tests.benchmarks.alerts import GROUP_BY, Lot, posts, webhooks
from tests.benchmarks.configuration import Configured
from tests.benchmarks.figures import OURS
from tests.benchmarks.sender import ROOT
from tests.real.alertmanager import RealAlertmanager, webhook_config
from tests.real.process import READY_WITHIN, ProcessFailedError, RealProcess
from tests.real.sevrouter import Sevrouter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

FLOOR, ALERTMANAGER, ALERTA = "floor", "Alertmanager", "alerta"
ALERTA_WORKERS = 2
_ALERTA_PREFIX = "/api"
_SHOWN = 5_000  # characters of a log


@dataclass(frozen=True, slots=True)
class Contestant:
    """A process that takes alerts, and how they are put for it."""

    name: str
    process: RealProcess
    requests: Callable[[Lot], list[bytes]]


class PythonServer(RealProcess):
    """A module beside this one that serves on the port that it is given."""

    def __init__(self, module: str, *, directory: Path) -> None:
        super().__init__(module, directory=directory)
        self._module = module

    def command(self) -> Sequence[str | Path]:
        """Run the module."""
        return [sys.executable, "-m", f"tests.benchmarks.{self._module}", str(self.port)]

    def environment(self) -> Mapping[str, str]:
        """Let it be found from its own folder."""
        return os.environ | {"PYTHONPATH": str(ROOT)}


class LoggingToFile(Sevrouter):
    """sevrouter whose log goes straight to a file, so that nobody spends the measured machine's time on reading it."""

    def command(self) -> Sequence[str | Path]:
        """Run it in place of a shell that opens the file."""
        return ["/bin/sh", "-c", 'exec "$@" >>"$0" 2>&1', self.log_file, *super().command()]

    @property
    def log_file(self) -> Path:
        """Say where it logs."""
        return self.directory / "sevrouter.log"

    def failure(self, what: str) -> ProcessFailedError:
        """Make an error that shows the last of its log."""
        last = self.log_file.read_text(errors="replace")[-_SHOWN:] if self.log_file.exists() else ""
        return ProcessFailedError(f"{self.name} {what}; it logged:\n{last}")


class Alerta(RealProcess):
    """alerta's API under gunicorn, on a PostgreSQL database; it has no `/-/ready`, and no home below `/`."""

    def __init__(self, programs: Path, dsn: str, *, directory: Path) -> None:
        super().__init__("alerta", directory=directory)
        self._programs = programs
        self._dsn = dsn

    def command(self) -> Sequence[str | Path]:
        """Run it in threads, without which gunicorn would close the connection after each answer."""
        threads = ["--worker-class", "gthread", "--threads", "4", "--keep-alive", "60", "--timeout", "120"]
        workers = ["--workers", str(ALERTA_WORKERS), *threads, "--bind", f"127.0.0.1:{self.port}"]
        # Loaded once, before the workers: two that make the tables at once fail.
        return [self._programs / "gunicorn", "--preload", "--no-control-socket", *workers, "alerta:create_app()"]

    def environment(self) -> Mapping[str, str]:
        """Set what differs from its defaults: its database."""
        settings = {"DATABASE_URL": self._dsn, "SCRIPT_NAME": _ALERTA_PREFIX}
        # A setting that is missing must not be read from the machine's own alerta.
        return os.environ | settings | {"ALERTA_SVR_CONF_FILE": os.devnull}

    async def wait_ready(self, within: float = READY_WITHIN) -> None:
        """Ask whether it can reach its database until it says so."""
        await self.poll(self._is_good_to_go, "was not ready", within=within)

    async def _is_good_to_go(self) -> bool:
        try:
            async with self.session.get(f"{self.url}{_ALERTA_PREFIX}/management/gtg") as answer:
                return answer.status == 200
        except OSError:
            return False


def sevrouter(directory: Path, configured: Configured | None = None, *, name: str = OURS) -> Contestant:
    """Prepare sevrouter; another `name` than its own tells two of them apart, and their files."""
    folder = directory / name.replace(" ", "-")
    config = (configured or Configured()).write(folder)
    return Contestant(name, LoggingToFile(config, directory=folder), webhooks)


def floor(directory: Path) -> Contestant:
    """Prepare the floor."""
    return Contestant(FLOOR, PythonServer("floor", directory=directory), webhooks)


def alertmanager(binary: Path | None, directory: Path, *, provider: str | None = None) -> list[Contestant]:
    """Prepare an Alertmanager that tells a provider at once, or nobody; none where there is no binary."""
    if binary is None:
        return []
    if provider is None:
        silent = {"name": "nobody"}
        config = {"route": {"receiver": "nobody", "group_by": list(GROUP_BY)}, "receivers": [silent]}
    else:
        config = webhook_config(f"{provider}/webhook", group_by=GROUP_BY, group_wait="0s", group_interval="5m")
    return [Contestant(ALERTMANAGER, RealAlertmanager(binary, config, directory=directory), posts)]


def alerta(programs: Path, dsn: str, *, directory: Path) -> Contestant:
    """Prepare alerta on an empty database."""
    path = f"{_ALERTA_PREFIX}/webhooks/prometheus"
    return Contestant(ALERTA, Alerta(programs, dsn, directory=directory), partial(webhooks, path=path))
