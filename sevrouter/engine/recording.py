"""Writes down what came of an attempt, on its row of the outbox and in its incident's timeline."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, assert_never

from sevrouter.domain.backoff import Schedule, next_attempt_at
from sevrouter.domain.delivery import Delivered, Delivery, DeliveryState, Outcome, Rejected, Retry, Unknown
from sevrouter.domain.incident import Fact, TimelineEntry

if TYPE_CHECKING:
    from datetime import datetime

    from sevrouter.engine.ports import TransactionPort


class Recording:
    """Writes down what came of an attempt; False where its lease is no longer ours."""

    def __init__(self, delivery: Delivery, outcome: Outcome, schedule: Schedule, now: datetime) -> None:
        self._delivery = delivery
        self._outcome = outcome
        self._now = now
        self._unknowns = delivery.unknowns + isinstance(outcome, Unknown)
        self.not_before: datetime | None = None
        if isinstance(outcome, Retry | Unknown):
            due = next_attempt_at(
                outcome,
                attempts=delivery.attempts,
                unknowns=self._unknowns,
                schedule=schedule,
                now=now,
                jitter=random.random(),  # noqa: S311  it spreads load, it guards nothing
            )
            # A provider that asks for a week must not keep a dead letter quiet for so long.
            self.not_before = min(due, delivery.expires_at)

    def __call__(self, tx: TransactionPort) -> bool:
        delivery, outcome, now = self._delivery, self._outcome, self._now
        is_ours, fact = self._end(tx)
        if not is_ours:
            return False
        if isinstance(outcome, Delivered) and outcome.reference:
            tx.outbox.refer(delivery, outcome.reference)
        # The first failure is a fact of the incident; that it goes on failing is for the metrics to say.
        if fact in (Fact.DELIVERED, Fact.DELIVERY_REJECTED) or delivery.attempts == 1:
            entry = entry_of(delivery, fact, outcome.reason.value, now, detail=outcome.detail)
            tx.incidents.tell([(delivery.notice.incident_id, entry)])
        return True

    def _end(self, tx: TransactionPort) -> tuple[bool, Fact]:
        delivery, outcome, now = self._delivery, self._outcome, self._now
        match outcome:
            case Delivered(reason=reason, detail=detail):
                state, fact = DeliveryState.DELIVERED, Fact.DELIVERED
                return tx.outbox.finish(delivery, state, reason=reason, detail=detail, at=now), fact
            case Rejected(reason=reason, detail=detail):
                state, fact = DeliveryState.DEAD, Fact.DELIVERY_REJECTED
                return tx.outbox.finish(delivery, state, reason=reason, detail=detail, at=now), fact
            case Retry(reason=reason, detail=detail) | Unknown(reason=reason, detail=detail):
                fact = Fact.DELIVERY_UNKNOWN if isinstance(outcome, Unknown) else Fact.DELIVERY_RETRIED
                assert self.not_before is not None
                is_ours = tx.outbox.postpone(
                    delivery, not_before=self.not_before, unknowns=self._unknowns, reason=reason, detail=detail
                )
                return is_ours, fact
            case _:
                assert_never(outcome)


def about(delivery: Delivery) -> dict[str, object]:
    """What every log line on a delivery says."""
    return {
        "integration": delivery.integration,
        "incident": delivery.notice.incident_id,
        "kind": delivery.notice.kind.value,
        "sev": str(delivery.notice.sev),
        "attempt": delivery.attempts,
        "title": delivery.notice.title,
    }


def entry_of(delivery: Delivery, fact: Fact, reason: str, now: datetime, *, detail: str = "") -> TimelineEntry:
    """A fact about a delivery, for the timeline of its incident."""
    details: dict[str, object] = {
        "integration": delivery.integration,
        "kind": delivery.notice.kind.value,
        "attempt": delivery.attempts,
        "reason": reason,
    }
    return TimelineEntry(fact, now, details | ({"detail": detail} if detail else {}))
