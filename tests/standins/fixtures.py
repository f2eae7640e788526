"""The fake vendors as fixtures. Each one fails the test at its end when something happened that nobody expected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from tests.standins.hook import AppriseTarget, Hook
from tests.standins.jira import DataCenter, Jira
from tests.standins.pagerduty import PagerDuty, PagerDutyApi
from tests.standins.pagertree import PagerTree
from tests.standins.slack import Slack
from tests.standins.twilio import Twilio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest_asyncio.fixture
async def pagerduty() -> AsyncIterator[PagerDuty]:
    """One PagerDuty account."""
    async with PagerDuty() as vendor:
        yield vendor
        vendor.assert_nothing_unexpected()


@pytest_asyncio.fixture
async def pagerduty_api(pagerduty: PagerDuty) -> AsyncIterator[PagerDutyApi]:
    """The REST API of that account."""
    async with PagerDutyApi(pagerduty) as vendor:
        yield vendor
        vendor.assert_nothing_unexpected()


@pytest_asyncio.fixture
async def pagertree() -> AsyncIterator[PagerTree]:
    """One PagerTree account."""
    async with PagerTree() as vendor:
        yield vendor
        vendor.assert_nothing_unexpected()


@pytest_asyncio.fixture
async def hook() -> AsyncIterator[Hook]:
    """One receiver of our webhook."""
    async with Hook() as vendor:
        yield vendor
        vendor.assert_nothing_unexpected()


@pytest_asyncio.fixture
async def apprise_target() -> AsyncIterator[AppriseTarget]:
    """One receiver of what Apprise sends."""
    async with AppriseTarget() as vendor:
        yield vendor
        vendor.assert_nothing_unexpected()


@pytest_asyncio.fixture
async def slack() -> AsyncIterator[Slack]:
    """One Slack workspace."""
    async with Slack() as vendor:
        yield vendor
        vendor.assert_nothing_unexpected()


@pytest_asyncio.fixture
async def jira() -> AsyncIterator[Jira]:
    """One Jira site."""
    async with Jira() as vendor:
        yield vendor
        vendor.assert_nothing_unexpected()


@pytest_asyncio.fixture
async def data_center() -> AsyncIterator[DataCenter]:
    """One Jira of one's own, where Ana can be assigned tickets."""
    async with DataCenter() as vendor:
        vendor.assignable = {"ana"}
        yield vendor
        vendor.assert_nothing_unexpected()


@pytest_asyncio.fixture
async def twilio() -> AsyncIterator[Twilio]:
    """One Twilio account, which does not make a test wait for its turn."""
    async with Twilio(every=0.0) as vendor:
        yield vendor
        vendor.assert_nothing_unexpected()
