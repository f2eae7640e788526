"""Alerts of one webhook, played through: what holds whatever is in it."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from sevrouter.domain.alert import Alert, AlertStatus
from sevrouter.domain.rehearsal import Outcome, Rehearsal, rehearse
from sevrouter.domain.sev import Sev
from sevrouter.domain.timed import Count, FiringFor
from tests.building import RULES, over, routing
from tests.domain.building import firing, fixed, watched

ROUTING = routing(
    rules=(
        *RULES,
        watched("long", FiringFor(), {Sev.SEV_3: ">= 10m", Sev.SEV_1: ">= 1h"}, 'slo=~".+"'),
        watched("many", Count("pod"), {Sev.SEV_2: ">= 3"}, 'kind="pod"'),
    ),
    default_owner="everybody",
)


def _alert(name: str, severity: str, slo: str, pod: str, start: int, *, is_over: bool) -> Alert:
    alert = firing(name, severity=severity, slo=slo, pod=pod, kind="pod" if pod else "", start=start)
    return over(alert) if is_over else alert


ALERTS = st.builds(
    _alert,
    st.sampled_from(["Down", "Slow"]),
    st.sampled_from(["critical", "warning", "info", "none", "odd"]),
    st.sampled_from(["", "latency"]),
    st.sampled_from(["", "a", "b", "c", "d"]),
    st.integers(0, 90),
    is_over=st.booleans(),
)
WEBHOOKS = st.lists(ALERTS, min_size=1, max_size=8, unique_by=lambda each: each.digest)


def played(*alerts: Alert, after: timedelta = timedelta(0)) -> Outcome:
    return rehearse(ROUTING, Rehearsal(alerts=alerts, after=after))


def badness(sev: Sev | None) -> int:
    return 0 if sev is None else 6 - sev.rank


@given(WEBHOOKS.flatmap(lambda alerts: st.tuples(st.just(alerts), st.permutations(alerts))))
def test_the_order_of_alerts_means_nothing(orders: tuple[list[Alert], list[Alert]]) -> None:
    one, other = (played(*alerts) for alerts in orders)
    assert one.verdict.sev is other.verdict.sev
    assert (one.verdict.unsure, one.incidents) == (other.verdict.unsure, other.incidents)


@given(WEBHOOKS, ALERTS)
def test_one_more_alert_makes_nothing_better(alerts: list[Alert], another: Alert) -> None:
    few, many = played(*alerts), played(*alerts, another)
    assert badness(many.verdict.sev) >= badness(few.verdict.sev)
    assert many.incidents >= few.incidents


@given(WEBHOOKS)
def test_what_is_resolved_counts_as_nothing(alerts: list[Alert]) -> None:
    is_firing = [each for each in alerts if each.status is AlertStatus.FIRING]
    assert played(*alerts) == played(*is_firing)


@given(WEBHOOKS, st.integers(0, 5_000))
def test_the_longer_it_fires_the_worse(alerts: list[Alert], seconds: int) -> None:
    soon, late = played(*alerts), played(*alerts, after=timedelta(seconds=seconds))
    assert badness(late.verdict.sev) >= badness(soon.verdict.sev)


def test_the_age_of_an_incident_is_that_of_its_oldest_alert() -> None:
    rule = watched("open for long", FiringFor(of_incident=True), {Sev.SEV_2: ">= 1h"}, 'pod="b"')
    old, new = (firing("Slow", slo="latency", pod=pod, start=start) for pod, start in (("a", 0), ("b", 50)))
    together, alone = (
        rehearse(
            routing(rules=(rule, fixed("a bug", Sev.SEV_5))), Rehearsal(alerts=alerts, after=timedelta(minutes=10))
        )
        for alerts in ((old, new), (new,))
    )
    assert together.verdict.sev is Sev.SEV_2
    assert alone.verdict.sev is Sev.SEV_5


def test_an_incident_is_owned_by_the_system_of_its_first_alert_that_has_one() -> None:
    ours = routing(default_owner="everybody", group_by=("alertname",))
    nobodys, mine = (firing(service=service, severity="critical") for service in ("", "checkout"))
    assert rehearse(ours, Rehearsal(alerts=(nobodys, mine))).owner == "payments"
    assert rehearse(ours, Rehearsal(alerts=(nobodys,))).owner == "everybody"
