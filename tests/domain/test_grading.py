"""Every rule that matches grades an alert, the worst grade wins, and doubt goes to the worse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sevrouter.domain import grading
from sevrouter.domain.alert import Alert
from sevrouter.domain.grading import Fixed, Grader, GradeReason, Graduated, Mapped, Rule
from sevrouter.domain.labels import Matcher, MatchOp, all_match, matcher
from sevrouter.domain.measure import Measure, Source, parse_threshold
from sevrouter.domain.own import unreadable_webhook
from sevrouter.domain.sev import Sev, worst
from tests.domain.building import NOW, by_number, by_word, firing, fixed

CUSTOMERS = {Sev.SEV_1: ">= 25", Sev.SEV_2: ">= 5", Sev.SEV_3: "> 0"}

names = st.sampled_from(["a", "b", "c", "d"])
words = st.sampled_from(["", "1", "2", "3", "x"])
labels = st.dictionaries(names, words, max_size=4)
sevs = st.sampled_from([*Sev, None])
percentages = st.one_of(
    st.sampled_from(["", " ", "many", "NaN", "5m", "1y", "+Inf", "-Inf", "0", "12.5%"]),
    st.floats(-10, 200).map(str),
)


@st.composite
def matchers(draw: st.DrawFn) -> Matcher:
    op = draw(st.sampled_from(MatchOp))
    value = draw(words if op in {MatchOp.EQUAL, MatchOp.NOT_EQUAL} else st.sampled_from(["1|2", ".*", ".+", "x?", ""]))
    return matcher(draw(names), op, value)


@st.composite
def scales(draw: st.DrawFn) -> Fixed | Graduated | Mapped:
    kind = draw(st.sampled_from(["fixed", "number", "word"]))
    if kind == "fixed":
        return Fixed(draw(sevs))
    if kind == "word":
        return Mapped(Measure(Source.LABEL, draw(names)), draw(st.dictionaries(words, sevs, min_size=1, max_size=3)))
    bounds = draw(st.dictionaries(st.sampled_from(list(Sev)), thresholds(), min_size=1, max_size=4))
    return Graduated(
        Measure(Source.ANNOTATION, "percent"), tuple(parse_threshold(sev, text) for sev, text in bounds.items())
    )


@st.composite
def thresholds(draw: st.DrawFn) -> str:
    return f"{draw(st.sampled_from(['>=', '>', '<=', '<', '==']))} {draw(st.integers(-5, 120))}"


rules = st.builds(lambda found, scale: Rule("a rule", tuple(found), scale), st.lists(matchers(), max_size=3), scales())
alerts = st.builds(
    lambda given_labels, text: Alert(labels=given_labels, annotations={"percent": text}, starts_at=NOW),
    labels,
    percentages,
)


def rank(sev: Sev | None) -> int:
    return 6 if sev is None else sev.value


def test_the_worst_of_the_rules_that_match_wins() -> None:
    grader = Grader(
        [fixed("mild", Sev.SEV_4), fixed("bad", Sev.SEV_2, "severity=critical"), fixed("other", Sev.SEV_1, "a=b")],
        unmatched=Sev.SEV_3,
    )
    verdict = grader.grade(firing(severity="critical"))
    assert verdict.sev is Sev.SEV_2
    assert not verdict.unsure
    assert [grade.rule for grade in verdict.grades] == ["bad", "mild"]


def test_what_no_rule_matches_is_unsure_and_as_bad_as_the_configuration_says() -> None:
    verdict = Grader([fixed("other", Sev.SEV_5, "a=b")], unmatched=Sev.SEV_3).grade(firing())
    assert (verdict.sev, verdict.unsure, verdict.is_unmatched) == (Sev.SEV_3, True, True)
    assert verdict.grades[0].reason is GradeReason.UNMATCHED


def test_an_alert_without_any_label_is_graded() -> None:
    assert Grader([], unmatched=Sev.SEV_2).grade(Alert(labels={}, starts_at=NOW)).sev is Sev.SEV_2


def test_a_webhook_that_cannot_be_read_is_as_bad_as_what_no_rule_matches() -> None:
    verdict = unreadable_webhook(Sev.SEV_2, "it was cut")
    assert (verdict.sev, verdict.unsure, verdict.is_unmatched) == (Sev.SEV_2, True, False)
    assert verdict.grades[0].why == "it was cut"


def test_a_rule_that_says_no_incident_silences_an_alert_alone() -> None:
    verdict = Grader([fixed("not an incident", None, "alertname=Watchdog")], unmatched=Sev.SEV_2).grade(
        firing("Watchdog")
    )
    assert (verdict.sev, verdict.unsure) == (None, False)


def test_a_rule_that_says_no_incident_against_another_is_a_doubt_and_the_worse_wins() -> None:
    rules_ = [fixed("not an incident", None, "alertname=Down"), fixed("bad", Sev.SEV_2)]
    verdict = Grader(rules_, unmatched=Sev.SEV_2).grade(firing())
    assert (verdict.sev, verdict.unsure) == (Sev.SEV_2, True)
    assert verdict.grades[0].rule == "bad"
    assert GradeReason.RULES_DISAGREE in {grade.reason for grade in verdict.grades}


def test_a_milder_sev_of_another_rule_is_no_doubt() -> None:
    verdict = Grader([fixed("mild", Sev.SEV_4), fixed("bad", Sev.SEV_2)], unmatched=Sev.SEV_2).grade(firing())
    assert not verdict.unsure


@pytest.mark.parametrize(
    ("text", "sev"), [("40%", Sev.SEV_1), ("25", Sev.SEV_1), ("24.9", Sev.SEV_2), ("0.1", Sev.SEV_3), ("0", None)]
)
def test_a_number_is_graded_by_the_worst_threshold_that_it_crosses(text: str, sev: Sev | None) -> None:
    grader = Grader([by_number("customers", CUSTOMERS)], unmatched=Sev.SEV_2)
    verdict = grader.grade(firing(annotations={"users_affected_percent": text}))
    assert (verdict.sev, verdict.unsure) == (sev, False)
    assert verdict.grades[0].reading == text


def test_the_order_in_which_thresholds_are_written_decides_nothing() -> None:
    backwards = dict(reversed(CUSTOMERS.items()))
    grader = Grader([by_number("customers", backwards)], unmatched=Sev.SEV_2)
    assert grader.grade(firing(annotations={"users_affected_percent": "40"})).sev is Sev.SEV_1
    assert grader.grade(firing()).sev is Sev.SEV_1


def test_a_grade_by_number_explains_itself() -> None:
    grader = Grader([by_number("customers", CUSTOMERS)], unmatched=Sev.SEV_2)
    (grade,) = grader.grade(firing(annotations={"users_affected_percent": "12.5%"})).grades
    assert grade.reason is GradeReason.THRESHOLD_CROSSED
    assert (grade.reading, grade.threshold) == ("12.5%", ">= 5")
    assert grade.why == "annotation users_affected_percent '12.5%' is >= 5"


@pytest.mark.parametrize(
    ("annotations", "reason", "words"),
    [
        ({}, GradeReason.MISSING, "annotation users_affected_percent is missing: unsure"),
        ({"users_affected_percent": "many"}, GradeReason.UNREADABLE, "'many' is not a number: unsure"),
        ({"users_affected_percent": "NaN"}, GradeReason.NOT_A_NUMBER, "is NaN, which is no data: unsure"),
    ],
)
def test_no_data_is_the_same_as_a_breached_threshold(
    annotations: dict[str, str], reason: GradeReason, words: str
) -> None:
    verdict = Grader([by_number("customers", CUSTOMERS)], unmatched=Sev.SEV_2).grade(firing(annotations=annotations))
    assert (verdict.sev, verdict.unsure, verdict.grades[0].reason) == (Sev.SEV_1, True, reason)
    assert words in verdict.grades[0].why


def test_an_ambiguous_number_is_unsure_where_its_meanings_differ() -> None:
    grader = Grader([by_number("latency", {Sev.SEV_2: "> 1m", Sev.SEV_4: "> 1ms"})], unmatched=Sev.SEV_2)
    (grade,) = grader.grade(firing(annotations={"users_affected_percent": "5m"})).grades
    assert (grade.sev, grade.unsure, grade.reason) == (Sev.SEV_2, True, GradeReason.AMBIGUOUS)
    assert "300 or 0.005" in grade.why


def test_an_ambiguous_number_takes_the_worse_meaning_also_where_it_is_the_smaller() -> None:
    grader = Grader([by_number("left", {Sev.SEV_1: "< 1", Sev.SEV_4: "< 1000"})], unmatched=Sev.SEV_2)
    (grade,) = grader.grade(firing(annotations={"users_affected_percent": "5m"})).grades
    assert (grade.sev, grade.unsure) == (Sev.SEV_1, True)


def test_an_ambiguous_number_is_sure_where_all_its_meanings_agree() -> None:
    grader = Grader([by_number("any", {Sev.SEV_3: "> 0"})], unmatched=Sev.SEV_2)
    assert not grader.grade(firing(annotations={"users_affected_percent": "5m"})).unsure


SEVERITIES: dict[str, Sev | None] = {"critical": Sev.SEV_2, "warning": Sev.SEV_4, "none": None}


@pytest.mark.parametrize(("word", "sev"), SEVERITIES.items())
def test_a_known_word_is_what_the_rule_says(word: str, sev: Sev | None) -> None:
    verdict = Grader([by_word("severity", SEVERITIES)], unmatched=Sev.SEV_2).grade(firing(severity=word))
    assert (verdict.sev, verdict.unsure, verdict.grades[0].reason) == (sev, False, GradeReason.VALUE_KNOWN)


@pytest.mark.parametrize("word", [" CRITICAL ", "Critical", "page", "warning\n", "\x00", "p1" * 500_000])
def test_an_unknown_word_is_the_worst_that_the_rule_knows_and_unsure(word: str) -> None:
    verdict = Grader([by_word("severity", SEVERITIES)], unmatched=Sev.SEV_3).grade(firing(severity=word))
    assert (verdict.sev, verdict.unsure, verdict.grades[0].reason) == (Sev.SEV_2, True, GradeReason.VALUE_UNKNOWN)
    assert len(verdict.grades[0].why) < 500
    assert "\x00" not in (verdict.grades[0].reading or "")


def test_a_missing_word_is_the_worst_that_the_rule_knows_and_unsure() -> None:
    verdict = Grader([by_word("severity", SEVERITIES)], unmatched=Sev.SEV_3).grade(firing())
    assert (verdict.sev, verdict.unsure, verdict.grades[0].reason) == (Sev.SEV_2, True, GradeReason.MISSING)


def test_an_unknown_word_is_never_dropped_by_a_rule_that_only_knows_what_is_no_incident() -> None:
    grader = Grader([by_word("severity", {"none": None, "info": None})], unmatched=Sev.SEV_3)
    assert grader.grade(firing(severity="info")).sev is None
    for alert in (firing(severity="catastrophic"), firing()):
        verdict = grader.grade(alert)
        assert (verdict.sev, verdict.unsure) == (Sev.SEV_3, True)


def test_a_sure_grade_explains_before_an_unsure_one_of_the_same_sev() -> None:
    rules_ = [by_number("customers", {Sev.SEV_2: "> 5"}), fixed("sure", Sev.SEV_2)]
    assert Grader(rules_, unmatched=Sev.SEV_2).grade(firing()).grades[0].rule == "sure"


@given(st.lists(rules, max_size=12), st.lists(alerts, min_size=1, max_size=6))
def test_the_index_finds_what_a_reader_of_all_rules_finds(given_rules: list[Rule], given_alerts: list[Alert]) -> None:
    grader = Grader(given_rules, unmatched=Sev.SEV_2)
    for alert in given_alerts * 2:
        expected = [rule for rule in given_rules if all_match(rule.matchers, alert.labels)]
        assert list(grader.rules_for(alert)) == expected
        assert grader.grade(alert) == Grader(given_rules, unmatched=Sev.SEV_2).grade(alert)


@given(st.data())
def test_two_hundred_rules_give_the_verdict_of_grading_by_each(data: st.DataObject) -> None:
    some = data.draw(st.lists(rules, min_size=10, max_size=10))
    given_rules = [Rule(f"{number}", some[number % 10].matchers, some[number % 10].scale) for number in range(190)]
    given_rules += [fixed(f"service {number}", Sev.SEV_4, f"service=s{number}") for number in range(10)]
    alert = data.draw(alerts)
    alone = [
        Grader([rule], unmatched=Sev.SEV_3).grade(alert)
        for rule in given_rules
        if all_match(rule.matchers, alert.labels)
    ]
    verdict = Grader(given_rules, unmatched=Sev.SEV_3).grade(alert)
    if alone:
        assert verdict.sev is worst(each.sev for each in alone)
        assert {grade.rule for grade in verdict.grades} == {each.grades[0].rule for each in alone}
    else:
        assert verdict.is_unmatched


@given(st.lists(rules, min_size=1, max_size=5), rules, alerts)
def test_one_more_rule_never_makes_a_verdict_milder(few: list[Rule], more: Rule, alert: Alert) -> None:
    before = Grader(few, unmatched=Sev.SEV_1).grade(alert)
    after = Grader([*few, more], unmatched=Sev.SEV_1).grade(alert)
    if not before.is_unmatched:
        assert rank(after.sev) <= rank(before.sev)


@given(st.lists(rules, max_size=6), alerts)
def test_a_verdict_is_its_worst_grade_and_the_first_grade_is_the_deciding_one(
    given_rules: list[Rule], alert: Alert
) -> None:
    verdict = Grader(given_rules, unmatched=Sev.SEV_2).grade(alert)
    ranks = [rank(grade.sev) for grade in verdict.grades]
    assert ranks == sorted(ranks)
    assert verdict.grades[0].sev is verdict.sev
    assert all(grade.why for grade in verdict.grades)


@given(
    st.dictionaries(st.sampled_from(list(Sev)), thresholds(), min_size=1),
    percentages,
    st.sampled_from(["", "x", "NaN"]),
)
def test_an_unreadable_measure_is_never_milder_than_any_value(
    bounds: dict[Sev, str], text: str, unreadable: str
) -> None:
    grader = Grader([by_number("a rule", bounds)], unmatched=Sev.SEV_5)
    readable = grader.grade(firing(annotations={"users_affected_percent": text}))
    nothing = grader.grade(firing(annotations={"users_affected_percent": unreadable}))
    assert nothing.unsure
    assert rank(nothing.sev) <= rank(readable.sev)


def test_more_label_sets_than_are_remembered_are_graded_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grading, "REMEMBERED_CASES", 3)
    grader = Grader([fixed("even", Sev.SEV_1, 'pod=~"[0-9]*[02468]"')], unmatched=Sev.SEV_4)
    for _ in range(2):
        graded = [grader.grade(firing(pod=str(number))).sev for number in range(10)]
        assert graded == [Sev.SEV_1, Sev.SEV_4] * 5


def test_an_alert_whose_value_changed_is_graded_anew() -> None:
    grader = Grader([by_number("customers", CUSTOMERS)], unmatched=Sev.SEV_2)
    graded = [grader.grade(firing(annotations={"users_affected_percent": text})).sev for text in ("1", "30")]
    assert graded == [Sev.SEV_3, Sev.SEV_1]
