"""`ack`, `resolve` and `drill`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from sevrouter.domain.ringing import RingEnd
from sevrouter.store.sqlite import make_engine, read_once, write_once

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.commands.conftest import Ended

    Command = Callable[..., Ended]

PHONES = """
  - {type: twilio, name: first, account_sid: AC0123456789abcdef0123456789abcdef, auth_token_file: t, caller: '+15005550006'}
  - {type: twilio, name: second, account_sid: AC0123456789abcdef0123456789abcdef, auth_token_file: t, caller: '+15005550006'}
"""  # noqa: E501  one line each
PEOPLE = """
people: {ana: {phone: '+4930123456'}, kim: {}}
policies: {default: {steps: [{targets: [ana]}]}}
public_url: https://sevrouter.example.com
"""


def states(database: Path, integration: str) -> list[str]:
    """The kinds of what waits to be told."""
    engine = make_engine(database)
    heads = read_once(engine, lambda tx: tx.outbox.heads(integration, now=datetime.now(UTC), most=10))
    engine.dispose()
    return [each.notice.kind.value for each in heads]


def test_an_incident_is_owned_and_everybody_is_told(sevrouter: Command, database: Path) -> None:
    ended = sevrouter("ack", "2", "--by", "ana")
    assert (ended.code, ended.out) == (
        0,
        "incident 2: acknowledged by ana; a running sevrouter tells of it within seconds\n",
    )
    shown = json.loads(sevrouter("incidents", "2", "--json").out)
    said = [entry for entry in shown["timeline"] if entry["fact"] == "acknowledged"]
    assert [(each["details"]["by"], each["details"]["how"]) for each in said] == [("ana", "cli")]
    assert (states(database, "slack"), states(database, "call")) == (["acknowledged"], ["acknowledged"])
    again = sevrouter("ack", "2", "--by", "ben")
    assert (again.code, again.out) == (0, "incident 2 is owned by ana already (cli)\n")


@pytest.mark.usefixtures("database")
def test_an_incident_is_known_by_its_key_too(sevrouter: Command) -> None:
    key = json.loads(sevrouter("incidents", "3", "--json").out)["key"]
    assert sevrouter("ack", key).out.startswith("incident 3: acknowledged by ")


@pytest.mark.usefixtures("database")
def test_what_still_fires_is_owned_and_not_over(sevrouter: Command) -> None:
    ended = sevrouter("resolve", "2", "--by", "ana")
    assert (ended.code, ended.out) == (1, "incident 2 still fires: it is over once its alerts are\n")


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("command", ["ack", "resolve"])
@pytest.mark.parametrize(
    ("incident", "said"),
    [("1", "incident 1 is over already"), ("99", "there is no incident '99'"), ("9" * 40, "there is no incident '9")],
)
def test_what_is_over_or_unknown_is_nobodys(sevrouter: Command, command: str, incident: str, said: str) -> None:
    ended = sevrouter(command, incident)
    assert (ended.code, ended.err.startswith(said)) == (1, True), ended.err


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("by", [" ", "a\nb", "x" * 101])
def test_a_name_is_a_name(sevrouter: Command, by: str) -> None:
    ended = sevrouter("ack", "2", "--by", by)
    assert (ended.code, "--by: a name" in ended.err) == (2, True)


@pytest.fixture
def phones(config: Path) -> None:
    """Two phones, Ana who has a number, and Kim who has none."""
    text = config.read_text().replace("call: {type: console}, ", f"call: [{_entries()}], ")
    config.write_text(text + PEOPLE)


def _entries() -> str:
    return ", ".join(line.strip().removeprefix("- ") for line in PHONES.splitlines() if line.strip())


@pytest.mark.usefixtures("database", "phones")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--person", "eve"], "nobody in people is called 'eve'"),
        (["--person", "kim"], "'kim' has no phone"),
        (
            ["--person", "ana", "--provider", "third"],
            "no provider that phones is called 'third'; there is first, second",
        ),
    ],
)
def test_nobody_is_called_who_cannot_be(sevrouter: Command, arguments: list[str], said: str) -> None:
    ended = sevrouter("drill", *arguments)
    assert (ended.code, said in ended.err) == (2, True), ended.err


@pytest.mark.usefixtures("database")
def test_without_policies_nobody_is_phoned(sevrouter: Command) -> None:
    ended = sevrouter("drill", "--person", "ana")
    assert (ended.code, "nobody is phoned" in ended.err) == (2, True)


@pytest.mark.usefixtures("phones")
@pytest.mark.parametrize(
    ("end", "code", "said"),
    [(RingEnd.ACKNOWLEDGED, 0, "ana has confirmed it"), (RingEnd.NO_ANSWER, 1, "ana has not confirmed it: no answer")],
)
def test_what_came_of_a_drill_is_said(
    sevrouter: Command, database: Path, monkeypatch: pytest.MonkeyPatch, end: RingEnd, code: int, said: str
) -> None:
    def call(_seconds: float) -> None:
        engine, now = make_engine(database), datetime.now(UTC)
        known = read_once(engine, lambda tx: tx.drills.known())
        assert known["ana", "second"].is_asked_for(now)
        succeeded = now if end is RingEnd.ACKNOWLEDGED else None
        write_once(engine, lambda tx: tx.drills.put("ana", "second", drilled_at=now, end=end, succeeded_at=succeeded))
        engine.dispose()

    monkeypatch.setattr("sevrouter.commands.calling.time.sleep", call)
    ended = sevrouter("drill", "--person", "ana", "--provider", "second")
    assert (ended.code, said in ended.out + ended.err) == (code, True), ended


@pytest.mark.usefixtures("phones", "database")
def test_where_nobody_takes_it_it_is_said(sevrouter: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    passed = iter([0.0, 1.0, 130.0])
    monkeypatch.setattr("sevrouter.commands.calling.time.sleep", lambda _: None)
    monkeypatch.setattr("sevrouter.commands.calling.time.monotonic", lambda: next(passed))
    ended = sevrouter("drill", "--person", "ana")
    assert (ended.code, "nobody has called ana: is a sevrouter running" in ended.err) == (1, True)
