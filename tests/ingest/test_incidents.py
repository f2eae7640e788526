"""`POST /api/v1/incidents/{id}/acknowledge` and `/resolve`: who is let in, what is done, what is answered."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from sevrouter.domain.incident import IncidentState
from sevrouter.ingest.authentication import Credentials
from sevrouter.ingest.incidents import LARGEST_BODY
from sevrouter.store.errors import StoreUnavailableError
from tests.real.payloads import alert, webhook

if TYPE_CHECKING:
    from tests.ingest.door import Door

TOKEN = "a-token-of-the-tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
BASIC = {"Authorization": "Basic " + base64.b64encode(b"ops:a-password").decode()}
DOWN = alert({"alertname": "Down", "service": "checkout", "severity": "critical"})


@pytest.fixture
async def open_door(door: Door) -> Door:
    """A door with credentials, and one open incident."""
    door.incidents.credentials = Credentials(
        bearer_tokens=(lambda: TOKEN,), basic_username="ops", basic_passwords=(lambda: "a-password",)
    )
    assert await door.post(webhook([DOWN])) == 200
    return door


async def state(door: Door) -> IncidentState:
    (incident,) = await door.stage.incidents()
    return incident.state


async def told(door: Door) -> list[str]:
    """What waits to be told on Slack."""
    waiting = await door.store.read(lambda tx: tx.outbox.siblings("slack", [1]))
    return [each.kind.value for each in waiting[1]]


async def test_who_owns_it_is_stored_and_told(open_door: Door) -> None:
    status, answer = await open_door.own("1/acknowledge", {"by": "ana"}, **BEARER)
    assert (status, answer) == (200, {"incident": 1, "state": "acknowledged", "by": "ana", "how": "api"})
    assert await state(open_door) is IncidentState.ACKNOWLEDGED
    assert await told(open_door) == ["opened", "acknowledged"]


async def test_the_second_hears_who_owns_it(open_door: Door) -> None:
    await open_door.own("1/acknowledge", {"by": "ana"}, **BEARER)
    status, answer = await open_door.own("1/acknowledge", {"by": "ben"}, **BEARER)
    assert (status, answer["by"]) == (200, "ana")
    assert len(await told(open_door)) == 2


@pytest.mark.parametrize(
    ("body", "headers", "by"),
    [(b"", BASIC, "ops"), (b"", BEARER, "api"), ({}, BASIC, "ops"), ({"by": " ana "}, BASIC, "ana")],
)
async def test_who_says_nothing_of_himself_is_who_has_logged_in(
    open_door: Door, body: object, headers: dict[str, str], by: str
) -> None:
    assert (await open_door.own("1/acknowledge", body, **headers))[1]["by"] == by


async def test_an_incident_is_known_by_its_key(open_door: Door) -> None:
    notice = (await open_door.outbox())[0]
    assert (await open_door.own(f"{notice.key}/acknowledge", **BEARER))[1]["incident"] == 1
    assert (await open_door.own(f"{notice.key}x/acknowledge", **BEARER))[0] == 404


async def test_what_is_over_is_over_and_what_fires_is_not(open_door: Door) -> None:
    status, answer = await open_door.own("1/resolve", {"by": "ana"}, **BEARER)
    assert (status, answer["state"], answer["error"]) == (
        409,
        "acknowledged",
        "it still fires: it is over once its alerts are",
    )
    assert await open_door.post(webhook([DOWN | {"status": "resolved"}])) == 200
    open_door.stage.clock.forward(hours=1)
    await open_door.stage.watcher.settle_due()
    for wish in ("acknowledge", "resolve"):
        status, answer = await open_door.own(f"1/{wish}", **BEARER)
        assert (status, answer["state"], answer["error"]) == (409, "resolved", "it is over already")


@pytest.mark.parametrize("incident", ["2", "0", "9" * 30, "x", "%00", "-1"])
async def test_what_is_unknown_is_said_to_be(open_door: Door, incident: str) -> None:
    status, answer = await open_door.own(f"{incident}/acknowledge", **BEARER)
    assert (status, answer) == (404, {"error": "there is no such incident"})


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "authorization is missing"),
        ({"Authorization": "Bearer wrong"}, "authorization is wrong"),
        ({"Authorization": "Basic b3BzOg=="}, "authorization is wrong"),
        ({"Authorization": "Digest x"}, "authorization is of_another_kind"),
    ],
)
async def test_who_cannot_say_who_he_is_changes_nothing(open_door: Door, headers: dict[str, str], reason: str) -> None:
    assert await open_door.own("1/acknowledge", **headers) == (401, {"error": reason})
    assert await state(open_door) is IncidentState.TRIGGERED


async def test_without_credentials_nobody_is_let_in(open_door: Door) -> None:
    open_door.incidents.credentials = Credentials()
    status, answer = await open_door.own("1/acknowledge", **BEARER)
    assert (status, "neither api.auth nor webhook.auth" in answer["error"]) == (403, True)
    assert await state(open_door) is IncidentState.TRIGGERED


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[" * 2000, 400),
        ([], 400),
        ({"by": "ana", "sev": "SEV-5"}, 400),
        ({"by": 1}, 400),
        ({"by": " "}, 400),
        ({"by": "a\nb"}, 400),
        ({"by": "\x1b[31mred"}, 400),
        ({"by": "x" * 101}, 400),
        (b" " * (LARGEST_BODY + 1), 413),
    ],
)
async def test_what_cannot_be_understood_changes_nothing(open_door: Door, body: Any, status: int) -> None:
    assert (await open_door.own("1/acknowledge", body, **BEARER))[0] == status
    assert await state(open_door) is IncidentState.TRIGGERED


async def test_only_a_post_says_anything(open_door: Door) -> None:
    status, headers = await open_door.ask("GET", "/api/v1/incidents/1/acknowledge", headers=BEARER)
    assert (status, headers["Allow"]) == (405, "POST")
    assert (await open_door.ask("POST", "/api/v1/incidents/1/delete", headers=BEARER))[0] == 404


async def test_who_is_shutting_down_does_not_take_it(open_door: Door) -> None:
    open_door.is_draining = True
    assert (await open_door.own("1/acknowledge", **BEARER))[0] == 503


async def test_where_the_store_is_away_it_is_to_be_said_again(open_door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(_work: object) -> None:
        raise StoreUnavailableError("disk full")

    monkeypatch.setattr(open_door.store, "write", away)
    status, answer = await open_door.own("1/acknowledge", **BEARER)
    assert (status, "send it again" in answer["error"]) == (503, True)
