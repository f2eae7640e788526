"""The console: what a demo prints, one clean line after the other, and that a broken terminal breaks nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sevrouter.domain.delivery import Delivered, NoticeKind, OutcomeReason, Rejected, Retry
from sevrouter.domain.sev import Sev
from sevrouter.notifiers.console import Console, to_stdout
from tests.notifiers.notices import ANA, HINT, INJECTIONS, PAYMENTS, PEOPLE, TEAMS, a_delivery, nasty


async def printed(integration: str, kind: NoticeKind = NoticeKind.OPENED, **changes: Any) -> list[str]:
    """The lines of one delivery."""
    written: list[str] = []
    console = Console(written.append, teams=TEAMS, people=PEOPLE)
    outcome = await console.deliver(a_delivery(kind, integration=integration, **changes))
    assert outcome == Delivered(reference="console-7")
    assert len(written) == 1, "one write, so that two blocks never mix"
    return written[0].splitlines()


async def test_a_call_says_who_is_called_and_why() -> None:
    since = "2026-01-31 09:00:00 UTC"
    assert await printed("call") == [
        "☎ CALL ana (+4930123456): [SEV-2] checkout: too many errors (HighErrorRate)",
        f"  SEV: SEV-2 · State: opened · System: checkout · Owner: payments · Since: {since} · Firing: 3",
        "  because SEV-2 by rule 'customers affected': annotation users_affected_percent '12.5' >= 5",
        "  because SEV-3 by rule 'label'",
        "  | More than 5 % of the requests fail.",
        "  | Since the last deployment.",
        "  Runbook: https://runbooks.example/checkout?a=1&b=2",
        "  Source: http://prometheus.example/graph",
        "  sevrouter-0123456789abcdef0123456789abcdef-1769850300 · configuration c0ffee12",
        "",
    ]


async def test_a_deployment_that_it_may_come_from_is_named_before_the_description() -> None:
    lines = await printed("slack", deployments=(HINT,), links={"Deployment": "https://ci.example/7"})
    assert lines[4:6] == [f"  {HINT}", "  | More than 5 % of the requests fail."]
    assert "  Deployment: https://ci.example/7" in lines


async def test_a_call_that_is_over_says_so() -> None:
    assert (await printed("call", NoticeKind.RESOLVED))[0].startswith(
        "☎ CALL ana (+4930123456): over, resolved: [SEV-2]"
    )


@pytest.mark.parametrize(
    ("kind", "news"),
    [
        (NoticeKind.ROSE, "rose from SEV-3: "),
        (NoticeKind.REOPENED, "reopened: "),
        (NoticeKind.ACKNOWLEDGED, "over, owned by ben: "),
        (NoticeKind.ACK_ENDED, "once more, nobody owns it any more: "),
        (NoticeKind.UNANSWERED, "nobody answers, call by hand: "),
    ],
)
async def test_a_call_that_is_not_the_first_says_why(kind: NoticeKind, news: str) -> None:
    lines = await printed("call", kind, acknowledged_by="ben", previous_sev=Sev.SEV_3, note="ana +4930123456")
    assert lines[0].startswith(f"☎ CALL ana (+4930123456): {news}[SEV-2] checkout")
    assert "Owned by: ben" in lines[1]
    assert lines[2] == "  ana +4930123456"


async def test_the_bridge_is_said() -> None:
    lines = await printed("call", bridge="https://meet.example/major", bridge_dial="+49301234,,77#")
    assert lines[2] == "  Bridge: https://meet.example/major or dial +49301234,,77#"


async def test_a_paging_service_of_any_name_prints_calls() -> None:
    written: list[str] = []
    console = Console(written.append, teams=TEAMS, people=PEOPLE, is_call=True)
    await console.deliver(a_delivery(integration="the demo's phone"))
    assert written[0].startswith("☎ CALL ana (+4930123456): [SEV-2] checkout")


async def test_a_ticket_says_whose_it_is() -> None:
    lines = await printed("jira", sev=Sev.SEV_5, title="[SEV-5] checkout: a typo")
    assert lines[0] == "✎ TICKET opened, assigned to ana: [SEV-5] checkout: a typo"


async def test_a_message_says_where_it_goes() -> None:
    lines = await printed("slack", NoticeKind.ROSE, previous_sev=Sev.SEV_3)
    assert lines[0].startswith("✉ SLACK C0PAY: rose from SEV-3: [SEV-2] checkout")


async def test_a_person_who_is_mentioned_is_named_while_it_cannot_wait() -> None:
    written: list[str] = []
    console = Console(written.append, teams={"payments": replace(PAYMENTS, slack_mention="U0ANA")}, people=PEOPLE)
    await console.deliver(a_delivery(integration="slack"))
    await console.deliver(a_delivery(integration="slack", sev=Sev.SEV_4))
    assert written[0].startswith("✉ SLACK C0PAY @ana: opened")
    assert written[1].startswith("✉ SLACK C0PAY: opened")


@pytest.mark.parametrize(
    ("integration", "beginning"),
    [
        ("call", "☎ CALL whoever is on call: "),
        ("jira", "✎ TICKET opened, assigned to nobody: "),
        ("slack", "✉ SLACK the default channel: opened: "),
    ],
)
async def test_what_nobody_owns_is_printed_as_such(integration: str, beginning: str) -> None:
    assert (await printed(integration, owner=None))[0].startswith(beginning)


async def test_a_team_without_a_phone_is_called_by_its_name() -> None:
    written: list[str] = []
    teams = {"payments": replace(PAYMENTS, jira_assignee=replace(ANA, phone=None))}
    await Console(written.append, teams=teams).deliver(a_delivery())
    assert written[0].startswith("☎ CALL payments's on-call: ")


@pytest.mark.parametrize(
    "text", [*INJECTIONS, "a\x1b[2J\x1b]0;title\x07b", "one\n☎ CALL evil (+49900666)", "\u202eevil\u2028x"]
)
@pytest.mark.parametrize("integration", ["call", "slack", "jira"])
async def test_text_from_an_alert_moves_no_cursor_and_adds_no_line(integration: str, text: str) -> None:
    lines = await printed(integration, **nasty(text))
    assert all(line.isprintable() for line in lines)
    beginnings = ("☎", "✎", "✉", "  ")
    assert all(line.startswith(beginnings) for line in lines[:-1])
    assert sum(line.startswith(beginnings[:3]) for line in lines) == 1


async def test_the_reference_of_an_earlier_delivery_stays() -> None:
    assert await Console(lambda _text: None).deliver(a_delivery(reference="console-1")) == Delivered("console-1")


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (BrokenPipeError("gone"), Retry(OutcomeReason.UNREACHABLE, "cannot print: BrokenPipeError")),
        (OSError("full"), Retry(OutcomeReason.UNREACHABLE, "cannot print: OSError")),
        (ValueError("closed"), Rejected(OutcomeReason.REFUSED, "cannot print: ValueError")),
        (
            UnicodeEncodeError("ascii", "☎", 0, 1, "no"),
            Rejected(OutcomeReason.REFUSED, "cannot print: UnicodeEncodeError"),
        ),
    ],
)
async def test_a_broken_terminal_is_an_outcome(error: Exception, outcome: object) -> None:
    def broken(_text: str) -> None:
        raise error

    assert await Console(broken).deliver(a_delivery()) == outcome


def test_it_prints_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    to_stdout("a line\n")
    assert capsys.readouterr().out == "a line\n"
