"""Heartbeats as they are written become what is waited for; the address of an outside monitor is shown nowhere."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from sevrouter.config import ConfigurationError, load
from sevrouter.domain.alert import Alert
from sevrouter.domain.sev import Sev
from tests.domain.building import NOW

Write = Callable[..., Path]

WATCHDOG = """\
heartbeats:
  - {matchers: ['alertname="Watchdog"', 'cluster=~"a|b"'], every: 5m, missed: SEV-1}
"""
ADDRESS = "https://hc.example/ping/hunter2"


def test_all_that_may_be_left_out_has_a_default(write: Write, smallest: str) -> None:
    (only,) = load(write(smallest + WATCHDOG)).routing.grader.heartbeats
    assert only.name == 'alertname="Watchdog", cluster=~"a|b"'
    assert (only.every, only.grace, only.missed) == (timedelta(minutes=5), timedelta(minutes=1), Sev.SEV_1)


def test_what_is_written_counts(write: Write, smallest: str) -> None:
    written = smallest + WATCHDOG.replace("every: 5m", "every: 1d, grace: 0s, name: it")
    (only,) = load(write(written)).routing.grader.heartbeats
    assert (only.name, only.every, only.grace) == ("it", timedelta(days=1), timedelta(0))


def test_an_alert_that_meets_it_is_a_beat_though_a_rule_meets_it_too(write: Write, smallest: str) -> None:
    grader = load(write(smallest + WATCHDOG)).routing.grader
    labels = {"alertname": "Watchdog", "severity": "critical"}
    assert grader.grade(Alert(labels=labels, starts_at=NOW)).sev is Sev.SEV_2
    assert grader.grade(Alert(labels=labels | {"cluster": "a"}, starts_at=NOW)).sev is None


def test_without_any_there_is_none(write: Write, smallest: str) -> None:
    for text in (smallest, smallest + "heartbeats: []\n"):
        configuration = load(write(text))
        assert (configuration.routing.grader.heartbeats, configuration.heartbeat_out) == ((), None)


@pytest.mark.parametrize("written", [f"url: '{ADDRESS}'", "url_file: address"])
def test_the_address_to_ping_is_known_and_not_shown(write: Write, smallest: str, written: str) -> None:
    write(ADDRESS + "\n", "address")
    path = write(f"{smallest}heartbeat_out: {{{written}}}\n")
    configuration = load(path)
    out = configuration.heartbeat_out
    assert out is not None
    assert (out.url(), out.every) == (ADDRESS, timedelta(seconds=30))
    assert "hc.example" not in f"{configuration!r} {configuration} {out}"
    assert load(path).heartbeat_out == out


def test_an_address_in_a_file_may_change_while_we_run(write: Write, smallest: str) -> None:
    file = write(ADDRESS, "address")
    out = load(write(smallest + "heartbeat_out: {url_file: address}\n")).heartbeat_out
    assert out is not None
    file.write_text(f"{ADDRESS}-rotated\n")
    assert out.url() == f"{ADDRESS}-rotated"


@pytest.mark.parametrize(
    "address", ["ftp://hc.example/hunter2", "hc.example/hunter2", "http://ana:hunter2@hc.example/"]
)
def test_what_is_refused_is_not_repeated(write: Write, smallest: str, address: str) -> None:
    write(address, "address")
    for written in (f"url: '{address}'", "url_file: address"):
        with pytest.raises(ConfigurationError) as refused:
            load(write(f"{smallest}heartbeat_out: {{{written}}}\n"))
        assert "hc.example" not in f"{refused.value} {refused.value!r}"


def test_a_configuration_is_looked_at_without_the_file_of_the_address(write: Write, smallest: str) -> None:
    out = load(write(smallest + "heartbeat_out: {url_file: missing}\n"), secrets=False).heartbeat_out
    assert out is not None
    with pytest.raises(ValueError, match="without its secrets"):
        out.url()
