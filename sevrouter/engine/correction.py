"""What an Alertmanager showed and nobody sent, in one transaction: taken in as if it had been received."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec.structs import replace

from sevrouter.domain.alert import Alert, AlertRecord, AlertStatus
from sevrouter.domain.reconciliation import ON_ITS_WAY, Held
from sevrouter.engine.lease import Lease
from sevrouter.engine.taking import Taking
from sevrouter.engine.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from sevrouter.domain.routing import Routing
    from sevrouter.engine.ports import TransactionPort


@dataclass(frozen=True, slots=True)
class Corrected:
    """What was taken in, once it is committed."""

    tally: Tally
    vanished: int
    missed: int


class Correction:
    """Ends what vanished, each with the time since when nobody shows it, and takes in what was missed.

    Whatever has changed meanwhile is left as it is: somebody sent it after all.
    """

    def __init__(
        self,
        vanished: Sequence[tuple[Held, datetime]],
        missed: Sequence[Alert],
        routing: Routing,
        now: datetime,
        takes: Callable[[str], bool],
    ) -> None:
        self._vanished = vanished
        self._missed = missed
        self._routing = routing
        self._now = now
        self._takes = takes
        self._lease = Lease()
        self._labelled: Mapping[bytes, Alert] = {}

    def expect(self, tx: TransactionPort) -> None:
        """Say what it will ask for."""
        self._labelled = tx.firing.labelled([held.id for held, _ in self._vanished])
        tx.alerts.expect([*self._labelled, *(alert.digest for alert in self._missed)])
        tx.incidents.expect(self._routing.incidents.dedup_key(alert.labels) for alert in self._missed)

    def __call__(self, tx: TransactionPort) -> Corrected:
        records = tx.alerts.records([*self._labelled, *(alert.digest for alert in self._missed)])
        over = [
            replace(self._labelled[held.digest], status=AlertStatus.RESOLVED, ends_at=since)
            for held, since in self._vanished
            if _is_as_it_was(records.get(held.digest), held)
        ]
        missed = [alert for alert in self._missed if self._is_still_missed(records.get(alert.digest))]
        taking = Taking(tx, self._routing, self._now, {}, self._takes, self._lease)
        return Corrected(taking.found([*over, *missed]), len(over), len(missed))

    def _is_still_missed(self, record: AlertRecord | None) -> bool:
        if record is None:
            return True
        return record.status is AlertStatus.RESOLVED and self._now - record.changed_at >= ON_ITS_WAY


def _is_as_it_was(record: AlertRecord | None, held: Held) -> bool:
    return record is not None and record.status is AlertStatus.FIRING and record.version == held.version
