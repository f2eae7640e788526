"""The time line of an alert if nobody acts: how much worse it gets, when, and by which rule."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec import Struct

from sevrouter.domain.promql import QueryAnswer
from sevrouter.domain.review import rises_ahead
from sevrouter.domain.sev import Sev
from sevrouter.domain.timed import templates

if TYPE_CHECKING:
    from sevrouter.domain.alert import Alert
    from sevrouter.domain.grading import Grader


class Ahead(Struct, frozen=True, gc=False):
    """That an alert becomes worse so long after it began, and by which rule; `unless_answered`: by a query's silence.

    `problem` says why that query cannot even be asked, where it cannot; then it is sure to be silent.
    """

    after: timedelta
    sev: Sev
    rule: str
    unless_answered: bool = False
    problem: str = ""


def ahead(grader: Grader, alert: Alert) -> list[Ahead]:
    """What comes, the soonest first, and only what is worse than what is sure to be there by then.

    What a query or a count gives in future nobody knows; that a query gives nothing is known to be the worst.
    """
    rises = [Ahead(each.after, each.sev, each.rule) for each in rises_ahead(grader, alert)]
    found = sorted(
        [*rises, *_silent(grader, alert)], key=lambda each: (each.after, each.sev.rank, each.unless_answered)
    )
    sev, worse = grader.grade(alert).sev, list[Ahead]()
    for each in found:
        if each.sev.is_worse_than(sev):
            worse.append(each)
            # What need not happen hides nothing that comes after it.
            sev = sev if each.unless_answered else each.sev
    return worse


def _silent(grader: Grader, alert: Alert) -> list[Ahead]:
    found: list[Ahead] = []
    for rule, scale in grader.watched(alert):
        asked, sev = [each.render(alert.labels) for each in templates(scale.measure)], scale.thresholds[0].sev
        refused = next((each for each in asked if isinstance(each, QueryAnswer)), None)
        if refused is not None:
            found.append(Ahead(timedelta(0), sev, rule, problem=refused.detail))
        elif asked:
            found.append(Ahead(scale.unsure_after, sev, rule, unless_answered=True))
    return found
