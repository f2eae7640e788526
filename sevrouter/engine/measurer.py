"""The measurer: reads timed measures when they are due, and folds what they say as intake folds a webhook."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sevrouter.domain.alert import AlertStatus
from sevrouter.domain.measuring import Subject
from sevrouter.domain.outlook import Outlook
from sevrouter.domain.own import cannot_measure, not_answered_yet
from sevrouter.domain.review import queries, review
from sevrouter.engine.asking import Answers
from sevrouter.engine.lease import Lease
from sevrouter.engine.outage import Outage
from sevrouter.engine.own import observe_own, own_key
from sevrouter.engine.taking import Taking
from sevrouter.engine.tally import Tally
from sevrouter.engine.timer import Timer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from sevrouter.domain.alert import Alert, AlertRecord
    from sevrouter.domain.grading import Verdict
    from sevrouter.domain.incident import Incident
    from sevrouter.domain.observation import Observation
    from sevrouter.domain.promql import QueryAnswer, QueryProblem
    from sevrouter.domain.routing import Routing
    from sevrouter.engine.aftermath import Aftermath
    from sevrouter.engine.asking import Asker
    from sevrouter.engine.ports import Clock, CurrentRouting, StorePort, TransactionPort, Watch
    from sevrouter.telemetry.metrics import Metrics

# Watches that are read together, so that intake never waits long.
TOGETHER = 200
# How long a claim lasts: when its replica is gone, another one takes it up after this.
CLAIM = timedelta(seconds=30)
# Where time changes nothing any more, this is how soon it is noticed that nothing fires.
IDLE = timedelta(hours=1)


class Measurer:
    """Reads timed measures."""

    def __init__(
        self,
        store: StorePort,
        routing: CurrentRouting,
        metrics: Metrics,
        aftermath: Aftermath,
        *,
        clock: Clock,
        asker: Asker,
    ) -> None:
        self._store = store
        self._routing = routing
        self._metrics = metrics
        self._aftermath = aftermath
        self._clock = clock
        self._asker = asker
        self._outage = Outage()
        self._timer = Timer("measurer", self.measure_due, clock=clock)
        self.rounds = self._timer.rounds

    def wake(self) -> None:
        """There is a new due time."""
        self._timer.wake()

    async def run(self) -> None:
        """Read what is due, until cancelled."""
        await self._timer.run()

    async def measure_due(self) -> datetime | None:
        """Read what is due now, and return when the next is due."""
        now = self._clock()
        next_at = await self._store.read(lambda tx: tx.watches.next_due_at())
        if next_at is not None and next_at <= now:
            claimed = await self._store.write(lambda tx: tx.watches.claim(now, until=now + CLAIM, most=TOGETHER))
            await self._measure(claimed, now)
            next_at = await self._store.read(lambda tx: tx.watches.next_due_at())
        elif self._asker.source is not None and self._outage.is_due(now):
            await self._carry_out((), {}, self._outage.note(await self._asker.probe(), now), now)
        return next_at

    async def _measure(self, claimed: Sequence[Watch], now: datetime) -> None:
        firing = await self._store.read(lambda tx: tx.watches.firing([each.id for each in claimed]))
        grader = self._routing().grader
        wanted: dict[str, timedelta] = {}
        for alerts in firing.values():
            for query, every in queries(grader, alerts).items():
                wanted[query] = min(every, wanted.get(query, every))
        # In an outage what was read last stands, and the incident of our own says so.
        answers = await self._asker.ask(wanted) if wanted else Answers()
        own = self._outage.note(answers.outage, now) if wanted else None
        await self._carry_out(claimed, answers.by_query, own, now)

    async def _carry_out(
        self, claimed: Sequence[Watch], answers: Mapping[str, QueryAnswer], own: Alert | None, now: datetime
    ) -> None:
        if not claimed and own is None:
            return
        work = _Work(claimed, self._routing(), now, self._aftermath.takes, answers, own)
        tally, problems = await self._store.write(work, ahead=work.expect)
        # First what has to happen, then what is said of it.
        self._aftermath.follow(tally)
        for problem in problems:
            self._metrics.unmeasured(problem).inc()


class _Work:
    """What claimed watches ask of a transaction."""

    def __init__(
        self,
        claimed: Sequence[Watch],
        routing: Routing,
        now: datetime,
        takes: Callable[[str], bool],
        answers: Mapping[str, QueryAnswer],
        own: Alert | None,
    ) -> None:
        self._claimed = claimed
        self._answers = answers
        self._own = own
        self._problems: list[QueryProblem] = []
        self._outlooks: dict[int, Outlook] = {}
        self._routing = routing
        self._now = now
        self._takes = takes
        self._lease = Lease()
        self._alerts: Mapping[int, Sequence[Alert]] = {}

    def expect(self, tx: TransactionPort) -> None:
        """Say what it will ask for."""
        self._alerts = tx.watches.firing([each.id for each in self._claimed])
        tx.alerts.expect([alert.digest for alerts in self._alerts.values() for alert in alerts])
        tx.incidents.expect(each.dedup_key for each in self._claimed)

    def __call__(self, tx: TransactionPort) -> tuple[Tally, list[QueryProblem]]:
        observations: list[Observation] = []
        self._problems, self._outlooks = [], {}
        for watch in tx.watches.held(self._claimed):
            observations += self._review(tx, watch)
        keys: dict[bytes, str] = {}
        if self._own is not None:
            observations += observe_own(tx, [(self._own, self._verdict_on(tx, self._own))], now=self._now)
            keys = {self._own.digest: own_key(self._own)}
        if not observations and not self._outlooks:
            return Tally(), self._problems
        taking = Taking(tx, self._routing, self._now, keys, self._takes, self._lease)
        return taking.measured(observations, self._outlooks), self._problems

    def _verdict_on(self, tx: TransactionPort, own: Alert) -> Verdict:
        """How bad it is that nobody answers: nothing for a while, which began when a process before us saw it begin."""
        known = tx.alerts.records([own.digest]).get(own.digest)
        since = own.starts_at
        if known is not None and known.status is AlertStatus.FIRING:
            since = min(since, known.starts_at)
        if self._now - since < self._routing.outage_after:
            return not_answered_yet()
        return cannot_measure(self._routing.grader.worst_measured)

    def _review(self, tx: TransactionPort, watch: Watch) -> Sequence[Observation]:
        subjects = self._subjects(tx, watch)
        if not subjects:
            tx.watches.end(watch)
            return ()
        routing = self._routing
        found = review(
            routing.grader,
            [each for each, _ in subjects],
            now=self._now,
            readings=watch.readings,
            answers=self._answers,
            horizon=routing.horizon,
        )
        self._problems += found.problems
        tx.watches.settle(watch, next_at=found.next_at or self._now + IDLE, readings=found.readings)
        incident = next((each for _, each in subjects if each is not None), None)
        if incident is not None and incident.id is not None:
            looked_at = sum(each is not None for _, each in subjects)
            self._outlooks[incident.id] = Outlook(
                would_be=found.sev,
                why=found.why,
                is_whole=looked_at >= incident.firing and not incident.truncated,
                foreseen=found.foreseen,
                returned=found.returned if incident.unsure else (),
            )
        return found.observations

    def _subjects(self, tx: TransactionPort, watch: Watch) -> list[tuple[Subject, Incident | None]]:
        """The firing alerts of a watch, each with the open incident that it is in."""
        alerts = {each.digest: each for each in self._alerts[watch.id]}
        records = tx.alerts.records(alerts)
        # What intake has written in this same transaction counts.
        firing = {
            digest: record
            for digest, record in records.items()
            if record.status is AlertStatus.FIRING and record.watch_id == watch.id
        }
        ids = {each.incident_id for each in firing.values() if each.incident_id is not None}
        known = tx.incidents.by_id(ids)
        incidents = [known.get(record.incident_id or 0) for record in firing.values()]
        is_open = [each if each is not None and each.is_open else None for each in incidents]
        return [
            (_subject(alerts[digest], record, incident), incident)
            for (digest, record), incident in zip(firing.items(), is_open, strict=True)
        ]


def _subject(alert: Alert, record: AlertRecord, incident: Incident | None) -> Subject:
    if incident is None:
        return Subject(alert, record)
    return Subject(alert, record, incident.opened_at, incident.sev)
