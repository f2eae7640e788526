"""The reconciler: asks every Alertmanager what fires, and sets right what its webhooks left wrong.

What vanished there is ended, what was missed is taken in, and nobody is called for what is silenced or inhibited.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import structlog
from msgspec.structs import replace

from sevrouter.domain.reconciliation import (
    BELIEVED_FOR,
    SETTLED_AFTER,
    Answer,
    Comparison,
    Judgement,
    Past,
    Picture,
    Unanswered,
    compare,
    has_absent,
)
from sevrouter.engine.correction import Correction
from sevrouter.engine.suppressing import Lifting, Suppressing, reasons
from sevrouter.engine.timer import Timer

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from datetime import datetime

    from sevrouter.domain.alert import Alert
    from sevrouter.domain.reconciliation import Held
    from sevrouter.engine.aftermath import Aftermath
    from sevrouter.engine.ports import Alertmanager, Clock, CurrentRouting, StorePort, TransactionPort
    from sevrouter.telemetry.metrics import Metrics

log = structlog.get_logger()
T = TypeVar("T")

# Alerts, or incidents, that are written in one transaction, so that intake never waits long.
TOGETHER = 200
FIRES_THERE = "it fires in Alertmanager"
NOT_ANSWERED = "not every Alertmanager has answered for a while, so it counts as firing"
NOBODY_ASKED = "no Alertmanager is asked any more"


@dataclass(frozen=True, slots=True)
class Terms:
    """How often is asked, and for how long an alert fires there without reaching us before it is taken in.

    `missed_after` of zero is never.
    """

    every: timedelta = timedelta(seconds=30)
    missed_after: timedelta = timedelta(minutes=6)


class Reconciler:
    """Reconciles."""

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
        self._alertmanagers: tuple[Alertmanager, ...] = ()
        self._terms = Terms()
        self._past = Past()
        self._next_at: datetime | None = None
        # When all of them answered last, or when we began to ask.
        self._whole_at: datetime | None = None
        # Those that do not answer, and those of which nobody knows what they mute: it is logged once.
        self._failing: set[str] = set()
        self._unclear: set[str] = set()
        self._is_lifted = False
        self._timer = Timer("reconciler", self.reconcile_due, clock=clock)
        self.rounds = self._timer.rounds

    def use(self, alertmanagers: Sequence[Alertmanager], terms: Terms) -> None:
        """Ask these from now on, at once."""
        if {each.name for each in alertmanagers} != {each.name for each in self._alertmanagers}:
            # That nobody shows an alert says something else by now.
            self._past = replace(self._past, absent={})
            self._whole_at = None
        self._alertmanagers, self._terms = tuple(alertmanagers), terms
        self._next_at, self._is_lifted = None, False
        self._timer.wake()

    async def run(self) -> None:
        """Reconcile, until cancelled."""
        await self._timer.run()

    async def reconcile_due(self) -> datetime | None:
        """Ask if it is time to, and return when it is the next time."""
        now = self._clock()
        if self._next_at is not None and now < self._next_at:
            return self._next_at
        if not self._alertmanagers:
            self._note((), ())
            if not self._is_lifted:
                await self._lift(await self._store.read(lambda tx: tx.firing.suppressed()), NOBODY_ASKED)
                self._is_lifted = True
            return None
        self._next_at = now + self._terms.every
        await self._reconcile(self._alertmanagers, now)
        return self._next_at

    async def _reconcile(self, alertmanagers: Sequence[Alertmanager], asked_at: datetime) -> None:
        answers = await asyncio.gather(*(each.ask() for each in alertmanagers))
        self._note(alertmanagers, answers)
        picture = Picture(answers)
        held, suppressed = await self._store.read(lambda tx: (tx.firing.held(), tx.firing.suppressed()))
        is_settled = await self._is_settled(alertmanagers, picture, held)
        # In a thread, so that nobody waits for it: there may be very many.
        found = await asyncio.to_thread(
            compare,
            picture,
            held,
            self._past,
            asked_at=asked_at,
            every=self._terms.every,
            missed_after=self._terms.missed_after,
            is_settled=is_settled,
        )
        if alertmanagers is not self._alertmanagers:
            # A reload came in between: it is all asked anew.
            return
        self._past = found.past
        shown = (each.incident_id for each in held if picture.shown(each.digest))
        self._aftermath.heard({number for number in shown if number is not None})
        for ids in _parts(found.newly_seen):
            await self._store.write(_Seeing(ids))
        await self._suppress(alertmanagers, picture, held, found, suppressed, asked_at)
        await self._correct(found, await self._missed(alertmanagers, picture, found))

    def _note(self, alertmanagers: Sequence[Alertmanager], answers: Sequence[Answer | Unanswered]) -> None:
        failing: set[str] = set()
        for alertmanager, answer in zip(alertmanagers, answers, strict=True):
            name = alertmanager.name
            if isinstance(answer, Unanswered):
                failing.add(name)
                line = log.debug if name in self._failing else log.error
                line("alertmanager_unreachable", alertmanager=name, detail=answer.detail)
            elif name in self._failing:
                log.info("alertmanager_reachable", alertmanager=name)
        self._failing = failing
        self._metrics.alertmanagers_unreachable.set(len(failing))

    async def _is_settled(self, alertmanagers: Sequence[Alertmanager], picture: Picture, held: Sequence[Held]) -> bool:
        """Whether what they do not show is not there: one that was just started knows nothing for a while."""
        if not has_absent(picture, held):
            return True
        up_for = await asyncio.gather(*(each.up_for() for each in alertmanagers))
        return all(isinstance(each, timedelta) and each >= SETTLED_AFTER for each in up_for)

    async def _suppress(
        self,
        alertmanagers: Sequence[Alertmanager],
        picture: Picture,
        held: Sequence[Held],
        found: Comparison,
        suppressed: Collection[int],
        asked_at: datetime,
    ) -> None:
        if picture.is_whole or self._whole_at is None:
            self._whole_at = asked_at
        # One look that failed is not enough, however seldom they are asked.
        if asked_at - self._whole_at >= max(BELIEVED_FOR, 2 * self._terms.every):
            await self._lift(suppressed, NOT_ANSWERED)
        else:
            fires = [each for each in suppressed if found.incidents.get(each) is Judgement.FIRING]
            await self._lift(fires, FIRES_THERE)
        new = {
            number: judgement
            for number, judgement in found.incidents.items()
            if judgement is Judgement.SUPPRESSED and number not in suppressed
        }
        if not new:
            return
        of_incidents = {each.incident_id: each.digest for each in held if each.incident_id in new}
        why = await reasons(alertmanagers, picture, of_incidents, now=self._clock())
        for ids in _parts([*new]):
            work = Suppressing(picture, {number: why[number] for number in ids}, self._routing(), self._clock())
            (await self._store.write(work)).follow_up(self._aftermath.wake)

    async def _lift(self, ids: Collection[int], note: str) -> None:
        for part in _parts(sorted(ids)):
            work = Lifting(part, note, self._routing(), self._clock())
            (await self._store.write(work)).follow_up(self._aftermath.wake)

    async def _missed(
        self, alertmanagers: Sequence[Alertmanager], picture: Picture, found: Comparison
    ) -> Sequence[Alert]:
        """What is to be taken in: that nobody mutes, and that is an incident or may become one."""
        if not found.missed:
            return ()
        alerts: dict[bytes, Alert] = {}
        for alertmanager, answer in zip(alertmanagers, picture.asked, strict=True):
            if isinstance(answer, Unanswered):
                continue
            fire = [each for each in found.missed if picture.fires_by(answer, each) is not None]
            # What is no incident is there for ever, and must not have it asked each time what it mutes.
            graded = await asyncio.to_thread(self._graded, answer, fire) if fire else {}
            muted = await self._muted(alertmanager) if graded else None
            if muted is not None:
                alerts |= {digest: alert for digest, alert in graded.items() if digest not in muted}
        return [*alerts.values()]

    async def _muted(self, alertmanager: Alertmanager) -> Collection[bytes] | None:
        muted, name = await alertmanager.muted(), alertmanager.name
        if isinstance(muted, Unanswered):
            line = log.debug if name in self._unclear else log.warning
            line("alertmanager_mutes_unknown", alertmanager=name, detail=muted.detail)
            self._unclear.add(name)
            return None
        self._unclear.discard(name)
        return muted

    def _graded(self, answer: Answer, digests: Sequence[bytes]) -> dict[bytes, Alert]:
        routing, now = self._routing(), self._clock()
        alerts = {each: answer.alerts[each].alert(received_at=now) for each in digests}
        return {each: alert for each, alert in alerts.items() if routing.takes_in(routing.grader.grade(alert))}

    async def _correct(self, found: Comparison, missed: Sequence[Alert]) -> None:
        ended = [(held, found.past.absent[held.digest]) for held in found.vanished]
        parts = [(part, ()) for part in _parts(ended)] + [((), part) for part in _parts(missed)]
        for over, new in parts:
            work = Correction(over, new, self._routing(), self._clock(), self._aftermath.takes)
            corrected = await self._store.write(work, ahead=work.expect)
            tally = corrected.tally
            self._aftermath.follow(tally)
            for result, count in (("vanished", corrected.vanished), ("missed", corrected.missed)):
                if count:
                    self._metrics.reconciled.labels(result).inc(count)
                    log.warning("alerts_reconciled", result=result, count=count)


class _Seeing:
    """Remembers that alerts were seen."""

    def __init__(self, ids: Sequence[int]) -> None:
        self._ids = ids

    def __call__(self, tx: TransactionPort) -> None:
        tx.firing.see(self._ids)


def _parts(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[start : start + TOGETHER] for start in range(0, len(items), TOGETHER))
