"""The processes that are measured: sevrouter, the floor below it, and a real Alertmanager where there is one."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.benchmarks.alerts import GROUP_BY, Lot, posts, webhooks
from tests.benchmarks.sender import ROOT
from tests.real.alertmanager import RealAlertmanager, webhook_config
from tests.real.process import ProcessFailedError, RealProcess
from tests.real.sevrouter import Sevrouter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

OURS, FLOOR, ALERTMANAGER = "sevrouter", "floor", "Alertmanager"
RULES = 200
# Nothing listens there: for measurements in which nobody is called.
NOWHERE = "http://127.0.0.1:9"
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


def sevrouter(directory: Path, *, provider: str = NOWHERE) -> Contestant:
    """Prepare sevrouter, whose calls go to a provider."""
    directory.mkdir(parents=True, exist_ok=True)
    config = directory / "sevrouter.yaml"
    # JSON is YAML.
    config.write_text(json.dumps(_configuration(provider)))
    (directory / "routing-key").write_text("r" * 32)
    return Contestant(OURS, LoggingToFile(config, directory=directory), webhooks)


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


def _configuration(provider: str) -> dict[str, Any]:
    return {
        "rules": [
            {
                "name": "severity label",
                "measure": {"label": "severity"},
                "values": {"critical": "SEV-2", "warning": "SEV-4", "info": "SEV-5", "none": "none"},
            },
            {
                "name": "customers affected",
                "matchers": ['alertname="PodNotReady"'],
                "measure": {"annotation": "users_affected_percent"},
                "thresholds": {"SEV-1": ">= 25", "SEV-2": ">= 15", "SEV-3": "> 0"},
            },
            *(
                {
                    "name": f"rule {number}",
                    "matchers": [f'alertname="Alert{number:05d}"', 'namespace=~"team-.*"'],
                    "sev": "SEV-4",
                }
                for number in range(RULES - 2)
            ),
        ],
        "incidents": {"group_by": list(GROUP_BY)},
        "responses": {"SEV-1": ["call"], "SEV-2": ["call"], "SEV-3": ["slack"], "SEV-4": ["slack"], "SEV-5": ["jira"]},
        "integrations": {
            "call": {"type": "pagerduty", "url": provider, "routing_key_file": "routing-key"},
            "slack": {"type": "console"},
            "jira": {"type": "console"},
        },
        "store": {"url": "sqlite:sevrouter.db"},
    }
