"""Matchers as Alertmanager reads them, and digests that identify a label set."""

from __future__ import annotations

import contextlib
from itertools import product

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from sevrouter.domain.labels import (
    LONGEST_REMEMBERED,
    REMEMBERED_VALUES,
    Matcher,
    MatcherError,
    MatchOp,
    all_match,
    matcher,
    pairs_digest,
    parse_matcher,
)

EQUAL, NOT_EQUAL, REGEX, NOT_REGEX = MatchOp.EQUAL, MatchOp.NOT_EQUAL, MatchOp.REGEX, MatchOp.NOT_REGEX

texts = st.text(st.characters(exclude_categories=["Cs"]))
awkward = st.text(st.sampled_from(list('ab\\"{}=!~, \n\t\r\x00é😀')), max_size=12)
# Few letters, digits and colons among them: what could run together does.
pairs = st.dictionaries(st.text("a1:", max_size=4), st.text("a1:", max_size=4), max_size=4)


@pytest.mark.parametrize(
    ("text", "name", "op", "value"),
    [
        ('severity="critical"', "severity", EQUAL, "critical"),
        ('severity!="critical"', "severity", NOT_EQUAL, "critical"),
        ('service=~"web|api"', "service", REGEX, "web|api"),
        ('service!~"web.*"', "service", NOT_REGEX, "web.*"),
        ('  severity  =  "critical"  ', "severity", EQUAL, "critical"),
        ("severity=critical", "severity", EQUAL, "critical"),
        ("severity = two words ", "severity", EQUAL, "two words"),
        ("severity=", "severity", EQUAL, ""),
        ('severity=""', "severity", EQUAL, ""),
        ("instance=a,b}", "instance", EQUAL, "a,b}"),
        ('expr="up{job=\\"a\\",x!~\\"b\\"}"', "expr", EQUAL, 'up{job="a",x!~"b"}'),
        ('path="C:\\\\temp"', "path", EQUAL, "C:\\temp"),
        ('text="two\\nlines"', "text", EQUAL, "two\nlines"),
        ('text="a\\tb"', "text", EQUAL, "a\tb"),
        ('instance=~"web\\d+\\.example"', "instance", REGEX, r"web\d+\.example"),
        ('instance=~"web\\\\d+"', "instance", REGEX, r"web\d+"),
        ("instance=~web\\d+", "instance", REGEX, r"web\d+"),
        ("path=C:\\\\temp", "path", EQUAL, "C:\\temp"),
        ("path=C:\\", "path", EQUAL, "C:\\"),
        ('path="C:\\\\"', "path", EQUAL, "C:\\"),
        ('"label name"="x"', "label name", EQUAL, "x"),
        ('"quo\\"ted"=x', 'quo"ted', EQUAL, "x"),
        ("k8s.pod.name=x", "k8s.pod.name", EQUAL, "x"),
        ("größe=x", "größe", EQUAL, "x"),
        ('"😀"=~"x"', "😀", REGEX, "x"),
        ('text="a\x00b"', "text", EQUAL, "a\x00b"),
    ],
)
def test_a_matcher_is_read_as_alertmanager_reads_it(text: str, name: str, op: MatchOp, value: str) -> None:
    assert parse_matcher(text) == Matcher(name, op, value)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "severity", '="x"', '""="x"', 'severity="critical', 'severity=critical"', 'severity="a"b"',
        'severity="a" and more', 'severity="trailing\\"', "severity>5", "a b=c", '{severity="critical"}',
        'a="x",b="y"', 'severity=="critical"', "a!b=c", 'a="\ud800"', "\udfff=x",
    ],
)  # fmt: skip
def test_what_is_no_matcher_is_refused(text: str) -> None:
    with pytest.raises(MatcherError):
        parse_matcher(text)


@pytest.mark.parametrize("pattern", ["(", "*", "[a", "(?=look)", r"(a)\1", "(?P<x", "a{2000}", "\ud800"])
def test_a_regular_expression_that_re2_does_not_know_is_refused_by_name(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"RE2|lone surrogate"):
        parse_matcher(f'name=~"{pattern}"')


@given(st.one_of(texts, awkward).filter(bool), st.sampled_from([EQUAL, NOT_EQUAL]), st.one_of(texts, awkward))
def test_a_matcher_is_read_back_as_it_is_shown(name: str, op: MatchOp, value: str) -> None:
    given_matcher = matcher(name, op, value)
    assert parse_matcher(str(given_matcher)) == given_matcher


@given(st.sampled_from([REGEX, NOT_REGEX]), st.one_of(texts, awkward))
def test_a_regular_expression_is_read_back_as_it_is_shown(op: MatchOp, value: str) -> None:
    given_matcher = matcher("name", op, re2.escape(value))
    again = parse_matcher(str(given_matcher))
    assert again == given_matcher
    assert again.matches({"name": value}) is (op is REGEX)


@given(st.text(st.characters(exclude_categories=[]), max_size=30))
def test_any_text_is_a_matcher_or_refused_and_never_anything_else(text: str) -> None:
    with contextlib.suppress(MatcherError):
        assert parse_matcher(text).name


@pytest.mark.parametrize("value", ["", "x", "a\nb"])
def test_an_absent_label_is_an_empty_one(value: str) -> None:
    for op in (EQUAL, NOT_EQUAL):
        assert matcher("a", op, value).matches({}) is matcher("a", op, value).matches({"a": ""})
    assert matcher("a", EQUAL, "").matches({})
    assert matcher("a", REGEX, ".*").matches({})
    assert not matcher("a", REGEX, ".+").matches({})
    assert matcher("a", NOT_REGEX, ".+").matches({})


@pytest.mark.parametrize("value", ["xa", "ax", "xab", "b x", "a\n"])
def test_a_regular_expression_must_match_the_whole_value(value: str) -> None:
    assert matcher("name", REGEX, "a|b").matches({"name": "a"})
    assert not matcher("name", REGEX, "a|b").matches({"name": value})


@given(st.one_of(texts, awkward), st.one_of(texts, awkward))
def test_every_operator_has_its_opposite(value: str, actual: str) -> None:
    labels = {"name": actual}
    assert matcher("name", EQUAL, value).matches(labels) is not matcher("name", NOT_EQUAL, value).matches(labels)
    escaped = re2.escape(value)
    assert matcher("name", REGEX, escaped).matches(labels) is not matcher("name", NOT_REGEX, escaped).matches(labels)
    assert matcher("name", EQUAL, value).matches(labels) is matcher("name", REGEX, escaped).matches(labels)


def test_a_value_seen_before_is_answered_the_same_however_many_came_between() -> None:
    pattern = matcher("pod", REGEX, "web-[0-9]*[02468]")
    for number in range(REMEMBERED_VALUES + 100):
        labels = {"pod": f"web-{number}"}
        assert [pattern.matches(labels), pattern.matches(labels)] == [number % 2 == 0] * 2
    assert len(pattern._remembered) <= REMEMBERED_VALUES


def test_a_megabyte_of_label_value_is_matched_and_not_remembered() -> None:
    pattern = matcher("text", REGEX, "(a|aa)+b?")
    assert pattern.matches({"text": "a" * 1_000_000})
    assert not pattern.matches({"text": "a" * 1_000_000 + "c"})
    assert pattern.matches({"text": "a" * LONGEST_REMEMBERED})
    assert [len(value) for value in pattern._remembered] == [LONGEST_REMEMBERED]


def test_all_matchers_must_match_and_none_at_all_matches_everything() -> None:
    both = [parse_matcher("a=1"), parse_matcher("b=2")]
    assert all_match(both, {"a": "1", "b": "2"})
    assert not all_match(both, {"a": "1", "b": "3"})
    assert all_match([], {})


@given(pairs, pairs)
def test_two_sets_of_pairs_share_a_digest_only_where_they_are_equal(one: dict[str, str], other: dict[str, str]) -> None:
    same = {name: value for name, value in one.items() if value} == {
        name: value for name, value in other.items() if value
    }
    assert (pairs_digest(one) == pairs_digest(other)) is same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": "bc"}, {"ab": "c"}),
        ({"a": "1", "b": "2"}, {"a": "1b2"}),
        ({"a": "1", "b": "2"}, {"a": "2", "b": "1"}),
        ({"a": "11:b1:2"}, {"a": "1", "b": "2"}),
        ({"a": "x,b=y"}, {"a": "x", "b": "y"}),
        ({"a": "x\x00b\x00y"}, {"a": "x", "b": "y"}),
        ({"a": "é"}, {"a": "e\u0301"}),
        ({"A": "x"}, {"a": "x"}),
    ],
)
def test_pairs_that_would_run_together_as_text_do_not(one: dict[str, str], other: dict[str, str]) -> None:
    assert pairs_digest(one) != pairs_digest(other)


@given(st.dictionaries(texts, texts, max_size=5).flatmap(lambda one: st.tuples(st.just(one), st.permutations([*one]))))
def test_a_digest_does_not_depend_on_the_order_of_the_pairs(drawn: tuple[dict[str, str], list[str]]) -> None:
    one, order = drawn
    assert pairs_digest(one) == pairs_digest({name: one[name] for name in order})


SEPARATORS = [
    "",
    " ",
    ",",
    ", ",
    "=",
    ":",
    ": ",
    ";",
    "|",
    "/",
    "\n",
    "\t",
    "\x00",
    "\xff",
    "'",
    "', '",
    "'), ('",
    '","',
    '":"',
    "1:",
]


def test_no_separators_in_a_name_or_a_value_make_two_pairs_of_one() -> None:
    two = pairs_digest({"a": "1", "b": "2"})
    for between_pairs, within_a_pair in product(SEPARATORS, repeat=2):
        assert pairs_digest({"a": f"1{between_pairs}b{within_a_pair}2"}) != two
        assert pairs_digest({f"a{within_a_pair}1{between_pairs}b": "2"}) != two


def test_an_empty_value_is_the_same_as_an_absent_one() -> None:
    assert pairs_digest({"a": "1", "b": ""}) == pairs_digest({"a": "1"})
    assert pairs_digest({"": ""}) == pairs_digest({})


def test_a_digest_has_the_size_that_was_asked_for() -> None:
    assert len(pairs_digest({})) == 16
    assert len(pairs_digest({"a": "b"}, size=8)) == 8
