"""Which peers are on this machine, what to say of those that are not, and the versions of all that takes part."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sevrouter.store.sqlite import sqlite_version
from tests.benchmarks.databases import why_not_on_postgres
from tests.benchmarks.sender import ROOT
from tests.real.binaries import MissingRealPartError, find_real
from tests.real.postgres_installation import PostgresInstallation, find_postgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

# `install_alerta.sh`, beside this file, fills it.
ALERTA = ROOT / ".cache" / "alerta" / "bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peers:
    """What is there to measure beside: a binary, a folder of programs, an installation; None is not there.

    `ours_on_postgres`: whether sevrouter itself is measured on it. `missing` says, a line each, what is not measured
    and why.
    """

    alertmanager: Path | None = None
    alerta: Path | None = None
    postgres: PostgresInstallation | None = None
    ours_on_postgres: bool = False
    missing: tuple[str, ...] = ()


@contextmanager
def find_peers() -> Iterator[Peers]:
    """Look for all of them."""
    missing: list[str] = []
    with ExitStack() as stack:
        alertmanager = _attempt("Alertmanager", lambda: find_real("alertmanager"), missing)
        postgres = _attempt("PostgreSQL", lambda: stack.enter_context(find_postgres()), missing)
        refused = why_not_on_postgres(postgres) if postgres is not None else None
        if refused is not None:
            missing.append(f"sevrouter on PostgreSQL: {refused}")
        has_alerta = os.access(ALERTA / "gunicorn", os.X_OK)
        if not has_alerta:
            missing.append("alerta: it is not installed; `make bench-peers` does that, or says why it cannot")
        yield Peers(
            alertmanager=alertmanager,
            alerta=ALERTA if has_alerta and postgres is not None else None,
            postgres=postgres,
            ours_on_postgres=refused is None and postgres is not None,
            missing=tuple(missing),
        )


def _attempt(name: str, find: Callable[[], T], missing: list[str]) -> T | None:
    try:
        return find()
    except MissingRealPartError as error:
        missing.append(f"{name}: {error}")
        return None


def versions(peers: Peers) -> dict[str, str]:
    """Say the version of each part that takes part."""
    found = {"sevrouter": version("sevrouter"), "Python": platform.python_version(), "SQLite": sqlite_version()}
    found["aiohttp"] = version("aiohttp")
    if peers.alertmanager is not None:
        said = _said(peers.alertmanager, "--version")
        found["Alertmanager"] = said.split("version ", 1)[1].split()[0]
    if peers.postgres is not None:
        found["PostgreSQL"] = _said(peers.postgres.programs / "postgres", "--version").split()[-1]
    if peers.alerta is not None:
        names = ("alerta-server", "gunicorn")
        asked = f"import importlib.metadata as m, json; print(json.dumps([m.version(each) for each in {names}]))"
        found |= dict(zip(("alerta", "gunicorn"), json.loads(_said(peers.alerta / "python", "-c", asked)), strict=True))
    return found


def machine(folder: Path) -> str:
    """Describe what it runs on: processors, how busy they are, and the file system of a folder."""
    load = os.getloadavg()[0]
    # PostgreSQL's own data is in the folder for temporary files; were that in memory, its commits would cost nothing.
    systems = {"SQLite": _file_system(folder), "PostgreSQL": _file_system(Path(tempfile.gettempdir()))}
    files = ", ".join(f"{name} on {system}" for name, system in systems.items())
    where = f"{os.cpu_count()} CPUs ({_processor()}), Linux {platform.release()}, {files}"
    return f"{where}, load average {load:.1f} at the start"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _file_system(folder: Path) -> str:
    """Name the kind of the mount that holds a folder: the longest that it lies in."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    held = [(len(mount[1]), mount[2]) for mount in mounts if folder.resolve().is_relative_to(mount[1])]
    return max(held)[1]


def _said(program: Path, *arguments: str) -> str:
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=True)
    return done.stdout + done.stderr
