"""Slack's messages as data: limits hold whatever the text, and an escape is never cut in half."""

from __future__ import annotations

import html
import re
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.models.blocks import Block

from sevrouter.domain.delivery import NoticeKind
from sevrouter.domain.sev import Sev
from sevrouter.notifiers.slack_message import inert, mention_of, message, reply
from tests.notifiers.notices import HINT, a_notice, nasty
from tests.standins.slack import texts_of

Blocks = list[dict[str, Any]]


def blocks_of(post: dict[str, object]) -> Blocks:
    return cast("Blocks", post["blocks"])


@given(st.text(alphabet=st.sampled_from("ab&<>…"), max_size=60), st.integers(min_value=8, max_value=40))
def test_an_escaped_text_fits_and_is_a_beginning_of_the_whole(text: str, limit: int) -> None:
    escaped = inert(text, limit)
    assert len(escaped) <= limit
    assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", escaped)
    shown = html.unescape(escaped)
    assert shown == text or text.startswith(shown.removesuffix("…").rstrip())


def test_a_text_that_just_fits_is_whole() -> None:
    assert inert("a" * 10, 10) == "a" * 10
    assert inert("<<", 8) == "&lt;&lt;"
    assert inert("<<a", 8) == "&lt;…"


@pytest.mark.parametrize("character", ["a", "&", "数", "🔥", '"', "\n"])
def test_the_longest_texts_stay_within_the_limits_of_blocks(character: str) -> None:
    notice = a_notice(
        **nasty(character * 100_000) | {"why": (character * 500,) * 200, "deployments": (character * 200,) * 3},
        links=dict.fromkeys(("Deployment", "Source", "Runbook", "Dashboard"), f"https://example.com/{'a' * 1_900}"),
    )
    blocks = blocks_of(message(notice, mention="S0PAY"))
    assert len(blocks) <= 50
    for block in blocks:
        parsed = Block.parse(block)
        assert parsed is not None
        parsed.to_dict()
    assert sum(len(text["text"]) for text in texts_of(blocks)) <= 13_000


def test_an_address_that_cannot_be_shown_whole_is_left_out() -> None:
    post = message(a_notice(links={"Source": f"https://example.com/?{'&' * 1_990}"}), mention=None)
    assert "example.com" not in repr(post)


def test_a_deployment_that_it_may_come_from_is_named_before_the_reasons() -> None:
    texts = [text["text"] for text in texts_of(blocks_of(message(a_notice(deployments=(HINT,)), mention=None)))]
    assert texts[2] == f"Deployed recently\n{HINT}"
    assert texts[3].startswith("Why\n")


def test_every_link_has_room_where_they_are_short_and_the_first_where_they_are_not() -> None:
    names = ("Deployment", "Deployment of checkout 1", "Source", "Runbook", "Dashboard")
    for length, shown in ((100, 5), (1_900, 2)):
        links = dict.fromkeys(names, f"https://example.com/{'a' * length}")
        found = re.findall(r"\|([\w ]+)>", repr(message(a_notice(links=links), mention=None)))
        assert found == [*names[:shown]]


def test_the_lock_screen_shows_the_title_and_the_state() -> None:
    post = message(a_notice(title="[SEV-2] a <b>"), mention="S0PAY")
    assert post["text"] == "[SEV-2] a &lt;b&gt; (opened)"


def test_all_but_our_own_words_is_plain_text() -> None:
    blocks = blocks_of(message(a_notice(links={}), mention="S0PAY"))
    formatted = [block["text"]["text"] for block in blocks if block.get("text", {}).get("type") == "mrkdwn"]
    assert formatted == ["<!subteam^S0PAY> this is yours: SEV-2"]
    plain = [block["text"] for block in blocks if block.get("text", {}).get("type") == "plain_text"]
    assert plain
    assert all(text["emoji"] is False for text in plain)


def test_a_resolve_needs_no_explanation_and_a_rise_does() -> None:
    resolved = repr(reply(a_notice(NoticeKind.RESOLVED), mention="S0PAY"))
    risen = repr(reply(a_notice(NoticeKind.ROSE, sev=Sev.SEV_1), mention="S0PAY"))
    assert "customers affected" not in resolved
    assert "customers affected" in risen


@pytest.mark.parametrize(
    ("identity", "mention"),
    [
        ("U0ANA", "<@U0ANA>"),
        ("W12", "<@W12>"),
        ("S0PAY", "<!subteam^S0PAY>"),
        ("here", None),
        ("U0\n", None),
        (None, None),
    ],
)
def test_only_users_and_user_groups_are_mentioned(identity: str | None, mention: str | None) -> None:
    assert mention_of(identity) == mention


def test_who_can_be_heard_is_offered_a_button_until_somebody_owns_it() -> None:
    def buttons(post: dict[str, object]) -> Blocks:
        rows = [row["elements"] for row in blocks_of(post) if row["type"] == "actions"]
        return [each for row in rows for each in row if each["action_id"] == "acknowledge"]

    notice = a_notice()
    (button,) = buttons(message(notice, mention=None, buttons=True))
    assert (button["action_id"], button["value"], button["text"]["text"]) == ("acknowledge", notice.key, "Acknowledge")
    assert buttons(message(notice, mention=None)) == []
    assert buttons(message(a_notice(acknowledged_by="ana"), mention=None, buttons=True)) == []
    for kind in NoticeKind:
        asks = kind in (NoticeKind.ROSE, NoticeKind.REOPENED, NoticeKind.ACK_ENDED, NoticeKind.UNANSWERED)
        assert bool(buttons(reply(a_notice(kind), mention=None, buttons=True))) is asks


def test_that_nobody_answers_is_told_to_everybody_with_all_the_numbers() -> None:
    numbers = ", ".join(f"person{number} +4930{number:08}" for number in range(80))
    post = reply(a_notice(NoticeKind.UNANSWERED, note=f"Call by hand: {numbers}"), mention="S0PAY")
    texts = [text["text"] for text in texts_of(blocks_of(post))]
    assert texts[1].startswith("<!channel> SEV-2, and nobody answers")
    assert texts[2].endswith("person79 +493000000079")
    assert not any(text.startswith("Why") for text in texts)


def test_the_bridge_is_shown() -> None:
    post = message(a_notice(bridge="https://meet.example.com/1", bridge_dial="+49301,,7#"), mention=None)
    texts = [text["text"] for text in texts_of(blocks_of(post))]
    assert "Bridge: https://meet.example.com/1 or dial +49301,,7#" in texts
