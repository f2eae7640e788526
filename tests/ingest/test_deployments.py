"""`POST /api/v1/deployments`: what is taken, what is refused and why, and that the same again changes nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from sevrouter.domain.lenient import Unreadable
from sevrouter.ingest import body as body_module
from sevrouter.ingest.authentication import Credentials
from sevrouter.ingest.body import LARGEST_BODY
from sevrouter.ingest.deployment_reports import read_reports
from sevrouter.ingest.deployments import PATH
from sevrouter.store.errors import StoreUnavailableError
from sevrouter.store.tables import microseconds
from tests.building import counts, select
from tests.domain.building import NOW

if TYPE_CHECKING:
    from tests.ingest.door import Door

CHECKOUT = {"system": "checkout", "version": "2.14.0"}
LINK = "https://ci.example/deploys/7"


async def stored(door: Door) -> list[tuple[str, str, int, str | None]]:
    """What is kept, in the order in which it came, with its time in seconds from now."""
    rows = await select(door.store, "SELECT * FROM deployments ORDER BY id")
    now = microseconds(NOW)
    return [(row["system"], row["version"], (row["at"] - now) // 1_000_000, row["link"]) for row in rows]


async def test_a_deployment_is_stored_and_said_to_be_new(door: Door) -> None:
    status, answer = await door.report(CHECKOUT | {"link": LINK})
    assert (status, answer) == (201, CHECKOUT | {"result": "new", "time": "2026-03-01T12:00:00+00:00"})
    assert await stored(door) == [("checkout", "2.14.0", 0, LINK)]


async def test_the_same_again_is_known_and_changes_nothing(door: Door) -> None:
    await door.report(CHECKOUT)
    door.stage.clock.forward(minutes=9)
    status, answer = await door.report(CHECKOUT | {"link": LINK})
    assert (status, answer["result"], answer["time"]) == (200, "known", "2026-03-01T12:00:00+00:00")
    assert await stored(door) == [("checkout", "2.14.0", 0, None)]
    assert [door.stage.metric("deployments_total", result=name) for name in ("new", "known", "refused")] == [1, 1, 0]


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("2026-03-01T11:48:00Z", -720),
        ("2026-03-01 12:48:00.123456789+01:00", -720),
        ("2026-03-02T12:00:00Z", 86_400),
        ("2020-01-01T00:00:00-00:00", -194_529_600),
        (None, 0),
    ],
)
async def test_its_time_is_taken(door: Door, time: str | None, seconds: int) -> None:
    status, _ = await door.report(CHECKOUT | {"time": time})
    assert status == 201
    assert [each[2] for each in await stored(door)] == [seconds]


async def test_many_are_taken_at_once_and_answered_in_order(door: Door) -> None:
    await door.report(CHECKOUT)
    search = {"system": "search", "version": "9"}
    status, answer = await door.report([search, CHECKOUT, search])
    assert status == 201
    assert [(each["system"], each["result"]) for each in answer["deployments"]] == [
        ("search", "new"),
        ("checkout", "known"),
        ("search", "known"),
    ]
    assert await counts(door.store, "deployments") == {"deployments": 2}
    assert (await door.report([search, CHECKOUT]))[0] == 200


async def test_a_hundred_are_taken_and_one_more_is_refused(door: Door) -> None:
    many = [CHECKOUT | {"version": str(number)} for number in range(101)]
    assert (await door.report(many[:100]))[0] == 201
    assert (await door.report(many))[0] == 400
    assert await counts(door.store, "deployments") == {"deployments": 100}


async def test_a_system_that_nobody_knows_is_stored_with_a_warning(door: Door) -> None:
    status, answer = await door.report(CHECKOUT | {"system": "chekcout"})
    assert (status, "no system of this name" in answer["warning"]) == (201, True)
    assert [each[0] for each in await stored(door)] == ["chekcout"]


async def test_a_link_that_will_not_be_shown_is_said_to_be_so(door: Door) -> None:
    status, answer = await door.report(CHECKOUT | {"link": "http://169.254.169.254/latest"})
    assert (status, "will not be shown" in answer["warning"]) == (201, True)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"\xff", "not valid JSON"),
        (b'{"system": "\xff", "version": "1"}', "not valid JSON"),
        (b"[" * 60_000, "got `array` - at `$[0]`"),
        (7, "got `int`"),
        ([], "length >= 1"),
        ({}, "missing required field `system`"),
        ({"system": "checkout"}, "missing required field `version`"),
        (CHECKOUT | {"lnk": LINK}, "unknown field `lnk`"),
        (CHECKOUT | {"version": 2.14}, "got `float` - at `$.version`"),
        (CHECKOUT | {"version": None}, "got `null` - at `$.version`"),
        (CHECKOUT | {"version": ""}, "length >= 1 - at `$.version`"),
        (CHECKOUT | {"version": "v" * 201}, "length <= 200 - at `$.version`"),
        (CHECKOUT | {"version": " 2"}, "one line of printable text without spaces around it - at `$.version`"),
        (
            CHECKOUT | {"system": "check\u0000out"},
            "one line of printable text without spaces around it - at `$.system`",
        ),
        (
            CHECKOUT | {"system": "check\u202eout"},
            "one line of printable text without spaces around it - at `$.system`",
        ),
        (CHECKOUT | {"link": "javascript:alert(1)"}, "an http(s) address - at `$.link`"),
        (CHECKOUT | {"link": LINK + "\n"}, "printable text without spaces around it - at `$.link`"),
        (CHECKOUT | {"link": LINK + "x" * 2_000}, "length <= 2000 - at `$.link`"),
        (CHECKOUT | {"time": "yesterday"}, "as RFC 3339 writes it, 2026-01-31T09:05:00Z - at `$.time`"),
        (CHECKOUT | {"time": "2026-03-01"}, "as RFC 3339"),
        (CHECKOUT | {"time": "2026-03-01T11:48:00"}, "as RFC 3339"),
        (CHECKOUT | {"time": "2026-02-30T11:48:00Z"}, "as RFC 3339"),
        (CHECKOUT | {"time": "0001-01-01T00:00:00Z"}, "as RFC 3339"),
        (CHECKOUT | {"time": 1772366880}, "got `int` - at `$.time`"),
        (CHECKOUT | {"time": "2026-03-02T12:00:01Z"}, "not more than a day ahead - at `$.time`"),
        ([CHECKOUT, CHECKOUT | {"time": "noon"}], "at `$[1].time`"),
        ([CHECKOUT, CHECKOUT | {"verison": "1"}], "unknown field `verison` - at `$[1]`"),
        ([CHECKOUT, {"system": "checkout"}], "missing required field `version` - at `$[1]`"),
    ],
)
def test_what_cannot_be_understood_says_why(body: Any, said: str) -> None:
    with pytest.raises(Unreadable) as refused:
        read_reports(body if isinstance(body, bytes) else json.dumps(body).encode(), received_at=NOW)
    assert said in refused.value.reason


async def test_what_cannot_be_understood_is_refused_whole(door: Door) -> None:
    status, answer = await door.report([CHECKOUT, CHECKOUT | {"verison": "1"}])
    assert (status, answer) == (400, {"error": "Object contains unknown field `verison` - at `$[1]`"})
    assert await counts(door.store, "deployments") == {"deployments": 0}
    assert door.stage.metric("deployments_total", result="refused") == 1


async def test_a_sender_that_is_refused_again_and_again_is_logged_once(door: Door) -> None:
    wrong = CHECKOUT | {"x" * 5_000: "1"}
    with capture_logs() as lines:
        for body in (wrong, wrong, CHECKOUT, wrong):
            await door.report(body)
    refused = [line for line in lines if line["event"] == "deployment_refused"]
    assert [line["log_level"] for line in refused] == ["warning", "debug", "warning"]
    assert max(len(line["reason"]) for line in refused) <= 300


TOKEN = Credentials(bearer_tokens=(lambda: "secret",))


@pytest.mark.parametrize(
    ("header", "status"),
    [({}, 401), ({"Authorization": "Bearer wrong"}, 401), ({"Authorization": "Bearer secret"}, 201)],
)
async def test_who_may_send_webhooks_may_report(door: Door, header: dict[str, str], status: int) -> None:
    door.handler.credentials = TOKEN
    with capture_logs() as lines:
        answered, answer = await door.report(CHECKOUT, **header)
    assert answered == status
    assert ("error" in answer) is (status == 401)
    assert await counts(door.store, "deployments") == {"deployments": int(status == 201)}
    assert "secret" not in repr(lines)


async def test_who_is_not_let_in_is_told_how_and_asked_for_nothing_more(door: Door) -> None:
    door.handler.credentials = TOKEN
    status, headers = await door.ask(path=PATH, body=b"x" * (LARGEST_BODY + 1))
    assert (status, "Bearer" in headers["WWW-Authenticate"]) == (401, True)


async def test_only_a_post_reports(door: Door) -> None:
    status, headers = await door.ask("GET", PATH, body=None)
    assert (status, headers["Allow"]) == (405, "POST")


async def test_a_body_that_is_too_large_is_refused_whether_or_not_it_says_so(door: Door) -> None:
    largest = json.dumps(CHECKOUT).encode().ljust(LARGEST_BODY)
    assert (await door.report(largest))[0] == 201
    assert (await door.report(largest + b" "))[0] == 413

    async def dribbled() -> Any:
        yield largest
        yield b" "

    assert (await door.ask(path=PATH, body=dribbled()))[0] == 413


@pytest.mark.parametrize("headers", [{"Content-Encoding": "gzip"}, {"Content-Type": "multipart/form-data; boundary=x"}])
async def test_what_is_not_plain_json_is_refused(door: Door, headers: dict[str, str]) -> None:
    assert (await door.report(CHECKOUT, **headers))[0] == 415


async def test_a_body_that_never_ends_is_cut_off(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_module, "SLOWEST_BODY", 0.05)
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 60\r\n\r\n".encode()
    assert b" 408 " in await door.say(head + b'{"system"')


async def test_while_we_stop_nothing_is_taken(door: Door) -> None:
    door.is_draining = True
    assert (await door.report(CHECKOUT))[0] == 503


@pytest.mark.parametrize(
    ("error", "is_ours"), [(StoreUnavailableError("disk full"), False), (ZeroDivisionError("of ours"), True)]
)
async def test_what_cannot_be_stored_is_asked_for_again(
    door: Door, monkeypatch: pytest.MonkeyPatch, error: Exception, *, is_ours: bool
) -> None:
    async def away(_work: object) -> None:
        raise error

    monkeypatch.setattr(door.store, "write", away)
    with capture_logs() as lines:
        status, answer = await door.report(CHECKOUT)
    assert (status, "send it again" in answer["error"]) == (503, True)
    assert ("disk full" in answer["error"]) is not is_ours
    assert ("deployment_not_stored" in [line["event"] for line in lines]) is is_ours
    assert door.stage.metric("deployments_total", result="refused") == 1
    assert door.stage.metric("deployments_total", result="new") == 0
