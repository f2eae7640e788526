"""What comes of an alert if nobody acts."""

from __future__ import annotations

from datetime import timedelta

from sevrouter.domain.ahead import Ahead, ahead
from sevrouter.domain.grading import Grader, Rule
from sevrouter.domain.measure import parse_threshold
from sevrouter.domain.promql import QueryTemplate
from sevrouter.domain.sev import Sev
from sevrouter.domain.timed import Count, FiringFor, Query, Watched
from tests.domain.building import firing, fixed, watched

SLA = watched("SLA", FiringFor(), {Sev.SEV_3: ">= 5m", Sev.SEV_2: ">= 30m", Sev.SEV_1: ">= 4h"})


def asks(name: str, sev: Sev, *, minutes: float, query: str = "up") -> Rule:
    threshold = parse_threshold(sev, "> 1")
    return Rule(name, (), Watched(Query(QueryTemplate.parse(query)), (threshold,), None, timedelta(minutes=minutes)))


def comes(*rules: Rule) -> list[tuple[float, str, Sev, bool]]:
    found = ahead(Grader(rules, unmatched=Sev.SEV_2), firing())
    return [(each.after.total_seconds() / 60, each.rule, each.sev, each.unless_answered) for each in found]


def test_the_soonest_comes_first_and_only_what_is_worse_than_what_is_there() -> None:
    assert comes(fixed("now", Sev.SEV_3), SLA) == [(30, "SLA", Sev.SEV_2, False), (240, "SLA", Sev.SEV_1, False)]
    assert comes(fixed("now", Sev.SEV_1), SLA) == []


def test_a_query_that_gives_nothing_is_the_worst_of_its_rule_after_a_while() -> None:
    assert comes(asks("left", Sev.SEV_1, minutes=1)) == [(1, "left", Sev.SEV_1, True)]
    assert comes(fixed("now", Sev.SEV_2), asks("left", Sev.SEV_2, minutes=1)) == []


def test_what_need_not_happen_hides_nothing_that_will() -> None:
    assert comes(asks("left", Sev.SEV_1, minutes=1), SLA) == [
        (1, "left", Sev.SEV_1, True),
        (5, "SLA", Sev.SEV_3, False),
        (30, "SLA", Sev.SEV_2, False),
        (240, "SLA", Sev.SEV_1, False),
    ]


def test_what_will_happen_hides_what_could_be_no_worse() -> None:
    late, early = asks("late", Sev.SEV_2, minutes=45), asks("early", Sev.SEV_2, minutes=20)
    assert [rule for _, rule, _, _ in comes(late, early, SLA)] == ["SLA", "early", "SLA", "SLA"]


def test_a_query_that_cannot_be_asked_is_the_worst_at_once_for_sure() -> None:
    rule = asks("left", Sev.SEV_1, minutes=1, query='up{pod="{{ pod }}"}')
    assert ahead(Grader([rule, SLA], unmatched=Sev.SEV_2), firing()) == [
        Ahead(timedelta(0), Sev.SEV_1, "left", problem="the alert has no label 'pod'")
    ]


def test_a_count_tells_no_future() -> None:
    assert comes(watched("many", Count(), {Sev.SEV_1: "> 3"})) == []
