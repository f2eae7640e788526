"""What the tests of the integrations share: the fake vendors, an impatient transport, and a rig for each vendor."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from sevrouter.engine.ports import Notifier
from sevrouter.notifiers.base import Secret
from sevrouter.notifiers.http import Transport, open_transport
from sevrouter.notifiers.jira import Jira
from sevrouter.notifiers.pagerduty import PagerDuty
from sevrouter.notifiers.slack import Slack
from tests.notifiers.notices import TEAMS
from tests.standins import jira as jira_standin
from tests.standins import pagerduty as pagerduty_standin
from tests.standins import slack as slack_standin
from tests.standins.fixtures import jira, pagerduty, slack
from tests.standins.vendor import Vendor

__all__ = ["jira", "pagerduty", "slack"]


@dataclass
class Rig:
    """One integration and its fake vendor. `make` builds the integration with another secret."""

    name: str
    vendor: Vendor[Any]
    secret: str
    make: Callable[[Secret], Notifier]
    claim: Callable[[], Awaitable[object]]

    @property
    def notifier(self) -> Notifier:
        """The integration with the right secret."""
        return self.make(lambda: self.secret)


@pytest_asyncio.fixture
async def transport() -> AsyncIterator[Transport]:
    """Wait for an answer as long as a busy machine may need."""
    async with open_transport() as opened:
        yield opened


@pytest_asyncio.fixture
async def impatient() -> AsyncIterator[Transport]:
    """Wait a tenth of a second for an answer, for tests in which there is none."""
    async with open_transport(answer_within=0.1) as opened:
        yield opened


def _pagerduty(vendor: pagerduty_standin.PagerDuty, transport: Transport) -> Rig:
    return Rig(
        "pagerduty",
        vendor,
        pagerduty_standin.ROUTING_KEY,
        lambda secret: PagerDuty(transport, url=vendor.url, routing_key=secret),
        vendor.expect_call,
    )


def _slack(vendor: slack_standin.Slack, transport: Transport) -> Rig:
    return Rig(
        "slack",
        vendor,
        slack_standin.TOKEN,
        lambda secret: Slack(transport, url=vendor.base_url, token=secret, teams=TEAMS),
        vendor.expect_message,
    )


def _jira(vendor: jira_standin.Jira, transport: Transport) -> Rig:
    return Rig(
        "jira",
        vendor,
        jira_standin.TOKEN,
        lambda secret: Jira(transport, url=vendor.url, email=jira_standin.EMAIL, token=secret, teams=TEAMS),
        vendor.expect_issue,
    )


Vendors = dict[str, Callable[[Transport], Rig]]


@pytest.fixture
def vendors(pagerduty: pagerduty_standin.PagerDuty, slack: slack_standin.Slack, jira: jira_standin.Jira) -> Vendors:
    """Every integration's rig, by its name, for a transport."""
    return {
        "pagerduty": lambda transport: _pagerduty(pagerduty, transport),
        "slack": lambda transport: _slack(slack, transport),
        "jira": lambda transport: _jira(jira, transport),
    }


@pytest.fixture(params=["pagerduty", "slack", "jira"])
def rig(request: pytest.FixtureRequest, vendors: Vendors, transport: Transport) -> Rig:
    """Each integration in turn."""
    return vendors[request.param](transport)


@pytest.fixture(params=["pagerduty", "slack", "jira"])
def impatient_rig(request: pytest.FixtureRequest, vendors: Vendors, impatient: Transport) -> Rig:
    """Each integration in turn, with a transport that does not wait."""
    return vendors[request.param](impatient)
