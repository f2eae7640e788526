"""The stage of stories about calls: phones that ring until somebody does something, services, and a roster."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from sevrouter.domain.delivery import NoticeKind
from sevrouter.domain.ownership import Person
from sevrouter.domain.policy import LIMITS, Bridge, Calling, Policy, Provider, ProviderKind, Step, Target
from sevrouter.domain.ringing import Rang, RingEnd
from sevrouter.domain.sev import Sev
from sevrouter.engine.acknowledging import Acknowledging
from sevrouter.engine.calling_ports import OnCall
from sevrouter.engine.drilling import Drilling
from sevrouter.engine.escalator import Escalator
from sevrouter.engine.health import Health
from sevrouter.engine.lane import Route
from sevrouter.engine.ringer import Ringer
from sevrouter.engine.settling import Settling
from sevrouter.engine.talking import Talking
from tests.building import select
from tests.engine.stage import PATIENCE, SCHEDULE, Recipient, Stage

if TYPE_CHECKING:
    from datetime import datetime

    from sevrouter.domain.ringing import Ring, Script
    from sevrouter.engine.calling_ports import Conversation
    from sevrouter.engine.placing import Outcome
    from sevrouter.store.postgres import PostgresStore
    from sevrouter.store.sqlite import SqliteStore

UNANSWERED, ACKNOWLEDGED, ACK_ENDED = NoticeKind.UNANSWERED, NoticeKind.ACKNOWLEDGED, NoticeKind.ACK_ENDED
PEOPLE = {
    "ana": Person("ana", phone="+49301"),
    "ben": Person("ben", phone="+49302"),
    "eve": Person("eve", phone="+49303"),
    "kim": Person("kim"),
}
# Ana and whoever is on call at the same time, twice; then Eve.
POLICY = Policy(
    name="default",
    steps=(
        Step((Target(person="ana"), Target(on_call="shop")), times=2, every=timedelta(minutes=2)),
        Step((Target(person="eve"),), then=timedelta(minutes=3)),
    ),
    ack_timeouts={Sev.SEV_1: timedelta(minutes=30)},
    bridges={Sev.SEV_1: Bridge("https://bridge.example.com/1", "+49309,,1#")},
)
SIP, TWILIO = Provider("sip", ProviderKind.PHONE), Provider("twilio", ProviderKind.PHONE)
PAGERDUTY, HOOK = Provider("pagerduty", ProviderKind.SERVICE), Provider("hook", ProviderKind.SERVICE)


class Call:
    """One call to a person, who has not done anything yet."""

    def __init__(self, ring: Ring, conversation: Conversation) -> None:
        self.ring = ring
        self._conversation = conversation
        self._said: Script | None = None
        self.over: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    async def answer(self) -> str:
        """Somebody, or something, answers; what is said."""
        self._said = await self._conversation.script()
        return self._said.text

    async def press(self, key: str) -> str:
        """A key is pressed; what is said then."""
        self._said = await self._conversation.pressed(key)
        return self._said.text

    def hang_up(self) -> None:
        """It was answered, and it is over now."""
        assert self._said is not None
        self.over.set_result(Rang(self._said.end))

    def ends(self, end: RingEnd) -> None:
        """Nobody answered."""
        self.over.set_result(Rang(end))

    def fails(self, outcome: Outcome) -> None:
        """It was not placed, or nobody knows."""
        self.over.set_result(outcome)

    @property
    def farewell(self) -> str | None:
        """What was said when it was needed no more."""
        return self._conversation.farewell.text if self._conversation.stopped.is_set() else None


class Phone:
    """A strict fake of a phone: whoever is called must be expected, and calls go on until something ends them."""

    def __init__(self, name: str, changed: asyncio.Event) -> None:
        self.name = name
        self._changed = changed
        self.calls: deque[Call] = deque()
        self.under_way: list[Call] = []
        self.stopped: list[Call] = []
        self._refusals: deque[Outcome] = deque()
        self._lost: dict[str, deque[Outcome]] = {}
        self.looked_for: list[Ring] = []

    def refuses(self, *outcomes: Outcome) -> None:
        """Do not place the next calls."""
        self._refusals.extend(outcomes)

    def answers_later(self, person: str, *outcomes: Outcome) -> None:
        """What is found when a call to this person is looked for."""
        self._lost.setdefault(person, deque()).extend(outcomes)

    async def ring(self, ring: Ring, conversation: Conversation) -> Outcome:
        """Ring until the test says what happens, or nobody needs it."""
        if self._refusals:
            self.calls.append(Call(ring, conversation))
            self._changed.set()
            return self._refusals.popleft()
        await conversation.placed(f"{self.name}-{ring.id}")
        return await self._go_on(Call(ring, conversation), is_new=True)

    async def look_for(self, ring: Ring, conversation: Conversation) -> Outcome:
        """What a lost call has come to."""
        self.looked_for.append(ring)
        lost = self._lost.get(ring.person)
        if lost:
            return lost.popleft() if len(lost) > 1 else lost[0]
        return await self._go_on(Call(ring, conversation), is_new=False)

    async def _go_on(self, call: Call, *, is_new: bool) -> Outcome:
        if is_new:
            self.calls.append(call)
        self.under_way.append(call)
        self._changed.set()
        try:
            stopped: asyncio.Future[object] = asyncio.ensure_future(call._conversation.stopped.wait())
            ended: asyncio.Future[object] = asyncio.ensure_future(asyncio.wait([call.over]))
            await asyncio.wait([stopped, ended], return_when=asyncio.FIRST_COMPLETED)
            ended.cancel()
            stopped.cancel()
            if call.over.done():
                return call.over.result()
            self.stopped.append(call)
            return Rang(RingEnd.CANCELLED)
        finally:
            self.under_way.remove(call)

    async def is_asked(self) -> None:
        """Wait until somebody is called, and forget that."""
        async with asyncio.timeout(PATIENCE):
            while not self.calls:
                await self._changed.wait()
                self._changed.clear()
        self.calls.popleft()

    def expect(self, *people: str) -> list[Call]:
        """These were called since the last look, no more and no fewer."""
        calls = [*self.calls]
        self.calls.clear()
        assert sorted(each.ring.person for each in calls) == sorted(people), (
            f"{self.name} called somebody else: {calls}"
        )
        return sorted(calls, key=lambda each: each.ring.person)

    def expect_one(self, person: str) -> Call:
        """One person was called since the last look."""
        (call,) = self.expect(person)
        return call


class Schedules:
    """Who is on call."""

    def __init__(self) -> None:
        self.shop: tuple[str, ...] = ("ben",)

    def on_call(self, schedule: str, at: datetime) -> OnCall:
        """Whoever the test says."""
        assert schedule == "shop"
        assert at.tzinfo is not None
        return OnCall(self.shop)


class CallingStage(Stage):
    """sevrouter that calls by its own policies. `providers` are tried in order."""

    def __init__(self, store: SqliteStore | PostgresStore, *providers: Provider, policy: Policy = POLICY) -> None:
        self.changed = asyncio.Event()
        self.sip, self.twilio = Phone("sip", self.changed), Phone("twilio", self.changed)
        self.pagerduty, self.hook = Recipient("pagerduty"), Recipient("hook")
        self.schedules = Schedules()
        super().__init__(store)
        calling = Calling(policies={"default": policy}, providers=providers or (SIP,), people=PEOPLE, limits=LIMITS)
        self.routing = replace(self.routing, calling=calling)
        self.use()

    @property
    def phones(self) -> list[Phone]:
        """All of them."""
        return [self.sip, self.twilio]

    @property
    def recipients(self) -> list[Recipient]:
        """All that is told, and is no phone."""
        return [self.slack, self.jira, self.pagerduty, self.hook]

    def restart(self) -> None:
        """Begin anew with what is stored; calls that were under way are nobody's."""
        super().restart()
        wake = self.dispatcher.wake

        def ringer_wake() -> None:
            return None

        self.health = Health(clock=self.clock)
        wired = (self.store, lambda: self.routing)
        self.talking = Talking(*wired, clock=self.clock, pressed_key=ringer_wake)
        settling = Settling(*wired, clock=self.clock, health=self.health, wake=wake)
        self.ringer = Ringer(
            *wired, self.metrics, clock=self.clock, health=self.health, talking=self.talking, settling=settling
        )
        self.ringer._placing.look_every = 0.001
        self.ringer.phones = {each.name: each for each in self.phones}
        self.escalator = Escalator(
            *wired,
            self.metrics,
            clock=self.clock,
            roster=self.schedules,
            health=self.health,
            wake=wake,
            rings=ringer_wake,
        )
        self.drilling = Drilling(self.store, lambda: self.routing, self.ringer, clock=self.clock)
        self.acknowledging = Acknowledging(*wired, clock=self.clock, wake=wake)

    def use(self) -> None:
        """Deliver to the services that are configured, and let the escalator take the calls."""
        services = {each.name: Route(each, SCHEDULE) for each in self.recipients}
        self.dispatcher.route(services)
        self.dispatcher.attend("call", self.escalator.wake)

    async def settle(self) -> None:
        """Let everything happen that is due by now; what rings goes on ringing."""
        before: object = None
        async with asyncio.timeout(PATIENCE):
            while before != (before := await self._standing()):
                await self.escalator.escalate()
                await self.idle()
                await self.ringer.ring()
                await self._begun()

    async def _standing(self) -> object:
        sql = (
            "SELECT (SELECT count(*) FROM timeline), (SELECT count(*) FROM deliveries WHERE finished_at IS NULL),"
            " (SELECT count(*) FROM rings), (SELECT count(ended_at) FROM rings), (SELECT count(*) FROM summons),"
            " (SELECT count(ring_id) FROM summons), (SELECT sum(version) FROM escalations)"
        )
        return [[*row.values()] for row in await select(self.store, sql)]

    async def _begun(self) -> None:
        """Every call of ours is with its phone, or over."""
        while True:
            ringing = {call.ring.id for phone in self.phones for call in phone.under_way}
            others = [live.task for number, live in self.ringer._live.items() if number not in ringing]
            if not others:
                return
            changed = asyncio.ensure_future(self.changed.wait())
            await asyncio.wait([*others, changed], return_when=asyncio.FIRST_COMPLETED)
            changed.cancel()
            self.changed.clear()

    async def push(self, *alerts: object, **more: object) -> None:
        """A webhook, and all that comes of it at once."""
        await super().push(*alerts, **more)  # type: ignore[arg-type]
        await self.settle()

    async def forward(self, *, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Let time pass, five seconds at a time while somebody may be called."""
        end = self.clock() + timedelta(hours=hours, minutes=minutes, seconds=seconds)
        while self.clock() < end:
            due_at = await self.escalator.escalate()
            rings_at = await self.ringer.ring()
            moments = [at for at in (due_at, rings_at, end) if at is not None and at > self.clock()]
            await super().forward(seconds=(min(*moments, end) - self.clock()).total_seconds())
            await self.settle()

    async def acknowledge(self, number: int = 1, *, by: str = "kim", how: str = "slack") -> None:
        """Somebody says elsewhere that they own it."""
        await self.acknowledging.acknowledge(number, by=by, how=how)
        await self.settle()

    async def drill(self) -> datetime | None:
        """Begin the drills that are due."""
        next_at = await self.drilling.drill()
        await self.settle()
        return next_at

    async def ended(self, call: Call) -> None:
        """A call is over, and all that comes of it at once."""
        await self.ringer.over(call.ring)
        await self.settle()

    def nothing_unexpected(self) -> None:
        """Nobody was told or called but whom the test expected."""
        super().nothing_unexpected()
        for phone in self.phones:
            phone.expect()
