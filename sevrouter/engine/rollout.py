"""Watches what runs: where a query tells the versions of systems, a change of one is a deployment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sevrouter.domain.deployment import running
from sevrouter.engine.deployments import Report
from sevrouter.engine.timer import Timer

if TYPE_CHECKING:
    from sevrouter.engine.asking import Asker
    from sevrouter.engine.deployments import DeploymentLog
    from sevrouter.engine.ports import Clock, CurrentRouting

EVERY = timedelta(seconds=30)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Rollout:
    """Asks the query of the configuration, if it has one, and records what is new. What is not answered is no news."""

    def __init__(self, log: DeploymentLog, routing: CurrentRouting, *, clock: Clock, asker: Asker) -> None:
        self._log = log
        self._routing = routing
        self._clock = clock
        self._asker = asker
        # What was recorded last, so that what has not changed need not be looked for.
        self._versions: dict[str, str] = {}
        self._timer = Timer("rollout", self.look, clock=clock)
        self.rounds = self._timer.rounds

    async def run(self) -> None:
        """Look, until cancelled."""
        await self._timer.run()

    async def look(self) -> datetime | None:
        """Look now, and return when to look again; None where there is nothing to ask."""
        query, now = self._routing().deployment_query, self._clock()
        if query is None:
            return None
        answer = (await self._asker.ask({query: EVERY})).by_query.get(query)
        found = [] if answer is None else running(answer, now=now)
        changed = [each for each in found if self._versions.get(each.system) != each.version]
        if changed:
            reports = [Report(each.system, each.version, each.at, each.link, is_seen=True) for each in changed]
            await self._log.record(reports, now=now)
            self._versions.update((each.system, each.version) for each in changed)
        return now + EVERY - (now - _EPOCH) % EVERY
