"""What a committed webhook amounted to, counted and logged only once it is on disk."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from sevrouter.domain.alert import AlertStatus
from sevrouter.domain.delivery import Delivery
from sevrouter.domain.grading import Verdict
from sevrouter.domain.incident import Incident, TimelineEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from prometheus_client import Counter as CounterMetric

    from sevrouter.domain.alert import Alert, AlertRecord
    from sevrouter.engine.ports import Lanes
    from sevrouter.telemetry.metrics import Metrics

log = structlog.get_logger()


@dataclass(slots=True)
class Tally:
    """Counts of one webhook. A work that is run again starts with a new one."""

    firing: int = 0
    resolved: int = 0
    verdicts: list[Verdict] = field(default_factory=list)
    unowned: int = 0
    duplicates: int = 0
    stale: int = 0
    facts: list[tuple[Incident, TimelineEntry]] = field(default_factory=list)
    integrations: set[str] = field(default_factory=set)
    handed: list[Delivery] = field(default_factory=list)
    # Incidents of which something was heard that changes nothing.
    heard: set[int] = field(default_factory=set)
    has_due: bool = False
    has_watched: bool = False
    _repeated: set[bytes] = field(default_factory=set)

    def received(self, alerts: Sequence[Alert]) -> None:
        """Count alerts that came."""
        firing = len([alert for alert in alerts if alert.status is AlertStatus.FIRING])
        self.firing += firing
        self.resolved += len(alerts) - firing

    def repeated(self, record: AlertRecord) -> None:
        """Count an alert that came just as it came before."""
        if record.status is AlertStatus.FIRING:
            self.firing += 1
        else:
            self.resolved += 1
        self.repeats(record)
        # What one webhook says twice is graded once.
        if record.verdict is not None and record.digest not in self._repeated:
            self._repeated.add(record.digest)
            self.verdicts.append(record.verdict)

    def repeats(self, record: AlertRecord | None) -> None:
        """Count an alert that says nothing new, but that its incident is still there."""
        self.duplicates += 1
        if record is not None and record.incident_id is not None and record.status is AlertStatus.FIRING:
            self.heard.add(record.incident_id)

    def follow_up(self, lanes: Lanes, *, due: Callable[[], None]) -> None:
        """See to it that what was committed happens."""
        if self.handed:
            lanes.hand_over(self.handed)
        if self.integrations:
            lanes.wake(self.integrations)
        if self.has_due:
            due()

    def report(self, metrics: Metrics) -> None:
        """Show it all to Prometheus and in the log."""
        _add(metrics.firing, self.firing)
        _add(metrics.resolved, self.resolved)
        for (sev, unsure), count in Counter([(each.sev, each.unsure) for each in self.verdicts]).items():
            metrics.grade(sev, unsure=unsure).inc(count)
        _add(metrics.unmatched, sum(each.is_unmatched for each in self.verdicts if each.unsure))
        _add(metrics.unowned, self.unowned)
        _add(metrics.duplicates, self.duplicates)
        _add(metrics.stale, self.stale)
        if self.stale:
            log.warning("alerts_stale", count=self.stale)
        report_facts(self.facts)


def _add(counter: CounterMetric, count: int) -> None:
    if count:
        counter.inc(count)


def report_facts(facts: list[tuple[Incident, TimelineEntry]]) -> None:
    """One log line per fact, its event key the fact's own word."""
    for incident, entry in facts:
        details = {key: value for key, value in entry.details.items() if key != "labels"}
        about = {"incident": incident.id, "dedup_key": incident.dedup_key, "sev": str(incident.sev)}
        event = f"incident_{entry.fact.value}"
        log.info(event, **about | details)
