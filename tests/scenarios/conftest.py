"""The stage of the stories: a team, its vendors, and sevrouter as a process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.real.sevrouter import Sevrouter
from tests.scenarios.team import Team, Vendors
from tests.standins.fixtures import jira, pagerduty, slack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.standins.jira import Jira
    from tests.standins.pagerduty import PagerDuty
    from tests.standins.slack import Slack

__all__ = ["jira", "pagerduty", "slack"]


@pytest.fixture
def vendors(pagerduty: PagerDuty, slack: Slack, jira: Jira) -> Vendors:
    """PagerDuty, Slack and Jira."""
    return Vendors(pagerduty, slack, jira)


@pytest.fixture
def team(tmp_path: Path, vendors: Vendors) -> Team:
    """A team with its configuration written."""
    team = Team(tmp_path, vendors)
    team.configure()
    return team


@pytest_asyncio.fixture
async def sevrouter(team: Team) -> AsyncIterator[Sevrouter]:
    """sevrouter, running with the team's configuration."""
    async with Sevrouter(team.config, directory=team.folder / "run") as process:
        yield process
