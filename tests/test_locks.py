"""The lock files are in step with pyproject.toml, and serve any machine."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
RUNTIME = PYPROJECT["project"]["dependencies"]
DEV = PYPROJECT["project"]["optional-dependencies"]["dev"]
BUILD = PYPROJECT["build-system"]["requires"]

LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-build.lock")
# In an environment of its own: it need not agree with the others.
ALERTA_LOCK = "tests/benchmarks/alerta.lock"
WANTED = [
    *(("requirements.lock", text) for text in RUNTIME),
    *(("requirements-dev.lock", text) for text in (*RUNTIME, *DEV)),
    *(("requirements-build.lock", text) for text in BUILD),
]


def read_lock(name: str) -> dict[str, tuple[Requirement, list[str]]]:
    """Read a lock: what is pinned, with its hashes."""
    text = re.sub(r"(?m)^\s*#.*$", "", (ROOT / name).read_text()).replace("\\\n", " ")
    pins: dict[str, tuple[Requirement, list[str]]] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        pinned, *hashes = line.split(" --hash=")
        requirement = Requirement(pinned)
        pins[canonicalize_name(requirement.name)] = requirement, [one.strip() for one in hashes]
    return pins


def version(pin: Requirement) -> Version:
    (only,) = pin.specifier
    assert only.operator == "=="
    return Version(only.version)


@pytest.mark.parametrize(("lock", "text"), WANTED)
def test_what_pyproject_asks_for_is_locked(lock: str, text: str) -> None:
    wanted = Requirement(text)
    pins = read_lock(lock)
    assert canonicalize_name(wanted.name) in pins, f"{wanted.name} is not in {lock}: run `make lock`"
    pin, _ = pins[canonicalize_name(wanted.name)]
    assert wanted.specifier.contains(version(pin)), f"{lock} has {pin}, which is not {wanted}: run `make lock`"
    assert str(pin.marker) == str(wanted.marker)


@pytest.mark.parametrize("lock", [*LOCKS, ALERTA_LOCK])
def test_a_lock_is_hashes_and_versions_and_nothing_of_a_machine(lock: str) -> None:
    for pin, hashes in read_lock(lock).values():
        assert pin.url is None
        assert hashes, f"{pin} has no hash"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", one) for one in hashes)
    # No option of pip's (an index, a folder of wheels), no address, no path.
    assert not re.search(r"(?m)^-|://|file:|^\S*/", (ROOT / lock).read_text())


def test_the_locks_agree_with_each_other() -> None:
    runtime, dev, build = ({name: version(pin) for name, (pin, _) in read_lock(lock).items()} for lock in LOCKS)
    assert runtime.items() <= dev.items()
    assert {name: build[name] for name in build.keys() & dev.keys()} == {
        name: dev[name] for name in build.keys() & dev.keys()
    }
