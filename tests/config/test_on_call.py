"""Who is on call as it is written becomes what the daemon runs on; the address of a calendar is shown nowhere."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from sevrouter.config import CalendarSettings, ConfigurationError, SecretError, load
from sevrouter.domain.rotation import Override, Rotation

Write = Callable[..., Path]

GOOD = Path(__file__).parent / "good" / "on-call.yaml"
ADDRESS = "https://calendar.example/hunter2.ics"


def test_all_that_may_be_left_out_has_a_default() -> None:
    schedule = load(GOOD).on_call["by file"]
    assert schedule.fallback == ("ana",)
    assert schedule.source == CalendarSettings(file=GOOD.parent / "rota.ics", refresh=timedelta(minutes=5))


def test_what_is_written_counts() -> None:
    source = load(GOOD).on_call["by address"].source
    assert isinstance(source, CalendarSettings)
    assert source.url is not None
    assert (source.url(), source.file, source.zone, source.refresh) == (
        ADDRESS,
        None,
        "Europe/Berlin",
        timedelta(minutes=1),
    )


def test_turns_are_by_the_clock_on_the_wall() -> None:
    assert load(GOOD).on_call["by turns"].source == Rotation(
        people=("ana", "ben", "ana"),
        starts=datetime.fromisoformat("2026-01-05T09:00"),
        every=timedelta(hours=12),
        zone=ZoneInfo("America/New_York"),
        overrides=(
            Override("ben", datetime.fromisoformat("2026-02-01T00:00"), datetime.fromisoformat("2026-02-02T00:00")),
        ),
    )


@pytest.mark.parametrize(("every", "length"), [("1w", 7), ("2w", 14), ("1d", 1), ("366d", 366)])
def test_a_turn_may_be_weeks(write: Write, smallest: str, every: str, length: int) -> None:
    turns = f"{{people: [ana], starts: 2026-01-05T09:00, timezone: UTC, every: {every}}}"
    text = f"{smallest}people: {{ana: {{}}}}\non_call: {{shop: {{rotation: {turns}, fallback: [ana]}}}}\n"
    source = load(write(text)).on_call["shop"].source
    assert isinstance(source, Rotation)
    assert source.every == timedelta(days=length)


def test_without_any_there_is_none(write: Write, smallest: str) -> None:
    assert load(write(smallest)).on_call == load(write(smallest + "on_call: {}\n")).on_call == {}


def test_the_same_is_equal_after_a_reload_and_tells_no_address() -> None:
    one, other = load(GOOD), load(GOOD)
    assert one.on_call == other.on_call
    assert "calendar.example" not in f"{one!r} {one.on_call}"


def test_an_address_in_a_file_is_looked_for_when_it_is_asked_for(write: Write, smallest: str) -> None:
    text = f"{smallest}people: {{ana: {{}}}}\non_call: {{shop: {{url_file: address, fallback: [ana]}}}}\n"
    source = load(write(text), secrets=False).on_call["shop"].source
    assert isinstance(source, CalendarSettings)
    assert source.url is not None
    with pytest.raises(SecretError, match="address cannot be read"):
        source.url()
    write(ADDRESS + "\n", "address")
    assert source.url() == ADDRESS


@pytest.mark.parametrize("address", ["ftp://calendar.example/hunter2", "webcal://calendar.example/hunter2", "hunter2"])
def test_what_is_refused_is_not_repeated(write: Write, smallest: str, address: str) -> None:
    write(address, "address")
    text = f"{smallest}people: {{ana: {{}}}}\non_call: {{shop: {{url_file: address, fallback: [ana]}}}}\n"
    with pytest.raises(ConfigurationError, match="holds no http") as refused:
        load(write(text))
    assert "hunter2" not in f"{refused.value} {refused.value!r}"
