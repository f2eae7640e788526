"""Buttons on Slack: by signed requests and over a connection of ours, whom we believe, and what is said back."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.signature import SignatureVerifier
from structlog.testing import capture_logs

from sevrouter.domain.escalation import begin
from sevrouter.domain.incident import IncidentState
from sevrouter.domain.ownership import Person
from sevrouter.domain.policy import Policy, Step, Target
from sevrouter.engine.acknowledging import Acknowledging
from sevrouter.ingest.slack import LARGEST_BODY, PATH, SlackCallbacks, is_signed
from sevrouter.ingest.slack_actions import SlackActions
from sevrouter.ingest.slack_socket import SlackSocket
from sevrouter.store.errors import StoreUnavailableError
from tests.ingest.door import Door
from tests.real.payloads import alert, webhook
from tests.standins.fixtures import slack
from tests.standins.slack import APP_TOKEN, SIGNING_SECRET, Message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sevrouter.store.sqlite import SqliteStore
    from tests.standins.slack import Slack

__all__ = ["slack"]

DOWN = alert({"alertname": "Down", "service": "checkout", "severity": "critical"})
PEOPLE = {"ana": Person("ana", slack="U0ANA"), "kim": Person("kim")}


class Site(Door):
    """A door that hears of buttons, and one open incident with its message."""

    def __init__(self, store: SqliteStore) -> None:
        super().__init__(store)
        self.responses: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        acknowledging = Acknowledging(
            store, lambda: self.stage.routing, clock=self.stage.clock, wake=self.stage.dispatcher.wake
        )
        self.actions = SlackActions(acknowledging, people=lambda: PEOPLE, respond=self._respond)
        self.callbacks = SlackCallbacks(self.actions, clock=self.stage.clock)
        self.callbacks.signing_secret = lambda: SIGNING_SECRET
        self.more.append(self.callbacks)
        self.message = Message(channel="C0", ts="1.1", thread_ts=None, text="", fallback="", blocks=())

    async def _respond(self, address: str, text: str) -> None:
        self.responses.put_nowait((address, text))

    @property
    def url(self) -> str:
        """Where a press comes to."""
        return f"http://127.0.0.1:{self.port}{PATH}"

    @property
    def at(self) -> float:
        """The time of the stage."""
        return self.stage.clock().timestamp()

    async def shows(self) -> None:
        """Have a message with a button for the incident."""
        key = (await self.outbox())[0].key
        text = {"type": "plain_text", "text": "A"}
        names = ("acknowledge", "resolve", "explain")
        buttons = [{"type": "button", "action_id": each, "value": key, "text": text} for each in names]
        block = {"type": "actions", "elements": buttons}
        self.message = Message(channel="C0", ts="1.1", thread_ts=None, text="", fallback="", blocks=(block,))

    async def standing(self) -> tuple[IncidentState, str | None, str | None]:
        """How the incident stands: its state, and who owns it how."""
        (incident,) = await self.stage.incidents()
        owned = incident.standing.acknowledged
        return (incident.state, None, None) if owned is None else (incident.state, owned.by, owned.how)


NOBODYS = (IncidentState.TRIGGERED, None, None)
ANAS = (IncidentState.ACKNOWLEDGED, "ana", "slack")


@pytest_asyncio.fixture
async def site(store: SqliteStore) -> AsyncIterator[Site]:
    async with Site(store) as site:
        assert await site.post(webhook([DOWN])) == 200
        await site.shows()
        yield site


async def test_who_presses_it_owns_it_by_the_name_that_we_know(site: Site, slack: Slack) -> None:
    assert await slack.press(site.message, site.url, at=site.at) == 200
    assert await site.standing() == ANAS
    # The thread shows it; who presses it afterwards is told in private.
    assert await slack.press(site.message, site.url, user="U0EVE", at=site.at) == 200
    assert await site.standing() == ANAS
    assert await asyncio.wait_for(site.responses.get(), 5) == (
        f"{slack.url}/respond/U0EVE",
        "ana owns it already (slack).",
    )
    assert site.responses.empty()


async def test_whom_we_do_not_know_is_named_as_there(site: Site, slack: Slack) -> None:
    assert await slack.press(site.message, site.url, user="U0EVE", at=site.at) == 200
    assert await site.standing() == (IncidentState.ACKNOWLEDGED, "u0eve", "slack")


async def test_what_is_over_is_said_to_be(site: Site, slack: Slack) -> None:
    await site.post(webhook([DOWN | {"status": "resolved"}]))
    site.stage.clock.forward(hours=1)
    await site.stage.watcher.settle_due()
    assert await slack.press(site.message, site.url, at=site.at) == 200
    assert (await asyncio.wait_for(site.responses.get(), 5))[1] == "It is over already."


async def test_a_press_that_somebody_kept_does_not_own_what_has_rung_again_since(site: Site, slack: Slack) -> None:
    pressed_at = site.at
    (incident,) = await site.stage.incidents()
    assert incident.id is not None
    policy = Policy(name="default", steps=(Step((Target(person="ana"),)),))

    async def rings_at(minutes: float) -> None:
        now = site.stage.clock() + timedelta(minutes=minutes)
        anew = begin(None, 1, policy, incident.sev, received_at=now, now=now)
        await site.store.write(lambda tx: tx.escalations.save([anew]))

    await rings_at(1)
    assert await slack.press(site.message, site.url, at=pressed_at) == 200
    assert await site.standing() == NOBODYS
    assert (await asyncio.wait_for(site.responses.get(), 5))[1].startswith("It has rung again since you pressed it")
    # Whoever presses it now means what rings now, also by a clock that is a little late.
    site.stage.clock.forward(minutes=1)
    assert await slack.press(site.message, site.url, at=site.at - 4) == 200
    assert await site.standing() == ANAS


async def test_who_resolves_what_still_fires_owns_it_and_is_told_so(site: Site, slack: Slack) -> None:
    assert await slack.press(site.message, site.url, at=site.at, action="resolve") == 200
    assert await site.standing() == ANAS
    assert (await asyncio.wait_for(site.responses.get(), 5))[
        1
    ] == "It still fires: ana owns it, and it is over once its alerts are."


async def test_what_fires_no_more_is_over_once_that_is_pressed(site: Site, slack: Slack) -> None:
    await site.post(webhook([DOWN | {"status": "resolved"}]))
    assert await slack.press(site.message, site.url, at=site.at, action="resolve") == 200
    assert (await site.standing())[0] is IncidentState.RESOLVED
    assert site.responses.empty()


async def test_who_asks_is_told_why_and_nothing_changes(site: Site, slack: Slack) -> None:
    (incident,) = await site.stage.incidents()
    assert await slack.press(site.message, site.url, at=site.at, action="explain") == 200
    address, text = await asyncio.wait_for(site.responses.get(), 5)
    assert address == f"{slack.url}/respond/U0ANA"
    assert f"{incident.sev} by rule" in text
    assert incident.evidence.config_hash in text
    assert await site.standing() == NOBODYS


async def test_what_an_alert_says_is_inert_where_it_is_explained(site: Site, slack: Slack) -> None:
    bad = alert({"alertname": "<!channel> & <http://evil|x>", "service": "checkout", "severity": "critical"})
    await site.post(webhook([bad]))
    key = (await site.outbox())[-1].key
    pressed = slack.pressed(site.message, action="explain")
    pressed["actions"] = [{"action_id": "explain", "value": key}]
    await site.actions.take(pressed)
    text = (await asyncio.wait_for(site.responses.get(), 5))[1]
    assert "&lt;!channel&gt; &amp; &lt;http" in text
    assert "<" not in text


@pytest.mark.parametrize("seconds", [-301, 301, -86_400])
async def test_what_was_signed_at_another_time_is_nobodys(site: Site, slack: Slack, seconds: int) -> None:
    assert await slack.press(site.message, site.url, at=site.at + seconds) == 403
    assert await site.standing() == NOBODYS


async def test_a_forged_press_changes_nothing(site: Site, slack: Slack) -> None:
    body = urlencode({"payload": json.dumps(slack.pressed(site.message))}).encode()
    stamp = str(int(site.at))
    wrong = SignatureVerifier("guessed").generate_signature(timestamp=stamp, body=body) or ""
    right = SignatureVerifier(SIGNING_SECRET).generate_signature(timestamp=stamp, body=body) or ""
    for headers in (
        {},
        {"X-Slack-Signature": right},
        {"X-Slack-Request-Timestamp": stamp},
        {"X-Slack-Signature": wrong, "X-Slack-Request-Timestamp": stamp},
        {"X-Slack-Signature": right, "X-Slack-Request-Timestamp": str(int(site.at) + 1)},
        {"X-Slack-Signature": right.removeprefix("v0="), "X-Slack-Request-Timestamp": stamp},
    ):
        assert (await site.ask(path=PATH, body=body, headers=headers))[0] == 403
    signed = {"X-Slack-Signature": right, "X-Slack-Request-Timestamp": stamp}
    assert (await site.ask(path=PATH, body=body + b"&x=1", headers=signed))[0] == 403
    assert (await site.ask("GET", PATH, headers=signed))[0] == 405
    assert await site.standing() == NOBODYS
    assert (await site.ask(path=PATH, body=body, headers=signed))[0] == 200
    assert await site.standing() == ANAS


async def test_without_a_secret_nobody_is_believed(site: Site, slack: Slack) -> None:
    site.callbacks.signing_secret = None
    assert await slack.press(site.message, site.url, at=site.at) == 403

    def unreadable() -> str:
        raise OSError("x")

    site.callbacks.signing_secret = unreadable
    assert await slack.press(site.message, site.url, at=site.at) == 503
    assert await site.standing() == NOBODYS


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"payload=%7B", 400),
        (b"payload=" + b"%5B" * 5000, 400),
        (b"payload=7", 200),
        (b"payload=%7B%7D", 200),
        (urlencode({"payload": json.dumps({"type": "view_submission"})}).encode(), 200),
        (
            urlencode({"payload": json.dumps({"type": "block_actions", "actions": [7, {"action_id": "x"}]})}).encode(),
            200,
        ),
        (b"x" * (LARGEST_BODY + 1), 413),
    ],
)
async def test_what_presses_nothing_of_ours_does_nothing(site: Site, body: bytes, status: int) -> None:
    stamp = str(int(site.at))
    signed = SignatureVerifier(SIGNING_SECRET).generate_signature(timestamp=stamp, body=body) or ""
    headers = {"X-Slack-Signature": signed, "X-Slack-Request-Timestamp": stamp}
    assert (await site.ask(path=PATH, body=body, headers=headers))[0] == status
    assert await site.standing() == NOBODYS


async def test_what_cannot_be_stored_is_said_to_who_pressed(
    site: Site, slack: Slack, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_work: object) -> None:
        raise StoreUnavailableError("disk full")

    monkeypatch.setattr(site.store, "write", away)
    assert await slack.press(site.message, site.url, at=site.at) == 503
    assert "press it again" in (await asyncio.wait_for(site.responses.get(), 5))[1]


@given(body=st.text(max_size=200).map(str.encode), stamp=st.text(max_size=15), given=st.text(max_size=80))
def test_nothing_that_was_not_signed_is_signed(body: bytes, stamp: str, given: str) -> None:
    now = time.time()
    assert not is_signed(body, stamp, given, secret=SIGNING_SECRET, now=now)
    right = SignatureVerifier(SIGNING_SECRET).generate_signature(timestamp=str(int(now)), body=body) or ""
    assert is_signed(body, str(int(now)), right, secret=SIGNING_SECRET, now=now)


# Socket Mode


@pytest_asyncio.fixture
async def socket(site: Site, slack: Slack) -> AsyncIterator[SlackSocket]:
    """A connection of ours."""
    socket = SlackSocket(site.actions, again=0.05, look_every=0.05)
    task = asyncio.create_task(socket.run())
    yield socket
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def until_answered(slack: Slack, count: int) -> None:
    """Wait until so many envelopes are answered."""
    await slack.until(lambda: len(slack.acknowledged) >= count)


async def test_a_press_is_heard_over_a_connection_of_ours(site: Site, slack: Slack, socket: SlackSocket) -> None:
    socket.use(lambda: APP_TOKEN, url=slack.base_url)
    await slack.press_by_socket(site.message)
    await until_answered(slack, 1)
    assert await site.standing() == ANAS


async def test_more_than_one_button_is_heard_there(site: Site, slack: Slack, socket: SlackSocket) -> None:
    socket.use(lambda: APP_TOKEN, url=slack.base_url)
    await slack.press_by_socket(site.message, action="explain")
    assert "by rule" in (await asyncio.wait_for(site.responses.get(), 10))[1]
    await slack.press_by_socket(site.message, action="resolve")
    await until_answered(slack, 2)
    assert await site.standing() == ANAS


async def test_a_connection_that_they_close_is_made_again(site: Site, slack: Slack, socket: SlackSocket) -> None:
    socket.use(lambda: APP_TOKEN, url=slack.base_url)
    await asyncio.wait_for(slack.connected.wait(), 10)
    await slack.drop()
    await slack.until(lambda: slack.connections == 2, within=30)
    await slack.press_by_socket(site.message)
    await until_answered(slack, 1)
    assert await site.standing() == ANAS


async def test_a_token_that_is_refused_is_said_once_and_one_that_is_rotated_is_taken(
    site: Site, slack: Slack, socket: SlackSocket
) -> None:
    token = "xapp-an-old-one"
    with capture_logs() as logs:
        socket.use(lambda: token, url=slack.base_url)
        await slack.expect_requests(3)
        assert [each["reason"] for each in logs if each["event"] == "slack_socket_failing"] == ["invalid_auth"]
        token = APP_TOKEN
        await slack.press_by_socket(site.message)
        await until_answered(slack, 1)
    assert await site.standing() == ANAS
    slack.allow_refusals(len(slack.refusals))
    assert not [each for each in logs if "xapp" in repr(each) or "secret-ticket" in repr(each)]


async def test_where_no_token_is_configured_any_more_nobody_listens(
    site: Site, slack: Slack, socket: SlackSocket
) -> None:
    socket.use(lambda: APP_TOKEN, url=slack.base_url)
    await asyncio.wait_for(slack.connected.wait(), 10)
    socket.use(None, url="")
    await slack.until(lambda: not slack.connected.is_set())
    assert await site.standing() == NOBODYS


async def test_what_is_pressed_and_cannot_be_stored_is_not_answered(
    site: Site, slack: Slack, socket: SlackSocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_work: object) -> Any:
        raise StoreUnavailableError("disk full")

    monkeypatch.setattr(site.store, "write", away)
    socket.use(lambda: APP_TOKEN, url=slack.base_url)
    await slack.press_by_socket(site.message)
    assert "press it again" in (await asyncio.wait_for(site.responses.get(), 10))[1]
    assert slack.acknowledged == []
