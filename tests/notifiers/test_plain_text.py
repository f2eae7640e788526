"""A notice as plain text: what is told first, what is inert, and that it has an end."""

from __future__ import annotations

import pytest

from sevrouter.notifiers.plain_text import LONGEST_TEXT, plain_text, tame, title_of
from sevrouter.notifiers.wording import bridge_of, facts
from tests.notifiers.notices import HINT, INJECTIONS, a_notice, nasty


@pytest.mark.parametrize(
    ("text", "tamed"),
    [
        ("a <b>bold</b> <!channel> <@U1> <img src=x>", "a < b>bold< /b> < !channel> < @U1> < img src=x>"),
        ("3 < 5, a<=b, <3", "3 < 5, a<=b, <3"),
        ("@here @Everyone ana@channel.example", "@\u2060here @\u2060Everyone ana@\u2060channel.example"),
        ("ana@example.com @ana @hereby", "ana@example.com @ana @hereby"),
    ],
)
def test_what_would_be_a_tag_or_call_everybody_is_inert(text: str, tamed: str) -> None:
    assert tame(text) == tamed


def test_what_is_new_and_where_to_meet_come_first() -> None:
    notice = a_notice(note="more users", bridge="https://meet.example/major", deployments=(HINT,))
    lines = plain_text(notice).splitlines()
    assert lines[:3] == ["more users", "Bridge: https://meet.example/major", "SEV: SEV-2"]
    assert lines[lines.index("Deployed recently:") + 1] == HINT
    assert lines[-2:] == a_notice().description.splitlines()


@pytest.mark.parametrize("text", [*INJECTIONS, "x" * 100_000, "a\x1b[2Jb", "one\r\ntwo\u2028three"])
def test_whatever_an_alert_says_is_clean_and_has_an_end(text: str) -> None:
    told = plain_text(a_notice(**nasty(text)))
    assert len(told) <= LONGEST_TEXT
    assert all(line.isprintable() or "\u2060" in line for line in told.splitlines())
    assert len(title_of(a_notice(title=text), 255)) <= 255


def test_an_address_that_is_too_long_is_left_out_and_never_cut() -> None:
    long = f"https://a.example/{'x' * 600}"
    assert "a.example" not in plain_text(a_notice(links={"Runbook": long}))


def test_without_a_title_the_sev_is_one() -> None:
    assert title_of(a_notice(title=""), 255) == "SEV-2"


@pytest.mark.parametrize(
    ("url", "dial", "told"),
    [
        (None, None, ""),
        ("https://meet.example/1", None, "https://meet.example/1"),
        (None, "+4930", "dial +4930"),
        ("https://meet.example/1", "+4930", "https://meet.example/1 or dial +4930"),
    ],
)
def test_a_bridge_is_an_address_a_number_or_both(url: str | None, dial: str | None, told: str) -> None:
    assert bridge_of(a_notice(bridge=url, bridge_dial=dial)) == told


def test_who_owns_it_is_one_of_the_facts() -> None:
    assert facts(a_notice(acknowledged_by="ana"))["Owned by"] == "ana"
    assert "Owned by" not in facts(a_notice())
