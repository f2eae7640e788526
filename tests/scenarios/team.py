"""A team as the stories know it: its rules, people and channels, against the fake vendors."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.standins.jira import EMAIL, TOKEN
from tests.standins.jira import Jira as JiraSite
from tests.standins.pagerduty import ROUTING_KEY, PagerDuty
from tests.standins.slack import TOKEN as SLACK_TOKEN
from tests.standins.slack import Slack

ANA = "5b10ac8d"
WEBHOOK_TOKEN = "webhook-token-of-the-tests"
RULES: list[dict[str, Any]] = [
    {
        "name": "severity label",
        "measure": {"label": "severity"},
        "values": {"critical": "SEV-2", "warning": "SEV-4", "info": "SEV-5", "none": "none"},
    },
    {
        "name": "customers affected",
        "matchers": ['slo="availability"'],
        "measure": {"annotation": "users_affected_percent"},
        "thresholds": {"SEV-1": ">= 25", "SEV-2": ">= 5", "SEV-3": "> 0"},
    },
    {"name": "not an incident", "matchers": ['alertname=~"Watchdog|InfoInhibitor"'], "sev": "none"},
]


@dataclass(frozen=True)
class Vendors:
    """The services that the team uses; each fails the test at its end where something unexpected happened."""

    pagerduty: PagerDuty
    slack: Slack
    jira: JiraSite


@dataclass(frozen=True)
class Team:
    """Writes the team's configuration into a folder."""

    folder: Path
    vendors: Vendors

    @property
    def config(self) -> Path:
        """The file that sevrouter is given."""
        return self.folder / "sevrouter.yaml"

    @property
    def database(self) -> Path:
        """The file that sevrouter keeps its state in."""
        return self.folder / "sevrouter.db"

    def configure(self, **changes: Any) -> Path:
        """Write the configuration, with some of its sections replaced."""
        for name, secret in (("pagerduty", ROUTING_KEY), ("slack", SLACK_TOKEN), ("jira", TOKEN)):
            (self.folder / name).write_text(secret + "\n")
        (self.folder / "webhook").write_text(WEBHOOK_TOKEN + "\n")
        settings = copy.deepcopy(self.settings()) | changes
        # JSON is YAML.
        self.config.write_text(json.dumps(settings, indent=1))
        return self.config

    def settings(self) -> dict[str, Any]:
        """What its configuration says."""
        return {
            "rules": RULES,
            "incidents": {"group_by": ["service", "alertname"], "resolve_after": "1s", "reopen_within": "1h"},
            "responses": {
                "SEV-1": ["call", "slack"],
                "SEV-2": ["call", "slack"],
                "SEV-3": ["slack"],
                "SEV-4": ["slack"],
                "SEV-5": ["jira"],
            },
            "systems": [{"name": "checkout", "matchers": ['service="checkout"'], "owner": "payments"}],
            "default_owner": "platform",
            "teams": {
                "payments": {
                    "slack": {"channel": "C0PAY", "mention": "S0PAY"},
                    "jira": {"project": "PAY", "assignee": "ana"},
                },
                "platform": {"slack": {"channel": "C0DEFAULT"}, "jira": {"project": "OPS"}},
            },
            "people": {"ana": {"jira": ANA}},
            "integrations": {
                "call": {"type": "pagerduty", "url": self.vendors.pagerduty.url, "routing_key_file": "pagerduty"},
                "slack": {"url": self.vendors.slack.base_url, "token_file": "slack"},
                "jira": {"url": self.vendors.jira.url, "deployment": "cloud", "email": EMAIL, "token_file": "jira"},
            },
            "store": {"url": "sqlite:sevrouter.db"},
        }
