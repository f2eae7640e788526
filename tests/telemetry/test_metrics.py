"""Every metric is there from the start, at zero, and no alert can add a series."""

from __future__ import annotations

from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sevrouter.domain.delivery import LaneCounts
from sevrouter.domain.sev import Sev
from sevrouter.telemetry.metrics import LATENCIES, Metrics
from tests.domain.building import at

INTEGRATIONS = {"call", "slack", "jira"}
SEVS = {"SEV-1", "SEV-2", "SEV-3", "SEV-4", "SEV-5"}
CODES = {"200", "400", "401", "405", "408", "413", "415", "503"}
OUTCOMES = {"delivered", "retry", "unknown", "rejected", "expired", "superseded", "shadowed"}

CLOSED: dict[str, dict[str, set[str]]] = {
    "sevrouter_webhooks_total": {"code": CODES},
    "sevrouter_alerts_total": {"status": {"firing", "resolved"}},
    "sevrouter_alert_grades_total": {"sev": SEVS | {"none"}, "unsure": {"true", "false"}},
    "sevrouter_unmatched_alerts_total": {},
    "sevrouter_unowned_alerts_total": {},
    "sevrouter_duplicate_alerts_total": {},
    "sevrouter_stale_alerts_total": {},
    "sevrouter_log_lines_lost": {},
    "sevrouter_truncated_webhooks_total": {},
    "sevrouter_quarantined_bodies_total": {},
    "sevrouter_deployments_total": {"result": {"new", "known", "refused"}},
    "sevrouter_unreadable_measures_total": {
        "reason": {
            "label_missing",
            "query_too_long",
            "empty",
            "not_a_number",
            "bad_query",
            "timed_out",
            "away",
            "refused",
            "unreadable",
            "too_many",
        }
    },
    "sevrouter_heartbeats_missing": {},
    "sevrouter_heartbeat_out_pings_total": {
        "outcome": {"sent", "refused", "timed_out", "unreachable", "no_address", "withheld"}
    },
    "sevrouter_alertmanagers_unreachable": {},
    "sevrouter_reconciled_alerts_total": {"result": {"missed", "vanished"}},
    "sevrouter_incidents_suppressed": {},
    "sevrouter_incidents": {"sev": SEVS, "state": {"triggered", "acknowledged", "resolved"}},
    "sevrouter_deliveries_total": {"integration": INTEGRATIONS, "outcome": OUTCOMES},
    "sevrouter_delivery_fallbacks_total": {
        "integration": INTEGRATIONS,
        "reason": {"elsewhere", "unassigned", "incomplete"},
    },
    "sevrouter_delivery_latency_seconds_count": {"integration": INTEGRATIONS},
    "sevrouter_outbox_pending": {"integration": INTEGRATIONS},
    "sevrouter_outbox_oldest_pending_seconds": {"integration": INTEGRATIONS},
    "sevrouter_dead_letters": {"integration": INTEGRATIONS},
    "sevrouter_config_last_reload_successful": {},
    "sevrouter_call_latency_seconds_count": {},
    "sevrouter_unanswered_incidents": {},
}
BUCKETED = ("sevrouter_delivery_latency_seconds", "sevrouter_call_latency_seconds")


def samples(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """A metric's values by the values of its labels, in the order of their names."""
    return {
        tuple(sample.labels[key] for key in sorted(sample.labels)): sample.value
        for family in text_string_to_metric_families(metrics.page().decode())
        for sample in family.samples
        if sample.name == name
    }


@pytest.mark.parametrize("name", CLOSED)
def test_a_metric_is_at_zero_from_the_start_for_every_value_of_its_labels(name: str) -> None:
    labels = CLOSED[name]
    series = samples(Metrics(), name)
    expected = 1
    for values in labels.values():
        expected *= len(values)
    assert len(series) == expected
    assert set(series.values()) == {0.0}
    for position, key in enumerate(sorted(labels)):
        assert {values[position] for values in series} == labels[key]


def test_only_the_heartbeats_that_are_configured_are_shown() -> None:
    metrics, name = Metrics(), "sevrouter_heartbeat_last_beat_timestamp_seconds"
    assert samples(metrics, name) == {}
    metrics.show_config("one", heartbeats=["a", "b"])
    assert samples(metrics, name) == {("a",): 0, ("b",): 0}
    metrics.show_heartbeats({"a": at(1), "b": None}, missing=1)
    metrics.show_config("two", heartbeats=["a", "c"])
    assert samples(metrics, name) == {("a",): at(1).timestamp(), ("b",): 0, ("c",): 0}
    metrics.show_heartbeats({"a": at(1), "c": None}, missing=0)
    assert samples(metrics, name) == {("a",): at(1).timestamp(), ("c",): 0}
    assert samples(metrics, "sevrouter_heartbeats_missing") == {(): 0}


def test_every_metric_of_ours_is_listed_here() -> None:
    ours = {
        sample.name
        for family in text_string_to_metric_families(Metrics().page().decode())
        for sample in family.samples
        if sample.name.startswith("sevrouter_")
    }
    assert ours - set(CLOSED) == {f"{name}_{part}" for name in BUCKETED for part in ("bucket", "sum")}


def test_the_metrics_of_the_process_are_there() -> None:
    page = Metrics().page().decode()
    for name in ("process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "python_info"):
        assert name in page


def test_latency_is_told_in_seconds_from_milliseconds_to_half_an_hour() -> None:
    assert (min(LATENCIES), max(LATENCIES)) == (0.005, 1800.0)
    assert 1.0 in LATENCIES, "what an idle one is promised to need"
    assert list(LATENCIES) == sorted(LATENCIES)


def test_two_daemons_in_one_process_do_not_count_together() -> None:
    one, other = Metrics(), Metrics()
    one.unmatched.inc()
    assert samples(other, "sevrouter_unmatched_alerts_total") == {(): 0.0}


def test_only_the_configuration_in_force_is_shown() -> None:
    metrics = Metrics()
    metrics.show_config("aaa")
    metrics.show_config("bbb")
    assert samples(metrics, "sevrouter_config_info") == {("bbb",): 1.0}


def test_the_versions_that_run_are_shown() -> None:
    metrics = Metrics()
    metrics.show_build(sqlite="3.51.3")
    ((_, sqlite, _),) = samples(metrics, "sevrouter_build_info")
    assert sqlite == "3.51.3"


def test_incidents_that_are_gone_are_zero_again() -> None:
    metrics = Metrics()
    metrics.show_incidents({(Sev.SEV_1, "triggered"): 2})
    assert samples(metrics, "sevrouter_incidents")["SEV-1", "triggered"] == 2
    metrics.show_incidents({})
    assert set(samples(metrics, "sevrouter_incidents").values()) == {0.0}


def test_the_age_of_what_waits_is_never_below_zero() -> None:
    metrics = Metrics()
    call = LaneCounts(pending=2, oldest_pending_at=at(0), dead=1)
    lanes = {"call": call, "slack": LaneCounts(oldest_pending_at=at(9))}
    metrics.show_outbox(lanes, now=at(0) + timedelta(seconds=90))
    assert samples(metrics, "sevrouter_outbox_oldest_pending_seconds") == {("call",): 90, ("slack",): 0, ("jira",): 0}
    assert samples(metrics, "sevrouter_outbox_pending")[("call",)] == 2
    assert samples(metrics, "sevrouter_dead_letters")[("call",)] == 1
    metrics.show_outbox({}, now=at(1))
    assert set(samples(metrics, "sevrouter_outbox_pending").values()) == {0.0}
