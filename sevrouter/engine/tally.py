"""What a committed webhook amounted to, counted and logged only once it is on disk."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from sevrouter.domain.incident import Incident, TimelineEntry
from sevrouter.domain.sev import sev_name

if TYPE_CHECKING:
    from sevrouter.domain.alert import Alert, AlertRecord
    from sevrouter.domain.grading import Verdict
    from sevrouter.telemetry.metrics import Metrics

log = structlog.get_logger()


@dataclass(slots=True)
class Tally:
    """Counts of one webhook. A work that is run again starts with a new one."""

    statuses: Counter[str] = field(default_factory=Counter)
    grades: Counter[tuple[str, bool]] = field(default_factory=Counter)
    unmatched: int = 0
    unowned: int = 0
    duplicates: int = 0
    stale: int = 0
    facts: list[tuple[Incident, TimelineEntry]] = field(default_factory=list)
    integrations: set[str] = field(default_factory=set)
    has_due: bool = False

    def graded(self, verdict: Verdict) -> None:
        """Count a verdict."""
        self.grades[sev_name(verdict.sev), verdict.unsure] += 1
        self.unmatched += verdict.is_unmatched

    def received(self, alert: Alert) -> None:
        """Count an alert that came."""
        self.statuses[alert.status.value] += 1

    def repeated(self, record: AlertRecord) -> None:
        """Count an alert that came just as it came before."""
        self.statuses[record.status.value] += 1
        self.duplicates += 1
        if record.verdict is not None:
            self.graded(record.verdict)

    def report(self, metrics: Metrics) -> None:
        """Show it all to Prometheus and in the log."""
        for status, count in self.statuses.items():
            metrics.alerts.labels(status).inc(count)
        for (sev, unsure), count in self.grades.items():
            metrics.grades.labels(sev, "true" if unsure else "false").inc(count)
        metrics.unmatched.inc(self.unmatched)
        metrics.unowned.inc(self.unowned)
        metrics.duplicates.inc(self.duplicates)
        metrics.stale.inc(self.stale)
        if self.stale:
            log.warning("alerts_stale", count=self.stale)
        report_facts(self.facts)


def report_facts(facts: list[tuple[Incident, TimelineEntry]]) -> None:
    """One log line per fact, its event key the fact's own word."""
    for incident, entry in facts:
        details = {key: value for key, value in entry.details.items() if key != "labels"}
        about = {"incident": incident.id, "dedup_key": incident.dedup_key, "sev": str(incident.sev)}
        event = f"incident_{entry.fact.value}"
        log.info(event, **about | details)
