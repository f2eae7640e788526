"""What a webhook's alerts make of an incident: it opens, rises, goes quiet, resolves and reopens, with a reason."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from sevrouter.domain.identity import IncidentPolicy
from sevrouter.domain.incident import UNREADABLE_HOLD, Fact, Fold, Incident, IncidentState, fold, settle
from sevrouter.domain.observation import Change, Observation
from sevrouter.domain.sev import Sev
from tests.domain.building import (
    CONFIG,
    NOW,
    OPENING,
    at,
    firing,
    incident,
    observation,
    record_of,
    resolved,
    verdict,
)

POLICY = IncidentPolicy()


def folded(
    about: Incident | None,
    *observations: Observation,
    minute: float = 1,
    truncated: bool = False,
    policy: IncidentPolicy = POLICY,
) -> Fold:
    return fold(
        about, observations, opening=OPENING, policy=policy, config_hash=CONFIG, now=at(minute), truncated=truncated
    )


def outcome(fold_: Fold) -> Incident:
    assert fold_.incident is not None
    return fold_.incident


def facts(fold_: Fold) -> list[Fact]:
    return [entry.fact for entry in fold_.facts]


def over(pod: str = "a", incident_id: int | None = 1) -> Observation:
    record = record_of(firing(pod=pod), incident_id=incident_id)
    return Observation(Change.RESOLVED, resolved(pod=pod, end=1), record)


def test_a_firing_alert_opens_an_incident_as_bad_as_its_verdict() -> None:
    result = folded(None, observation(sev=Sev.SEV_3))
    opened = outcome(result)
    assert (opened.state, opened.sev, opened.unsure, opened.firing) == (IncidentState.TRIGGERED, Sev.SEV_3, False, 1)
    assert (opened.dedup_key, opened.system, opened.owner) == ("00ff", "checkout", "payments")
    assert (opened.opened_at, opened.due_at, opened.id) == (at(1), None, None)
    assert facts(result) == [Fact.OPENED, Fact.ALERTS_FIRED]


def test_a_timeline_says_why_an_incident_opened_and_by_which_configuration() -> None:
    entry = folded(None, observation(sev=Sev.SEV_3)).facts[0]
    assert entry.at == at(1)
    assert entry.details == {
        "sev": "SEV-3", "unsure": False, "rule": "a rule", "why": "because", "reason": "matched", "config": CONFIG,
    }  # fmt: skip


def test_many_alerts_open_one_incident_as_bad_as_the_worst() -> None:
    result = folded(
        None,
        observation(sev=Sev.SEV_4, alert=firing(pod="a")),
        observation(sev=Sev.SEV_2, alert=firing(pod="b")),
        observation(sev=Sev.SEV_3, alert=firing(pod="c")),
    )
    assert (outcome(result).sev, outcome(result).firing) == (Sev.SEV_2, 3)
    assert outcome(result).evidence.alert.labels["pod"] == "b"
    assert facts(result) == [Fact.OPENED, Fact.ALERTS_FIRED]


def test_a_sure_alert_is_better_evidence_than_an_unsure_one_as_bad() -> None:
    result = folded(
        None,
        observation(unsure=True, alert=firing(pod="a")),
        observation(alert=firing(pod="b")),
    )
    assert outcome(result).evidence.alert.labels["pod"] == "b"
    assert not outcome(result).unsure


@pytest.mark.parametrize(
    "seen",
    [
        observation(sev=None),
        observation(Change.CHANGED, None),
        observation(Change.DUPLICATE),
        observation(Change.STALE_FIRING),
        observation(Change.RESOLVED),
        observation(Change.STALE_RESOLVED),
        observation(Change.NEVER_FIRED),
        observation(Change.CHANGED, record=record_of(firing())),
    ],
    ids=lambda seen: f"{seen.change.value} {seen.verdict and seen.verdict.sev}",
)
@pytest.mark.parametrize(
    "before", [None, incident(state=IncidentState.RESOLVED, resolved_at=NOW, firing_alerts=0)], ids=["none", "over"]
)
def test_nothing_else_opens_an_incident(seen: Observation, before: Incident | None) -> None:
    assert folded(before, seen) == Fold(before)


def test_an_alert_that_became_an_incident_by_its_value_opens_one() -> None:
    quiet = record_of(firing(), sev=None, incident_id=None)
    assert facts(folded(None, observation(Change.CHANGED, record=quiet))) == [Fact.OPENED, Fact.ALERTS_FIRED]


def test_a_warning_that_becomes_critical_is_the_same_incident() -> None:
    opened = replace(outcome(folded(None, observation(sev=Sev.SEV_4))), id=1)
    critical = observation(sev=Sev.SEV_2, alert=firing(severity="critical"))
    result = folded(opened, critical, minute=2)
    assert (outcome(result).id, outcome(result).sev, outcome(result).opened_at) == (1, Sev.SEV_2, at(1))
    assert facts(result) == [Fact.ROSE, Fact.ALERTS_FIRED]
    assert result.facts[0].details["from"] == "SEV-4"


def test_a_changed_value_raises_without_counting_the_alert_again() -> None:
    changed = observation(Change.CHANGED, Sev.SEV_1, record=record_of(firing()))
    result = folded(incident(Sev.SEV_3), changed)
    assert (outcome(result).sev, outcome(result).firing) == (Sev.SEV_1, 1)
    assert facts(result) == [Fact.ROSE]


def test_a_duplicate_that_a_new_configuration_grades_worse_raises() -> None:
    again = observation(Change.DUPLICATE, Sev.SEV_1, record=record_of(firing()))
    assert outcome(folded(incident(Sev.SEV_3), again)).sev is Sev.SEV_1


@pytest.mark.parametrize("milder", [Sev.SEV_3, Sev.SEV_5, None])
def test_an_incident_never_becomes_milder_by_itself(milder: Sev | None) -> None:
    changed = observation(Change.CHANGED, milder, record=record_of(firing()))
    before = incident(Sev.SEV_2)
    assert folded(before, changed) == Fold(before)


def test_an_unsure_incident_becomes_sure_by_sure_evidence_as_bad() -> None:
    changed = observation(Change.CHANGED, Sev.SEV_2, record=record_of(firing()))
    result = folded(incident(Sev.SEV_2, unsure=True), changed)
    assert not outcome(result).unsure
    assert facts(result) == []


def test_a_sure_incident_never_becomes_unsure_by_evidence_as_bad() -> None:
    changed = observation(Change.CHANGED, Sev.SEV_2, record=record_of(firing()), unsure=True)
    assert not outcome(folded(incident(Sev.SEV_2), changed)).unsure


def test_a_stale_firing_raises_nothing_and_counts_nothing() -> None:
    before = incident(Sev.SEV_4, firing_alerts=0, due_at=at(5))
    stale = observation(Change.STALE_FIRING, Sev.SEV_1, record=record_of(resolved(end=1), closed_until=at(1)))
    assert folded(before, stale) == Fold(before)


def test_a_rise_does_not_take_an_incident_from_who_owns_it() -> None:
    result = folded(incident(Sev.SEV_3, state=IncidentState.ACKNOWLEDGED), observation(sev=Sev.SEV_1))
    assert outcome(result).state is IncidentState.ACKNOWLEDGED


def test_an_incident_goes_quiet_when_its_last_alert_resolves() -> None:
    both = incident(firing_alerts=2)
    one = folded(both, over("a"))
    assert (outcome(one).firing, outcome(one).due_at) == (1, None)
    none = folded(outcome(one), over("b"), minute=2)
    assert (outcome(none).firing, outcome(none).due_at, outcome(none).is_open) == (0, at(7), True)
    assert facts(none) == [Fact.ALERTS_RESOLVED, Fact.QUIET]


def test_an_alert_that_was_no_incident_resolves_nothing() -> None:
    before = incident(firing_alerts=1)
    assert folded(before, over(incident_id=None)) == Fold(before)


def test_an_alert_within_the_quiet_time_goes_on_with_the_incident() -> None:
    quiet = incident(firing_alerts=0, due_at=at(5))
    result = folded(quiet, observation(), minute=4)
    assert (outcome(result).firing, outcome(result).due_at) == (1, None)
    assert facts(result) == [Fact.ALERTS_FIRED]


def test_a_second_look_does_not_prolong_the_quiet_time() -> None:
    quiet = incident(firing_alerts=0, due_at=at(5))
    assert folded(quiet, observation(Change.DUPLICATE, record=record_of(resolved())), minute=4) == Fold(quiet)


def test_an_incident_is_resolved_when_its_quiet_time_has_run_out() -> None:
    quiet = incident(firing_alerts=0, due_at=at(5))
    assert settle(quiet, now=at(4.99)) == Fold(quiet)
    result = settle(quiet, now=at(5))
    after = outcome(result)
    assert (after.state, after.resolved_at, after.due_at) == (IncidentState.RESOLVED, at(5), None)
    assert facts(result) == [Fact.RESOLVED]


@pytest.mark.parametrize("before", [incident(), incident(state=IncidentState.RESOLVED, resolved_at=NOW, due_at=NOW)])
def test_what_fires_or_is_over_already_does_not_settle(before: Incident) -> None:
    assert settle(before, now=at(10_000)) == Fold(before)


def test_a_webhook_after_the_quiet_time_resolves_what_nobody_looked_at() -> None:
    quiet = incident(firing_alerts=0, due_at=at(5))
    assert facts(folded(quiet, over(), minute=6)) == [Fact.ALERTS_RESOLVED, Fact.RESOLVED]


def test_an_alert_after_a_quiet_time_that_nobody_saw_run_out_tells_people_again() -> None:
    quiet = incident(firing_alerts=0, due_at=at(5), state=IncidentState.ACKNOWLEDGED)
    result = folded(quiet, observation(), minute=300)
    assert facts(result) == [Fact.RESOLVED, Fact.REOPENED, Fact.ALERTS_FIRED]
    after = outcome(result)
    assert (after.state, after.firing, after.due_at, after.id) == (IncidentState.TRIGGERED, 1, None, 1)


def test_without_a_quiet_time_the_last_resolve_is_believed_at_once() -> None:
    result = folded(incident(), over(), policy=IncidentPolicy(resolve_after=timedelta(0)))
    assert facts(result) == [Fact.ALERTS_RESOLVED, Fact.QUIET, Fact.RESOLVED]


def test_what_fires_again_soon_is_the_same_incident() -> None:
    done = incident(Sev.SEV_2, state=IncidentState.RESOLVED, firing_alerts=0, resolved_at=NOW, asked=("jira",))
    result = folded(done, observation(sev=Sev.SEV_4), minute=240)
    after = outcome(result)
    assert (after.id, after.state, after.resolved_at, after.firing) == (1, IncidentState.TRIGGERED, None, 1)
    assert (after.sev, after.asked, after.opened_at) == (Sev.SEV_2, ("jira",), NOW)
    assert facts(result) == [Fact.REOPENED, Fact.ALERTS_FIRED]


def test_what_fires_again_worse_reopens_and_rises() -> None:
    done = incident(Sev.SEV_4, state=IncidentState.RESOLVED, firing_alerts=0, resolved_at=NOW)
    result = folded(done, observation(sev=Sev.SEV_1))
    assert facts(result) == [Fact.REOPENED, Fact.ROSE, Fact.ALERTS_FIRED]
    assert outcome(result).sev is Sev.SEV_1


def test_what_fires_again_late_is_a_new_incident() -> None:
    done = incident(Sev.SEV_1, state=IncidentState.RESOLVED, firing_alerts=0, resolved_at=NOW, asked=("call",))
    after = outcome(folded(done, observation(sev=Sev.SEV_4), minute=240.1))
    assert (after.id, after.sev, after.asked, after.opened_at) == (None, Sev.SEV_4, (), at(240.1))


def test_a_truncated_webhook_never_brings_a_resolve_nearer() -> None:
    result = folded(incident(), over(), truncated=True)
    assert (outcome(result).firing, outcome(result).due_at, outcome(result).truncated) == (0, None, True)
    assert facts(result) == [Fact.ALERTS_RESOLVED, Fact.TRUNCATED]


def test_a_truncated_webhook_stops_a_quiet_time() -> None:
    quiet = incident(firing_alerts=0, due_at=at(5))
    assert outcome(folded(quiet, truncated=True)).due_at is None


def test_the_whole_webhook_after_a_truncated_one_is_believed() -> None:
    cut = incident(firing_alerts=0, truncated=True)
    result = folded(cut, observation(Change.DUPLICATE, record=record_of(resolved())))
    assert (outcome(result).due_at, outcome(result).truncated) == (at(6), False)
    assert facts(result) == [Fact.QUIET]


def test_a_truncated_webhook_is_told_once() -> None:
    cut = incident(truncated=True)
    assert facts(folded(cut, truncated=True)) == []


def test_an_event_opens_an_incident_that_is_held_open() -> None:
    result = folded(None, observation(Change.EVENT))
    assert (outcome(result).firing, outcome(result).due_at) == (0, at(1) + UNREADABLE_HOLD)
    assert facts(result) == [Fact.OPENED]


def test_an_event_again_holds_it_open_for_longer() -> None:
    held = incident(firing_alerts=0, due_at=at(61))
    assert outcome(folded(held, observation(Change.EVENT), minute=30)).due_at == at(30) + UNREADABLE_HOLD


def test_an_event_never_makes_an_incident_end_whose_alerts_fire() -> None:
    assert outcome(folded(incident(firing_alerts=1), observation(Change.EVENT))).due_at is None


def test_an_alert_that_one_webhook_names_twice_counts_once() -> None:
    first = observation(alert=firing(annotations={"value": "1"}))
    unsaved = record_of(first.alert, incident_id=None)
    again = observation(Change.CHANGED, alert=firing(annotations={"value": "2"}), record=unsaved)
    assert outcome(folded(None, first, again)).firing == 1


def test_an_alert_that_fires_and_is_over_in_one_webhook_does_not_fire() -> None:
    first = observation()
    ended = Observation(Change.RESOLVED, resolved(end=1), record_of(first.alert, incident_id=None))
    result = folded(None, first, ended)
    assert (outcome(result).firing, outcome(result).due_at) == (0, at(6))


def test_an_alert_that_is_over_and_fires_again_in_one_webhook_fires() -> None:
    ended = over()
    again = observation(alert=firing(pod="a", start=2), record=record_of(ended.alert, closed_until=at(1)))
    result = folded(incident(firing_alerts=1), ended, again, minute=3)
    assert (outcome(result).firing, outcome(result).due_at) == (1, None)


def test_the_count_of_firing_alerts_is_never_negative() -> None:
    assert outcome(folded(incident(firing_alerts=0), over("a"), over("b"))).firing == 0


def test_a_timeline_shows_a_few_of_many_alerts_and_cleans_them() -> None:
    seen = [observation(alert=firing(pod=f"{number}", text="\x00" * 9 + "x" * 1_000_000)) for number in range(50)]
    details = folded(None, *seen).facts[1].details
    assert details["count"] == 50
    assert len(str(details)) < 2_000
    assert "\x00" not in str(details["labels"])


def test_an_unowned_incident_is_owned_once_an_alert_says_whose_it_is() -> None:
    result = folded(incident(system=None, owner=None), observation())
    assert (outcome(result).system, outcome(result).owner) == ("checkout", "payments")


def test_an_owned_incident_does_not_change_hands() -> None:
    result = folded(incident(system="mail", owner="infra"), observation())
    assert (outcome(result).system, outcome(result).owner) == ("mail", "infra")


def test_a_verdict_without_a_sev_is_no_evidence() -> None:
    assert folded(None, observation(sev=None)).incident is None
    assert verdict(None).sev is None


class TestTheIdentityOfAnIncident:
    """The labels it is grouped by; severity never among them."""

    def test_is_the_grouping_labels_that_an_alert_has(self) -> None:
        labels = {"alertname": "Down", "service": "web", "pod": "a", "severity": "critical", "cluster": ""}
        assert POLICY.identity(labels) == {"service": "web", "alertname": "Down"}

    def test_does_not_change_with_the_severity(self) -> None:
        keys = {POLICY.dedup_key({"alertname": "Down", "severity": each}) for each in ("warning", "critical")}
        assert len(keys) == 1

    def test_does_not_change_with_the_order_of_what_it_is_grouped_by(self) -> None:
        labels = {"alertname": "Down", "service": "web", "cluster": "eu"}
        backwards = IncidentPolicy(group_by=tuple(reversed(POLICY.group_by)))
        assert POLICY.dedup_key(labels) == backwards.dedup_key(labels)

    def test_of_an_alert_that_nothing_groups_is_all_its_labels_but_the_severity(self) -> None:
        assert POLICY.identity({"job": "a", "severity": "critical", "empty": ""}) == {"job": "a"}
        assert POLICY.dedup_key({"job": "a"}) != POLICY.dedup_key({"job": "b"})

    def test_is_32_hexadecimal_digits(self) -> None:
        assert len(bytes.fromhex(POLICY.dedup_key({}))) == 16


def test_alerts_without_a_name_do_not_hide_behind_one_another() -> None:
    policy = IncidentPolicy(group_by=("cluster", "alertname"))
    nameless = {"cluster": "eu", "job": "a", "severity": "warning"}
    assert policy.dedup_key(nameless) != policy.dedup_key(nameless | {"job": "b"})
    assert policy.dedup_key(nameless) == policy.dedup_key(nameless | {"severity": "critical"})
    assert IncidentPolicy(group_by=("cluster",)).identity(nameless) == {"cluster": "eu"}
