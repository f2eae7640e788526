"""A lease: one work's hold on the deliveries that it claims, for as long as an attempt may take."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sevrouter.domain.delivery import Delivery, NewDelivery

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sevrouter.engine.ports import TransactionPort

# Longer than any attempt takes; a delivery still being sent after it has lost its worker.
LEASE = timedelta(seconds=60)


class Lease:
    """What one work claims has one token, that nobody else has, also where the work is run again."""

    def __init__(self) -> None:
        self.token = f"{random.getrandbits(128):032x}"
        self._was_run = False

    def held(self, tx: TransactionPort) -> list[Delivery]:
        """Called first in each run of the work: what an earlier run holds already.

        That run was committed, though its answer was lost: no later one finds anything of it left to do.
        """
        was_run, self._was_run = self._was_run, True
        return tx.outbox.held(self.token) if was_run else []


def lease_until(now: datetime) -> datetime:
    """When a lease that is taken now runs out."""
    return now + LEASE


def is_young(taken_at: datetime, now: datetime) -> bool:
    """Whether a lease lasts long enough for an attempt to begin."""
    return now - taken_at < LEASE / 2


def claimed(numbers: Iterable[int], new: Iterable[NewDelivery]) -> list[Delivery]:
    """The deliveries among these that were written with a lease."""
    return [
        Delivery(
            id=number,
            integration=each.integration,
            notice=each.notice,
            received_at=each.received_at,
            expires_at=each.expires_at,
            lease=each.lease,
        )
        for number, each in zip(numbers, new, strict=True)
        if each.lease is not None
    ]
