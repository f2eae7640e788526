"""Tells an outside monitor that we live, as long as our own loops turn and the store takes what is written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from sevrouter.domain.heartbeat import Ping
from sevrouter.engine.ports import NotStoredError
from sevrouter.engine.timer import Timer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sevrouter.engine.ports import Clock, Pinger, StorePort
    from sevrouter.engine.rounds import Rounds
    from sevrouter.telemetry.metrics import Metrics

log = structlog.get_logger()

# Seconds. A store that takes longer for the smallest write is stuck, whatever it is doing.
WRITTEN_WITHIN = 10.0


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Where we are expected to ask, and how often. The address is asked for at each ping, and never told."""

    url: Callable[[], str]
    every: timedelta


class HeartbeatOut:
    """Pings while all is well. `outgoing` is what the configuration says, `rounds` are those of our loops."""

    def __init__(
        self,
        store: StorePort,
        pinger: Pinger,
        metrics: Metrics,
        *,
        clock: Clock,
        outgoing: Callable[[], Outgoing | None],
        rounds: Callable[[], Iterable[Rounds]],
    ) -> None:
        self._store = store
        self._pinger = pinger
        self._metrics = metrics
        self._clock = clock
        self._outgoing = outgoing
        self._rounds = rounds
        self._last: tuple[Outgoing, datetime] | None = None
        # What was said last, so that it is said once.
        self._said: object = Ping.SENT
        self._timer = Timer("heartbeat_out", self.ping_due, clock=clock)

    def wake(self) -> None:
        """There may be another address."""
        self._timer.wake()

    async def run(self) -> None:
        """Ping every so often, until cancelled."""
        await self._timer.run()

    async def ping_due(self) -> datetime | None:
        """Ping if it is time to, and return when it is the next time. A new address is told at once."""
        outgoing, now = self._outgoing(), self._clock()
        if outgoing is None:
            self._last = None
            return None
        if self._last is not None and self._last[0] == outgoing and now < self._last[1] + outgoing.every:
            return self._last[1] + outgoing.every
        self._last = outgoing, now
        stuck = sorted(each.name for each in self._rounds() if each.is_stuck)
        if not await self._store_takes():
            stuck.append("store")
        if stuck:
            self._report(Ping.WITHHELD, (Ping.WITHHELD, *stuck), stuck=stuck)
        else:
            ping, detail = await self._pinger.ping(outgoing.url)
            self._report(ping, ping, outcome=ping.value, detail=detail)
        return now + outgoing.every

    async def _store_takes(self) -> bool:
        try:
            async with asyncio.timeout(WRITTEN_WITHIN):
                await self._store.write(lambda tx: tx.touch())
        except (NotStoredError, TimeoutError):
            return False
        return True

    def _report(self, ping: Ping, said: object, **details: object) -> None:
        self._metrics.ping(ping).inc()
        is_news, self._said = said != self._said, said
        if not is_news:
            return
        match ping:
            case Ping.SENT:
                log.info("heartbeat_out_resumed")
            case Ping.WITHHELD:
                log.error("heartbeat_out_withheld", **details)
            case _:
                log.error("heartbeat_out_failed", **details)
