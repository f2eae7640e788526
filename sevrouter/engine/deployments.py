"""Brings deployments and incidents together, whichever comes first: in the transaction that writes the later one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from msgspec.structs import replace

from sevrouter.domain.deployment import SHORTLY_AFTER, Deployment, NearbyDeployment, nearby
from sevrouter.domain.incident import Fact, Fold, Incident, TimelineEntry
from sevrouter.engine.tally import report_facts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sevrouter.engine.ports import CurrentRouting, StorePort, TransactionPort
    from sevrouter.telemetry.metrics import Metrics

log = structlog.get_logger()

# Without a time of its own, what is reported again this soon is the same deployment.
SAME_WITHIN = timedelta(minutes=10)
# Incidents that are told of one deployment which is reported late, the last ones to begin.
MOST_TOLD = 100


@dataclass(frozen=True, slots=True)
class Report:
    """A deployment as it was reported; `at` is None where that was not said.

    `is_seen`: nobody has reported it, it is what runs now; that is new where the last one of its system was another.
    """

    system: str
    version: str
    at: datetime | None = None
    link: str | None = None
    is_seen: bool = False


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of a report: the deployment as it is stored, and whether it was stored just now."""

    deployment: Deployment
    is_new: bool


def suspecting(tx: TransactionPort, folded: Fold, *, window: timedelta, now: datetime) -> Fold:
    """A fold whose incident, where it begins just now, knows what was deployed shortly before."""
    incident = folded.incident
    begins = folded.has(Fact.OPENED) or folded.has(Fact.REOPENED)
    if incident is None or not begins or not window:
        return folded
    recent = tx.deployments.recent(since=now - window, until=now + SHORTLY_AFTER)
    if not recent and not incident.evidence.deployments:
        return folded
    found = nearby(recent, _names(incident), began_at=now, window=window)
    told = tuple(_entry(each, now) for each in found)
    return Fold(_with(incident, found), (*folded.facts, *told))


def _names(incident: Incident) -> list[str]:
    """What its deployments may be called: its system, and whatever its alert names."""
    own = () if incident.system is None else (incident.system,)
    return [*own, *incident.evidence.alert.labels.values()]


def _with(incident: Incident, found: tuple[NearbyDeployment, ...]) -> Incident:
    # What it holds of an earlier beginning has to go, too; to write its evidence for nothing is dear.
    if found == incident.evidence.deployments:
        return incident
    return replace(incident, evidence=replace(incident.evidence, deployments=found))


def _entry(found: NearbyDeployment, now: datetime) -> TimelineEntry:
    return TimelineEntry(Fact.DEPLOYMENT_NEARBY, now, found.details())


class DeploymentLog:
    """Records what is reported to have gone live."""

    def __init__(self, store: StorePort, routing: CurrentRouting, metrics: Metrics) -> None:
        self._store = store
        self._routing = routing
        self._metrics = metrics

    def knows(self, system: str) -> bool:
        """Whether the configuration has a system of this name."""
        return any(each.name == system for each in self._routing().ownership.systems)

    async def record(self, reports: Sequence[Report], *, now: datetime) -> list[Recorded]:
        """Store them, all or none; returns when they are on disk. Raises what the store raises."""
        recording = await self._store.write(lambda tx: _Recording(tx, self._routing().deployment_window, now, reports))
        for each in recording.recorded:
            self._metrics.deployments.labels("new" if each.is_new else "known").inc()
            line = log.info if each.is_new else log.debug
            about = each.deployment
            line("deployment_recorded", system=about.system, version=about.version, at=about.at.isoformat())
        report_facts(recording.facts)
        return recording.recorded


class _Recording:
    """Some reports in one transaction."""

    def __init__(self, tx: TransactionPort, window: timedelta, now: datetime, reports: Sequence[Report]) -> None:
        self._tx = tx
        self._window = window
        self._now = now
        self.facts: list[tuple[Incident, TimelineEntry]] = []
        tx.deployments.hold()
        self.recorded = [self._record(report) for report in reports]

    def _record(self, report: Report) -> Recorded:
        known = self._known(report)
        if known is not None:
            return Recorded(known, is_new=False)
        deployment = Deployment(
            system=report.system, version=report.version, at=report.at or self._now, link=report.link
        )
        self._tx.deployments.add(deployment, received_at=self._now)
        if self._window:
            self._tell(deployment)
        return Recorded(deployment, is_new=True)

    def _known(self, report: Report) -> Deployment | None:
        if report.is_seen:
            last = self._tx.deployments.latest(report.system)
            if last is not None and last.version == report.version:
                return last
        since, until = (report.at, report.at) if report.at else (self._now - SAME_WITHIN, self._now + SAME_WITHIN)
        return self._tx.deployments.find(report.system, report.version, since=since, until=until)

    def _tell(self, new: Deployment) -> None:
        """Tell the incidents that began before this was known. Nobody is notified: the next notice says it, too."""
        since, until = new.at - SHORTLY_AFTER, new.at + self._window
        begun = self._tx.incidents.begun(new.system, since=since, until=until, most=MOST_TOLD)
        if not begun:
            return
        recent = self._tx.deployments.recent(since=since - self._window, until=until + SHORTLY_AFTER)
        seen: set[int] = set()
        for began_at, incident in begun:
            assert incident.id is not None
            found = nearby(recent, _names(incident), began_at=began_at, window=self._window)
            mine = [each for each in found if (each.system, each.version, each.at) == (new.system, new.version, new.at)]
            if incident.id in seen or not mine:
                continue
            seen.add(incident.id)
            told = _with(incident, found)
            self._tx.incidents.save([told])
            self.facts += [(told, _entry(each, self._now)) for each in mine]
            self._tx.incidents.tell([(incident.id, _entry(each, self._now)) for each in mine])
