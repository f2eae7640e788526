"""Intake: a webhook's alerts become records, incidents, timelines and deliveries; the 200 comes after the commit.

A webhook that says nothing new is counted and answered without a look into the store, where that is certain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sevrouter.domain.own import is_own
from sevrouter.engine.lease import Lease
from sevrouter.engine.taking import Taking, is_graded
from sevrouter.engine.tally import Tally, report_facts
from sevrouter.engine.webhook import Unread, Webhook

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from datetime import datetime

    from sevrouter.domain.routing import Routing
    from sevrouter.engine.aftermath import Aftermath
    from sevrouter.engine.ports import Clock, CurrentRouting, StorePort, TransactionPort


__all__ = ["Intake", "Unread", "Webhook"]


class Intake:
    """Takes webhooks in."""

    def __init__(self, store: StorePort, routing: CurrentRouting, aftermath: Aftermath, *, clock: Clock) -> None:
        self._store = store
        self._routing = routing
        self._aftermath = aftermath
        self._clock = clock

    def remembers(self, sightings: Iterable[bytes]) -> set[bytes]:
        """Those of alerts that were sent just like this before, and nothing about them has changed."""
        remembered, routing = self._store.remembered, self._routing()
        return {each for each in sightings if (record := remembered(each)) is not None and is_graded(record, routing)}

    async def take(self, unread: Unread) -> None:
        """Store a webhook and all that follows from it; returns when it is on disk. Raises what the store raises."""
        routing = self._routing()
        tally = self._repeat(unread, routing)
        if tally is None:
            work = _Work(self, unread, routing, self._clock(), self._aftermath.takes)
            tally = await self._store.write(work, ahead=work.expect)
            if tally is None:
                work.is_whole = True
                tally = await self._store.write(work, ahead=work.expect)
        assert tally is not None
        self._aftermath.follow(tally)

    async def grade_anew(self, ids: Collection[int]) -> None:
        """Grade those of some alerts that fire by the configuration in force, as they were last told of.

        Whatever follows from it is stored when it returns. Nobody has sent them, so they are not counted as received.
        Raises what the store raises.
        """
        work = _Anew(ids, self._routing(), self._clock(), self._aftermath.takes)
        tally = await self._store.write(work, ahead=work.expect)
        self._aftermath.follow_up(tally)
        report_facts(tally.facts)

    def _repeat(self, unread: Unread, routing: Routing) -> Tally | None:
        """What a webhook amounts to that says nothing new, where that is certain without a look into the store."""
        if not unread.is_plain or not self._store.is_sure:
            return None
        tally, remembered = Tally(), self._store.remembered
        for sighting in unread.sightings:
            record = remembered(sighting)
            if record is None or not is_graded(record, routing):
                return None
            tally.repeated(record)
        if routing.grader.heartbeats and any(each.heartbeats for each in tally.verdicts):
            # A beat is news, though its alert is not.
            return None
        return tally


class _Work:
    """What a webhook asks of a transaction. It is read only then: by the thread that stores what is in it."""

    def __init__(
        self, intake: Intake, unread: Unread, routing: Routing, now: datetime, takes: Callable[[str], bool]
    ) -> None:
        self._intake = intake
        self._unread = unread
        self._routing = routing
        self._now = now
        self._takes = takes
        self._lease = Lease()
        self._webhook = Webhook(())
        # The dedup keys of alerts that were never seen, which are asked for again when they are grouped.
        self._keys: Mapping[bytes, str] = {}
        # Whether what repeats has to be read all the same.
        self.is_whole = False

    def expect(self, tx: TransactionPort) -> None:
        """Read it, and say what it will ask for; before any webhook of the transaction is worked on."""
        known = () if self.is_whole else self._intake.remembers(self._unread.sightings)
        self._webhook = webhook = self._unread.read(known)
        unknown = tx.alerts.expect([alert.digest for alert in webhook.alerts])
        key = self._routing.incidents.dedup_key
        self._keys = {alert.digest: key(alert.labels) for alert in webhook.alerts if alert.digest in unknown}
        tx.alerts.expect_sighted(webhook.repeats)
        tx.incidents.expect(self._keys.values())

    def __call__(self, tx: TransactionPort) -> Tally | None:
        taking = Taking(tx, self._routing, self._now, self._keys, self._takes, self._lease)
        # What was read is given up here, where it is at hand; another run reads it anew.
        webhook, self._webhook = self._webhook, Webhook(())
        return taking.run(webhook)


class _Anew:
    """What alerts that fire ask of a transaction to be graded anew."""

    def __init__(self, ids: Collection[int], routing: Routing, now: datetime, takes: Callable[[str], bool]) -> None:
        self._ids = ids
        self._routing = routing
        self._now = now
        self._takes = takes
        self._lease = Lease()

    def expect(self, tx: TransactionPort) -> None:
        """Say what it will ask for."""
        alerts = tx.firing.alerts(self._ids)
        tx.alerts.expect([each.digest for each in alerts])
        tx.incidents.expect(self._routing.incidents.dedup_key(each.labels) for each in alerts)

    def __call__(self, tx: TransactionPort) -> Tally:
        # Read again: a webhook of the same transaction may have ended them, or told something newer of them.
        alerts = [each for each in tx.firing.alerts(self._ids) if not is_own(each.labels)]
        return Taking(tx, self._routing, self._now, {}, self._takes, self._lease).graded_anew(alerts)
