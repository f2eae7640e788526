"""Where the real binaries are looked for, and how their absence shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.real import binaries
from tests.real.binaries import MissingRealPartError, find_real, require_real

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide what this machine has."""
    monkeypatch.delenv("SEVROUTER_ALERTMANAGER", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setattr(binaries, "FETCHED", tmp_path / "fetched")


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_one_that_is_named_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    put(tmp_path / "path" / "alertmanager")
    named = put(tmp_path / "own build")
    monkeypatch.setenv("SEVROUTER_ALERTMANAGER", str(named))
    assert find_real("alertmanager") == named


def test_one_that_is_named_and_not_there_is_an_error_and_not_replaced(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    put(tmp_path / "path" / "alertmanager")
    monkeypatch.setenv("SEVROUTER_ALERTMANAGER", str(tmp_path / "nowhere"))
    with pytest.raises(MissingRealPartError, match="cannot be executed"):
        find_real("alertmanager")


@pytest.mark.parametrize("place", ["path/alertmanager", "path/prometheus-alertmanager", "fetched/alertmanager"])
def test_it_is_found_by_its_names(place: str, tmp_path: Path) -> None:
    binary = put(tmp_path / place)
    assert find_real("alertmanager") == binary


def test_a_missing_one_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="there is no alertmanager"):
        require_real("alertmanager")


def test_a_missing_one_skips_loudly_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="NOT TESTED AGAINST THE REAL THING"):
        require_real("alertmanager")
