"""`POST /callbacks/pagerduty/{name}`: whom it believes, what is done, and that the same again is harmless."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sevrouter.domain.incident import IncidentState
from sevrouter.engine.acknowledging import Acknowledging
from sevrouter.ingest.pagerduty import LARGEST_BODY, PagerDutyCallbacks, is_signed
from sevrouter.store.errors import StoreUnavailableError
from tests.ingest.door import Door
from tests.real.payloads import alert, webhook
from tests.standins.pagerduty import signature
from tests.standins.pagerduty import webhook as their_webhook

if TYPE_CHECKING:
    from sevrouter.store.sqlite import SqliteStore

SECRET, OLD = "a-secret-of-the-tests", "the-one-before"
PATH = "/callbacks/pagerduty/main"
DOWN = alert({"alertname": "Down", "service": "checkout", "severity": "critical"})


class Site(Door):
    """A door with their callbacks, and one open incident."""

    def __init__(self, store: SqliteStore) -> None:
        super().__init__(store)
        acknowledging = Acknowledging(
            store, lambda: self.stage.routing, clock=self.stage.clock, wake=self.stage.dispatcher.wake
        )
        self.callbacks = PagerDutyCallbacks(acknowledging, receivers={"main": [lambda: OLD, lambda: SECRET]})
        self.more.append(self.callbacks)
        self.key = ""

    async def say(  # type: ignore[override]
        self, event: object = "incident.acknowledged", *, key: str | None = None, by: str | None = "Ana Example",
        signed: str | None = None, path: str = PATH,
    ) -> int:  # fmt: skip
        """Send a webhook of theirs; anything but the type of an event as it is."""
        body = their_webhook(event, key or self.key, by, at=self.stage.clock()) if isinstance(event, str) else event
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"X-PagerDuty-Signature": signature(sent, SECRET) if signed is None else signed}
        return (await self.ask(path=path, body=sent, headers=headers))[0]

    async def standing(self) -> tuple[IncidentState, str | None, str | None]:
        """How the incident stands: its state, and who owns it how."""
        (incident,) = await self.stage.incidents()
        owned = incident.standing.acknowledged
        return (incident.state, None, None) if owned is None else (incident.state, owned.by, owned.how)


@pytest.fixture
async def site(store: SqliteStore) -> Any:
    async with Site(store) as site:
        assert await site.post(webhook([DOWN])) == 200
        site.key = (await site.outbox())[0].key
        yield site


NOBODYS = (IncidentState.TRIGGERED, None, None)
ANAS = (IncidentState.ACKNOWLEDGED, "Ana Example", "main")


async def test_who_acknowledged_it_there_owns_it_here(site: Site) -> None:
    assert await site.say() == 200
    assert await site.standing() == ANAS


async def test_the_alert_that_rang_again_is_the_same_incident(site: Site) -> None:
    assert await site.say(key=f"{site.key}/1764198000000000") == 200
    assert await site.standing() == ANAS


async def test_the_same_again_and_what_comes_late_is_harmless(site: Site) -> None:
    for _ in range(2):
        assert await site.say() == 200
    assert await site.say(by="Ben Example") == 200
    assert await site.standing() == ANAS
    await site.post(webhook([DOWN | {"status": "resolved"}]))
    site.stage.clock.forward(hours=1)
    await site.stage.watcher.settle_due()
    assert await site.say() == 200
    assert (await site.standing())[0] is IncidentState.RESOLVED


async def test_what_an_integration_does_is_not_what_a_person_says(site: Site) -> None:
    # Our own resolve of an alert in whose place another one rings comes back to us, too.
    for event in ("incident.acknowledged", "incident.resolved"):
        echo = their_webhook(event, site.key, "sevrouter", at=site.stage.clock())
        echo["event"]["agent"]["type"] = "inbound_integration_reference"  # type: ignore[index]
        assert await site.say(echo) == 200
    assert await site.say(by=None) == 200
    assert await site.standing() == NOBODYS


async def test_who_resolved_there_what_still_fires_owns_it(site: Site) -> None:
    assert await site.say("incident.resolved") == 200
    assert await site.standing() == ANAS


@pytest.mark.parametrize(
    "event", ["incident.triggered", "incident.escalated", "incident.unacknowledged", "pagey.ping", "incident.annotated"]
)
async def test_other_events_are_taken_and_say_nothing(site: Site, event: str) -> None:
    assert await site.say(event) == 200
    assert await site.standing() == NOBODYS


@pytest.mark.parametrize("key", ["d3640fbd41094207a1c11e58e46b1662", "sevrouter-x-1", "sevrouter--1", "/", " "])
async def test_incidents_that_are_not_ours_are_none(site: Site, key: str) -> None:
    assert await site.say(key=key) == 200
    assert await site.standing() == NOBODYS


@pytest.mark.parametrize(
    "signed",
    [
        "", "v1=", "v1=00", signature(b"another body", SECRET), "v1=" + "é" * 64,
        ",".join(["v1=00"] * 50), "v2=" + signature(b"", SECRET).removeprefix("v1="),
    ],
)  # fmt: skip
async def test_who_cannot_sign_it_is_nobody(site: Site, signed: str) -> None:
    headers = signed.encode("utf-8", "surrogateescape").decode("latin-1")
    assert await site.say(signed=headers) == 403
    assert await site.standing() == NOBODYS


async def test_a_forged_press_changes_nothing_whoever_it_names(site: Site) -> None:
    body = their_webhook("incident.acknowledged", site.key, "Eve", at=site.stage.clock())
    assert await site.say(body, signed=signature(json.dumps(body).encode(), "guessed")) == 403
    assert await site.say(body, path="/callbacks/pagerduty/other") == 403
    assert (await site.ask(path=PATH, body=json.dumps(body).encode()))[0] == 403
    assert (await site.ask("GET", PATH))[0] == 405
    assert await site.standing() == NOBODYS


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 200), (b"[]", 200), ({"event": 7}, 200), (b"[" * 5000, 200), (b" " * (LARGEST_BODY + 1), 413)],
)
async def test_what_they_signed_and_nobody_understands_is_taken_and_says_nothing(
    site: Site, body: object, status: int
) -> None:
    # Who refuses three of their webhooks in a row is sent no more for a day.
    assert await site.say(body) == status
    assert await site.standing() == NOBODYS


@pytest.mark.parametrize(
    "event", [{}, {"data": 7}, {"event_type": "incident.acknowledged", "data": {"incident_key": 7}}]
)
async def test_what_says_nothing_does_nothing(site: Site, event: object) -> None:
    assert await site.say({"event": event}) == 200
    assert await site.standing() == NOBODYS


async def test_a_secret_that_is_rotated_is_good_as_long_as_it_is_there(site: Site) -> None:
    body = json.dumps(their_webhook("incident.acknowledged", site.key, "Ana Example", at=site.stage.clock())).encode()
    assert await site.say(body, signed=signature(body, "a-new-one")) == 403
    assert await site.say(body, signed=signature(body, "a-new-one", OLD)) == 200


async def test_a_secret_that_cannot_be_read_lets_nobody_in(site: Site) -> None:
    def unreadable() -> str:
        raise OSError("x")

    site.callbacks.receivers = {"main": [unreadable]}
    assert await site.say() == 503
    site.callbacks.receivers = {"main": [lambda: ""]}
    assert await site.say(signed=signature(b"", "")) == 403


async def test_where_the_store_is_away_they_are_to_say_it_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(_work: object) -> None:
        raise StoreUnavailableError("disk full")

    monkeypatch.setattr(site.store, "write", away)
    assert await site.say() == 503


@given(body=st.binary(max_size=200), header=st.text(max_size=100), secret=st.text(min_size=1, max_size=20))
def test_nothing_that_was_not_signed_is_signed(body: bytes, header: str, secret: str) -> None:
    assert not is_signed(body, header, [secret])
    assert is_signed(body, signature(body, "x", secret), ["y", secret])
