"""`set-sev` and `postmortem`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from sevrouter.domain.incident import Fact, TimelineEntry
from sevrouter.store.sqlite import make_engine, read_once, write_once

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.commands.conftest import Ended

    Command = Callable[..., Ended]

pytestmark = pytest.mark.usefixtures("database")


def test_a_sev_is_set_recorded_and_told(sevrouter: Command, database: Path) -> None:
    ended = sevrouter("set-sev", "2", "SEV-4", "--reason", "only staging", "--by", "ana")
    assert (ended.code, ended.out) == (
        0,
        "incident 2: SEV-2 → SEV-4, by ana; a running sevrouter tells of it within seconds\n",
    )
    shown = json.loads(sevrouter("incidents", "2", "--json").out)
    assert (shown["sev"], shown["reasons"][0]) == ("SEV-4", "SEV-4 set by ana: only staging")
    said = [entry for entry in shown["timeline"] if entry["fact"] == "sev_set"]
    assert [(each["details"]["from"], each["details"]["reason"]) for each in said] == [("SEV-2", "only staging")]
    engine = make_engine(database)
    heads = read_once(engine, lambda tx: tx.outbox.heads("slack", now=datetime.now(UTC), most=10))
    assert [each.notice.kind.value for each in heads] == ["sev_set"]
    assert read_once(engine, lambda tx: tx.outbox.heads("call", now=datetime.now(UTC), most=10)) == []
    engine.dispose()


def test_something_worse_calls(sevrouter: Command, database: Path) -> None:
    assert sevrouter("set-sev", "2", "SEV-1", "--reason", "customers call us").code == 0
    engine = make_engine(database)
    heads = read_once(engine, lambda tx: tx.outbox.heads("call", now=datetime.now(UTC), most=10))
    assert [(each.notice.kind.value, each.notice.note.partition(", ")[0]) for each in heads] == [("rose", "SEV-1")]
    engine.dispose()


@pytest.mark.parametrize("number", ["1", "99"])
def test_what_is_over_or_unknown_is_not_set(sevrouter: Command, number: str) -> None:
    ended = sevrouter("set-sev", number, "SEV-4", "--reason", "x")
    assert (ended.code, ended.err) == (1, f"there is no open incident {number}\n")


@pytest.mark.parametrize(
    ("sev", "reason", "said"),
    [
        ("SEV-6", "x", "'SEV-6' is not a SEV"),
        ("none", "x", "an incident cannot be set to none"),
        ("SEV-3", "  ", "--reason: say why"),
    ],
)
def test_what_cannot_be_meant_is_refused(sevrouter: Command, sev: str, reason: str, said: str) -> None:
    ended = sevrouter("set-sev", "2", sev, "--reason", reason)
    assert ended.code == 2
    assert said in ended.err


def test_a_reason_is_asked_for(sevrouter: Command) -> None:
    ended = sevrouter("set-sev", "2", "SEV-3")
    assert ended.code == 2
    assert "--reason" in ended.err


def test_a_postmortem_holds_each_decision_with_its_evidence(sevrouter: Command, database: Path) -> None:
    facts = [
        TimelineEntry(Fact.ROSE, datetime(2026, 3, 1, 12, 30, tzinfo=UTC), {
            "from": "SEV-2", "sev": "SEV-1", "rule": "errors", "why": "errors 30 is >= 25", "config": "c0ffee",
        }),
        TimelineEntry(Fact.MILDER, datetime(2026, 3, 1, 13, 0, tzinfo=UTC), {
            "from": "SEV-1", "to": "none", "since": "2026-03-01T12:55:00+00:00", "why": "errors 0.1",
        }),
        TimelineEntry(Fact.DEPLOYMENT_NEARBY, datetime(2026, 3, 1, 12, 0, tzinfo=UTC), {
            "system": "checkout", "version": "2.14.0", "minutes_before": 12,
        }),
    ]  # fmt: skip
    engine = make_engine(database)
    write_once(engine, lambda tx: tx.incidents.tell([(2, each) for each in facts]))
    engine.dispose()
    sevrouter("set-sev", "2", "SEV-3", "--reason", "it *was* <staging> | only", "--by", "ana")
    ended = sevrouter("postmortem", "2")
    assert ended.code == 0
    text = ended.out
    assert text.startswith("# \\[SEV-3\\] checkout: Down\n")
    automatic = text.partition("## Decided automatically")[2].partition("##")[0]
    assert (
        "| 2026-03-01 12:00:00 UTC | opened | SEV-2 | severity label | label severity is 'critical': SEV-2 | c0ffee |"
        in automatic
    )
    assert "| 2026-03-01 12:30:00 UTC | rose from SEV-2 | SEV-1 | errors | errors 30 is \\>= 25 | c0ffee |" in automatic
    assert "ana" not in automatic
    people = text.partition("## Decided by people")[2].partition("##")[0]
    assert "| SEV-2 | SEV-3 | ana | it \\*was\\* \\<staging\\> \\| only |" in people
    proposals = text.partition("## Proposals to lower it")[2].partition("##")[0]
    assert "| SEV-1 | none | 2026-03-01T12:55:00+00:00 | errors 0.1 |" in proposals
    assert "| checkout | 2.14.0 | 12 |" in text.partition("## Deployments nearby")[2]
    assert "| slack | opened | delivery\\_rejected | 1 | no such channel |" in text.partition("## Who was told")[2]
    assert "alerts\\_fired" in text.partition("## All that happened")[2]


def test_a_postmortem_of_what_is_over_says_for_how_long(sevrouter: Command) -> None:
    text = sevrouter("postmortem", "1").out
    assert "- Opened: 2026-03-01 12:00:00 UTC\n- Resolved: 2026-03-01 12:06:00 UTC, after 6m\n" in text
    assert "## Decided by people\n\nNobody set its SEV.\n" in text
    assert "## Proposals to lower it\n\nNone.\n" in text


def test_of_what_is_not_there_is_no_postmortem(sevrouter: Command) -> None:
    ended = sevrouter("postmortem", "99")
    assert (ended.code, ended.err) == (1, "there is no incident 99\n")
