"""Every metric, in one place: at zero from the start, in seconds, with closed label sets."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from sevrouter import __version__
from sevrouter.domain.alert import AlertStatus
from sevrouter.domain.delivery import FALLBACKS, INTEGRATIONS, LaneCounts
from sevrouter.domain.heartbeat import Ping
from sevrouter.domain.incident import IncidentState
from sevrouter.domain.promql import QueryProblem
from sevrouter.domain.sev import Sev, sev_name
from sevrouter.telemetry.logs import lost_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

OUTCOMES = ("delivered", "retry", "unknown", "rejected", "expired", "superseded", "shadowed")
DEPLOYMENT_RESULTS = ("new", "known", "refused")
RECONCILED = ("missed", "vanished")
WEBHOOK_CODES = ("200", "400", "401", "405", "408", "413", "415", "503")
# Seconds; a call is promised within one when idle and five in a storm.
LATENCIES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
# Seconds; from somebody who is awake to a night that nobody answered.
TIMES_TO_ACKNOWLEDGE = (10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0)


class Metrics:
    """The metrics of one daemon, on a registry of its own."""

    def __init__(self) -> None:
        # The time of creation of each series doubles the page and says nothing that the process' start does not.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no types for it
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        self.webhooks = Counter(
            "sevrouter_webhooks", "Webhook requests by the status that answered them.", ["code"], registry=registry
        )
        self.alerts = Counter("sevrouter_alerts", "Alerts received, by status.", ["status"], registry=registry)
        self.grades = Counter(
            "sevrouter_alert_grades", "Firing alerts graded, by SEV.", ["sev", "unsure"], registry=registry
        )
        self.unmatched = Counter("sevrouter_unmatched_alerts", "Alerts that no rule matched.", registry=registry)
        self.unowned = Counter("sevrouter_unowned_alerts", "Alerts that no system matched.", registry=registry)
        self.duplicates = Counter(
            "sevrouter_duplicate_alerts", "Alerts that repeated what was known, or came too late.", registry=registry
        )
        self.stale = Counter(
            "sevrouter_stale_alerts", "Alerts that spoke of an episode which is closed by now.", registry=registry
        )
        self.truncated = Counter(
            "sevrouter_truncated_webhooks", "Webhooks from which Alertmanager left alerts out.", registry=registry
        )
        self.quarantined = Counter(
            "sevrouter_quarantined_bodies",
            "Webhook bodies, or alerts in them, that could not be read.",
            registry=registry,
        )
        self.deployments = Counter(
            "sevrouter_deployments", "Deployments that were reported, and requests for that which were refused.",
            ["result"], registry=registry,
        )  # fmt: skip
        self.alertmanagers_unreachable = Gauge(
            "sevrouter_alertmanagers_unreachable", "Alertmanagers that did not answer when they were last asked.",
            registry=registry,
        )  # fmt: skip
        self.reconciled = Counter(
            "sevrouter_reconciled_alerts", "Alerts that were set right as Alertmanager shows them, and nobody sent.",
            ["result"], registry=registry,
        )  # fmt: skip
        self.suppressed = Gauge(
            "sevrouter_incidents_suppressed", "Open incidents that nobody is called for, silenced or inhibited.",
            registry=registry,
        )  # fmt: skip
        self.incidents = Gauge("sevrouter_incidents", "Incidents that are stored.", ["sev", "state"], registry=registry)
        self.deliveries = Counter(
            "sevrouter_deliveries", "Attempts to deliver, and what came of them.", ["integration", "outcome"],
            registry=registry,
        )  # fmt: skip
        self.fallbacks = Counter(
            "sevrouter_delivery_fallbacks",
            "Deliveries that were taken, but not where they belong (elsewhere), for nobody (unassigned), or without a "
            "field that was refused (incomplete).",
            ["integration", "reason"], registry=registry,
        )  # fmt: skip
        self.latency = Histogram(
            "sevrouter_delivery_latency_seconds", "From the receipt of a webhook to the provider's acceptance.",
            ["integration"], buckets=LATENCIES, registry=registry,
        )  # fmt: skip
        self.calls = Counter(
            "sevrouter_calls", "Calls to people by telephone, and what came of them.", ["provider", "outcome"],
            registry=registry,
        )  # fmt: skip
        self.call_latency = Histogram(
            "sevrouter_call_latency_seconds",
            "From the receipt of a webhook, or from when a step of a policy was due, to a phone being asked to ring.",
            buckets=LATENCIES, registry=registry,
        )  # fmt: skip
        self.time_to_acknowledge = Histogram(
            "sevrouter_time_to_acknowledge_seconds", "From the opening of an incident to somebody owning it, by how.",
            ["how"], buckets=TIMES_TO_ACKNOWLEDGE, registry=registry,
        )  # fmt: skip
        self.unanswered = Gauge(
            "sevrouter_unanswered_incidents", "Open incidents whose policy has run out, and that nobody owns.",
            registry=registry,
        )  # fmt: skip
        self.on_call_fallbacks = Counter(
            "sevrouter_on_call_fallbacks", "How often nobody could say who is on call, so that the fallback was asked.",
            ["schedule", "problem"], registry=registry,
        )  # fmt: skip
        self.last_drill = Gauge(
            "sevrouter_drill_last_success_timestamp_seconds",
            "When a person last pressed the key of a call by a provider that was a drill; 0 where that never was.",
            ["person", "provider"], registry=registry,
        )  # fmt: skip
        self.pending = Gauge("sevrouter_outbox_pending", "Deliveries that wait.", ["integration"], registry=registry)
        self.oldest_pending = Gauge(
            "sevrouter_outbox_oldest_pending_seconds", "Age of the oldest delivery that waits; 0 where none does.",
            ["integration"], registry=registry,
        )  # fmt: skip
        self.dead_letters = Gauge(
            "sevrouter_dead_letters", "Deliveries that were given up.", ["integration"], registry=registry
        )
        self.unreadable_measures = Counter(
            "sevrouter_unreadable_measures",
            "Measures that gave no number for so long that it counts as the worst, once an incident, by why.",
            ["reason"], registry=registry,
        )  # fmt: skip
        self.missing_heartbeats = Gauge(
            "sevrouter_heartbeats_missing", "Heartbeats that stay away now.", registry=registry
        )
        self.last_beat = Gauge(
            "sevrouter_heartbeat_last_beat_timestamp_seconds", "When a heartbeat last came; 0 where it never did.",
            ["heartbeat"], registry=registry,
        )  # fmt: skip
        self.pings = Counter(
            "sevrouter_heartbeat_out_pings", "Pings of an outside monitor, and what came of them.", ["outcome"],
            registry=registry,
        )  # fmt: skip
        self.reload_successful = Gauge(
            "sevrouter_config_last_reload_successful", "1 while the last (re)load of the configuration succeeded.",
            registry=registry,
        )  # fmt: skip
        self.config = Gauge("sevrouter_config_info", "The configuration in force.", ["hash"], registry=registry)
        build = Gauge(
            "sevrouter_build_info", "The versions that run.", ["version", "python", "sqlite"], registry=registry
        )
        self._build = build
        # Those that are configured: no alert can add one.
        self._heartbeats: set[str] = set()
        lost = Gauge("sevrouter_log_lines_lost", "How often the log could not be written.", registry=registry)
        lost.set_function(lost_lines)
        self._initialise()

    def _initialise(self) -> None:
        for code in WEBHOOK_CODES:
            self.webhooks.labels(code)
        for result in DEPLOYMENT_RESULTS:
            self.deployments.labels(result)
        for result in RECONCILED:
            self.reconciled.labels(result)
        for status in AlertStatus:
            self.alerts.labels(status.value)
        self.firing = self.alerts.labels(AlertStatus.FIRING.value)
        self.resolved = self.alerts.labels(AlertStatus.RESOLVED.value)
        # To look a series up by its labels costs more than to count.
        self._grades = {
            (sev, unsure): self.grades.labels(sev_name(sev), "true" if unsure else "false")
            for sev in (*Sev, None)
            for unsure in (True, False)
        }
        for problem in QueryProblem:
            self.unreadable_measures.labels(problem.value)
        for ping in Ping:
            self.pings.labels(ping.value)
        self._lanes: set[str] = set()
        for name in INTEGRATIONS:
            self._show_lane(name)
        self.show_incidents({})

    def _show_lane(self, name: str) -> None:
        self._lanes.add(name)
        self.latency.labels(name)
        self.pending.labels(name)
        self.oldest_pending.labels(name)
        self.dead_letters.labels(name)
        for outcome in OUTCOMES:
            self.deliveries.labels(name, outcome)
        for reason in FALLBACKS:
            self.fallbacks.labels(name, reason.value)

    def grade(self, sev: Sev | None, *, unsure: bool) -> Counter:
        """The series of a grade."""
        return self._grades[sev, unsure]

    def unmeasured(self, problem: QueryProblem) -> Counter:
        """The series of why a query gives no number."""
        return self.unreadable_measures.labels(problem.value)

    def ping(self, ping: Ping) -> Counter:
        """The series of what came of a ping."""
        return self.pings.labels(ping.value)

    def show_heartbeats(self, beats: Mapping[str, datetime | None], *, missing: int) -> None:
        """Show when each heartbeat that is configured last came, and how many stay away."""
        for name in self._heartbeats - beats.keys():
            self.last_beat.remove(name)
        self._heartbeats = {*beats}
        for name, at in beats.items():
            self.last_beat.labels(name).set(0 if at is None else at.timestamp())
        self.missing_heartbeats.set(missing)

    def show_drills(self, succeeded: Mapping[tuple[str, str], datetime | None]) -> None:
        """Show when each person last confirmed a drill by each provider, and nobody else."""
        self.last_drill.clear()
        for (person, provider), at in succeeded.items():
            self.last_drill.labels(person, provider).set(0 if at is None else at.timestamp())

    def show_build(self, *, sqlite: str) -> None:
        """Show the versions that run."""
        self._build.labels(__version__, platform.python_version(), sqlite).set(1)

    def show_config(self, config_hash: str, *, heartbeats: Iterable[str] = (), services: Iterable[str] = ()) -> None:
        """Show the configuration in force, and no other; what it names is there before it is looked at.

        `services` are paging services that have lanes of their own.
        """
        for name in services:
            self._show_lane(name)
        for name in heartbeats:
            self.last_beat.labels(name)
            self._heartbeats.add(name)
        self.config.clear()
        self.config.labels(config_hash).set(1)

    def show_incidents(self, counts: Mapping[tuple[Sev, str], int]) -> None:
        """Show how many incidents there are by SEV and state."""
        for sev in Sev:
            for state in IncidentState:
                self.incidents.labels(str(sev), state.value).set(counts.get((sev, state.value), 0))

    def show_outbox(self, lanes: Mapping[str, LaneCounts], *, now: datetime) -> None:
        """Show how the outbox stands."""
        for name in self._lanes:
            lane = lanes.get(name, LaneCounts())
            age = 0.0 if lane.oldest_pending_at is None else (now - lane.oldest_pending_at).total_seconds()
            self.pending.labels(name).set(lane.pending)
            self.oldest_pending.labels(name).set(max(0.0, age))
            self.dead_letters.labels(name).set(lane.dead)

    def page(self) -> bytes:
        """The text that Prometheus scrapes."""
        return generate_latest(self.registry)
