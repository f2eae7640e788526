"""PagerDuty, Slack and Jira on bad days: 503, lost answers, and a record of everything that they did all the same.

They are the strict stand-ins. Must not know what should have been done.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web

from tests.chaos.dice import dice
from tests.standins.jira import Issue, Jira
from tests.standins.pagerduty import PagerDuty
from tests.standins.slack import Slack
from tests.standins.vendor import Seen, _cut, _response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from tests.standins.vendor import Reply

# How often a vendor is busy (503, nothing done), and how often what it did is never answered.
BUSY = 0.03
LOST = 0.03
# Seconds that a request takes at most, before and after what it does: somebody has to be killed meanwhile.
SLOWEST = 0.05


@dataclass(slots=True)
class Call:
    """A trigger that was accepted. `lost` says that who asked for it never read the answer.

    `again` says that it was for an incident that was over and came back.
    """

    key: str
    sev: str
    again: bool
    service: str
    worker: str
    at: float
    request: Seen = field(repr=False)
    lost: bool = False


@dataclass(slots=True)
class BadDay:
    """What a vendor does to its next request; nothing once it is `over`."""

    rng: random.Random
    over: bool = False
    busy: int = 0
    lost: int = 0

    def is_busy(self) -> bool:
        """Whether to refuse, and do nothing."""
        busy = not self.over and self.rng.random() < BUSY
        self.busy += busy
        return busy

    def is_lost(self) -> bool:
        """Whether to do it, and not to say so."""
        lost = not self.over and self.rng.random() < LOST
        self.lost += lost
        return lost

    async def dawdle(self) -> None:
        """Take a moment."""
        if not self.over:
            await asyncio.sleep(self.rng.random() * SLOWEST)


async def attend(
    request: web.Request, day: BadDay, act: Callable[[Seen], Awaitable[Reply]], missed: Callable[[Seen], None]
) -> web.StreamResponse:
    """Answer a request as it goes on such a day; `missed` is told where the answer did not get through."""
    seen = Seen(request.method, request.path, dict(request.query), dict(request.headers), await request.read())
    if day.is_busy():
        return web.Response(status=503)
    await day.dawdle()
    reply = await act(seen)
    try:
        if day.is_lost():
            missed(seen)
            if day.rng.random() < 0.5:
                return _cut(request)
            # Until the client has lost its patience.
            await asyncio.Event().wait()
        await day.dawdle()
    except asyncio.CancelledError:
        missed(seen)
        raise
    if request.transport is None or request.transport.is_closing():
        missed(seen)
    return _response(reply)


class FicklePagerDuty(PagerDuty):
    """Knows every call that it accepted, also those that ring no phone again."""

    # What it is sent is held against the contract elsewhere, and that takes its time.
    contract_file = ""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(per_minute=1_000_000)
        self.day = BadDay(rng)
        self.calls: list[Call] = []
        # By the label `service`, which no two groups of alerts share: the incidents that rang, and as what.
        self.rung: dict[str, set[tuple[str, str, bool]]] = {}
        self.ended: set[str] = set()
        # Who waits for an answer that never comes, once somebody wants to know.
        self.held: asyncio.Future[str] | None = None

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if self.held is not None and not self.held.done():
            self.held.set_result(request.headers["User-Agent"])
            await asyncio.Event().wait()
        return await attend(request, self.day, self._act, self._missed)

    def hold_next(self) -> asyncio.Future[str]:
        """Neither do nor answer what is asked next; this becomes the name of who asked."""
        self.held = asyncio.get_running_loop().create_future()
        return self.held

    async def answer(self, seen: Seen) -> Reply:
        """Take an event, and remember it."""
        reply = await super().answer(seen)
        event = cast("Mapping[str, object]", seen.json)
        if reply.status != 202:
            return reply
        key = str(event["dedup_key"])
        if event["event_action"] == "resolve":
            self.ended.add(key)
            return reply
        payload = cast("Mapping[str, Any]", event["payload"])
        told = payload["custom_details"]
        sev, again = str(told["SEV"]).partition(",")[0], told["State"] == "reopened"
        worker = seen.headers.get("User-Agent", "")
        call = Call(key, sev, again, told["Labels"]["service"], worker, time.monotonic(), seen)
        self.calls.append(call)
        self.rung.setdefault(call.service, set()).add((key, sev, call.again))
        return reply

    def _missed(self, seen: Seen) -> None:
        for call in self.calls:
            call.lost |= call.request is seen

    async def wait_for(self, holds: Callable[[], bool]) -> None:
        """Wait until something is true of its record."""
        async with self._changed:
            await self._changed.wait_for(holds)


class FickleJira(Jira):
    """Hides a new issue from the first search for it."""

    # What it is sent is held against the contract elsewhere, and that takes its time.
    contract_file = ""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self.day = BadDay(rng)
        self.search_lag = 1

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        return await attend(request, self.day, self._act, lambda _seen: None)

    def tickets(self) -> dict[str, list[Issue]]:
        """The issues by the name of their incident, which is their last label."""
        found: dict[str, list[Issue]] = {}
        for issue in self.issues.values():
            found.setdefault(issue.labels[-1], []).append(issue)
        return found


class FickleSlack(Slack):
    """Only busy and forgetful: what it may say twice is no promise."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self.day = BadDay(rng)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        return await attend(request, self.day, self._act, lambda _seen: None)


@dataclass(frozen=True)
class FickleVendors:
    """All of them."""

    pagerduty: FicklePagerDuty
    slack: FickleSlack
    jira: FickleJira
    days: tuple[BadDay, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "days", (self.pagerduty.day, self.slack.day, self.jira.day))

    @classmethod
    def of(cls, seed: str) -> FickleVendors:
        """Vendors whose bad days follow from a seed."""
        pagerduty, slack, jira = (dice(seed, name) for name in ("pagerduty", "slack", "jira"))
        return cls(FicklePagerDuty(pagerduty), FickleSlack(slack), FickleJira(jira))

    def recover(self) -> None:
        """From now on everything is answered."""
        for day in self.days:
            day.over = True
