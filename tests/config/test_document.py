"""YAML becomes text that remembers its place, and nothing in it can harm us."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sevrouter.config.document import DEEPEST, EACH, MOST_NODES, Mark, parse
from sevrouter.config.problem import ConfigurationError, Problem


def refusal(text: str) -> Problem:
    with pytest.raises(ConfigurationError) as refused:
        parse("x.yaml", text)
    (problem,) = refused.value.problems
    return problem


@pytest.mark.parametrize(
    "text",
    ["NO", "on", "yes", "true", "5:30", "0123", "0x1F", "1e3", "1_000", ".inf", "2026-01-01", "=", "12.50", "-1"],
)
def test_a_scalar_stays_what_is_written(text: str) -> None:
    assert parse("x.yaml", f"a: {text}\n").data == {"a": text}


@pytest.mark.parametrize("text", ["", "~", "null", "Null", "NULL"])
def test_nothing_is_nothing(text: str) -> None:
    assert parse("x.yaml", f"a: {text}\n").data == {"a": None}


@pytest.mark.parametrize("text", ["''", '""', "'null'", '"~"'])
def test_nothing_in_quotes_is_text(text: str) -> None:
    assert parse("x.yaml", f"a: {text}\n").data == {"a": text[1:-1]}


@pytest.mark.parametrize("key", ["NO", "0123", "null", "~", "5:30"])
def test_a_key_is_always_text(key: str) -> None:
    assert parse("x.yaml", f"{key}: 1\n").data == {key: "1"}


def test_every_value_and_key_knows_its_place() -> None:
    document = parse("x.yaml", "rules:\n  - name: a\n    sev:   SEV-2\n")

    assert document.values["rules", 0, "sev"] == Mark(3, 12)
    assert document.keys["rules", 0, "sev"] == Mark(3, 5)
    assert document.values["rules", 0] == Mark(2, 5)


def test_what_is_absent_is_placed_at_the_nearest_thing_around_it() -> None:
    document = parse("x.yaml", "a: 1\nteams:\n  payments:\n    slack: {}\n")

    assert str(document.problem(("teams", "payments", "jira", "project"), "is missing")) == (
        "x.yaml:3:3: teams.payments.jira.project: is missing"
    )
    assert document.problem(("zzz",), "is missing").line == 1


def test_lines_that_end_as_on_windows_count_as_lines() -> None:
    assert parse("x.yaml", "a: 1\r\nb: 2\r\n").values["b",] == Mark(2, 4)


def test_at_gives_nothing_where_the_shape_is_another() -> None:
    document = parse("x.yaml", "a: [1, {b: 2}]\n")

    assert document.at("a", 1, "b") == "2"
    assert document.at("a", 7) is None
    assert document.at("a", "b") is None
    assert document.at("a", 0, "b") is None


def test_find_gives_every_path_that_a_pattern_meets() -> None:
    document = parse("x.yaml", "a: [{b: 1}, {c: 2}, {b: 3}, 4]\n")

    assert list(document.find("a", EACH, "b")) == [(("a", 0, "b"), "1"), (("a", 2, "b"), "3")]
    assert list(document.find("z", EACH)) == []


def test_an_alias_repeats_its_anchor_and_points_to_it() -> None:
    document = parse("x.yaml", "a: &x {b: 1}\nc: *x\n")

    assert document.data == {"a": {"b": "1"}, "c": {"b": "1"}}
    assert document.values["c", "b"] == Mark(1, 11)


def test_a_bomb_is_refused_and_not_expanded() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]

    assert "values once its aliases are expanded" in refusal("\n".join(lines)).message


def test_as_many_values_as_are_allowed_are_read() -> None:
    assert isinstance(parse("x.yaml", "a: [" + "x," * (MOST_NODES - 2) + "]").data, dict)
    assert "values once" in refusal("a: [" + "x," * (MOST_NODES - 1) + "]").message


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_a_hundred_thousand_levels_are_refused(opening: str) -> None:
    assert refusal("a:\n  " + opening * 100_000).message == f"nested more than {DEEPEST} levels deep"


def test_an_alias_of_itself_is_refused() -> None:
    assert "inside its own anchor" in refusal("a: &a\n  b: [*a]\n").message


def test_several_mistakes_that_do_not_hide_the_rest_are_all_kept() -> None:
    document = parse("x.yaml", "a: 1\na: 2\nb:\n  <<: {c: 1}\n  c: 3\n? [x]\n: 1\n")

    assert [problem.line for problem in document.problems] == [2, 4, 6]
    assert document.data == {"a": "1", "b": {"c": "3"}}


def test_a_control_character_is_refused_with_its_place() -> None:
    problem = refusal("ä: 1\nb: ä\x07\n")

    assert (problem.line, problem.column, problem.message) == (2, 5, "not YAML: a control character")


@pytest.mark.parametrize("text", ["!!python/object/apply:os.system ['true']", "!!binary aGk=", "!env HOME", "!!int 5"])
def test_tags_are_refused(text: str) -> None:
    assert refusal(f"a: {text}\n").message == "tags (!…) are not used"


@given(st.text(max_size=200) | st.text(alphabet="ab:-[]{}&*!|>'\"#%@`\n\t ,?<~", max_size=60))
def test_any_text_is_a_mapping_or_refused(text: str) -> None:
    try:
        document = parse("x.yaml", text)
    except ConfigurationError:
        return
    assert isinstance(document.data, dict)
