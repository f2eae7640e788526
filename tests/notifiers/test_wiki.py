"""Jira's wiki text: whatever stands in a text is read as it was written, and nothing of it is live."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sevrouter.notifiers import adf, wiki
from tests.standins.adf import java_length
from tests.standins.wiki import render

# What means something in wiki text, and what stands around it.
PIECES = st.sampled_from(
    [*"{}[]!*_-+^~?|#\\():;@&<>.= \nah16", "h1. ", "bq. ", "http://a.b", "PAY-7", "{code}", "&#42;"]
)
TEXTS = st.lists(PIECES, max_size=40).map("".join)


@given(TEXTS)
def test_nothing_in_a_text_is_live(text: str) -> None:
    rendered = render(wiki.inert(text))
    assert rendered.text == "\n".join(text.splitlines())
    assert (rendered.links, rendered.live) == ([], [])


@pytest.mark.parametrize(
    "text",
    [
        "# one", "* one", "** one", "- one", " # one", "h1. big", "bq. said", "----", "a -- b", "||a||b||", "|a|b|",
        "[^secret.txt]", "[~admin]", "[a|http://evil.example]", "!http://evil.example/y.png!", "{color:red}a{color}",
        "{{a}}", "*a*", "_a_", "??a??", "-a-", "+a+", "^a^", "~a~", "PAY-7", "(!)", ":-)", r"\\host\share", r"\{code}",
        "http://evil.example", "mailto:a@evil.example", "&#123;code&#125;", "&lt;",
    ],
)  # fmt: skip
def test_markup_is_read_as_it_was_written(text: str) -> None:
    rendered = render(wiki.inert(text))
    assert (rendered.text, rendered.links, rendered.live) == (text, [], [])


def test_what_we_write_is_live() -> None:
    source = wiki.document(
        [
            adf.heading("Why"),
            adf.bullets([adf.paragraph(adf.text("one\ntwo")), adf.paragraph(adf.text("three"))]),
            adf.paragraph(adf.text("a [b]|c", link="https://example.com/x?y=[1]|2")),
        ]
    )
    assert source == (
        "h3. Why\n* one two\n* three\n\n[a \\[b\\]\\|c|https://example.com/x?y=%5B1%5D%7C2]"
    )  # fmt: skip
    assert render(source).links == ["https://example.com/x?y=%5B1%5D%7C2"]


@given(TEXTS, st.integers(200, 400))
def test_it_is_never_longer_than_it_may_be(text: str, limit: int) -> None:
    whole = f"{text}𠀀" * 20
    source = wiki.document([adf.lines(whole)], last=adf.paragraph(adf.text("the end")), limit=limit)
    assert java_length(source) <= limit
    rendered = render(source)
    assert rendered.text.endswith("the end")
    assert rendered.live == []
    if adf.CUT not in rendered.text:
        assert rendered.text == "\n".join([*whole.splitlines(), "", "the end"]).strip()


@pytest.mark.parametrize("length", [32_767, 100_000])
def test_a_long_text_is_cut_where_jira_would_refuse_it(length: int) -> None:
    source = wiki.document([adf.lines("字" * length)])
    assert java_length(source) <= wiki.LONGEST_TEXT
    assert (adf.CUT in render(source).text) == (length > wiki.LONGEST_TEXT)
