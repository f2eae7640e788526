"""Where a real part (Prometheus, Alertmanager, espeak-ng) is found here, and what a test does when there is none."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

# `fetch.sh`, beside this file, fills it.
FETCHED = Path(__file__).resolve().parents[2] / ".cache" / "real" / "bin"

# Debian calls Alertmanager by its package's name.
_ALSO_CALLED = {"alertmanager": ("prometheus-alertmanager",)}


class MissingRealPartError(Exception):
    """A binary that the tests need is not on this machine; the message says what to do about it."""


def find_real(name: str) -> Path:
    """Find `prometheus`, `alertmanager`, `promtool`, `amtool` or `espeak-ng`.

    The one that SEVROUTER_<NAME> names comes first, then one on PATH, then the fetched one. Raises
    `MissingRealPartError`, also where the one that is named cannot be executed.
    """
    variable = f"SEVROUTER_{name.upper().replace('-', '_')}"
    if named := os.environ.get(variable):
        path = Path(named).resolve()
        if not os.access(path, os.X_OK):
            message = f"{variable} names {named}, which cannot be executed"
            raise MissingRealPartError(message)
        return path
    for candidate in (name, *_ALSO_CALLED.get(name, ())):
        if found := shutil.which(candidate) or shutil.which(FETCHED / candidate):
            return Path(found).resolve()
    message = f"there is no {name}: set {variable} to its path, put it on PATH, or run `make test`"
    raise MissingRealPartError(message)


def require_real(name: str) -> Path:
    """Find it, or fail in CI and skip elsewhere."""
    try:
        return find_real(name)
    except MissingRealPartError as missing:
        do_without(str(missing))


def do_without(reason: str) -> NoReturn:
    """Fail in CI, and skip elsewhere so that nobody overlooks it."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must test against the real thing, and {reason}", pytrace=False)
    pytest.skip(f"NOT TESTED AGAINST THE REAL THING: {reason}")
