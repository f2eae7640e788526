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
from sevrouter.notifiers.pagertree import Destinations, PagerTree
from sevrouter.notifiers.pagertree_webhook import PagerTreeWebhook
from sevrouter.notifiers.slack import Slack
from sevrouter.notifiers.webhook import Webhook
from tests.notifiers.notices import TEAMS
from tests.standins import hook as hook_standin
from tests.standins import jira as jira_standin
from tests.standins import pagerduty as pagerduty_standin
from tests.standins import pagertree as pagertree_standin
from tests.standins import slack as slack_standin
from tests.standins.fixtures import apprise_target, hook, jira, pagerduty, pagertree, slack
from tests.standins.vendor import Vendor

__all__ = ["apprise_target", "hook", "jira", "pagerduty", "pagertree", "slack"]

# Those that read an answer's body, and those to which its status says all.
READING = ("pagerduty", "slack", "jira", "pagertree")
BY_STATUS = ("pagertree-webhook", "webhook")


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
        lambda secret: Jira(
            transport, url=vendor.url, deployment="cloud", email=jira_standin.EMAIL, token=secret, teams=TEAMS
        ),
        vendor.expect_issue,
    )


def _pagertree(vendor: pagertree_standin.PagerTree, transport: Transport) -> Rig:
    destinations = Destinations(teams=(pagertree_standin.TEAM,))
    return Rig(
        "pagertree",
        vendor,
        pagertree_standin.API_TOKEN,
        lambda secret: PagerTree(transport, url=vendor.url, api_token=secret, destinations=destinations),
        vendor.expect_call,
    )


def _pagertree_webhook(vendor: pagertree_standin.PagerTree, transport: Transport) -> Rig:
    return Rig(
        "pagertree-webhook",
        vendor,
        pagertree_standin.WEBHOOK_TOKEN,
        lambda secret: PagerTreeWebhook(transport, url=lambda: vendor.integration_url, token=secret),
        vendor.expect_call,
    )


def _webhook(vendor: hook_standin.Hook, transport: Transport) -> Rig:
    return Rig(
        "webhook",
        vendor,
        hook_standin.SIGNING_KEY,
        lambda secret: Webhook(transport, url=lambda: vendor.hook_url, secrets=[secret]),
        vendor.expect_event,
    )


Vendors = dict[str, Callable[[Transport], Rig]]


@pytest.fixture
def vendors(
    pagerduty: pagerduty_standin.PagerDuty,
    slack: slack_standin.Slack,
    jira: jira_standin.Jira,
    pagertree: pagertree_standin.PagerTree,
    hook: hook_standin.Hook,
) -> Vendors:
    """Every integration's rig, by its name, for a transport."""
    return {
        "pagerduty": lambda transport: _pagerduty(pagerduty, transport),
        "slack": lambda transport: _slack(slack, transport),
        "jira": lambda transport: _jira(jira, transport),
        "pagertree": lambda transport: _pagertree(pagertree, transport),
        "pagertree-webhook": lambda transport: _pagertree_webhook(pagertree, transport),
        "webhook": lambda transport: _webhook(hook, transport),
    }


@pytest.fixture(params=[*READING, *BY_STATUS])
def rig(request: pytest.FixtureRequest, vendors: Vendors, transport: Transport) -> Rig:
    """Each integration in turn."""
    return vendors[request.param](transport)


@pytest.fixture(params=READING)
def reading_rig(request: pytest.FixtureRequest, vendors: Vendors, transport: Transport) -> Rig:
    """Each integration that reads an answer's body, in turn."""
    return vendors[request.param](transport)


@pytest.fixture(params=[*READING, *BY_STATUS])
def impatient_rig(request: pytest.FixtureRequest, vendors: Vendors, impatient: Transport) -> Rig:
    """Each integration in turn, with a transport that does not wait."""
    return vendors[request.param](impatient)
