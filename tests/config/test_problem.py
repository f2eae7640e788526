"""A problem is one line: where, what, and what to do."""

from __future__ import annotations

import pytest

from sevrouter.config.problem import (
    ConfigurationError,
    Level,
    Problem,
    Steps,
    did_you_mean,
    in_order,
    shown_path,
)


def test_a_problem_reads_as_file_line_column_path_message_hint() -> None:
    problem = Problem(
        file="config/x.yaml", line=12, column=5, path="rules[2].sev", message="'SEV-6' is not a SEV", hint="write SEV-1"
    )

    assert str(problem) == "config/x.yaml:12:5: rules[2].sev: 'SEV-6' is not a SEV (hint: write SEV-1)"


def test_a_warning_says_so() -> None:
    problem = Problem(level=Level.WARNING, file="x.yaml", line=1, column=1, message="can never match")

    assert str(problem) == "x.yaml:1:1: warning: can never match"


def test_a_problem_with_the_whole_file_names_no_line() -> None:
    assert str(Problem(file="x.yaml", message="cannot be read")) == "x.yaml: cannot be read"


def test_whatever_is_quoted_a_problem_stays_one_clean_line() -> None:
    problem = Problem(file="x.yaml", line=1, column=1, message="a\nb\x1b[31m\u2028c" + "d" * 10_000)

    assert str(problem).isprintable()
    assert len(str(problem)) <= 600


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ((), ""),
        (("rules", 2, "thresholds", "SEV-6"), "rules[2].thresholds.SEV-6"),
        (("teams", "a.b", "slack"), 'teams."a.b".slack'),
        (("teams", "", "slack"), 'teams."".slack'),
        (("teams", "zahlung_ä"), "teams.zahlung_ä"),
        (("teams", "a\nb"), 'teams."a b"'),
    ],
)
def test_a_path_can_be_found_again_in_the_file(steps: Steps, text: str) -> None:
    assert shown_path(steps) == text


@pytest.mark.parametrize(
    ("written", "known", "hint"),
    [
        ("responces", ["rules", "responses"], "did you mean 'responses'?"),
        ("RULES", ["rules", "responses"], "did you mean 'rules'?"),
        ("xyz", ["rules", "responses"], "known: rules, responses"),
        ("xyz", [], ""),
        ("rule", ["rules"] * 501, ""),
    ],
)
def test_the_nearest_known_word_is_suggested(written: str, known: list[str], hint: str) -> None:
    assert did_you_mean(written, known) == hint


def test_problems_come_in_the_order_of_the_file_and_each_once() -> None:
    late = Problem(file="x", line=9, column=1, message="late")
    early = Problem(file="x", line=2, column=7, message="early")

    assert in_order([late, early, late]) == (early, late)
    assert str(ConfigurationError([late, early])) == "x:2:7: early\nx:9:1: late"
