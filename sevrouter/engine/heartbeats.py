"""Waits for heartbeats: one that stays away is an incident, until it comes again or nobody waits for it any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sevrouter.domain.labels import pairs_digest
from sevrouter.domain.missing import Known, Look, labels_of, look
from sevrouter.engine.lease import Lease
from sevrouter.engine.own import observe_own, own_key
from sevrouter.engine.taking import Taking
from sevrouter.engine.timer import Timer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

    from sevrouter.domain.routing import Routing
    from sevrouter.engine.aftermath import Aftermath
    from sevrouter.engine.ports import Clock, CurrentRouting, StorePort, TransactionPort
    from sevrouter.engine.tally import Tally
    from sevrouter.telemetry.metrics import Metrics


class Heartbeats:
    """Looks at heartbeats. `lanes` get what there is to deliver, `due` is told of a new due time.

    All that it knows is in the store, so that a restart, or another replica, goes on where this one was.
    """

    def __init__(
        self,
        store: StorePort,
        routing: CurrentRouting,
        metrics: Metrics,
        aftermath: Aftermath,
        *,
        clock: Clock,
    ) -> None:
        self._store = store
        self._routing = routing
        self._metrics = metrics
        self._aftermath = aftermath
        self._clock = clock
        self._timer = Timer("heartbeats", self.look, clock=clock)
        self.rounds = self._timer.rounds

    def wake(self) -> None:
        """There may be other heartbeats to wait for."""
        self._timer.wake()

    async def run(self) -> None:
        """Look when one would be missing, until cancelled."""
        await self._timer.run()

    async def look(self) -> datetime | None:
        """Raise what is missing, end what came again, and return when the next one would be missing."""
        routing, now = self._routing(), self._clock()
        heartbeats = routing.grader.heartbeats
        names = [each.name for each in heartbeats]
        known = await self._store.read(lambda tx: _known(tx, names))
        found = look(heartbeats, known, now)
        if not found.is_idle:
            work = _Work(routing, now, self._aftermath.takes, found)
            found, tally = await self._store.write(work, ahead=work.expect)
            self._aftermath.follow(tally)
        beats = {name: each.beat_at for name, each in known.pulses.items()}
        self._metrics.show_heartbeats({name: beats.get(name) for name in names}, missing=len(found.missing))
        return found.next_at


class _Work:
    """What a look asks of a transaction, in which it looks again: a beat may have come meanwhile."""

    def __init__(self, routing: Routing, now: datetime, takes: Callable[[str], bool], expected: Look) -> None:
        self._routing = routing
        self._now = now
        self._takes = takes
        self._expected = expected
        self._lease = Lease()

    def expect(self, tx: TransactionPort) -> None:
        """Say what it will ask for."""
        alerts = [alert for alert, _ in self._expected.alerts]
        tx.alerts.expect([each.digest for each in alerts])
        tx.incidents.expect(map(own_key, alerts))

    def __call__(self, tx: TransactionPort) -> tuple[Look, Tally]:
        heartbeats = self._routing.grader.heartbeats
        found = look(heartbeats, _known(tx, [each.name for each in heartbeats], hold=True), self._now)
        tx.heartbeats.put(found.pulses)
        if found.gone:
            tx.heartbeats.forget(found.gone)
        return found, self._take(tx, found)

    def _take(self, tx: TransactionPort, found: Look) -> Tally:
        observations = observe_own(tx, found.alerts, now=self._now)
        keys = {alert.digest: own_key(alert) for alert, _ in found.alerts}
        taking = Taking(tx, self._routing, self._now, keys, self._takes, self._lease)
        return taking.measured(observations)


def _known(tx: TransactionPort, names: Collection[str], *, hold: bool = False) -> Known:
    pulses = tx.heartbeats.known(hold=hold)
    digests = {pairs_digest(labels_of(name)): name for name in {*names, *pulses}}
    records = tx.alerts.records(digests)
    return Known(pulses, {digests[digest]: record for digest, record in records.items()})
