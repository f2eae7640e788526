"""The configuration of a measured sevrouter: rules that most alerts do not meet, and what is asked for how bad."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.benchmarks.alerts import GROUP_BY

if TYPE_CHECKING:
    from pathlib import Path

RULES = 200
# Nothing listens there: for measurements in which nobody is called.
NOWHERE = "http://127.0.0.1:9"
_ASKED = {"SEV-1": ["call"], "SEV-2": ["call"], "SEV-3": ["slack"], "SEV-4": ["slack"], "SEV-5": ["jira"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """What differs between measurements. `asking` nobody leaves out all that follows from an incident.

    `resolve_after` is the quiet time before an incident is over, as a duration. With a `prometheus` each alert asks it
    a query of its cluster, `every` so many seconds. With `policies` it is they that have the provider asked.
    """

    provider: str = NOWHERE
    rules: int = RULES
    asking: bool = True
    resolve_after: str = "5m"
    prometheus: str | None = None
    policies: bool = False
    every: float = 30.0
    store: Mapping[str, str] = field(default_factory=lambda: {"url": "sqlite:sevrouter.db"})

    def write(self, folder: Path) -> Path:
        """Write it and what it refers to into a folder, and say where it is."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "routing-key").write_text("r" * 32)
        file = folder / "sevrouter.yaml"
        # JSON is YAML.
        file.write_text(json.dumps(self._document()))
        return file

    def _document(self) -> dict[str, Any]:
        watched = {} if self.prometheus is None else {"prometheus": {"url": self.prometheus}}
        by_policies = {"policies": {"default": {"steps": [{"targets": ["ana"]}]}}, "people": {"ana": {}}}
        return (
            watched
            | (by_policies if self.policies else {})
            | {
                "rules": [*_rules(self.rules), *([] if self.prometheus is None else [_watched(self.every)])],
                "incidents": {"group_by": list(GROUP_BY), "resolve_after": self.resolve_after},
                "responses": _ASKED if self.asking else {name: [] for name in _ASKED},
                "integrations": {
                    "call": {"type": "pagerduty", "url": self.provider, "routing_key_file": "routing-key"},
                    "slack": {"type": "console"},
                    "jira": {"type": "console"},
                },
                "store": dict(self.store),
            }
        )


def _rules(count: int) -> list[dict[str, Any]]:
    first = [
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
    ]
    return first + [
        {
            "name": f"rule {number}",
            "matchers": [f'alertname="Alert{number:05d}"', 'namespace=~"team-.*"'],
            "sev": "SEV-4",
        }
        for number in range(count - len(first))
    ]


def _watched(every: float) -> dict[str, Any]:
    query = 'max(not_ready_percent{cluster="{{ cluster }}"})'
    return {
        "name": "what Prometheus says",
        "matchers": ['alertname="PodNotReady"'],
        "measure": {"query": query, "every": f"{every:g}s"},
        "thresholds": {"SEV-1": ">= 90"},
    }
