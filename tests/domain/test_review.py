"""What timed measures say of alerts that fire on as they were."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sevrouter.domain.alert import Alert
from sevrouter.domain.grading import Grader, GradeReason, Rule
from sevrouter.domain.measuring import EVERY, SELDOM, Subject, interval
from sevrouter.domain.observation import Change
from sevrouter.domain.promql import QueryAnswer, QueryProblem, QueryTemplate, Series
from sevrouter.domain.readings import Past
from sevrouter.domain.review import MOST_QUERIES, Review, Rise, queries, review, rises_ahead
from sevrouter.domain.sev import Sev, worst
from sevrouter.domain.timed import UNSURE_AFTER, Count, FiringFor, Query
from tests.domain.building import at, by_word, firing, fixed, record_of, watched

SLA = watched("breaking the SLA", FiringFor(), {Sev.SEV_2: ">= 30m", Sev.SEV_1: ">= 4h"}, 'slo=~".+"')
WORDS = by_word("severity label", {"warning": Sev.SEV_4, "none": None}, 'severity=~".+"')
SHARE = watched("instances", Count("instance", whole=10), {Sev.SEV_1: ">= 50", Sev.SEV_2: ">= 30"}, 'alertname="Down"')


def grader(*rules: Rule) -> Grader:
    """Rules in force."""
    return Grader(rules, unmatched=Sev.SEV_2)


def subject(name: str = "Slow", *, start: float = 0, **labels: str) -> Subject:
    """A firing alert under watch."""
    alert = Alert(labels={"alertname": name, **labels}, starts_at=at(start))
    return Subject(alert, record_of(alert, incident_id=None, sev=None))


def sevs(found: Review) -> list[Sev | None]:
    """How bad each of the alerts is that are bad at all."""
    return [None if each.verdict is None else each.verdict.sev for each in found.observations]


@pytest.mark.parametrize(
    ("minute", "sev", "next_minute"),
    [(0, None, 30), (29.99, None, 30), (30, Sev.SEV_2, 240), (239, Sev.SEV_2, 240), (240, Sev.SEV_1, None)],
)
def test_an_alert_gets_worse_by_firing_on(minute: float, sev: Sev | None, next_minute: float | None) -> None:
    found = review(grader(SLA), [subject(slo="latency")], now=at(minute))
    assert sevs(found) == ([] if sev is None else [sev])
    assert found.sev is sev
    assert found.next_at == (None if next_minute is None else at(next_minute))


def test_it_says_why() -> None:
    found = review(grader(SLA), [subject(slo="latency")], now=at(31))
    (observation,) = found.observations
    assert observation.change is Change.MEASURED
    assert observation.verdict is not None
    (grade,) = observation.verdict.grades
    assert (grade.rule, grade.why) == ("breaking the SLA", "firing for 31m is >= 30m")
    assert (grade.reading, grade.threshold, grade.unsure) == ("31m", ">= 30m", False)


def test_the_other_rules_that_match_count_too() -> None:
    found = review(grader(SLA, WORDS), [subject(slo="latency", severity="warning")], now=at(5))
    assert sevs(found) == [Sev.SEV_4]
    later = review(grader(SLA, WORDS), [subject(slo="latency", severity="warning")], now=at(30))
    assert sevs(later) == [Sev.SEV_2]
    (observation,) = later.observations
    assert observation.verdict is not None
    reasons = [each.reason for each in observation.verdict.grades]
    assert reasons == [GradeReason.THRESHOLD_CROSSED, GradeReason.VALUE_KNOWN], "and none that only says: watched"


def test_a_rule_that_says_outright_that_it_is_no_incident_makes_it_unsure() -> None:
    rules = grader(SLA, fixed("no incident", None, 'alertname="Slow"'))
    (observation,) = review(rules, [subject(slo="latency")], now=at(30)).observations
    assert observation.verdict is not None
    assert (observation.verdict.sev, observation.verdict.unsure) == (Sev.SEV_2, True)


def test_the_age_of_the_incident_counts_where_that_is_asked_for() -> None:
    rule = watched("open for long", FiringFor(of_incident=True), {Sev.SEV_1: ">= 1h"})
    young = subject(start=50)
    in_incident = Subject(young.alert, young.record, opened_at=at(0))
    assert review(grader(rule), [young], now=at(60)).sev is None
    found = review(grader(rule), [in_incident], now=at(60))
    assert found.sev is Sev.SEV_1
    assert found.observations[0].verdict is not None
    assert found.observations[0].verdict.grades[0].why == "open for 1h is >= 1h"
    assert review(grader(rule), [in_incident], now=at(59)).next_at == at(60)


def test_an_alert_that_is_not_watched_any_more_is_left_alone() -> None:
    found = review(grader(SLA, WORDS), [subject(severity="warning")], now=at(300))
    assert found == Review((), None, None)


def test_what_lies_ahead_is_told_once_for_each_rise() -> None:
    slower = watched("slower", FiringFor(), {Sev.SEV_2: ">= 1h", Sev.SEV_3: "> 5m"}, 'slo=~".+"')
    alert = firing("Slow", severity="warning", slo="latency")
    assert rises_ahead(grader(SLA, slower, WORDS, ERRORS), alert) == [
        Rise(timedelta(minutes=5, milliseconds=1), Sev.SEV_3, "slower"),
        Rise(timedelta(minutes=30), Sev.SEV_2, "breaking the SLA"),
        Rise(timedelta(hours=4), Sev.SEV_1, "breaking the SLA"),
    ]
    assert rises_ahead(grader(SLA, WORDS), firing("Slow", severity="warning")) == []


def test_a_clock_that_runs_behind_makes_no_negative_duration() -> None:
    found = review(grader(SLA), [subject(slo="latency", start=5)], now=at(0))
    assert (found.sev, found.next_at) == (None, at(35))


def test_a_bound_that_has_to_be_exceeded_is_looked_at_just_after() -> None:
    rule = watched("long", FiringFor(), {Sev.SEV_1: "> 1h"})
    found = review(grader(rule), [subject()], now=at(60))
    assert (found.sev, found.next_at) == (None, at(60) + timedelta(milliseconds=1))
    assert review(grader(rule), [subject()], now=found.next_at or at(0)).sev is Sev.SEV_1


def test_a_bound_beyond_all_time_is_never_reached() -> None:
    rule = watched("never", FiringFor(), {Sev.SEV_1: ">= 1e300"})
    found = review(grader(rule), [subject()], now=at(60))
    assert (found.sev, found.next_at) == (None, None)


def test_values_of_a_label_are_counted_once() -> None:
    subjects = [subject("Down", instance=name, disk=disk) for name in ("a", "b") for disk in ("1", "2")]
    assert review(grader(SHARE), subjects, now=at(1)).sev is None
    found = review(grader(SHARE), [*subjects, subject("Down", instance="c")], now=at(1))
    assert sevs(found) == [Sev.SEV_2] * 5
    assert found.observations[0].verdict is not None
    assert found.observations[0].verdict.grades[0].why == "distinct instance 30 % (3 of 10) is >= 30"


def test_alerts_are_counted() -> None:
    rule = watched("many", Count(), {Sev.SEV_3: ">= 3"})
    two = [subject("Down", instance=name) for name in "ab"]
    assert review(grader(rule), two, now=at(1)).sev is None
    assert review(grader(rule), [*two, subject("Down")], now=at(1)).sev is Sev.SEV_3


def test_what_is_bad_is_read_more_often() -> None:
    rule = watched("many", Count(), {Sev.SEV_3: ">= 2"})
    one = [subject("Down")]
    assert review(grader(rule), one, now=at(1)).next_at == at(2), "and all of them at the same moment"
    assert review(grader(rule), [*one, subject("Up")], now=at(1)).next_at == at(1) + EVERY
    own = watched("many", Count(), {Sev.SEV_3: ">= 2"}, every=timedelta(seconds=6))
    assert review(grader(own), one, now=at(1)).next_at == at(1) + timedelta(seconds=6)


def test_the_worst_three_are_read_often() -> None:
    assert [interval(sev) for sev in Sev] == [EVERY, EVERY, EVERY, SELDOM, SELDOM]
    assert interval(None) == SELDOM


def test_an_alert_that_only_watched_rules_match_is_not_unmatched() -> None:
    verdict = grader(SLA).grade(firing("Slow", slo="latency"))
    assert (verdict.sev, verdict.unsure, verdict.watched, verdict.is_unmatched) == (None, False, True, False)
    assert verdict.grades[0].why == "firing for is watched (SEV-1 >= 4h, SEV-2 >= 30m)"
    assert not grader(SLA, WORDS).grade(firing("Slow", severity="warning")).watched


@given(minutes=st.lists(st.floats(0, 10_000), min_size=2, max_size=2))
def test_by_firing_on_it_never_gets_better(minutes: list[float]) -> None:
    earlier, later = sorted(minutes)
    rules = grader(SLA, WORDS)
    one = [subject(slo="latency", severity="warning")]
    before, after = review(rules, one, now=at(earlier)).sev, review(rules, one, now=at(later)).sev
    assert worst([before, after]) is after


QUERY = 'errors{service="{{ service }}"}'
ASKED = 'errors{service="checkout"}'
ERRORS = watched(
    "errors", Query(QueryTemplate.parse(QUERY)), {Sev.SEV_1: ">= 25", Sev.SEV_2: ">= 5", Sev.SEV_3: ">= 1"}
)


def numbers(*given: float) -> QueryAnswer:
    """An answer of so many series."""
    return QueryAnswer(tuple(Series({"number": str(place)}, number) for place, number in enumerate(given)))


def asked(answer: QueryAnswer | None, minute: float = 0, before: Review | None = None) -> Review:
    """A review of one alert of checkout, after another one."""
    known = {} if answer is None else {ASKED: answer}
    readings = {} if before is None else before.readings
    return review(grader(ERRORS), [subject(service="checkout")], now=at(minute), readings=readings, answers=known)


@pytest.mark.parametrize(
    ("given", "sev"),
    [((0.5,), None), ((1,), Sev.SEV_3), ((7,), Sev.SEV_2), ((0, 30, 2), Sev.SEV_1), ((float("inf"),), Sev.SEV_1)],
)
def test_of_several_series_the_worst_counts(given: tuple[float, ...], sev: Sev | None) -> None:
    assert asked(numbers(*given)).sev is sev


def test_downwards_the_least_is_the_worst() -> None:
    rule = watched("left", Query(QueryTemplate.parse("left")), {Sev.SEV_1: "< 1", Sev.SEV_3: "< 2"})
    found = review(grader(rule), [subject()], now=at(0), answers={"left": numbers(3, 1, 5)})
    assert found.sev is Sev.SEV_3


def test_nothing_is_said_before_anything_was_asked() -> None:
    found = asked(None)
    assert (found.observations, found.sev, found.problems) == ((), None, ())
    assert found.next_at == at(0) + SELDOM


def test_what_is_sure_stands_until_it_is_unsure_for_too_long() -> None:
    gone = QueryAnswer(problem=QueryProblem.EMPTY)
    before = asked(numbers(2))
    first = asked(gone, 1, before)
    assert (first.sev, first.problems, first.next_at) == (Sev.SEV_3, (), at(1.5))
    second = asked(gone, 1.5, first)
    assert (second.sev, second.problems, second.next_at) == (Sev.SEV_3, (), at(2))
    third = asked(gone, 1 + UNSURE_AFTER.total_seconds() / 60, second)
    assert (third.sev, third.problems) == (Sev.SEV_1, (QueryProblem.EMPTY,)), "counted when it is the worst"
    assert asked(gone, 3, third).problems == (), "and once"
    assert third.observations[0].verdict is not None
    assert third.observations[0].verdict.unsure
    assert third.observations[0].verdict.grades[0].why == (
        f"query {QUERY} gives no series: unsure, so the worst this rule knows, SEV-1"
    )
    fourth = asked(numbers(2), 3, third)
    assert fourth.sev is Sev.SEV_3, "a number ends it"
    assert fourth.returned == (f"rule 'errors': query {QUERY} gives 2 again",)
    (past,) = fourth.readings.values()
    assert (past.number, past.problem, past.since, past.is_told) == (2.0, None, None, False)
    assert asked(numbers(2), 4, fourth).returned == ()


def test_a_short_gap_is_neither_counted_nor_said_to_be_over() -> None:
    gap = asked(QueryAnswer(problem=QueryProblem.EMPTY), 1, asked(numbers(2)))
    after = asked(numbers(2), 1.5, gap)
    assert (gap.problems, after.problems, after.returned) == ((), (), ())


def test_what_an_older_version_kept_of_readings_is_read() -> None:
    assert msgspec.json.decode(b'{"number": 2.0}', type=Past) == Past(2.0)


@given(number=st.floats(allow_nan=False))
def test_a_number_beyond_all_numbers_is_kept_as_bad_as_it_is(number: float) -> None:
    found = asked(numbers(number))
    kept = msgspec.json.decode(msgspec.json.encode(found.readings), type=dict[str, Past])
    assert asked(None, 1, Review((), None, None, kept)).sev is found.sev


def test_a_label_that_is_missing_is_unsure_at_once() -> None:
    found = review(grader(ERRORS), [subject()], now=at(0))
    assert found.sev is Sev.SEV_1
    assert found.observations[0].verdict is not None
    assert "the alert has no label 'service'" in found.observations[0].verdict.grades[0].why
    assert found.problems == (QueryProblem.LABEL_MISSING,)
    again = review(grader(ERRORS), [subject()], now=at(1), readings=found.readings)
    assert (again.sev, again.problems) == (Sev.SEV_1, ()), "counted once"


def test_what_is_asked_alike_is_asked_once_and_not_without_end() -> None:
    alerts = [firing(service=f"s{number // 2}") for number in range(100)]
    assert list(queries(grader(ERRORS), alerts[:4])) == ['errors{service="s0"}', 'errors{service="s1"}']
    assert len(queries(grader(ERRORS), alerts)) == MOST_QUERIES
    assert queries(grader(WORDS, SLA), alerts) == {}


@given(
    number=st.floats(allow_nan=False),
    problem=st.sampled_from(list(QueryProblem)),
    minute=st.floats(0, 100),
)
def test_what_cannot_be_read_is_never_better_than_what_can(number: float, problem: QueryProblem, minute: float) -> None:
    readable = asked(numbers(number))
    gone = asked(QueryAnswer(problem=problem), minute, asked(QueryAnswer(problem=problem), 0, readable))
    assert worst([readable.sev, gone.sev]) is gone.sev
