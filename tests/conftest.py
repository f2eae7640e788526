"""Fixtures for every test: the real parts, or a loud word that there are none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.real.binaries import require_real
from tests.real.phone import require_baresip
from tests.real.postgres_fixtures import postgres_database, postgres_installation, postgres_server

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["postgres_database", "postgres_installation", "postgres_server"]

_REAL = {
    "prometheus_binary", "alertmanager_binary", "espeak_binary", "baresip", "postgres_installation", "postgres_server"
}  # fmt: skip


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what asks for a real part, so that `-m real` and `-m "not real"` choose."""
    for item in items:
        if isinstance(item, pytest.Function) and _REAL & {*item.fixturenames}:
            item.add_marker(pytest.mark.real)


@pytest.fixture(scope="session")
def prometheus_binary() -> Path:
    """Find a real Prometheus; without one, fail in CI and skip elsewhere."""
    return require_real("prometheus")


@pytest.fixture(scope="session")
def alertmanager_binary() -> Path:
    """Find a real Alertmanager; without one, fail in CI and skip elsewhere."""
    return require_real("alertmanager")


@pytest.fixture(scope="session")
def espeak_binary() -> Path:
    """Find a real espeak-ng; without one, fail in CI and skip elsewhere."""
    return require_real("espeak-ng")


@pytest.fixture(scope="session")
def baresip() -> None:
    """Make sure that there is something to call with; if not, fail in CI and skip elsewhere."""
    require_baresip()
