"""Whatever comes, in whatever order and however often: one incident, counted right, that only rises."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from sevrouter.domain.alert import Alert
from sevrouter.domain.delivery import NoticeKind
from sevrouter.domain.grading import Grader
from sevrouter.domain.identity import IncidentPolicy
from sevrouter.domain.incident import Fact, IncidentState
from sevrouter.domain.observation import Change
from sevrouter.domain.sev import Sev
from tests.domain.building import by_number, firing, fixed, resolved
from tests.domain.ledger import Ledger

BOUNDS = {Sev.SEV_1: ">= 75", Sev.SEV_2: ">= 50", Sev.SEV_3: ">= 25", Sev.SEV_4: ">= 10"}
GRADER = Grader([by_number("percent", BOUNDS)], unmatched=Sev.SEV_2)
RESPONSES = {Sev.SEV_1: ["call", "slack"], Sev.SEV_2: ["call", "slack"], Sev.SEV_3: ["slack"], Sev.SEV_4: ["slack"]}

pods = st.sampled_from(["a", "b", "c", "d"])
percents = st.sampled_from(["0", "15", "30", "60", "90", "many", ""])


@dataclass(frozen=True)
class Push:
    """One webhook, and the minutes that pass before it."""

    wait: float
    alerts: list[Alert]
    truncated: bool = False


def fires(pod: str, percent: str = "60", start: float = 0) -> Alert:
    return firing(pod=pod, start=start, annotations={"users_affected_percent": percent})


def ends(pod: str, start: float = 0, end: float = 1) -> Alert:
    return resolved(pod=pod, start=start, end=end)


one_alert = st.one_of(
    st.builds(fires, pods, percents, st.integers(0, 60)),
    st.builds(
        lambda pod, start, length: ends(pod, start, start + length), pods, st.integers(0, 60), st.integers(0, 30)
    ),
)
any_alerts = st.lists(one_alert, max_size=5)
each_alert_once = st.lists(one_alert, max_size=4, unique_by=lambda alert: alert.digest)


def pushes(alerts: st.SearchStrategy[list[Alert]]) -> st.SearchStrategy[list[Push]]:
    return st.lists(
        st.builds(Push, st.sampled_from([0, 0, 1, 3, 6, 20, 300]), alerts, st.sampled_from([False, False, True])),
        max_size=12,
    )


def story(told: list[Push], ledger: Ledger | None = None) -> tuple[Ledger, float]:
    ledger, minute = ledger or Ledger(GRADER, responses=RESPONSES), 0.0
    for push in told:
        minute += push.wait
        ledger.take(push.alerts, minute=minute, truncated=push.truncated)
    return ledger, minute


@given(pushes(any_alerts))
@settings(max_examples=200)
def test_an_incident_counts_the_alerts_that_fire(told: list[Push]) -> None:
    ledger, minute = Ledger(GRADER), 0.0
    for push in told:
        minute += push.wait
        ledger.wait(minute=minute)
        ledger.take(push.alerts, minute=minute, truncated=push.truncated)
        firing_now = ledger.incident.firing if ledger.incident else 0
        assert firing_now == ledger.firing_records() >= 0


@given(pushes(any_alerts))
def test_the_ratchet_never_falls(told: list[Push]) -> None:
    ledger, minute = Ledger(GRADER), 0.0
    for push in told:
        minute += push.wait
        before = ledger.incident
        ledger.take(push.alerts, minute=minute, truncated=push.truncated)
        if before is not None and ledger.incident is not None and before.opened_at == ledger.incident.opened_at:
            assert not before.sev.is_worse_than(ledger.incident.sev)


@given(pushes(each_alert_once))
@settings(max_examples=100)
def test_a_webhook_again_changes_nothing(told: list[Push]) -> None:
    ledger, minute = story(told)
    if told:
        before, facts, planned = ledger.incident, list(ledger.facts), list(ledger.planned)
        for _ in range(3):
            ledger.take(told[-1].alerts, minute=minute, truncated=told[-1].truncated)
        assert (ledger.incident, ledger.facts, ledger.planned) == (before, facts, planned)


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[Alert], list[list[Alert]]]:
    """Alerts that fire, and the webhooks in which they come: in any order, some of them again."""
    alerts = draw(st.lists(st.builds(fires, pods, percents), min_size=1, unique_by=lambda each: each.digest))
    again = draw(st.lists(st.sampled_from(alerts), max_size=8))
    order = draw(st.permutations([*alerts, *again]))
    cuts = sorted(draw(st.lists(st.integers(0, len(order)), max_size=4)))
    return alerts, [order[start:end] for start, end in pairwise([0, *cuts, len(order)])]


@given(deliveries())
def test_the_same_alerts_in_any_order_and_any_number_are_the_same_incident(
    drawn: tuple[list[Alert], list[list[Alert]]],
) -> None:
    alerts, webhooks = drawn
    straight, _ = story([Push(0, alerts)])
    shuffled, _ = story([Push(0.1, webhook) for webhook in webhooks])
    if straight.incident is None:
        assert shuffled.incident is None
    else:
        assert shuffled.incident is not None
        for each in ("sev", "unsure", "state", "firing", "due_at", "truncated", "dedup_key"):
            assert getattr(shuffled.incident, each) == getattr(straight.incident, each), each
        assert set(shuffled.incident.asked) == set(straight.incident.asked)


def test_a_thousand_copies_of_one_alert_ask_for_one_call() -> None:
    ledger, _ = story([Push(0.001, [fires("a")]) for _ in range(1_000)])
    assert ledger.changes.count(Change.DUPLICATE) == 999
    assert [(each.integration, each.kind) for each in ledger.planned] == [
        ("call", NoticeKind.OPENED),
        ("slack", NoticeKind.OPENED),
    ]


@given(pushes(each_alert_once), pods, st.sampled_from([0, 0.25, 0.7]), percents)
def test_a_stale_firing_after_the_resolve_changes_nothing(
    told: list[Push], pod: str, late: float, percent: str
) -> None:
    ledger, minute = story(told)
    ledger.take([ends(pod, start=minute + 100, end=minute + 200)], minute=minute + 200)
    ledger.wait(minute=minute + 200 + late)
    before, facts, planned = ledger.incident, list(ledger.facts), list(ledger.planned)
    ledger.take([fires(pod, percent, start=minute + 100)], minute=minute + 200 + late)
    assert ledger.changes[-1] is Change.STALE_FIRING
    assert (ledger.incident, ledger.facts, ledger.planned) == (before, facts, planned)


@given(pushes(each_alert_once), any_alerts)
def test_a_truncated_webhook_never_ends_an_incident(told: list[Push], alerts: list[Alert]) -> None:
    ledger, minute = story([Push(0, [fires("a")]), *(Push(each.wait, each.alerts, truncated=True) for each in told)])
    ledger.take(alerts, minute=minute, truncated=True)
    ledger.wait(minute=minute + 100_000)
    assert ledger.incident is not None
    assert ledger.incident.is_open


@given(pushes(any_alerts))
@settings(max_examples=100)
def test_an_incident_ends_if_and_only_if_nothing_fires(told: list[Push]) -> None:
    ledger, minute = story(told)
    ledger.take([], minute=minute)
    if ledger.incident is not None and ledger.incident.is_open:
        ledger.wait(minute=minute + 6)
        assert ledger.incident.is_open is (ledger.firing_records() > 0)


@given(pushes(any_alerts))
def test_a_call_is_asked_for_once_a_rise_and_once_a_reopening(told: list[Push]) -> None:
    ledger, _ = story(told)
    reasons = sum(fact in {Fact.OPENED, Fact.ROSE, Fact.REOPENED} for fact in ledger.facts)
    calls = [each for each in ledger.planned if each.integration == "call" and each.kind is not NoticeKind.RESOLVED]
    assert len(calls) <= reasons


@given(pushes(any_alerts))
def test_who_was_told_of_an_incident_is_told_of_its_end(told: list[Push]) -> None:
    ledger, minute = story(told)
    ledger.take([ends(pod, start=minute, end=minute + 1_000) for pod in "abcd"], minute=minute + 1_000)
    ledger.wait(minute=minute + 1_006)
    if ledger.incident is not None:
        assert ledger.incident.state is IncidentState.RESOLVED
        for name in ledger.incident.asked:
            last = [each.kind for each in ledger.planned if each.integration == name][-1]
            assert last is NoticeKind.RESOLVED


def test_an_alert_that_became_milder_than_an_incident_still_holds_it_open() -> None:
    ledger, _ = story([Push(0, [fires("a", "60")]), Push(1, [fires("a", "0")])])
    ledger.wait(minute=1_000)
    assert ledger.incident is not None
    assert (ledger.incident.sev, ledger.incident.firing, ledger.incident.is_open) == (Sev.SEV_2, 1, True)


def test_a_resolve_that_came_before_its_firing_opens_nothing() -> None:
    ledger, _ = story([Push(5, [ends("a", start=0, end=5)]), Push(0.5, [fires("a", start=0)])])
    assert ledger.incident is None
    assert ledger.changes == [Change.NEVER_FIRED, Change.STALE_FIRING]


def test_a_late_firing_of_an_episode_whose_resolve_came_first_opens_nothing() -> None:
    ledger, _ = story([Push(5, [ends("a", start=0, end=5)]), Push(15, [ends("a", start=10, end=15)])])
    ledger.take([fires("a", start=10)], minute=20.5)
    assert ledger.changes == [Change.NEVER_FIRED, Change.NEVER_FIRED, Change.STALE_FIRING]
    assert ledger.incident is None


def test_a_false_resolve_that_fires_on_with_its_old_start_is_believed_in_the_end() -> None:
    ledger, _ = story([Push(0, [fires("a")]), Push(5, [ends("a", end=5)]), Push(0.5, [fires("a")])])
    assert ledger.firing_records() == 0
    ledger.take([fires("a")], minute=10)
    assert ledger.incident is not None
    assert (ledger.incident.firing, ledger.firing_records()) == (1, 1)


def test_alternating_replicas_with_their_own_values_ask_for_one_call() -> None:
    ledger, _ = story([Push(1, [fires("a", "60" if turn % 2 else "61", start=turn % 2)]) for turn in range(20)])
    assert [each.integration for each in ledger.planned] == ["call", "slack"]
    assert ledger.incident is not None
    assert ledger.incident.firing == 1


def test_what_is_no_incident_never_becomes_one_by_repeating() -> None:
    watchdog = Grader([fixed("not an incident", None, "alertname=Watchdog")], unmatched=Sev.SEV_2)
    ledger = Ledger(watchdog, policy=IncidentPolicy(), responses=RESPONSES)
    for minute in range(100):
        ledger.take([firing("Watchdog", start=minute)], minute=minute)
    assert (ledger.incident, ledger.facts, ledger.planned) == (None, [], [])
