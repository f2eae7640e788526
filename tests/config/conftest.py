"""A configuration to begin with, and a directory to write it into."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

SMALLEST = """\
rules:
  - name: critical
    matchers: ['severity="critical"']
    sev: SEV-2
responses: {SEV-1: [call], SEV-2: [call]}
integrations:
  call: {type: console}
"""

Write = Callable[..., Path]
Logs = list[MutableMapping[str, Any]]


@pytest.fixture
def smallest() -> str:
    """The text of a configuration that is valid and warns of nothing."""
    return SMALLEST


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file beside the configuration; by default the configuration itself."""

    def write_file(content: str | bytes, name: str = "sevrouter.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_file


@pytest.fixture
def logs() -> Iterator[Logs]:
    """Every log event of the test."""
    with capture_logs() as captured:
        yield captured
