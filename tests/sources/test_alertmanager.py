"""Alertmanager as it is asked: a value for everything that can come back, and nothing told that must not be."""

from __future__ import annotations

import json
import threading
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from sevrouter.domain.reconciliation import Answer, Unanswered
from sevrouter.domain.shown import read_all_shown
from sevrouter.domain.suppression import Silence
from sevrouter.ingest.payload import read_payload
from sevrouter.sources import alertmanager as source_module
from sevrouter.sources.alertmanager import Alertmanager as Source
from sevrouter.sources.alertmanager_answers import MOST_ALERTS, read_alerts, read_up_for
from sevrouter.sources.connection import Basic, Bearer, open_session
from tests.domain.building import NOW
from tests.real.alertmanager import RealAlertmanager, webhook_config
from tests.real.payloads import posted
from tests.real.ports import free_port
from tests.real.receiver import WebhookReceiver
from tests.standins.alertmanager import PASSWORD, TOKEN, USER, Alertmanager, member
from tests.standins.server import a_server, a_server_that_says

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator
    from pathlib import Path

A = {"alertname": "A", "service": "checkout"}


@asynccontextmanager
async def open_source(url: str, **options: Any) -> AsyncIterator[Source]:
    """One with connections of its own."""
    async with open_session() as session:
        yield Source(session, url=url, **options)


@pytest_asyncio.fixture
async def standin() -> AsyncIterator[Alertmanager]:
    """One that everybody may ask, and that must be asked correctly."""
    async with Alertmanager() as vendor:
        yield vendor
        vendor.assert_nothing_unexpected()


async def ask(url: str, **options: Any) -> Answer | Unanswered:
    """One question by a client of its own."""
    async with open_source(url, **options) as source:
        return await source.ask()


async def answered(url: str, **options: Any) -> Answer:
    answer = await ask(url, **options)
    assert isinstance(answer, Answer), answer
    return answer


async def refused(url: str, **options: Any) -> str:
    answer = await ask(url, **options)
    assert isinstance(answer, Unanswered), answer
    return answer.detail


def read(members: Any) -> Answer:
    answer = read_alerts(json.dumps(members).encode())
    assert isinstance(answer, Answer), answer
    return answer


def as_sent(labels: dict[str, Any]) -> bytes:
    """The digest of an alert of a webhook."""
    body = json.dumps({"version": "4", "alerts": [{"status": "firing", "labels": labels}]}).encode()
    (alert,) = read_payload(body, received_at=NOW).alerts
    return alert.digest


# What it answers


async def test_an_alert_there_is_the_one_that_is_sent(standin: Alertmanager) -> None:
    standin.alerts = [
        member(A, annotations={"summary": "it is down"}, generatorURL="http://prometheus:9090/graph"),
        member({"alertname": "B"}, receivers=("null",)),
    ]
    answer = await answered(standin.url, receivers=("sevrouter",))
    assert (answer.unreadable, answer.receivers) == (0, ("sevrouter",))
    shown = answer.alerts[as_sent(A)]
    alert = shown.alert(received_at=NOW)
    assert (alert.labels, alert.digest, alert.ends_at) == (A, as_sent(A), None)
    assert alert.annotations == {"summary": "it is down"}
    assert alert.generator_url == "http://prometheus:9090/graph"
    assert alert.starts_at == datetime(2026, 3, 1, 11, 59, 0, 36_000, tzinfo=UTC)
    assert shown.is_for(("sevrouter",))
    assert not answer.alerts[as_sent({"alertname": "B"})].is_for(("sevrouter",))


@pytest.mark.parametrize(
    ("status", "suppressed"),
    [
        ({"state": "active", "silencedBy": [], "inhibitedBy": []}, False),
        ({"state": "active", "silencedBy": [], "inhibitedBy": [], "mutedBy": []}, False),
        ({"state": "unprocessed", "silencedBy": [], "inhibitedBy": []}, False),
        ({"state": "suppressed", "silencedBy": ["a"], "inhibitedBy": []}, True),
        ({"state": "suppressed", "silencedBy": [], "inhibitedBy": ["b"]}, True),
        ({"state": "suppressed", "silencedBy": [], "inhibitedBy": [], "mutedBy": ["at night"]}, True),
        ({"state": "suppressed", "silencedBy": None, "inhibitedBy": ["b"]}, True),
        ({"state": "suppressed", "silencedBy": [], "inhibitedBy": []}, False),
        ({"state": "active", "silencedBy": ["a"], "inhibitedBy": []}, False),
        ({"state": "suppressed", "silencedBy": "a"}, False),
        ({"state": "of a later version"}, False),
        ({}, False),
        ("suppressed", False),
        (None, False),
    ],
)
def test_what_does_not_say_clearly_by_what_it_is_suppressed_fires(status: Any, suppressed: bool) -> None:
    assert read([member(A, status=status)]).alerts[as_sent(A)].is_suppressed is suppressed


@pytest.mark.parametrize(
    "labels",
    [
        {"alertname": "Zürich", "größe": "ß"},
        {"alertname": "Half", "odd": "\ud800"},
        {"alertname": "Number", "replica": 3, "is_it": True, "rate": 0.5},
        {"alertname": "Empty", "gone": ""},
        {"alertname": "null", "gone": None},
        {},
    ],
)
def test_odd_labels_are_read_as_a_webhook_reads_them(labels: dict[str, Any]) -> None:
    answer = read([member(labels), member(A)])
    assert set(answer.alerts) == {as_sent(labels), as_sent(A)}
    alert = answer.alerts[as_sent(labels)].alert(received_at=NOW)
    assert alert.digest == as_sent(labels)


texts = st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=8), max_size=4)


@given(st.lists(texts, max_size=6), st.booleans())
def test_whatever_the_labels_are_the_two_ways_agree(sets: list[dict[str, str]], ascii_only: bool) -> None:
    body = json.dumps([member(each) for each in sets], ensure_ascii=ascii_only).encode(errors="surrogatepass")
    if "\ud800" <= max("".join(map(str, sets)), default="") <= "\udfff" and not ascii_only:
        return
    found = read_all_shown(body)
    assert found is not None
    assert set(found[0]) == {as_sent(each) for each in sets}


@pytest.mark.parametrize(
    "broken", [None, 7, "A", [], {}, {"labels": None}, {"labels": ["A"]}, {"labels": "A"}], ids=repr
)
def test_a_member_that_cannot_be_read_is_counted_and_hides_no_other(broken: Any) -> None:
    answer = read([member(A), broken])
    assert (set(answer.alerts), answer.unreadable) == ({as_sent(A)}, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"annotations": None},
        {"annotations": ["summary"]},
        {"annotations": {"n": 1}},
        {"startsAt": 5},
        {"startsAt": "yesterday"},
        {"startsAt": None},
        {"receivers": ["sevrouter"]},
        {"receivers": 5},
        {"generatorURL": None},
        {"fingerprint": None},
    ],
    ids=str,
)
def test_what_else_is_odd_about_an_alert_does_not_hide_it(changes: dict[str, Any]) -> None:
    shown = read([member(A) | changes]).alerts[as_sent(A)]
    assert not shown.is_suppressed
    assert shown.is_for(("sevrouter",)), "who is told is not known, so it may be us"
    assert shown.alert(received_at=NOW).labels == A


def test_of_an_alert_that_is_there_twice_the_one_counts_that_fires() -> None:
    silenced = member({**A, "gone": ""}, status={"state": "suppressed", "silencedBy": ["a"]})
    for members in ([silenced, member(A)], [member(A), silenced]):
        assert not read(members).alerts[as_sent(A)].is_suppressed


def test_alerts_of_our_own_are_none_of_its_business() -> None:
    ours = {"alertname": "SevrouterCannotMeasure", "job": "sevrouter"}
    others = {"alertname": "SevrouterDown", "job": "blackbox"}
    assert set(read([member(ours), member(others)]).alerts) == {as_sent(others)}


def test_too_many_alerts_are_no_answer() -> None:
    def body(count: int) -> bytes:
        members = (f'{{"labels":{{"alertname":"A","n":"{number}"}}}}' for number in range(count))
        return f"[{','.join(members)}]".encode()

    whole = read_alerts(body(MOST_ALERTS))
    assert isinstance(whole, Answer)
    assert len(whole.alerts) == MOST_ALERTS
    assert read_alerts(body(MOST_ALERTS + 1)) == Unanswered("shows 100001 alerts, more than 100000")


@pytest.mark.parametrize(("count", "is_beside"), [(1, False), (2_000, True)])
async def test_a_large_answer_is_read_beside_everything_else(
    standin: Alertmanager, monkeypatch: pytest.MonkeyPatch, count: int, is_beside: bool
) -> None:
    threads: list[int] = []

    def noticed(*arguments: Any) -> Answer | Unanswered:
        threads.append(threading.get_ident())
        return read_alerts(*arguments)

    monkeypatch.setattr(source_module, "read_alerts", noticed)
    standin.alerts = [member({"alertname": "A", "n": str(number)}) for number in range(count)]
    assert len((await answered(standin.url)).alerts) == count
    assert (threads != [threading.get_ident()]) is is_beside


async def test_a_prefix_and_a_slash_at_its_end_belong_to_the_address() -> None:
    async with Alertmanager(prefix="/am") as vendor:
        vendor.alerts = [member(A)]
        for url in (f"{vendor.url}/am", f"{vendor.url}/am/"):
            assert len((await answered(url)).alerts) == 1
        vendor.assert_nothing_unexpected()


# What goes wrong


@pytest.mark.parametrize(
    ("status", "body", "detail"),
    [
        (500, '"Failed to get alerts"', 'answered 500: "Failed to get alerts"'),
        (503, "<html>\n<b>Bad</b> gateway", "answered 503: <html> <b>Bad</b> gateway"),
        (404, "", "answered 404"),
        (301, "", "answered 301: a redirect, which is not followed"),
        (204, "", "answered 204"),
        (200, "<html>", "its answer is no list of alerts"),
        (200, "", "its answer is no list of alerts"),
        (200, "{}", "its answer is no list of alerts"),
        (200, "null", "its answer is no list of alerts"),
        (200, '[{"labels":{}', "its answer is no list of alerts"),
        (200, "[" * 5_000, "its answer is no list of alerts"),
    ],
)
async def test_what_is_no_answer_says_why(standin: Alertmanager, status: int, body: str, detail: str) -> None:
    standin.fail_next(status, body=body, headers={"Location": "http://elsewhere.example/"} if status == 301 else {})
    assert await refused(standin.url) == detail
    assert len(standin.requests) == 1


async def test_nobody_there_a_cut_and_a_hang_say_why(standin: Alertmanager) -> None:
    assert (await refused(f"http://127.0.0.1:{free_port()}")).startswith("ClientConnectorError")
    standin.reset_before(times=3)
    assert (await refused(standin.url)).startswith("ServerDisconnectedError")
    hang = standin.hang()
    assert (await refused(standin.url, answer_within=0.05)).startswith("TimeoutError")
    hang.release()


async def test_one_that_dribbles_for_ever_is_cut_off() -> None:
    async def dribble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n[\r\n")
        await reader.read()

    async with a_server(dribble) as url:
        assert (await refused(url, answer_within=0.1)).startswith("TimeoutError")


async def test_a_body_without_an_end_is_read_up_to_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "LARGEST_ANSWER", 1024 * 1024)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n["
    async with a_server_that_says(head, endless=b" " * 65_536) as url:
        assert await refused(url) == "answered 200 with more than 1 MiB"


@pytest.mark.parametrize("credentials", [Bearer(lambda: TOKEN), Basic(USER, lambda: PASSWORD)], ids=["token", "user"])
async def test_who_asks_is_let_in_by_a_token_or_a_password(credentials: Bearer | Basic) -> None:
    async with Alertmanager(secured=True) as vendor:
        await answered(vendor.url, credentials=credentials)
        vendor.assert_nothing_unexpected()


@pytest.mark.parametrize("credentials", [Bearer(lambda: "wr0ng"), Basic(USER, lambda: "wr0ng")], ids=["token", "user"])
async def test_a_refusal_does_not_tell_the_secret_that_it_echoes(credentials: Bearer | Basic) -> None:
    async with Alertmanager(secured=True) as vendor:
        vendor.allow_refusals()
        detail = await refused(vendor.url, credentials=credentials)
    assert "answered 401" in detail
    assert "wr0ng" not in detail


async def test_a_secret_that_cannot_be_read_is_no_answer(standin: Alertmanager) -> None:
    def gone() -> str:
        raise ValueError("hunter2 in the text")

    assert await refused(standin.url, credentials=Bearer(gone)) == "the secret cannot be read: ValueError"
    assert standin.requests == []


# For how long, by whom, and what nobody is told of


async def test_for_how_long_it_runs_is_by_its_own_clock(standin: Alertmanager) -> None:
    about = json.dumps({"uptime": "2001-01-01T00:00:00.036Z"}).encode()
    up_for = read_up_for(about, "Mon, 01 Jan 2001 00:07:00 GMT", now=NOW)
    assert up_for == timedelta(minutes=7) - timedelta(milliseconds=36)
    for date in ("", "soon", "Mon, 01 Jan 2001 00:07:00"):
        assert isinstance(read_up_for(about, date, now=NOW), timedelta)
    assert isinstance(read_up_for(b"{}", "", now=NOW), Unanswered)
    assert isinstance(read_up_for(b"<html>", "", now=NOW), Unanswered)
    async with open_source(standin.url) as source:
        assert isinstance(await source.up_for(), timedelta)
        standin.fail_next(404)
        assert isinstance(await source.up_for(), Unanswered)


async def test_a_silence_says_by_whom_and_why_and_an_odd_name_of_one_leads_nowhere(standin: Alertmanager) -> None:
    number = "66fc4d0c-375c-4d53-8b46-7e717d77b87d"
    standin.silences[number] = {"createdBy": "ana", "comment": "maintenance", "endsAt": "2026-03-01T14:00:00.000Z"}
    async with open_source(standin.url) as source:
        told = await source.silences([number, "unknown", "../status", "a?b", "", "x" * 65])
    assert told == {number: Silence("ana", "maintenance", datetime(2026, 3, 1, 14, 0, tzinfo=UTC))}
    assert sorted(each.path for each in standin.requests) == [f"/api/v2/silence/{number}", "/api/v2/silence/unknown"]


def group(*members: tuple[dict[str, str], list[str] | None]) -> dict[str, Any]:
    def status(muted_by: list[str] | None) -> dict[str, Any]:
        return {"state": "active", "silencedBy": [], "inhibitedBy": []} | (
            {} if muted_by is None else {"mutedBy": muted_by}
        )

    return {
        "labels": {},
        "receiver": {"name": "sevrouter"},
        "alerts": [member(labels, status=status(muted_by)) for labels, muted_by in members],
    }


async def test_what_is_muted_by_time_is_muted_in_all_its_groups(standin: Alertmanager) -> None:
    other = {"alertname": "B"}
    standin.groups = [group((A, ["night"]), (other, ["night"])), group((A, []))]
    async with open_source(standin.url) as source:
        assert await source.muted() == {as_sent(other)}
        standin.groups = "?"
        assert await source.muted() == Unanswered("its groups cannot be read")
        standin.fail_next(500)
        assert isinstance(await source.muted(), Unanswered)


async def test_an_old_version_that_mutes_by_time_does_not_say_what(standin: Alertmanager) -> None:
    standin.groups = [group((A, None))]
    async with open_source(standin.url) as source:
        assert await source.muted() == frozenset()
        standin.configuration = "route: {receiver: a, routes: [{mute_time_intervals: [night]}]}\n".replace(
            "{mute", "{ mute"
        )
        told = await source.muted()
    assert isinstance(told, Unanswered)
    assert "before 0.28" in told.detail


# A real one


async def test_a_real_one_shows_what_it_sends_and_what_suppresses_it(alertmanager_binary: Path, tmp_path: Path) -> None:
    labels = {"alertname": "Tricky", "region": "Zürich <b>", "severity": "warning", "service": "checkout"}
    inhibits = {"source_matchers": ['alertname="Outage"'], "target_matchers": ['severity="warning"'], "equal": []}
    async with WebhookReceiver() as receiver:
        config = webhook_config(receiver.url) | {"inhibit_rules": [inhibits]}
        async with (
            RealAlertmanager(alertmanager_binary, config, directory=tmp_path) as real,
            open_source(real.url, receivers=("sevrouter",)) as source,
        ):
            await real.push([posted(labels, {"summary": "<&>"})])
            payload = await receiver.wait_for(lambda payload: payload["status"] == "firing")
            (sent,) = read_payload(json.dumps(payload).encode(), received_at=datetime.now(UTC)).alerts
            answer = await source.ask()
            assert isinstance(answer, Answer)
            shown = answer.alerts[sent.digest]
            alert = shown.alert(received_at=datetime.now(UTC))
            assert (alert.labels, alert.annotations) == (sent.labels, sent.annotations)
            # Its API tells milliseconds, its webhook nanoseconds.
            assert timedelta(0) <= sent.starts_at - alert.starts_at < timedelta(milliseconds=1)
            assert (shown.is_suppressed, shown.is_for(("sevrouter",)), shown.is_for(("b",))) == (False, True, False)
            number = await real.silence("alertname=Tricky")
            answer = await source.ask()
            assert isinstance(answer, Answer)
            assert answer.alerts[sent.digest].status.silenced_by == (number,)
            silence = (await source.silences([number]))[number]
            assert (silence.created_by, silence.comment) == ("ana", "maintenance")
            await real.amtool("silence", "expire", number)
            await real.push([posted({"alertname": "Outage"})])
            answer = await source.ask()
            assert isinstance(answer, Answer)
            assert answer.alerts[sent.digest].is_suppressed
            (outage,) = answer.alerts[sent.digest].status.inhibited_by or ()
            assert outage in {each.fingerprint for each in answer.alerts.values() if each.name() == "Outage"}
            up_for = await source.up_for()
            assert isinstance(up_for, timedelta)
            # It says the time of day to the second.
            assert timedelta(seconds=-1) <= up_for < timedelta(minutes=2)
            assert await source.muted() == frozenset()


async def test_a_real_one_of_an_old_version_does_not_say_what_it_mutes_by_time(
    alertmanager_binary: Path, tmp_path: Path
) -> None:
    config = webhook_config(f"http://127.0.0.1:{free_port()}/")
    config["route"]["routes"] = [{"matchers": ['severity="info"'], "mute_time_intervals": ["always"]}]
    config["time_intervals"] = [
        {"name": "always", "time_intervals": [{"times": [{"start_time": "00:00", "end_time": "24:00"}]}]}
    ]
    async with (
        RealAlertmanager(alertmanager_binary, config, directory=tmp_path) as real,
        open_source(real.url) as source,
    ):
        await real.push([posted({"alertname": "A", "severity": "info"})])
        answer = await source.ask()
        muted = await source.muted()
    assert isinstance(answer, Answer)
    assert [each.is_suppressed for each in answer.alerts.values()] == [False]
    # From 0.28 on it says so; either way nobody takes it for one that was missed.
    assert isinstance(muted, Unanswered) or set(muted) == set(answer.alerts)
