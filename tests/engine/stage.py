"""The stage of the engine's stories: real store, real loops, a moved clock, recipients that expect what they get."""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select

from sevrouter.domain.backoff import Schedule
from sevrouter.domain.delivery import Delivered, NoticeKind
from sevrouter.domain.promql import QueryAnswer, QueryProblem, Series
from sevrouter.engine.aftermath import Aftermath
from sevrouter.engine.asking import Asker
from sevrouter.engine.deployments import DeploymentLog, Report
from sevrouter.engine.dispatcher import Dispatcher
from sevrouter.engine.hearing import Hearing
from sevrouter.engine.heartbeats import Heartbeats
from sevrouter.engine.intake import Intake, Unread, Webhook
from sevrouter.engine.lane import Route
from sevrouter.engine.measurer import Measurer
from sevrouter.engine.reconciler import Reconciler
from sevrouter.engine.rollout import Rollout
from sevrouter.engine.sweep import Sweep
from sevrouter.engine.watcher import Watcher
from sevrouter.store.tables import deliveries
from sevrouter.telemetry.metrics import Metrics
from tests.building import MovedClock, routing
from tests.domain.building import firing
from tests.engine.showing import Showing

if TYPE_CHECKING:
    from sevrouter.domain.alert import Alert
    from sevrouter.domain.delivery import Delivery, Outcome
    from sevrouter.domain.incident import Incident, TimelineEntry
    from sevrouter.domain.routing import Routing
    from sevrouter.domain.sev import Sev
    from sevrouter.engine.ports import Notifier
    from sevrouter.store.postgres import PostgresStore
    from sevrouter.store.sqlite import SqliteStore

OPENED, ROSE, REOPENED, RESOLVED = NoticeKind.OPENED, NoticeKind.ROSE, NoticeKind.REOPENED, NoticeKind.RESOLVED
LIKELY, STALE, SEV_SET = NoticeKind.LIKELY, NoticeKind.STALE, NoticeKind.SEV_SET
READING_RETURNED = NoticeKind.READING_RETURNED
# Whole seconds without jitter to speak of: 10, 20, 40, 60, 60, … after a retry.
SCHEDULE = Schedule(first=timedelta(seconds=10), longest=timedelta(seconds=60))
# Real seconds; what has not happened by then never will.
PATIENCE = 10.0


def critical(name: str = "Down") -> Alert:
    """It calls, and tells Slack."""
    return firing(name, severity="critical", service="checkout")


def warning(name: str = "Down") -> Alert:
    """It tells Slack alone."""
    return firing(name, severity="warning", service="checkout")


class Recipient:
    """A strict fake of an integration: whatever it is told must be expected, in order, before the test ends."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._told: list[Delivery] = []
        self._answers: deque[Outcome | Exception] = deque()
        self._gates: deque[asyncio.Event] = deque()
        self._news = asyncio.Event()

    def answers(self, *outcomes: Outcome | Exception) -> None:
        """Give these outcomes to the next attempts; without any, everything is taken."""
        self._answers.extend(outcomes)

    def hangs(self) -> asyncio.Event:
        """Let the next attempt wait until the returned event is set."""
        self._gates.append(gate := asyncio.Event())
        return gate

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Take note, and answer as was asked for."""
        self._told.append(delivery)
        self._news.set()
        if self._gates:
            await self._gates.popleft().wait()
        answer = self._answers.popleft() if self._answers else Delivered(f"{self.name}-1")
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def is_told(self) -> None:
        """Wait until there is something that was not expected yet."""
        async with asyncio.timeout(PATIENCE):
            while not self._told:
                self._news.clear()
                await self._news.wait()

    def expect(self, *kinds: NoticeKind) -> list[Delivery]:
        """What was told since the last look must be this, no more and no less."""
        told, self._told = self._told, []
        assert [each.notice.kind for each in told] == [*kinds], f"{self.name} was told something else: {told}"
        return told

    def expect_one(self, kind: NoticeKind, sev: Sev | None = None) -> Delivery:
        """One thing was told since the last look."""
        (told,) = self.expect(kind)
        assert sev is None or told.notice.sev is sev
        return told


class Answering:
    """A source of numbers: what it gives to each query, and how often it was asked."""

    def __init__(self) -> None:
        self.gives: dict[str, float | QueryProblem | tuple[Series, ...]] = {}
        self.asked: list[str] = []

    async def ask(self, query: str) -> QueryAnswer:
        """Give what was said, or nothing."""
        self.asked.append(query)
        given = self.gives.get(query, QueryProblem.EMPTY)
        if isinstance(given, QueryProblem):
            return QueryAnswer(problem=given, detail="so it was said")
        return QueryAnswer(given if isinstance(given, tuple) else (Series({}, given),))


class Stage:
    """sevrouter without its edges. `push` alerts, let time go `forward`, ask the recipients what they were told."""

    def __init__(self, store: SqliteStore | PostgresStore) -> None:
        self.store = store
        # As it is now: a test may let it fail later.
        self._write = store.write
        self.clock = MovedClock()
        self.metrics = Metrics()
        self.routing = routing()
        self.call, self.slack, self.jira = Recipient("call"), Recipient("slack"), Recipient("jira")
        self.dispatcher = Dispatcher(store, self.metrics, clock=self.clock)
        self.prometheus = Answering()
        self.restart()

    def restart(self) -> None:
        """Begin anew with what is stored, as a process does; the lanes and the numbers counted so far stay."""
        store = self.store
        self.watcher = Watcher(store, lambda: self.routing, clock=self.clock, wake=self.dispatcher.wake)
        self.hearing = Hearing(store, lambda: self.routing, clock=self.clock, wake=self.dispatcher.wake)
        self.asker = Asker(clock=self.clock)
        self.asker.source = self.prometheus
        self.aftermath = Aftermath(
            self.metrics,
            lanes=self.dispatcher,
            due=self.watcher.wake,
            watched=lambda: self.measurer.wake(),  # noqa: PLW0108  it is made below, of this
            heard=self.hearing.note,
        )
        wired = (store, lambda: self.routing, self.metrics, self.aftermath)
        self.measurer = Measurer(*wired, clock=self.clock, asker=self.asker)
        self.intake = Intake(store, lambda: self.routing, self.aftermath, clock=self.clock)
        self.sweep = Sweep(store, self.intake, clock=self.clock)
        self.heartbeats = Heartbeats(*wired, clock=self.clock)
        self.alertmanager = Showing()
        self.reconciler = Reconciler(*wired, clock=self.clock)
        self.deployments = DeploymentLog(store, lambda: self.routing, self.metrics)
        self.rollout = Rollout(self.deployments, lambda: self.routing, clock=self.clock, asker=self.asker)

    @property
    def recipients(self) -> list[Recipient]:
        """All of them."""
        return [self.call, self.slack, self.jira]

    def open_lanes(self, **notifiers: Notifier | None) -> None:
        """Deliver to the recipients, or to others by name; None shows and does not send."""
        chosen: dict[str, Notifier | None] = {each.name: each for each in self.recipients}
        self.dispatcher.route({name: Route(notifier, SCHEDULE) for name, notifier in (chosen | notifiers).items()})

    async def take(self, *alerts: Alert, truncated: bool = False, quarantined: tuple[str, bytes] | None = None) -> None:
        """A webhook, stored; what follows from it may still be under way."""
        webhook = Webhook(alerts, truncated, quarantined)
        await self.intake.take(Unread(lambda _: webhook))

    async def push(self, *alerts: Alert, truncated: bool = False, quarantined: tuple[str, bytes] | None = None) -> None:
        """A webhook, and all that is delivered because of it."""
        await self.take(*alerts, truncated=truncated, quarantined=quarantined)
        await self.idle()

    async def deployed(self, version: str, system: str = "checkout", *, minutes_ago: float | None = None) -> bool:
        """A deployment is reported, with its time or without; whether it is new."""
        now = self.clock()
        at = None if minutes_ago is None else now - timedelta(minutes=minutes_ago)
        (recorded,) = await self.deployments.record([Report(system, version, at)], now=now)
        return recorded.is_new

    async def forward(self, *, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Let time pass, and let everything happen that is due then."""
        self.clock.forward(hours=hours, minutes=minutes, seconds=seconds)
        await self.watcher.settle_due()
        await self.rollout.look()
        await self.measurer.measure_due()
        await self.hearing.listen()
        await self.heartbeats.look()
        await self.reconciler.reconcile_due()
        await self.idle()

    async def reload(self, routing: Routing) -> None:
        """Another configuration is in force, and has taken up what fires."""
        self.routing = routing
        self.sweep.begin()
        await self.sweep.sweep()
        await self.idle()

    async def listen(self, *, minutes: float) -> None:
        """Let time pass while somebody listens to heartbeats."""
        for _ in range(round(minutes * 4)):
            self.clock.forward(seconds=15)
            await self.heartbeats.look()
        await self.forward()

    async def idle(self, *names: str) -> None:
        """Return once these lanes (all that are open) have nothing due and nothing under way."""
        self.dispatcher.wake({*names} or {*self.dispatcher._lanes})
        async with asyncio.timeout(PATIENCE):
            while await self._busy(names or tuple(self.dispatcher._lanes)):
                pass
            # A lane says what it has done only after the commit: what was answered before this is said.
            await self._write(lambda _: None)

    async def _busy(self, names: tuple[str, ...]) -> bool:
        lanes = [self.dispatcher._lanes[name] for name in names]
        # One statement, which sees one moment, and without a lock, so that no lane finds anything taken.
        unfinished = (
            select(deliveries.c.integration, deliveries.c.incident_id, deliveries.c.state, deliveries.c.not_before)
            .where(deliveries.c.finished_at.is_(None), deliveries.c.integration.in_(names))
            .order_by(deliveries.c.id)
        )
        rows = await self.store.read(lambda tx: tx._connection.execute(unfinished).all())
        heads = {(row.integration, row.incident_id): row for row in reversed(rows)}.values()
        is_due = any(row.state == "sending" or row.not_before <= self.clock() for row in heads)
        return is_due or any(lane._under_way for lane in lanes)

    async def incidents(self) -> list[Incident]:
        """Every incident, the first opened first."""
        listed = await self.store.read(lambda tx: tx.incidents.listed(with_resolved=True, most=1_000))
        return listed[::-1]

    async def incident(self) -> Incident:
        """The only incident there is."""
        (only,) = await self.incidents()
        return only

    async def timeline(self, incident_id: int = 1) -> list[TimelineEntry]:
        """The facts of an incident."""
        return await self.store.read(lambda tx: tx.incidents.timeline(incident_id))

    async def facts(self, incident_id: int = 1) -> list[str]:
        """The words of its timeline."""
        return [entry.fact.value for entry in await self.timeline(incident_id)]

    def metric(self, name: str, **labels: str) -> float:
        """A metric of ours by its labels."""
        value = self.metrics.registry.get_sample_value(f"sevrouter_{name}", labels)
        assert value is not None, f"there is no sevrouter_{name} {labels}"
        return value

    def nothing_unexpected(self) -> None:
        """Every recipient was told what the test expected, and no more."""
        for recipient in self.recipients:
            recipient.expect()
