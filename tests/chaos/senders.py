"""A cluster of Alertmanagers: each sends every group to some replica, and again until it is answered 200.

Knows what was sent and what was answered. Must not know what came of it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import aiohttp

from sevrouter.domain.sev import Sev
from tests.chaos.dice import dice
from tests.real.payloads import alert, webhook

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.chaos.vendors import FicklePagerDuty

ALERTMANAGERS = 3
# Seconds: Alertmanager's own patience is longer, and its first wait as short.
PATIENCE = aiohttp.ClientTimeout(total=3)
FIRST_WAIT, LONGEST_WAIT = 0.05, 1.0
# Groups of alerts that are alive at once, and seconds between the births of two.
ALIVE = 40
BORN_EVERY = 0.3

# What an alert of a group is graded, by what it says.
SEVERITIES: dict[str, Sev | None] = {"critical": Sev.SEV_2, "warning": Sev.SEV_4, "info": Sev.SEV_5, "none": None}
# How a group goes on: its first alerts, those that come later, and whether it ends.
LIVES = (
    (("critical",), (), False),
    (("critical", "critical", "warning"), (), True),
    (("warning",), ("critical",), False),
    (("warning", "info"), ("critical",), True),
    (("warning",), ("critical", "affected"), False),
    (("critical",), ("affected",), False),
    (("info",), (), False),
    (("info", "info"), ("none",), False),
    (("info",), (), True),
    (("none",), (), False),
)


@dataclass(slots=True)
class Group:
    """Alerts of one incident, told apart by their label `service`. `acked` holds the labels that were answered 200."""

    service: str
    alerts: list[dict[str, Any]] = field(default_factory=list)
    acked: set[str] = field(default_factory=set)
    statuses: dict[str, str] = field(default_factory=dict)
    worst: Sev | None = None
    episodes: int = 1

    def fire(self, words: Sequence[str]) -> None:
        """Let alerts fire, each graded by a word."""
        for word in words:
            labels = {"alertname": "Chaos", "service": self.service, "pod": f"pod-{len(self.alerts)}"}
            percent = {"users_affected_percent": "30"} if word == "affected" else {}
            severity = {"slo": "availability"} if percent else {"severity": word}
            self.alerts.append(alert(labels | severity, percent, starts_at=datetime.now(UTC)))
            sev = Sev.SEV_1 if percent else SEVERITIES[word]
            if sev is not None and (self.worst is None or sev.is_worse_than(self.worst)):
                self.worst = sev

    def again(self) -> None:
        """Let all that was over fire again."""
        self.episodes += 1
        now = datetime.now(UTC)
        self.alerts = [alert(each["labels"], each["annotations"], starts_at=now) for each in self.alerts]

    def end(self) -> None:
        """Let all be over."""
        now = datetime.now(UTC)
        self.alerts = [
            alert(each["labels"], each["annotations"], "resolved", starts_at=each["startsAt"], ends_at=now)
            for each in self.alerts
        ]


@dataclass(slots=True)
class Tally:
    """How the webhooks were answered."""

    ok: int = 0
    refused: int = 0
    lost: int = 0
    wrong: list[str] = field(default_factory=list)


class Senders:
    """The cluster. `urls` are the webhooks of the replicas."""

    def __init__(self, urls: Sequence[str], pagerduty: FicklePagerDuty, seed: str) -> None:
        self.groups: list[Group] = []
        self.tally = Tally()
        self._urls = urls
        self._pagerduty = pagerduty
        self._rng = dice(seed, "senders")
        self._stopped = asyncio.Event()

    async def run(self) -> None:
        """Bear groups until `stop`, and return when all of them were told whole."""
        room = asyncio.Semaphore(ALIVE)
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        async with aiohttp.ClientSession(timeout=PATIENCE, connector=connector) as session, asyncio.TaskGroup() as born:
            while not self._stopped.is_set():
                await room.acquire()
                life = born.create_task(self._live(session))
                life.add_done_callback(lambda _life: room.release())
                await _at_most(self._rng.expovariate(1 / BORN_EVERY), self._stopped)

    def stop(self) -> None:
        """Bear no more."""
        self._stopped.set()

    async def _live(self, session: aiohttp.ClientSession) -> None:
        first, later, ends = self._rng.choice(LIVES)
        group = Group(f"service-{len(self.groups):06d}")
        self.groups.append(group)
        group.fire(first)
        await self.tell(session, group)
        for word in later:
            group.fire([word])
            await self.tell(session, group)
        if not ends:
            return
        # Somebody was called, and has repaired it.
        await self._rung(group, 1)
        group.end()
        await self.tell(session, group)
        if group.worst is Sev.SEV_2 and self._rng.random() < 0.5:
            await self._pagerduty.wait_for(lambda: self._is_over(group))
            group.again()
            await self.tell(session, group)
            await self._rung(group, 2)

    async def _rung(self, group: Group, incidents: int) -> None:
        if group.worst in (Sev.SEV_1, Sev.SEV_2):
            await self._pagerduty.wait_for(lambda: self._has_rung(group, incidents))

    def _has_rung(self, group: Group, incidents: int) -> bool:
        rung = self._pagerduty.rung.get(group.service, set())
        return len({key for key, sev in rung if sev == str(group.worst)}) >= incidents

    def _is_over(self, group: Group) -> bool:
        rung = self._pagerduty.rung.get(group.service, set())
        return any(key in self._pagerduty.ended for key, _ in rung)

    async def tell(self, session: aiohttp.ClientSession, group: Group) -> None:
        """Send a group as it is now, by every Alertmanager of the cluster; returns when all were answered 200."""
        document = webhook(group.alerts, group_by=("service",))
        async with asyncio.TaskGroup() as cluster:
            for _ in range(ALERTMANAGERS):
                cluster.create_task(self._insist(session, document))
        for each in group.alerts:
            pod = each["labels"]["pod"]
            group.acked.add(pod)
            group.statuses[pod] = each["status"]

    async def _insist(self, session: aiohttp.ClientSession, document: dict[str, Any]) -> None:
        wait = FIRST_WAIT
        while not await self._post(session, self._rng.choice(self._urls), document):
            await asyncio.sleep(wait * (1 + self._rng.random()))
            wait = min(2 * wait, LONGEST_WAIT)

    async def _post(self, session: aiohttp.ClientSession, url: str, document: dict[str, Any]) -> bool:
        try:
            async with session.post(url, json=document) as answer:
                text = await answer.text()
        except (aiohttp.ClientError, TimeoutError):
            self.tally.lost += 1
            return False
        if answer.status == 200:
            self.tally.ok += 1
        elif answer.status == 503:
            self.tally.refused += 1
        else:
            # Alertmanager would not send it again.
            self.tally.wrong.append(f"{answer.status}: {text.strip()}")
        return answer.status == 200


async def _at_most(seconds: float, event: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
