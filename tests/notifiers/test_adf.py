"""Atlassian documents: they fit, they stay valid when they are cut, and a cut is said."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sevrouter.notifiers import adf
from tests.standins.adf import document_problems, text_of

LAST = adf.paragraph(adf.text("the last line"))


def blocks(text: str) -> list[adf.Node]:
    return [
        adf.heading("Why"),
        adf.bullets([adf.paragraph(adf.text(text)), adf.paragraph(adf.text("two"))]),
        adf.paragraph(adf.text("Source", link="https://example.com")),
        adf.lines(text),
    ]


def test_a_document_that_fits_is_whole() -> None:
    document = adf.document(blocks("text"), last=LAST)
    assert text_of(document).splitlines() == ["Why", "text", "two", "Source", "text", "the last line"]
    assert list(document_problems(document)) == []


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300),
    st.integers(min_value=300, max_value=1_200),
)
def test_a_cut_document_fits_and_is_valid_and_ends_as_it_should(text: str, limit: int) -> None:
    document = adf.document(blocks(text), last=LAST, limit=limit)
    assert adf.size(document) <= limit
    assert list(document_problems(document)) == []
    assert text_of(document).endswith("the last line")
    assert (adf.CUT in text_of(document)) is (adf.size(adf.document(blocks(text), last=LAST)) > limit)


@pytest.mark.parametrize("character", ["a", '"', "\\", "\n", "数", "🔥"])
def test_the_longest_text_fits_whatever_it_is_made_of(character: str) -> None:
    document = adf.document([adf.lines(character * 100_000)], last=LAST)
    assert adf.size(document) <= adf.LONGEST_DOCUMENT
    assert list(document_problems(document)) == []
    assert text_of(document).count(character) > 1_000


def test_without_a_last_line_the_cut_is_the_end() -> None:
    document = adf.document([adf.paragraph(adf.text("x" * 500))], limit=300)
    assert text_of(document).splitlines()[-1] == adf.CUT
    assert adf.size(document) <= 300


def test_the_end_is_kept_where_nothing_else_fits() -> None:
    document = adf.document(blocks("x" * 500), last=LAST, limit=250)
    assert text_of(document).splitlines() == [adf.CUT, "the last line"]


def test_the_size_is_that_of_what_is_sent_in_characters() -> None:
    node = adf.paragraph(adf.text('数"\n'))
    assert adf.size(node) == len(json.dumps(node, ensure_ascii=False, separators=(",", ":")))
    assert adf.size(adf.text("🔥")) == 1 + adf.size(adf.text("a"))


def test_markup_stays_text() -> None:
    text = "[x](http://evil.example) {html} [~admin] @ana *b*"
    assert adf.text(text) == {"type": "text", "text": text}
