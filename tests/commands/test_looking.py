"""`incidents`, `dead-letters` and `migrate` look into the database, also beside a daemon."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from sevrouter.store.sqlite import SqliteStore, make_engine, read_once

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.commands.conftest import Ended

    Command = Callable[..., Ended]


@pytest.mark.usefixtures("database")
def test_open_incidents_are_listed_the_worst_first(sevrouter: Command) -> None:
    ended = sevrouter("incidents")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        "     2  triggered     since 2026-03-01 12:00:00  [SEV-2] checkout: Down",
        "     3  triggered     since 2026-03-01 12:00:00  [SEV-2] Slow",
    ]


@pytest.mark.usefixtures("database")
def test_all_incidents_are_listed_the_last_first(sevrouter: Command) -> None:
    ended = sevrouter("incidents", "--all", "--json")
    listed = json.loads(ended.out)
    assert [(each["id"], each["state"], each["sev"], each["firing"]) for each in listed] == [
        (3, "triggered", "SEV-2", 1),
        (2, "triggered", "SEV-2", 1),
        (1, "resolved", "SEV-5", 0),
    ]
    assert listed[1]["owner"] == "payments"
    assert listed[1]["labels"] == {"alertname": "Down", "severity": "critical", "service": "checkout"}
    assert listed[2]["resolved_at"] == "2026-03-01T12:06:00+00:00"
    assert [each["id"] for each in json.loads(sevrouter("incidents", "--all", "--json", "--most", "1").out)] == [3]


@pytest.mark.usefixtures("database")
def test_one_incident_is_shown_with_its_timeline(sevrouter: Command) -> None:
    ended = sevrouter("incidents", "2")
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[:2] == ["[SEV-2] checkout: Down", "triggered since 2026-03-01 12:00:00, owner payments"]
    assert "SEV-2 by rule 'severity label'" in lines[2]
    facts = [line.split()[2] for line in lines[3:]]
    assert facts[:2] == ["opened", "alerts_fired"]
    assert sorted(facts[2:]) == ["delivered", "delivery_rejected"]


@pytest.mark.usefixtures("database")
def test_one_incident_is_shown_as_json(sevrouter: Command) -> None:
    shown = json.loads(sevrouter("incidents", "1", "--json").out)
    facts = [entry["fact"] for entry in shown["timeline"]]
    assert facts == [
        "opened",
        "alerts_fired",
        "delivery_rejected",
        "alerts_resolved",
        "quiet",
        "resolved",
        "superseded",
    ]
    assert shown["timeline"][0]["details"]["rule"] == "severity label"
    assert shown["timeline"][0]["at"] == "2026-03-01T12:00:00+00:00"


@pytest.mark.usefixtures("database")
def test_an_incident_that_is_not_there_is_a_no(sevrouter: Command) -> None:
    ended = sevrouter("incidents", "99")
    assert (ended.code, ended.out, ended.err) == (1, "", "there is no incident 99\n")


def test_none_at_all_is_good(config: Path, sevrouter: Command) -> None:
    SqliteStore.open(config.parent / "state" / "sevrouter.db").close()
    assert sevrouter("incidents").out == "no open incidents\n"
    assert sevrouter("incidents", "--all").out == "no incidents\n"
    assert sevrouter("incidents", "--json").out == "[]\n"
    ended = sevrouter("dead-letters")
    assert (ended.code, ended.out) == (0, "no dead letters\n")


@pytest.mark.usefixtures("database")
def test_dead_letters_are_listed_and_are_a_no(sevrouter: Command) -> None:
    ended = sevrouter("dead-letters")
    assert ended.code == 1
    assert "jira opened, not_found after 1 attempts  [SEV-5] Bug" in ended.out
    assert "no such channel" in ended.out
    listed = sevrouter("dead-letters", "list", "--json")
    assert listed.code == 1
    letters = json.loads(listed.out)
    assert {(each["integration"], each["kind"], each["reason"], each["detail"]) for each in letters} == {
        ("slack", "opened", "refused", "no such channel"),
        ("jira", "opened", "not_found", "no such project"),
    }


@pytest.mark.usefixtures("database")
def test_a_dead_letter_is_tried_again_by_its_number(sevrouter: Command) -> None:
    numbers = [str(each["id"]) for each in json.loads(sevrouter("dead-letters", "--json").out)]
    ended = sevrouter("dead-letters", "retry", numbers[0])
    assert (ended.code, ended.out.startswith("1 will be tried again")) == (0, True)
    assert len(json.loads(sevrouter("dead-letters", "--json").out)) == 1
    again = sevrouter("dead-letters", "retry", numbers[0])
    assert (again.code, again.out.startswith("0 will be")) == (1, True)


def test_every_dead_letter_is_tried_again_beside_a_daemon(sevrouter: Command, database: Path) -> None:
    daemon = SqliteStore.open(database)
    ended = sevrouter("dead-letters", "retry", "--every")
    daemon.close()
    assert (ended.code, ended.out) == (0, "2 will be tried again; a running sevrouter takes them up within seconds\n")
    assert sevrouter("dead-letters").code == 0
    engine = make_engine(database)
    pending = read_once(engine, lambda tx: tx.outbox.counts())
    engine.dispose()
    assert {name: lane.pending for name, lane in pending.items()} == {"slack": 1, "jira": 1}


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("arguments", [(), ("1", "--every")])
def test_what_to_try_again_must_be_said_once(sevrouter: Command, arguments: tuple[str, ...]) -> None:
    ended = sevrouter("dead-letters", "retry", *arguments)
    assert (ended.code, "name the dead letters to retry, or give --every" in ended.err) == (2, True)


@pytest.mark.parametrize("command", ["incidents", "dead-letters"])
def test_a_database_that_is_not_there_is_a_2_and_is_not_made(sevrouter: Command, config: Path, command: str) -> None:
    ended = sevrouter(command)
    assert (ended.code, "there is no database at" in ended.err) == (2, True)
    assert not (config.parent / "state").exists()


def test_what_a_shadow_decided_is_in_a_database_of_its_own(sevrouter: Command, database: Path) -> None:
    ended = sevrouter("incidents", "--shadow")
    assert (ended.code, f"{database}.shadow" in ended.err) == (2, True)
    assert sevrouter("migrate", "--shadow").code == 0
    assert sevrouter("incidents", "--shadow").out == "no open incidents\n"


def test_a_file_that_is_no_database_is_a_2(sevrouter: Command, config: Path) -> None:
    (config.parent / "state").mkdir()
    (config.parent / "state" / "sevrouter.db").write_text("a letter to my grandmother" * 100)
    for command in ("incidents", "dead-letters", "migrate"):
        ended = sevrouter(command)
        assert (ended.code, "not a database" in ended.err) == (2, True), command


def test_migrate_says_what_it_did(sevrouter: Command, config: Path) -> None:
    path = config.parent / "state" / "sevrouter.db"
    ended = sevrouter("migrate")
    assert (ended.code, ended.out) == (
        0,
        (
            "applied 0001 first\napplied 0002 several_replicas\napplied 0003 watches\napplied 0004 deployments\n"
            "applied 0005 standing\n"
            "applied 0006 calling\n"
            f"{path}: the schema is current\n"
        ),
    )
    assert sevrouter("migrate").out == f"{path}: the schema is current\n"


def test_migrate_beside_a_daemon_is_refused(sevrouter: Command, database: Path) -> None:
    daemon = SqliteStore.open(database)
    ended = sevrouter("migrate")
    daemon.close()
    assert (ended.code, "another sevrouter is using" in ended.err) == (2, True)
