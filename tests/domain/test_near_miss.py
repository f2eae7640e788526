"""By how little a rule did not decide."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sevrouter.domain.alert import Alert
from sevrouter.domain.grading import Grader, Rule
from sevrouter.domain.near_miss import Considered, consider, nearest
from sevrouter.domain.sev import Sev
from sevrouter.domain.timed import FiringFor
from tests.domain.building import NOW, by_number, by_word, fixed, watched

A = 'a="b" is not met, there is no label a'


def told(*rules: Rule, annotations: dict[str, str] | None = None, labels: dict[str, str] | None = None) -> list[str]:
    alert = Alert(labels={"alertname": "Down"} | (labels or {}), annotations=annotations or {}, starts_at=NOW)
    return [str(each) for each in nearest(consider(Grader(rules, unmatched=Sev.SEV_2), alert))]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (fixed("r", Sev.SEV_1, 'a="b"'), f"rule 'r' (up to SEV-1): {A}"),
        (fixed("r", Sev.SEV_1, 'a!=""'), "rule 'r' (up to SEV-1): a!=\"\" is not met, there is no label a"),
        (fixed("r", Sev.SEV_1, 'c!~"d.*"'), "rule 'r' (up to SEV-1): c!~\"d.*\" is not met, c is 'dd'"),
        (fixed("r", None, 'c="d"', 'alertname="Down"'), "rule 'r' (not an incident): c=\"d\" is not met, c is 'dd'"),
        (by_word("r", {"x": Sev.SEV_5, "y": Sev.SEV_3}, 'a="b"'), f"rule 'r' (up to SEV-3): {A}"),
        (by_word("r", {"x": None}, 'a="b"'), f"rule 'r' (up to SEV-2): {A}"),
        (watched("r", FiringFor(), {Sev.SEV_4: "> 1m", Sev.SEV_2: "> 1h"}, 'a="b"'), f"rule 'r' (up to SEV-2): {A}"),
        (
            fixed("r", Sev.SEV_4, *(f'l{number}="x"' for number in range(9))),
            "rule 'r' (up to SEV-4): " + "; ".join(f'l{n}="x" is not met, there is no label l{n}' for n in range(3))
            + "; and 6 more",
        ),
    ],
)  # fmt: skip
def test_a_rule_that_does_not_match_says_what_is_missing(rule: Rule, said: str) -> None:
    assert told(rule, labels={"c": "dd"}) == [said]


@pytest.mark.parametrize(
    ("bounds", "number", "said"),
    [
        ({Sev.SEV_1: ">= 25", Sev.SEV_2: ">= 5"}, "4.9%", "4.9% is not >= 5, which would be SEV-2"),
        ({Sev.SEV_1: ">= 25", Sev.SEV_2: ">= 5"}, "5", "5 is not >= 25, which would be SEV-1"),
        ({Sev.SEV_1: "< 1", Sev.SEV_3: "< 2"}, "1", "1 is not < 1, which would be SEV-1"),
        ({Sev.SEV_1: "< 1", Sev.SEV_3: "< 2"}, "2", "2 is not < 2, which would be SEV-3"),
        # Five minutes, or five thousandths: the worse counts.
        ({Sev.SEV_1: ">= 400", Sev.SEV_2: ">= 100"}, "5m", "5m is not >= 400, which would be SEV-1"),
    ],
)
def test_a_rule_that_matches_names_its_next_worse_bound(bounds: dict[Sev, str], number: str, said: str) -> None:
    assert told(by_number("r", bounds), annotations={"users_affected_percent": number}) == [f"rule 'r': {said}"]


@pytest.mark.parametrize("number", ["", "many", "NaN", "25", "+Inf"])
def test_what_is_the_worst_of_its_rule_has_no_worse_bound(number: str) -> None:
    rule = by_number("r", {Sev.SEV_1: ">= 25", Sev.SEV_2: ">= 5"})
    assert told(rule, annotations={"users_affected_percent": number}) == []


def test_the_nearest_come_first_and_among_equals_the_worst() -> None:
    rules = (
        fixed("two", Sev.SEV_1, 'a="b"', 'c="d"'),
        fixed("none", None, 'a="b"'),
        fixed("mild", Sev.SEV_5, 'a="b"'),
        fixed("bad", Sev.SEV_2, 'a="b"'),
        fixed("as bad, and later", Sev.SEV_2, 'a="b"'),
        by_number("a bound", {Sev.SEV_5: "> 5"}),
        fixed("matches", Sev.SEV_3),
    )
    said = told(*rules, annotations={"users_affected_percent": "1"})
    assert [each.split("'")[1] for each in said] == ["a bound", "bad", "as bad, and later", "mild", "none", "two"]


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_whatever_a_label_and_a_matcher_hold_one_clean_line_comes_of_it(name: str, value: str, other: str) -> None:
    rule = fixed(other or "r", Sev.SEV_1, 'a="b"', '"' + other.replace("\\", "").replace('"', "") + 'x"="y"')
    for line in told(rule, labels={name or "n": value, "a": value * 100_000}):
        assert {unicodedata.category(each) for each in line}.isdisjoint({"Cc", "Cs", "Zl", "Zp"})
        assert len(line) <= 500


@given(st.lists(st.sampled_from(["a", "b", "c"])), st.dictionaries(st.sampled_from(["a", "b", "c"]), st.just("x")))
def test_what_is_unmet_is_just_what_keeps_a_rule_from_matching(wanted: list[str], labels: dict[str, str]) -> None:
    rule = fixed("r", Sev.SEV_1, *(f'{name}="x"' for name in wanted))
    grader, alert = Grader([rule], unmatched=Sev.SEV_2), Alert(labels=labels, starts_at=NOW)
    (considered,) = consider(grader, alert)
    assert isinstance(considered, Considered)
    assert considered.matches == (grader.rules_for(alert) == (rule,))
    assert [each.label for each in considered.unmet] == [name for name in wanted if name not in labels]
