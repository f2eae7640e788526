"""A share: what one measure gives in per cent of what another gives, as if one query had given it."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from msgspec import Struct

from sevrouter.domain.measure import Measure, Problem
from sevrouter.domain.promql import QueryAnswer, QueryProblem, Series
from sevrouter.domain.timed import Count, Query, Ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sevrouter.domain.alert import Alert


class Given(Struct, frozen=True, gc=False):
    """What a measure gave: `answer` is None where it was not asked yet, and `key` tells it from every other.

    `is_final`: it cannot be asked about this alert, so waiting helps nothing.
    """

    key: str
    answer: QueryAnswer | None
    is_final: bool = False


def given_by_query(query: Query, alert: Alert, answers: Mapping[str, QueryAnswer]) -> Given:
    """What a query gave about an alert."""
    rendered = query.template.render(alert.labels)
    if isinstance(rendered, QueryAnswer):
        problem = QueryProblem.EMPTY if rendered.problem is None else rendered.problem
        return Given(problem.value, rendered, is_final=True)
    return Given(rendered, answers.get(rendered))


def given_by_ratio(
    ratio: Ratio, alert: Alert, answers: Mapping[str, QueryAnswer], counted: Callable[[Count], int]
) -> Given:
    """What the two sides of a ratio come to about an alert."""
    part, whole = (_side(each, alert, answers, counted) for each in (ratio.part, ratio.whole))
    key = f"{part.key}\0{whole.key}"
    failed = next((each for each in (part, whole) if each.answer and each.answer.problem), None)
    if failed is not None:
        return Given(key, failed.answer, failed.is_final)
    if part.answer is None or whole.answer is None:
        return Given(key, None)
    return Given(key, _share(part.answer, whole.answer))


def _side(
    side: Query | Count | Measure | float,
    alert: Alert,
    answers: Mapping[str, QueryAnswer],
    counted: Callable[[Count], int],
) -> Given:
    match side:
        case Query():
            return given_by_query(side, alert, answers)
        case Count():
            return Given(str(side), _numbers(float(counted(side))))
        case Measure():
            return _read(side, alert)
        case float():
            return Given(f"{side:g}", _numbers(side))
        case _:
            assert_never(side)


_PROBLEMS = {
    Problem.MISSING: QueryProblem.LABEL_MISSING,
    Problem.UNREADABLE: QueryProblem.UNREADABLE,
    Problem.NOT_A_NUMBER: QueryProblem.NOT_A_NUMBER,
}


def _read(measure: Measure, alert: Alert) -> Given:
    reading = measure.read(alert)
    if reading.problem is None:
        return Given(str(measure), _numbers(*reading.numbers))
    return Given(str(measure), QueryAnswer(problem=_PROBLEMS[reading.problem], detail=str(reading)), is_final=True)


def _numbers(*numbers: float) -> QueryAnswer:
    return QueryAnswer(tuple(Series({}, each) for each in numbers))


def _share(part: QueryAnswer, whole: QueryAnswer) -> QueryAnswer:
    """Of several series on either side nobody knows which belong together: the least and the most of them count."""
    parts, wholes = ({pick(each.number for each in side.series) for pick in (min, max)} for side in (part, whole))
    if any(each <= 0 for each in wholes):
        detail = f"there is no share of {min(wholes):g}"
        return QueryAnswer(problem=QueryProblem.NOT_A_NUMBER, detail=detail)
    shares = [100 * one / all_of_it for one in sorted(parts) for all_of_it in sorted(wholes)]
    if any(share != share for share in shares):  # noqa: PLR0124  only NaN differs from itself: inf of inf
        return QueryAnswer(problem=QueryProblem.NOT_A_NUMBER, detail="the share of an infinite number")
    return _numbers(*shares)
