"""A share of one measure in another, graded as one number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sevrouter.domain.alert import Alert
from sevrouter.domain.grading import Grader, GradeReason
from sevrouter.domain.measure import Measure, Source
from sevrouter.domain.measuring import Subject
from sevrouter.domain.promql import QueryAnswer, QueryProblem, QueryTemplate, Series
from sevrouter.domain.review import Review, queries, review
from sevrouter.domain.sev import Sev, worst
from sevrouter.domain.timed import Count, Query, Ratio
from tests.domain.building import at, record_of, watched

BOUNDS = {Sev.SEV_1: ">= 50", Sev.SEV_2: ">= 30"}
FAILED, ALL = (Query(QueryTemplate.parse(f'{name}{{job="{{{{ job }}}}"}}')) for name in ("failed", "all"))


def numbers(*given_numbers: float) -> QueryAnswer:
    return QueryAnswer(tuple(Series({}, each) for each in given_numbers))


def graded(ratio: Ratio, answers: dict[str, QueryAnswer], *subjects: Subject, minute: float = 0) -> Review:
    """A review by a rule of this ratio, all of whose queries are of the job `edge`."""
    grader = Grader([watched("share", ratio, BOUNDS)], unmatched=Sev.SEV_2)
    asked = {f'{name}{{job="edge"}}': answer for name, answer in answers.items()}
    return review(grader, subjects or (subject(),), now=at(minute), answers=asked)


def subject(instance: str = "a", **labels: str) -> Subject:
    alert = Alert(labels={"alertname": "Down", "job": "edge", "instance": instance, **labels}, starts_at=at(0))
    return Subject(alert, record_of(alert, incident_id=None, sev=None))


@pytest.mark.parametrize(
    ("failed", "whole", "sev"), [(29, 100, None), (30, 100, Sev.SEV_2), (3, 6, Sev.SEV_1), (600, 1000, Sev.SEV_1)]
)
def test_two_queries_are_graded_by_their_ratio_in_per_cent(failed: float, whole: float, sev: Sev | None) -> None:
    found = graded(Ratio(FAILED, ALL), {"failed": numbers(failed), "all": numbers(whole)})
    assert found.sev is sev


def test_it_says_what_of_what() -> None:
    (seen,) = graded(Ratio(FAILED, ALL), {"failed": numbers(3), "all": numbers(6)}).observations
    assert seen.verdict is not None
    assert seen.verdict.grades[0].why == ('query failed{job="{{ job }}"} of query all{job="{{ job }}"} 50 % is >= 50')


def test_both_queries_are_asked() -> None:
    grader = Grader([watched("share", Ratio(FAILED, ALL), BOUNDS)], unmatched=Sev.SEV_2)
    assert list(queries(grader, [subject().alert])) == ['failed{job="edge"}', 'all{job="edge"}']


def test_a_count_may_be_a_share_of_what_a_query_gives() -> None:
    rule = Ratio(Count("instance"), ALL)
    three = [subject(each) for each in "abc"]
    assert graded(rule, {"all": numbers(11)}, *three).sev is None
    assert graded(rule, {"all": numbers(10)}, *three).sev is Sev.SEV_2


def test_a_label_may_be_the_whole() -> None:
    rule = Ratio(Count("instance"), Measure(Source.LABEL, "replicas"))
    assert graded(rule, {}, subject("a", replicas="2")).sev is Sev.SEV_1
    assert graded(rule, {}, subject("a", replicas="20")).sev is None
    unreadable = graded(rule, {}, subject("a", replicas="many"))
    assert (unreadable.sev, unreadable.problems) == (Sev.SEV_1, (QueryProblem.UNREADABLE,)), "at once: it stays so"


def test_a_number_may_be_either_side() -> None:
    assert graded(Ratio(FAILED, 10.0), {"failed": numbers(4)}).sev is Sev.SEV_2
    assert graded(Ratio(4.0, ALL), {"all": numbers(10)}).sev is Sev.SEV_2


@pytest.mark.parametrize("whole", [0, -1])
@pytest.mark.parametrize("failed", [0, 5])
def test_of_nothing_there_is_no_share_and_that_is_the_worst_after_a_while(failed: float, whole: float) -> None:
    answers = {"failed": numbers(failed), "all": numbers(whole)}
    first = graded(Ratio(FAILED, ALL), answers)
    assert first.sev is None
    grader = Grader([watched("share", Ratio(FAILED, ALL), BOUNDS)], unmatched=Sev.SEV_2)
    asked = {f'{name}{{job="edge"}}': answer for name, answer in answers.items()}
    later = review(grader, [subject()], now=at(1), answers=asked, readings=first.readings)
    assert (later.sev, later.problems) == (Sev.SEV_1, (QueryProblem.NOT_A_NUMBER,))
    assert later.observations[0].verdict is not None
    assert later.observations[0].verdict.grades[0].reason is GradeReason.NO_DATA


def test_as_long_as_one_side_was_not_asked_nothing_is_said() -> None:
    assert graded(Ratio(FAILED, ALL), {"failed": numbers(3)}).sev is None


@given(
    parts=st.lists(st.floats(0, 1e9), min_size=1, max_size=5),
    wholes=st.lists(st.floats(1e-3, 1e9), min_size=1, max_size=5),
)
def test_of_several_series_no_pair_is_worse_than_what_counts(parts: list[float], wholes: list[float]) -> None:
    rule = Ratio(FAILED, ALL)
    together = graded(rule, {"failed": numbers(*parts), "all": numbers(*wholes)}).sev
    pairs = [graded(rule, {"failed": numbers(part), "all": numbers(whole)}).sev for part in parts for whole in wholes]
    assert worst(pairs) is together
