"""`on-call` says who is on call, until when and who is next, of what the calendars say now or said last."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from sevrouter.sources.calendar import Calendar
from sevrouter.sources.calendar_origins import CalendarUrl
from sevrouter.sources.calendar_process import Expander
from sevrouter.sources.connection import open_session
from tests.sources.calendars import GOOGLE, ics
from tests.standins.calendar import SECRET, CalendarServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.commands.conftest import Ended

    Command = Callable[..., Ended]

SCHEDULES = """\
people: {ana: {}, ben: {}, cleo: {}}
on_call:
  shop: {calendar: rota.ics, fallback: [ben, cleo], timezone: Europe/Berlin}
  ops:
    rotation: {people: [ana, ben], starts: 2026-01-05T09:00, timezone: Europe/Berlin, every: 1w}
    overrides: [{person: cleo, from: 2026-03-28T12:00, until: 2026-03-31T12:00}]
    fallback: [ana]
"""


@pytest.fixture
def rota(config: Path) -> Path:
    """The calendar in a file that the configuration names."""
    config.write_text(config.read_text() + SCHEDULES)
    path = config.parent / "rota.ics"
    path.write_text(GOOGLE)
    return path


@pytest.mark.usefixtures("rota")
def test_it_says_who_until_when_by_their_clock_and_who_is_next(sevrouter: Command) -> None:
    ended = sevrouter("on-call", "--at", "2026-03-29T00:30")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        "shop: cleo, until Mon 2026-03-30 09:00 CEST, then ana",
        "ops: cleo, until Tue 2026-03-31 12:00 CEST, then ana",
    ]


@pytest.mark.usefixtures("rota")
def test_one_schedule_is_enough_and_an_offset_counts(sevrouter: Command) -> None:
    before, after = (sevrouter("on-call", "ops", "--at", f"2026-03-16T{time}+01:00") for time in ("08:59", "09:00"))
    assert before.out == "ops: ben, until Mon 2026-03-16 09:00 CET, then ana\n"
    assert after.out == "ops: ana, until Mon 2026-03-23 09:00 CET, then ben\n"


@pytest.mark.usefixtures("rota")
def test_it_says_the_same_as_json(sevrouter: Command) -> None:
    ended = sevrouter("on-call", "--at", "2026-04-14T00:00Z", "--json")
    shop, ops = json.loads(ended.out)
    assert ended.code == 0
    assert (shop["schedule"], shop["people"], shop["problem"]) == (
        "shop",
        ["ben", "cleo"],
        "the calendar has nobody on call",
    )
    assert (shop["until"], shop["then"]) == ("2026-04-20T07:00:00+00:00", ["ben"])
    assert (ops["people"], ops["problem"], ops["as_of"]) == (["ana"], None, None)


@pytest.mark.usefixtures("rota")
def test_without_a_time_it_is_now(sevrouter: Command) -> None:
    shown = json.loads(sevrouter("on-call", "ops", "--json").out)
    assert abs(datetime.fromisoformat(shown[0]["at"]) - datetime.now(UTC)) < timedelta(minutes=5)


def test_a_file_that_cannot_be_read_is_the_fallback_and_is_said(sevrouter: Command, rota: Path) -> None:
    rota.write_text("<html>")
    ended = sevrouter("on-call", "shop")
    assert (ended.code, ended.err) == (0, "")
    first, second = ended.out.splitlines()
    assert first == "shop: ben, cleo"
    assert second.startswith("  the fallback is on call: the calendar cannot be used: is no iCalendar")


def test_who_is_a_stranger_and_what_is_not_understood_is_said(sevrouter: Command, rota: Path) -> None:
    rota.write_text(
        ics(
            "SUMMARY:Zoe\nDTSTART:20260302T090000Z\nDTEND:20260309T090000Z",
            "SUMMARY:ana\nDTSTART:20260309T090000Z\nRRULE:FREQ=SECONDLY",
        )
    )
    ended = sevrouter("on-call", "shop", "--at", "2026-03-03T00:00")
    assert ended.out.splitlines() == [
        "shop: ben, cleo",
        "  the fallback is on call: nobody in people is called 'Zoe'",
        "  not understood: 'ana': recurs more often than every hour",
        "  named and not in people: 'Zoe'",
    ]


def test_an_address_that_is_away_is_said_with_the_copy_that_counts_and_not_with_its_name(
    sevrouter: Command, config: Path
) -> None:
    async def once() -> str:
        """The daemon has read it, and kept a copy; now it is gone."""
        async with CalendarServer(GOOGLE) as server, open_session() as session:
            copies = config.parent / "state" / "calendars"
            origin = CalendarUrl(session, lambda: server.url, copies=copies, every=timedelta(minutes=5))
            await Calendar(origin, Expander()).read(datetime(2026, 3, 20, 8, 15, tzinfo=UTC))
            return server.url

    (config.parent / "address").write_text(asyncio.run(once()))
    config.write_text(
        config.read_text()
        + "people: {ana: {}, ben: {}, cleo: {}}\non_call: {shop: {url_file: address, fallback: [ana]}}\n"
    )
    ended = sevrouter("on-call", "--at", "2026-03-29T00:30Z")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        "shop: cleo, until Mon 2026-03-30 07:00 UTC, then ana",
        "  by a copy of Fri 2026-03-20 08:15 UTC, for it cannot be read: no answer: ClientConnectorError",
    ]
    assert SECRET not in ended.out


@pytest.mark.usefixtures("rota")
def test_a_schedule_that_is_not_there_is_a_no(sevrouter: Command) -> None:
    ended = sevrouter("on-call", "shopp")
    assert (ended.code, ended.out, ended.err) == (1, "", "there is no on-call schedule 'shopp'\n")


@pytest.mark.usefixtures("config")
def test_none_at_all_is_good(sevrouter: Command) -> None:
    assert (sevrouter("on-call").out, sevrouter("on-call", "--json").out) == ("no on-call schedules\n", "[]\n")


@pytest.mark.usefixtures("rota")
@pytest.mark.parametrize("time", ["tomorrow", "", "2026-13-01", "0001-01-01T00:00+14:00", "9999-12-31T23:59Z"])
def test_what_is_no_time_is_a_2(sevrouter: Command, time: str) -> None:
    ended = sevrouter("on-call", "--at", time)
    assert (ended.code, "is not a time" in ended.err) == (2, True)
