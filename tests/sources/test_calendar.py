"""A calendar in a file or at an address: what was read well counts until something else is, whatever goes wrong."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from sevrouter.engine.calendar_ports import Reading, Unread
from sevrouter.sources.calendar import AHEAD, BEHIND, LOOKED_AGAIN, TRIED_AGAIN, Calendar
from sevrouter.sources.calendar_origins import LARGEST, CalendarFile, CalendarUrl
from sevrouter.sources.calendar_process import Expander, Failed, Request
from sevrouter.sources.connection import open_session
from tests.real.ports import free_port
from tests.sources.calendars import GOOGLE, ics
from tests.standins.calendar import SECRET, CalendarServer
from tests.standins.server import a_server_that_says

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, MutableMapping

    from sevrouter.sources.calendar_events import Expanded

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
ANA = ics("SUMMARY:ana\nDTSTART:20260101T000000Z\nDTEND:20270101T000000Z")
BEN = ANA.replace("SUMMARY:ana", "SUMMARY:ben")
# No day is the 30th of February, and to find out that none is takes for ever.
ENDLESS = ics("SUMMARY:ana\nDTSTART:20260101T000000Z\nRRULE:FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30")

Logs = list["MutableMapping[str, Any]"]


class CountingExpander(Expander):
    """Says how often it was asked."""

    def __init__(self, *, within: float = 30.0) -> None:
        super().__init__(within=within)
        self.asked = 0

    async def expand(self, request: Request) -> Expanded | Failed:
        self.asked += 1
        return await super().expand(request)


@pytest_asyncio.fixture
async def server() -> AsyncIterator[CalendarServer]:
    """A server that says that ana is on call, and that must be asked correctly."""
    async with CalendarServer(ANA) as standin:
        yield standin
        assert standin.refusals == []


@pytest.fixture
def logs() -> Iterator[Logs]:
    """Every log event of the test."""
    with capture_logs() as captured:
        yield captured


@asynccontextmanager
async def open_calendar(
    url: str, copies: Path | None = None, expander: Expander | None = None, **options: Any
) -> AsyncIterator[Calendar]:
    """A calendar at an address, with connections of its own: as after a restart."""
    async with open_session() as session:
        origin = CalendarUrl(session, lambda: url, copies=copies, every=timedelta(minutes=5), **options)
        yield Calendar(origin, expander or Expander())


def title(reading: Reading | Unread) -> str | None:
    """Who is on call, as long as it is one event; None where it is unknown."""
    return None if isinstance(reading, Unread) else ",".join(each.title for each in reading.events)


def trouble(reading: Reading | Unread) -> str:
    return reading.problem if isinstance(reading, Unread) else reading.trouble or ""


# An address


async def test_an_address_says_what_is_on_around_now(server: CalendarServer) -> None:
    server.text = GOOGLE
    async with open_calendar(server.url) as calendar:
        reading = await calendar.read(NOW)
    assert isinstance(reading, Reading)
    assert (reading.starts, reading.ends, reading.as_of) == (NOW - BEHIND, NOW + AHEAD, NOW)
    assert (reading.trouble, reading.notes) == (None, ())
    assert reading.events[0].title in {"Ana", "Ben"}


async def test_what_has_not_changed_is_not_sent_nor_expanded_again(server: CalendarServer, tmp_path: Path) -> None:
    expander = CountingExpander()
    async with open_calendar(server.url, tmp_path / "copies", expander) as calendar:
        first, second = await calendar.read(NOW), await calendar.read(NOW + timedelta(minutes=5))
    assert server.answered == [200, 304]
    assert isinstance(first, Reading)
    assert isinstance(second, Reading)
    assert (second.as_of, second.events is first.events, expander.asked) == (NOW + timedelta(minutes=5), True, 1)
    async with open_calendar(server.url, tmp_path / "copies") as restarted:
        assert title(await restarted.read(NOW)) == "ana"
    assert server.answered == [200, 304, 304]


async def test_what_has_changed_counts_at_once(server: CalendarServer) -> None:
    async with open_calendar(server.url) as calendar:
        assert title(await calendar.read(NOW)) == "ana"
        server.text = BEN
        assert title(await calendar.read(NOW)) == "ben"


async def test_days_pass_and_what_is_unchanged_is_looked_at_around_the_new_ones(server: CalendarServer) -> None:
    async with open_calendar(server.url) as calendar:
        await calendar.read(NOW)
        later = await calendar.read(NOW + LOOKED_AGAIN)
    assert isinstance(later, Reading)
    assert (later.ends, server.answered) == (NOW + LOOKED_AGAIN + AHEAD, [200, 304])


FAILURES: dict[str, tuple[str, str]] = {
    "500": ("answered 500", "fail"),
    "gone": ("answered 404", "fail"),
    "html": ("is no iCalendar", "fail"),
    "huge": ("more than 10 MiB", "never_end"),
    "silent": ("no answer in time", "hang"),
    "down": ("no answer: ClientConnectorError", "go_down"),
}


async def go_wrong(server: CalendarServer, failure: str) -> None:
    match failure:
        case "500":
            server.fail(500, SECRET)
        case "gone":
            server.fail(404)
        case "html":
            server.fail(200, f"<html>Sign in to see {SECRET}</html>")
        case "huge":
            server.never_end()
        case "silent":
            server.hang()
        case _:
            await server.go_down()


@pytest.mark.parametrize("failure", FAILURES)
async def test_what_it_said_last_counts_while_it_is_away_also_after_a_restart(
    server: CalendarServer, tmp_path: Path, failure: str
) -> None:
    copies = tmp_path / "state" / "calendars"
    async with open_calendar(server.url, copies, answer_within=2) as calendar:
        assert title(await calendar.read(NOW)) == "ana"
        await go_wrong(server, failure)
        reading = await calendar.read(NOW + timedelta(minutes=5))
    async with open_calendar(server.url, copies, answer_within=2) as restarted:
        again = await restarted.read(NOW + timedelta(days=9))
        recalled = await restarted.recall(NOW + timedelta(days=9))
    for each in (reading, again):
        assert isinstance(each, Reading)
        assert (title(each), each.as_of) == ("ana", NOW)
        assert FAILURES[failure][0] in trouble(each)
    assert (title(recalled), trouble(recalled)) == ("ana", "")
    server.misbehave = None
    if failure == "down":
        await server.come_back()
    async with open_calendar(server.url, copies) as calendar:
        assert trouble(await calendar.read(NOW)) == ""


@pytest.mark.parametrize("failure", FAILURES)
async def test_without_a_copy_it_is_unread_and_nothing_tells_the_address(
    server: CalendarServer, tmp_path: Path, failure: str, logs: Logs
) -> None:
    await go_wrong(server, failure)
    async with open_calendar(server.url, tmp_path, answer_within=2) as calendar:
        assert await calendar.recall(NOW) == Unread("it was never read")
        reading = await calendar.read(NOW)
    assert isinstance(reading, Unread)
    assert FAILURES[failure][0] in reading.problem
    assert SECRET not in f"{reading} {logs}"
    assert "127.0.0.1" not in f"{reading} {logs}"


async def test_what_is_no_calendar_is_asked_for_again_and_never_becomes_the_copy(
    server: CalendarServer, tmp_path: Path
) -> None:
    async with open_calendar(server.url, tmp_path) as calendar:
        await calendar.read(NOW)
        server.text = "<html>Sign in</html>"
        assert title(await calendar.read(NOW)) == "ana"
        assert title(await calendar.read(NOW)) == "ana"
        server.text = ANA
        assert trouble(await calendar.read(NOW)) == ""
    assert server.answered == [200, 200, 200, 304]


async def test_a_body_that_trickles_is_cut_off() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/calendar\r\nContent-Length: 1000\r\n\r\nBEGIN:VCALENDAR"
    async with a_server_that_says(head) as url, open_calendar(url, answer_within=1) as calendar:
        assert trouble(await calendar.read(NOW))


async def test_an_address_is_asked_anew_when_it_is_rotated(server: CalendarServer, tmp_path: Path) -> None:
    addresses = [f"http://127.0.0.1:{free_port()}/old.ics", server.url]
    async with open_session() as session:
        origin = CalendarUrl(session, lambda: addresses[0], copies=tmp_path, every=timedelta(minutes=5))
        calendar = Calendar(origin, Expander())
        assert isinstance(await calendar.read(NOW), Unread)
        addresses.pop(0)
        assert title(await calendar.read(NOW)) == "ana"


@pytest.mark.parametrize("error", [OSError("no such file hunter2"), ValueError("hunter2")])
async def test_an_address_that_cannot_be_read_is_said_without_its_words(error: Exception) -> None:
    def address() -> str:
        raise error

    async with open_session() as session:
        calendar = Calendar(CalendarUrl(session, address, copies=None, every=timedelta(minutes=5)), Expander())
        reading = await calendar.read(NOW)
    assert reading == Unread(f"the address cannot be read: {type(error).__name__}")


# The copy


async def test_a_copy_is_for_our_eyes_only_and_its_name_tells_nothing(server: CalendarServer, tmp_path: Path) -> None:
    async with open_calendar(server.url, tmp_path / "calendars") as calendar:
        await calendar.read(NOW)
    (copy,) = (tmp_path / "calendars").iterdir()
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert stat.S_IMODE(copy.parent.stat().st_mode) == 0o700
    assert SECRET not in f"{copy.name} {copy.read_text()}"


async def test_a_copy_says_when_it_was_last_confirmed(server: CalendarServer, tmp_path: Path) -> None:
    async with open_calendar(server.url, tmp_path) as calendar:
        await calendar.read(NOW)
        await calendar.read(NOW + timedelta(hours=2))
    async with open_calendar(server.url, tmp_path) as restarted:
        recalled = await restarted.recall(NOW + timedelta(hours=3))
    assert isinstance(recalled, Reading)
    assert recalled.as_of == NOW + timedelta(hours=2)


def spoil(directory: Path, content: bytes | None) -> None:
    """Put this in place of the copy; None is a directory."""
    (copy,) = directory.iterdir()
    copy.unlink()
    if content is None:
        copy.mkdir()
    else:
        copy.write_bytes(content)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"text": 1, "at": 2}', b"\xff\xfe", None])
async def test_a_copy_that_cannot_be_read_is_none(
    server: CalendarServer, tmp_path: Path, content: bytes | None
) -> None:
    async with open_calendar(server.url, tmp_path) as calendar:
        await calendar.read(NOW)
    spoil(tmp_path, content)
    async with open_calendar(server.url, tmp_path) as restarted:
        assert title(await restarted.read(NOW)) == "ana"
    assert server.answered == [200, 200]


async def test_a_copy_that_cannot_be_kept_is_said_once_and_is_no_reason_not_to_read(
    server: CalendarServer, tmp_path: Path, logs: Logs
) -> None:
    (tmp_path / "calendars").write_text("a file in the way")
    async with open_calendar(server.url, tmp_path / "calendars") as calendar:
        assert title(await calendar.read(NOW)) == "ana"
        assert title(await calendar.read(NOW)) == "ana"
    assert [each["event"] for each in logs] == ["calendar_not_kept"]
    assert SECRET not in str(logs)


async def test_whoever_only_looks_keeps_nothing(server: CalendarServer, tmp_path: Path) -> None:
    async with open_calendar(server.url, tmp_path / "calendars", keeps=False) as calendar:
        assert title(await calendar.read(NOW)) == "ana"
    assert not (tmp_path / "calendars").exists()


# A file


async def test_a_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    file, expander = tmp_path / "rota.ics", CountingExpander()
    file.write_text(ANA)
    calendar = Calendar(CalendarFile(file), expander)
    assert title(await calendar.recall(NOW)) == "ana"
    assert title(await calendar.read(NOW)) == "ana"
    file.write_bytes(b"\xef\xbb\xbf" + BEN.encode())
    assert title(await calendar.read(NOW)) == "ben"
    assert expander.asked == 2


@pytest.mark.parametrize("content", ["<html>", "", GOOGLE[:500], None])
async def test_a_file_that_is_broken_while_we_run_changes_nothing_and_after_a_restart_is_unread(
    tmp_path: Path, content: str | None
) -> None:
    file, expander = tmp_path / "rota.ics", CountingExpander()
    file.write_text(ANA)
    calendar = Calendar(CalendarFile(file), expander)
    await calendar.read(NOW)
    file.unlink()
    if content is not None:
        file.write_text(content)
    for later in (timedelta(0), timedelta(seconds=5), LOOKED_AGAIN * 2):
        reading = await calendar.read(NOW + later)
        assert title(reading) == "ana"
        assert trouble(reading)
    assert isinstance(await Calendar(CalendarFile(file), expander).read(NOW), Unread)
    file.write_text(BEN)
    assert (title(await calendar.read(NOW)), trouble(await calendar.read(NOW))) == ("ben", "")


async def test_what_is_no_file_or_too_large_is_said(tmp_path: Path) -> None:
    pipe, large = tmp_path / "pipe", tmp_path / "large"
    os.mkfifo(pipe)
    with large.open("wb") as file:
        file.truncate(LARGEST + 1)
    for path, said in ((pipe, "it is no file"), (large, "larger than 10 MiB"), (tmp_path / "none", "No such file"),
                       (tmp_path / "\0", "not a file name"), (tmp_path, "it is no file")):  # fmt: skip
        reading = await Calendar(CalendarFile(path), Expander()).read(NOW)
        assert isinstance(reading, Unread)
        assert said in reading.problem


# The process that expands


async def test_what_never_ends_is_ended_and_not_tried_again_at_once(tmp_path: Path) -> None:
    file, expander = tmp_path / "rota.ics", CountingExpander(within=1.5)
    file.write_text(ENDLESS)
    calendar = Calendar(CalendarFile(file), expander)
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.01)
            turns += 1

    turning = asyncio.create_task(turn())
    reading = await calendar.read(NOW)
    turning.cancel()
    assert reading == Unread("takes longer than 1.5 s to expand")
    assert turns > 20
    assert await calendar.read(NOW + timedelta(minutes=1)) == reading
    assert expander.asked == 1
    file.write_text(ANA)
    assert title(await calendar.read(NOW)) == "ana"
    file.write_text(ENDLESS)
    assert trouble(await calendar.read(NOW + TRIED_AGAIN))
    assert expander.asked == 3


def processes() -> list[str]:
    """The processes that this one has started and that have not ended."""
    return [each for task in Path("/proc/self/task").iterdir() for each in (task / "children").read_text().split()]


async def test_a_process_is_ended_with_whoever_waits_for_it() -> None:
    before = processes()
    waiting = asyncio.create_task(Expander().expand(Request(ENDLESS, NOW, NOW + timedelta(days=1), None)))
    while processes() == before:  # noqa: ASYNC110  nobody else says that it has started
        await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert processes() == before


async def test_no_process_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    request = Request(ANA, NOW, NOW + timedelta(days=1), None)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert await Expander().expand(request) == Failed("no process to expand it: No such file or directory")
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert await Expander().expand(request) == Failed("cannot be expanded (its process ended with 1)")
    monkeypatch.setattr(sys, "executable", "/bin/true")
    assert await Expander().expand(request) == Failed("cannot be expanded (its process said nothing that can be read)")


async def test_two_calendars_are_the_same_by_where_they_are_from(tmp_path: Path) -> None:
    def made(name: str, zone: str | None = None) -> Calendar:
        return Calendar(CalendarFile(tmp_path / name), Expander(), zone=zone)

    assert made("a") == made("a")
    assert hash(made("a")) == hash(made("a"))
    assert made("a") != made("b")
    assert made("a") != made("a", "Europe/Berlin")
