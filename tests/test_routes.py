"""What a configuration is told through: each provider it can name is built, and a reload rebuilds what changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest_asyncio
import yaml

from sevrouter.config import load
from sevrouter.notifiers.apprise import Apprise
from sevrouter.notifiers.console import Console
from sevrouter.notifiers.http import Transports
from sevrouter.notifiers.jira import Jira
from sevrouter.notifiers.pagerduty import PagerDuty
from sevrouter.notifiers.pagerduty_rest import PagerDutyRest
from sevrouter.notifiers.pagertree import PagerTree
from sevrouter.notifiers.pagertree_webhook import PagerTreeWebhook
from sevrouter.notifiers.sip import Sip
from sevrouter.notifiers.slack import Slack
from sevrouter.notifiers.twilio import Twilio
from sevrouter.notifiers.webhook import Webhook
from sevrouter.routes import Routes, lanes_of, pagerduty_receivers, twilio_callers
from tests.building import MovedClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sevrouter.config import Configuration

CONFIG = Path(__file__).parents[1] / "config"
SERVICES = {
    "pagerduty": PagerDuty,
    "pagertree": PagerTree,
    "pagertree-webhook": PagerTreeWebhook,
    "webhook": Webhook,
    "apprise": Apprise,
    "console": Console,
}


@pytest_asyncio.fixture
async def routes() -> AsyncIterator[Routes]:
    """Nothing is made of anything yet."""
    transports = Transports()
    yield Routes(transports, clock=MovedClock())
    await transports.close()


def annotated(folder: Path, **changes: Any) -> Configuration:
    """The annotated example, with some of its sections replaced."""
    # To YAML 1.1, which PyYAML reads, a bare off is a boolean.
    text = (CONFIG / "sevrouter.yaml").read_text().replace(": off}", ": 'off'}")
    tree = yaml.safe_load(text) | changes
    if not (folder / "secrets.example").exists():
        (folder / "secrets.example").symlink_to(CONFIG / "secrets.example")
    path = folder / "sevrouter.yaml"
    path.write_text(yaml.safe_dump(tree))
    return load(path)


async def test_everything_that_can_be_configured_is_built(routes: Routes, tmp_path: Path) -> None:
    configuration = annotated(tmp_path)
    lanes = {name: type(route.notifier) for name, route in routes.lanes(configuration, shadow=False).items()}
    assert lanes == {**SERVICES, "slack": Slack, "jira": Jira}
    phones = routes.phones(configuration)
    assert {name: type(phone) for name, phone in phones.items()} == {"sip": Sip, "main-line": Twilio}
    sources = routes.ack_sources(configuration)
    assert {name: type(each) for name, each in sources.items()} == {"pagerduty": PagerDutyRest, "pagertree": PagerTree}
    assert list(twilio_callers(configuration.providers)) == ["main-line"]
    assert {name: len(each) for name, each in pagerduty_receivers(configuration.providers).items()} == {"pagerduty": 1}
    # A phone has no lane, and no series of one.
    assert set(lanes_of(configuration)) == set(SERVICES)


async def test_a_shadow_delivers_to_nobody_and_knows_what_it_would(routes: Routes, tmp_path: Path) -> None:
    lanes = routes.lanes(annotated(tmp_path), shadow=True)
    assert {name: route.notifier for name, route in lanes.items()} == {"call": None, "slack": None, "jira": None}


async def test_without_policies_the_one_service_is_the_call(routes: Routes, tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    (tmp_path / "key").write_text("k\n")
    path.write_text(
        "rules: [{name: all, sev: SEV-2}]\nresponses: {SEV-1: [call], SEV-2: [call]}\n"
        "integrations: {call: {type: pagerduty, routing_key_file: key}}\n"
    )
    one = load(path)
    assert {name: type(route.notifier) for name, route in routes.lanes(one, shadow=False).items()} == {
        "call": PagerDuty
    }
    assert lanes_of(one) == []


async def test_what_a_reload_does_not_change_goes_on_as_it_is(routes: Routes, tmp_path: Path) -> None:
    first = annotated(tmp_path)
    lanes, phones = routes.lanes(first, shadow=False), routes.phones(first)
    again = annotated(tmp_path, unmatched="SEV-1")
    same_lanes, same_phones = routes.lanes(again, shadow=False), routes.phones(again)
    assert all(same_phones[name] is phone for name, phone in phones.items())
    # What prints names people and teams, who may be others by now.
    assert {name for name in SERVICES if same_lanes[name] is not lanes[name]} == {"console"}
    moved = routes.phones(annotated(tmp_path, public_url="https://other.example.com"))
    assert moved["main-line"] is not phones["main-line"]
