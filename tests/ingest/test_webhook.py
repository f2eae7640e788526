"""The webhook over HTTP: what is refused before anything is stored, and what only the store can answer."""

from __future__ import annotations

import asyncio
import base64
import gzip
import io
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from structlog.testing import capture_logs

from sevrouter import app as app_module
from sevrouter.ingest import webhook as webhook_module
from sevrouter.ingest.authentication import Credentials
from sevrouter.ingest.payload import Outline
from sevrouter.store.errors import StoreBusyError, StoreUnavailableError
from sevrouter.telemetry import logs
from tests.building import counts, select
from tests.engine.stage import PATIENCE
from tests.ingest.door import Door
from tests.real.payloads import alert, webhook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Container, Iterator

    from sevrouter.ingest.payload import Payload
    from sevrouter.store.sqlite import SqliteStore

GOOD = json.dumps(webhook([alert()])).encode()
HEAD = b"POST /webhook HTTP/1.1\r\nHost: sevrouter\r\nConnection: close\r\n"


def request(body: bytes = GOOD, *, length: int | None = None, headers: bytes = b"") -> bytes:
    """A request as it goes over the wire; its Content-Length may lie."""
    said = len(body) if length is None else length
    return HEAD + headers + b"Content-Length: %d\r\n\r\n" % said + body


def status_of(answer: bytes) -> int:
    """The status of the first answer."""
    return int(answer.split(b" ", 2)[1])


async def nothing_stored(door: Door) -> bool:
    """Whether the store is as it was."""
    return not any((await counts(door.store)).values())


async def test_what_is_stored_is_answered_with_200(door: Door) -> None:
    assert await door.post(GOOD) == 200
    assert await counts(door.store, "alerts", "incidents") == {"alerts": 1, "incidents": 1}
    assert door.stage.metric("webhooks_total", code="200") == 1


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/octet-stream", "a;;b"]
)
async def test_any_content_type_but_multipart_is_taken(door: Door, kind: str) -> None:
    assert await door.post(GOOD, **{"Content-Type": kind}) == 200
    assert await counts(door.store, "alerts") == {"alerts": 1}


async def test_no_content_type_is_taken(door: Door) -> None:
    assert status_of(await door.say(request())) == 200
    assert await counts(door.store, "alerts") == {"alerts": 1}


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "multipart/mixed", "Multipart/Form-Data"])
async def test_multipart_is_refused(door: Door, kind: str) -> None:
    assert await door.post(GOOD, **{"Content-Type": kind}) == 415
    assert await nothing_stored(door)
    assert door.stage.metric("webhooks_total", code="415") == 1


@pytest.mark.parametrize("coding", ["gzip", "identity", "deflate", "br", "zstd", "", "x, y"])
async def test_any_content_encoding_is_refused(door: Door, coding: str) -> None:
    body = gzip.compress(GOOD) if coding == "gzip" else GOOD
    assert status_of(await door.say(request(body, headers=b"Content-Encoding: %s\r\n" % coding.encode()))) == 415
    assert await nothing_stored(door)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_any_method_but_post_is_refused(door: Door, method: str) -> None:
    status, headers = await door.ask(method, body=None)
    assert (status, headers["Allow"]) == (405, "POST")
    assert door.stage.metric("webhooks_total", code="405") == 1
    assert await nothing_stored(door)


@pytest.mark.parametrize("path", ["/", "/webhooks", "/webhook/", "/api/v2/alerts", "/webhook/../etc/passwd"])
async def test_a_wrong_path_is_not_found(door: Door, path: str) -> None:
    status, _ = await door.ask(path=path, body=GOOD)
    assert status == 404
    assert await nothing_stored(door)


@pytest.fixture
async def narrow(store: SqliteStore) -> AsyncIterator[Door]:
    """A door through which little fits."""
    async with Door(store, max_body=1_000) as door:
        yield door


async def test_a_body_that_is_too_large_is_refused_before_it_is_read(narrow: Door) -> None:
    reader, writer = await narrow.dial()
    writer.write(HEAD + b"Content-Length: 300000000\r\n\r\n")
    async with asyncio.timeout(PATIENCE):
        assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
    writer.close()
    assert narrow.stage.metric("webhooks_total", code="413") == 1


async def test_a_chunked_body_that_grows_too_large_is_refused(narrow: Door) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b"x" * 100

    status, _ = await narrow.ask(body=chunks())
    assert status == 413
    assert await nothing_stored(narrow)


async def test_the_limit_is_the_last_that_fits(narrow: Door) -> None:
    body = GOOD + b" " * (1_000 - len(GOOD))
    assert len(body) == 1_000
    assert await narrow.post(body) == 200
    status, _ = await narrow.ask(body=_in_pieces(body))
    assert status == 200
    assert await narrow.post(body + b" ") == 413
    narrow.handler.max_body = 1_001
    assert await narrow.post(body + b" ") == 200


async def _in_pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 100):
        yield body[start : start + 100]


async def test_a_length_that_promises_more_than_comes_is_refused(door: Door) -> None:
    answer = await door.say(request(length=len(GOOD) + 10), then_close=True)
    assert answer == b"" or status_of(answer) == 400
    assert door.stage.metric("webhooks_total", code="400") == 1
    assert await nothing_stored(door)
    assert await door.post(GOOD) == 200, "others are unharmed"


async def test_a_length_that_promises_less_than_comes_is_closed(door: Door) -> None:
    sent = request(length=len(GOOD) - 10).replace(b"Connection: close\r\n", b"")
    assert b"400 Bad Request" in await door.say(sent)
    assert await counts(door.store, "alerts") == {"alerts": 0}
    assert await door.post(GOOD) == 200, "others are unharmed"


@pytest.mark.parametrize("length", [b"-1", b"abc", b"1, 2", b"99999999999999999999999999"])
async def test_a_length_that_is_no_number_is_refused(door: Door, length: bytes) -> None:
    answer = await door.say(HEAD + b"Content-Length: " + length + b"\r\n\r\n" + GOOD)
    assert status_of(answer) in (400, 413)
    assert await nothing_stored(door)


async def test_two_lengths_are_refused(door: Door) -> None:
    assert status_of(await door.say(request(headers=b"Content-Length: 5\r\n"))) == 400
    assert status_of(await door.say(request(headers=b"Transfer-Encoding: chunked\r\n"))) == 400
    assert await nothing_stored(door)


async def test_chunks_that_are_none_are_refused(door: Door) -> None:
    answer = await door.say(HEAD + b'Transfer-Encoding: chunked\r\n\r\n5\r\n{"a":\r\nNONSENSE\r\n')
    assert status_of(answer) == 400
    assert await nothing_stored(door)


@pytest.fixture
async def hasty(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Door]:
    """A door that waits for nobody."""
    monkeypatch.setattr(webhook_module, "SLOWEST_BODY", 0.2)
    monkeypatch.setattr(app_module, "LINGER", 0.1)
    async with Door(store) as door:
        yield door


async def test_a_body_that_dribbles_is_cut_off_and_others_are_unharmed(hasty: Door) -> None:
    sent = request(GOOD[:10], length=len(GOOD)).replace(b": close", b": keep-alive")
    slow = asyncio.create_task(hasty.say(sent))
    assert await hasty.post(GOOD) == 200
    assert status_of(await slow) == 408
    assert hasty.stage.metric("webhooks_total", code="408") == 1


async def test_a_chunk_that_turns_out_to_be_none_is_cut_off(hasty: Door) -> None:
    reader, writer = await hasty.dial()
    writer.write(HEAD + b'Transfer-Encoding: chunked\r\n\r\n5\r\n{"a":\r\n')
    assert await hasty.post(GOOD) == 200, "others are unharmed, and the first chunk was read meanwhile"
    writer.write(b"NONSENSE\r\n")
    async with asyncio.timeout(PATIENCE):
        assert status_of(await reader.read()) in {400, 408}
    writer.close()
    assert await counts(hasty.store, "alerts") == {"alerts": 1}


async def test_headers_that_dribble_are_cut_off(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_module, "IDLE_CONNECTION", 0.2)
    async with Door(store) as door:
        assert await door.say(b"POST /webhook HTTP/1.1\r\nHost: sev") == b""
        assert await door.post(GOOD) == 200


async def test_what_is_no_http_is_refused(door: Door) -> None:
    assert status_of(await door.say(b"\x16\x03\x01\x02\x00\x01\r\n\r\n")) == 400
    assert await door.post(GOOD) == 200


@pytest.fixture
def guarded(door: Door) -> Door:
    """A door with two tokens and a user."""
    door.handler.credentials = Credentials(
        bearer_tokens=(lambda: "old", lambda: "new"), basic_username="am", basic_passwords=(lambda: "pass",)
    )
    return door


@pytest.mark.parametrize("header", ["Bearer old", "Bearer new", "Basic " + base64.b64encode(b"am:pass").decode()])
async def test_who_has_a_secret_may_send(guarded: Door, header: str) -> None:
    assert await guarded.post(GOOD, Authorization=header) == 200


@pytest.mark.parametrize("header", ["", "Bearer wrong", "Basic wrong", "Bearer ÿ", "Digest x"])
async def test_who_has_none_is_refused_counted_and_alarmed(guarded: Door, header: str) -> None:
    with capture_logs() as lines:
        status, headers = await guarded.ask(body=GOOD, headers={"Authorization": header} if header else {})
    assert (status, "Bearer" in headers["WWW-Authenticate"]) == (401, True)
    assert guarded.stage.metric("webhooks_total", code="401") == 1
    (line,) = lines
    assert (line["event"], line["log_level"], line["status"]) == ("webhook_refused", "error", 401)
    assert "wrong" not in json.dumps(line).replace("authorization is wrong", "")
    assert await nothing_stored(guarded)


async def test_a_doubled_authorization_is_refused(guarded: Door) -> None:
    twice = b"Authorization: Bearer new\r\nAuthorization: Bearer new\r\n"
    assert status_of(await guarded.say(request(headers=twice))) in (400, 401)
    assert await nothing_stored(guarded)


async def test_a_secret_in_bytes_that_are_no_text_is_refused(guarded: Door) -> None:
    assert status_of(await guarded.say(request(headers=b"Authorization: Bearer \xff\xfe\r\n"))) in (400, 401)
    assert await nothing_stored(guarded)


async def test_a_refusal_that_repeats_is_said_once(guarded: Door) -> None:
    with capture_logs() as lines:
        for _ in range(3):
            await guarded.post(GOOD)
        assert await guarded.post(GOOD, Authorization="Bearer new") == 200
        await guarded.post(GOOD)
    said = [line["log_level"] for line in lines if line["event"] == "webhook_refused"]
    assert said == ["error", "debug", "debug", "error"]
    assert guarded.stage.metric("webhooks_total", code="401") == 4


async def test_while_draining_the_sender_is_asked_to_come_again(door: Door) -> None:
    door.is_draining = True
    assert await door.post(GOOD) == 503
    assert await nothing_stored(door)
    assert door.stage.metric("webhooks_total", code="503") == 1


@pytest.mark.parametrize(
    ("fault", "event"),
    [
        (StoreUnavailableError("disk full"), "webhook_refused"),
        (StoreBusyError(10_000), "webhook_refused"),
        (RuntimeError("a bug"), "webhook_not_stored"),
    ],
)
async def test_what_cannot_be_stored_is_asked_for_again(
    door: Door, monkeypatch: pytest.MonkeyPatch, fault: Exception, event: str
) -> None:
    write = door.store.write

    async def away(_work: Any, *, ahead: Any) -> Any:
        assert ahead is not None
        raise fault

    monkeypatch.setattr(door.store, "write", away)
    with capture_logs() as lines:
        assert await door.post(GOOD) == 503
    assert [line["log_level"] for line in lines if line["event"] == event] == ["error"]
    # A store that is away is no mistake of ours, and needs no traceback.
    assert any("exc_info" in line for line in lines) is isinstance(fault, RuntimeError)
    assert door.stage.metric("alerts_total", status="firing") == 0
    monkeypatch.setattr(door.store, "write", write)
    assert await door.post(GOOD) == 200
    assert await counts(door.store, "alerts", "deliveries") == {"alerts": 1, "deliveries": 2}


async def test_a_locked_database_is_a_503_and_nothing_is_lost(sqlite_store: SqliteStore) -> None:
    await sqlite_store.write(lambda tx: tx.alerts._connection.exec_driver_sql("PRAGMA busy_timeout = 20").close())
    import pysqlite3.dbapi2  # noqa: PLC0415

    other = pysqlite3.dbapi2.connect(str(sqlite_store.path), isolation_level=None)
    async with Door(sqlite_store) as door:
        other.execute("BEGIN IMMEDIATE")
        assert await door.post(GOOD) == 503
        other.execute("ROLLBACK")
        other.close()
        assert await door.post(GOOD) == 200
        assert await counts(sqlite_store, "alerts") == {"alerts": 1}


async def test_a_large_body_is_read_beside_the_loop(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []

    async def to_thread(function: Any, *arguments: Any, **named: Any) -> Any:
        threads.append(function.__name__)
        return function(*arguments, **named)

    monkeypatch.setattr("asyncio.to_thread", to_thread)
    assert await door.post(GOOD) == 200
    assert threads == []
    assert await door.post(GOOD + b" " * webhook_module.LARGE_BODY) == 200
    assert threads == ["Outline"]


@pytest.fixture
def json_lines() -> Iterator[io.StringIO]:
    """What is logged as the daemon logs it, and as it was set up before."""
    before, handlers, level = structlog.get_config(), logging.root.handlers[:], logging.root.level
    stream = io.StringIO()
    logs.set_up(stream=stream)
    # A logger that is remembered now would log to this stream for ever.
    structlog.configure(cache_logger_on_first_use=False)
    yield stream
    structlog.configure(**before)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


async def test_whatever_an_alert_holds_a_fact_is_one_line_of_json(door: Door, json_lines: io.StringIO) -> None:
    evil = 'x\n{"event":"fake","level":"info"}\r\n\x1b[31mred\x1b[0m\u2028\u2029\x85\x00\ud7ff' + "y" * 100_000
    labels = {"alertname": evil, evil: evil, "service": evil, "severity": evil}
    assert await door.post(webhook([alert(labels, {"summary": evil, "description": evil})])) == 200
    assert await door.post(b'{"version":"' + b"4\\n{}" * 1_000 + b'","alerts":[{}]}') == 200
    assert await door.post(b"{" + evil.encode()) == 200
    lines = json_lines.getvalue().splitlines()
    events = [json.loads(line)["event"] for line in lines]
    assert {"incident_opened", "webhook_version_unknown", "webhook_unreadable"} <= set(events)
    assert "fake" not in events
    assert all(line.isprintable() and len(line) < 10_000 for line in lines)


async def _chunks(body: bytes) -> AsyncIterator[bytes]:
    """A body that does not say how large it is."""
    yield body


async def test_huge_bodies_are_taken_one_at_a_time_and_small_ones_meanwhile(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, gate, begun = door.store.write, asyncio.Event(), asyncio.Event()

    async def held(work: Any, **ahead: Any) -> Any:
        begun.set()
        await gate.wait()
        return await write(work, **ahead)

    monkeypatch.setattr(webhook_module, "HUGE_BODY", len(GOOD) + 10)
    padded = GOOD + b" " * 100
    monkeypatch.setattr(door.store, "write", held)
    first = asyncio.create_task(door.post(padded))
    await begun.wait()
    monkeypatch.setattr(webhook_module, "LONGEST_TURN", 0.01)
    assert await door.post(padded) == 503
    monkeypatch.setattr(door.store, "write", write)
    for small in (GOOD, b"", _chunks(GOOD)):
        assert (await door.ask(body=small))[0] == 200
    assert (await door.ask(body=_chunks(padded)))[0] == 503
    gate.set()
    assert await first == 200
    assert await door.post(padded) == 200


async def test_what_waits_to_be_stored_is_bounded_by_its_size(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, gate = asyncio.Event(), asyncio.Event()
    write = door.store.write

    async def held(work: Any, **ahead: Any) -> Any:
        begun.set()
        await gate.wait()
        return await write(work, **ahead)

    monkeypatch.setattr(webhook_module, "MOST_HELD", 2 * len(GOOD) - 1)
    monkeypatch.setattr(door.store, "write", held)
    first = asyncio.create_task(door.post(GOOD))
    await begun.wait()
    assert await door.post(GOOD) == 503
    gate.set()
    assert await first == 200
    assert await door.post(GOOD) == 200, "what was stored does not count any more"


def counted(door: Door) -> dict[str, float]:
    """What the metrics say of alerts."""
    return {
        "firing": door.stage.metric("alerts_total", status="firing"),
        "duplicates": door.stage.metric("duplicate_alerts_total"),
        "graded": door.graded(),
        "quarantined": door.stage.metric("quarantined_bodies_total"),
    }


A, B, BAD = alert({"alertname": "A"}), alert({"alertname": "B"}), {"labels": [1, 2]}


async def test_what_comes_again_just_as_it_was_is_counted_and_not_read(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await door.post(webhook([A, B])) == 200
    before = await door.states()
    read: list[object] = []
    monkeypatch.setattr("sevrouter.ingest.payload._read_member", lambda *member: read.append(member))
    for order in ([A, B], [B, A], [B]):
        assert await door.post(webhook(order)) == 200
    assert read == []
    assert await door.states() == before
    assert counted(door) == {"firing": 7, "duplicates": 5, "graded": 7, "quarantined": 0}


async def test_repeats_come_beside_what_is_new_and_what_cannot_be_read(door: Door) -> None:
    assert await door.post(webhook([A])) == 200
    assert await door.post({"version": "4", "alerts": [A, BAD, B]}) == 200
    assert await door.labels() == [{"alertname": "A"}, {"alertname": "B"}]
    ((reason, raw),) = await door.quarantined()
    assert (json.loads(raw), bool(reason)) == (BAD, True)
    assert counted(door) == {"firing": 3, "duplicates": 1, "graded": 3, "quarantined": 1}
    assert await door.post({"version": "4", "alerts": [A, BAD, B]}) == 200
    assert counted(door) == {"firing": 5, "duplicates": 3, "graded": 5, "quarantined": 2}
    assert await counts(door.store, "alerts", "history", "quarantine") == {"alerts": 2, "history": 2, "quarantine": 1}


async def test_what_has_to_be_read_whole_after_all_is_quarantined_and_counted_once(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await door.post(webhook([A], truncatedAlerts=1)) == 200
    reads: list[bool] = []
    read = Outline.read

    def noted(outline: Outline, remembered: Container[bytes] = ()) -> Payload:
        reads.append(remembered == ())
        return read(outline, remembered)

    monkeypatch.setattr(Outline, "read", noted)
    assert await door.post({"version": "4", "alerts": [A, BAD]}) == 200
    assert reads == [False, True], "alerts were left out, so all of it is looked at"
    ((_, raw),) = await door.quarantined()
    assert json.loads(raw) == BAD
    (kept,) = await select(door.store, "SELECT times FROM quarantine")
    assert kept == {"times": 1}
    assert counted(door) == {"firing": 2, "duplicates": 1, "graded": 2, "quarantined": 1}


async def test_a_webhook_of_repeats_that_leaves_alerts_out_is_said_with_how_many_came(door: Door) -> None:
    said = []
    for _ in range(2):
        with capture_logs() as lines:
            assert await door.post(webhook([A, B], truncatedAlerts=1)) == 200
        said += [line["alerts"] for line in lines if line["event"] == "webhook_truncated"]
    assert said == [2, 2]
