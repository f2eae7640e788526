"""One ring from beginning to end: it is asked for, looked for where its answer was lost, and written down."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, assert_never

import structlog
from msgspec.structs import replace

from sevrouter.domain.delivery import OutcomeReason, Rejected, Retry, Unknown
from sevrouter.domain.ringing import Rang, Ring, RingEnd
from sevrouter.engine.lane import RECORD_AGAIN

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from sevrouter.engine.calling_ports import Phone
    from sevrouter.engine.conversation import RingConversation
    from sevrouter.engine.health import Health
    from sevrouter.engine.ports import Clock, StorePort, TransactionPort
    from sevrouter.telemetry.metrics import Metrics

log = structlog.get_logger()

# Seconds. A call whose answer was lost is looked for this often, until its provider has been silent for too long: then
# the next one is asked, within the minute that is promised.
LOOK_EVERY, LOOK_FOR = 3.0, timedelta(seconds=40)
# One call that may have rung is followed by another, and no more than that.
MOST_LOST = 1

Outcome = Rang | Retry | Unknown | Rejected


class Placing:
    """Places rings. `others` gives the phones that a person has not been tried by yet."""

    def __init__(
        self,
        store: StorePort,
        metrics: Metrics,
        *,
        clock: Clock,
        health: Health,
        others: Callable[[str], Sequence[str]],
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._clock = clock
        self._health = health
        self._others = others
        self.look_every = LOOK_EVERY
        # Which phones could not call a person, and how many calls in a row may have rung, since one certainly did.
        self._tried: dict[str, set[str]] = {}
        self._lost: dict[str, int] = {}

    def untried(self, person: str, phones: Sequence[str]) -> list[str]:
        """Of these phones, those that have not failed for a person since one of them could call."""
        tried = self._tried.get(person, ())
        return [name for name in phones if name not in tried]

    async def run(self, ring: Ring, phone: Phone | None, conversation: RingConversation, *, is_new: bool) -> None:
        """Place it, or look for it where somebody else may have, and see it through."""
        asked_at, unknowns = self._clock(), ring.unknowns
        if phone is None:
            outcome: Outcome = Rang(RingEnd.LOST, "its provider is not configured any more")
        elif is_new:
            log.info("calling", ring=ring.id, person=ring.person, provider=ring.provider, drill=ring.is_drill)
            outcome = await self._asked(ring, phone.ring(ring, conversation))
        else:
            outcome = Unknown(OutcomeReason.LEASE_EXPIRED)
        while phone is not None and isinstance(outcome, Unknown):
            unknowns += 1
            known, detail = await self._stored(ring, conversation), outcome.detail
            outcome = await self._asked(ring, phone.look_for(known, conversation))
            if not isinstance(outcome, Unknown):
                break
            if self._clock() >= asked_at + LOOK_FOR:
                outcome = Rang(RingEnd.LOST, outcome.detail or detail)
            else:
                await asyncio.sleep(self.look_every)
        await asyncio.shield(self._record(ring, conversation, outcome, unknowns, is_new=is_new))

    async def _asked(self, ring: Ring, attempt: Awaitable[Outcome]) -> Outcome:
        try:
            return await attempt
        except Exception as error:
            log.exception("phone_failed", ring=ring.id, provider=ring.provider, error=repr(error))
            return Unknown(OutcomeReason.INTERNAL_ERROR, type(error).__name__)

    async def _stored(self, ring: Ring, conversation: RingConversation) -> Ring:
        """It as it is stored by now: a callback may have told what the provider calls it."""
        known: Ring | None = None
        with contextlib.suppress(Exception):
            known = await self._store.read(lambda tx: tx.rings.find(ring.id))
        known = known or ring
        return known if known.reference is not None else replace(known, reference=conversation.reference)

    async def _record(
        self, ring: Ring, conversation: RingConversation, outcome: Outcome, unknowns: int, *, is_new: bool
    ) -> None:
        end, detail = self._judged(ring, outcome, is_new=is_new)
        is_over = replace(
            ring, end=end, detail=detail, ended_at=self._clock(), unknowns=unknowns, reference=conversation.reference
        )
        for pause in RECORD_AGAIN:
            try:
                ended = await self._store.write(lambda tx: self._end(tx, is_over))
                break
            except Exception as error:  # noqa: BLE001  whatever the store says, the outcome is still known only here
                log.warning("call_not_recorded", ring=ring.id, error=repr(error))
                await asyncio.sleep(pause)
        else:
            return
        if ended is not None:
            self._report(ended)

    def _judged(self, ring: Ring, outcome: Outcome, *, is_new: bool) -> tuple[RingEnd, str]:
        """What it has come to, and what that says of its provider: nothing, where it is the worker that was lost."""
        match outcome:
            case Rang(RingEnd.LOST, detail) if not is_new:
                return RingEnd.LOST, detail
            case Retry(reason, detail) if not is_new:
                return RingEnd.NOT_PLACED, f"{reason.value} {detail}".strip()
            case Rang(RingEnd.LOST, detail):
                self._health.condemn(ring.provider, detail or "nobody knows what came of a call")
                return RingEnd.LOST, detail
            case Rang(end, detail):
                self._health.acquit(ring.provider)
                self._tried.pop(ring.person, None)
                self._lost.pop(ring.person, None)
                return end, detail
            case Retry(reason, detail) | Rejected(reason, detail) | Unknown(reason, detail):
                self._health.condemn(ring.provider, f"{reason.value} {detail}".strip())
                self._tried.setdefault(ring.person, set()).add(ring.provider)
                return RingEnd.NOT_PLACED, f"{reason.value} {detail}".strip()
            case _:
                assert_never(outcome)

    def _end(self, tx: TransactionPort, ring: Ring) -> Ring | None:
        """Write that it is over; None where it is not ours any more."""
        stored = tx.rings.find(ring.id)
        if stored is None:
            return None
        # A key says more than how the call ended.
        ended = ring if stored.heard is None else replace(ring, end=stored.heard)
        if not tx.rings.finish(ended):
            return None
        if ring.is_drill:
            assert ended.end is not None
            tx.drills.put(
                ring.person,
                ring.provider,
                drilled_at=ring.began_at,
                end=ended.end,
                succeeded_at=stored.acknowledged_at,
            )
            return ended
        if stored.acknowledged_at is None and self._goes_on(ended):
            tx.rings.release(ring.id, not_before=self._clock())
        return ended

    def _goes_on(self, ring: Ring) -> bool:
        """Whether its person is called again for the same, by another phone."""
        if ring.end is RingEnd.NOT_PLACED:
            if self._others(ring.person):
                return True
            # All have been tried; the next time it begins with the first.
            self._tried.pop(ring.person, None)
            return False
        if ring.end is RingEnd.LOST:
            lost = self._lost[ring.person] = self._lost.get(ring.person, 0) + 1
            return lost <= MOST_LOST
        return False

    def _report(self, ring: Ring) -> None:
        assert ring.end is not None
        self._metrics.calls.labels(ring.provider, ring.end.value).inc()
        log.info(
            "called", ring=ring.id, person=ring.person, provider=ring.provider, drill=ring.is_drill, end=ring.end.value,
            detail=ring.detail or None,
        )  # fmt: skip
