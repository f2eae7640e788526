"""What is done to the replicas and their database: which fault, when and for how long follows from a seed.

Each replica suffers on its own, and PostgreSQL beside them, so that faults meet.
"""

from __future__ import annotations

import asyncio
import collections
import sys
import time
from typing import TYPE_CHECKING

from tests.chaos.dice import dice
from tests.chaos.hurried import LEASE

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable

    from tests.chaos.stage import Replica, Stage

# Seconds between two faults of a replica, and between two kills of PostgreSQL, on average.
BETWEEN = 0.15
BETWEEN_KILLS_OF_POSTGRES = 3.0
# A start takes about this many seconds, in the middle of which it may be killed.
START = 0.8
# A frozen replica seldom sleeps for longer than its lease.
LONG_FREEZE = 0.05
REPORT_EVERY = 30.0


class Faults:
    """Does it until so many processes were killed. `violations` are replicas that did what none may."""

    def __init__(self, stage: Stage, kills: int) -> None:
        self.stage = stage
        self.kills = kills
        self.counts: collections.Counter[str] = collections.Counter()
        self.violations: list[str] = []
        self._enough = asyncio.Event()
        self._started = time.monotonic()

    @property
    def killed(self) -> int:
        """How many processes (PostgreSQL as a whole counts as one) were killed so far."""
        return self.counts["replica killed"] + self.counts["PostgreSQL killed"]

    async def run(self) -> None:
        """From the first start on an empty database to the last kill; then all faults are over."""
        await self._first_starts()
        async with asyncio.TaskGroup() as tasks:
            for replica in self.stage.replicas:
                tasks.create_task(self._torment(replica))
            tasks.create_task(self._torment_postgres())
            tasks.create_task(self._report())

    async def _first_starts(self) -> None:
        """Begin with an empty database, and kill who may be migrating it."""
        rng = dice(self.stage.seed, "first starts")
        for replica in self.stage.replicas:
            await self.stage.open(replica, until_ready=False)
        for _ in range(2):
            await asyncio.sleep(rng.uniform(START / 2, 2 * START))
            for replica in self.stage.replicas:
                await self._kill(replica)
                await replica.start(until_ready=False)
        for replica in self.stage.replicas:
            await replica.wait_ready()

    async def _torment(self, replica: Replica) -> None:
        rng = dice(self.stage.seed, f"replica {replica.number}")
        faults: list[tuple[Callable[[Replica, random.Random], Awaitable[None]], int]] = [
            (self._kill_and_start, 10), (self._kill_while_it_starts, 8), (self._roll, 1), (self._freeze, 1),
            (self._reset, 2), (self._cut, 2), (self._delay, 1), (self._hold, 1), (self._silence, 1),
            (self._refuse, 1), (self._lose_commit, 3), (self._lose_answer_to_commit, 4),
        ]  # fmt: skip
        chosen, weights = zip(*faults, strict=True)
        while not self._enough.is_set():
            await asyncio.sleep(rng.expovariate(1 / BETWEEN))
            (fault,) = rng.choices(chosen, weights)
            await fault(replica, rng)
            await replica.proxy.heal()

    async def _torment_postgres(self) -> None:
        rng, postgres = dice(self.stage.seed, "PostgreSQL"), self.stage.postgres
        while not self._enough.is_set():
            await asyncio.sleep(rng.expovariate(1 / BETWEEN_KILLS_OF_POSTGRES))
            await asyncio.to_thread(postgres.kill)
            self._count("PostgreSQL killed")
            await asyncio.sleep(rng.choice((0.0, 0.0, rng.uniform(0, 2))))
            await asyncio.to_thread(postgres.start)

    async def _report(self) -> None:
        while not self._enough.is_set():
            try:
                async with asyncio.timeout(REPORT_EVERY):
                    await self._enough.wait()
            except TimeoutError:
                pass
            sys.stderr.write(f"{self.killed} of {self.kills} killed in {time.monotonic() - self._started:.0f} s\n")

    def _count(self, fault: str) -> None:
        self.counts[fault] += 1
        if self.killed >= self.kills:
            self._enough.set()

    async def _kill(self, replica: Replica) -> None:
        if replica.running:
            await replica.kill()
            self._count("replica killed")

    async def _start(self, replica: Replica) -> None:
        """Start it until it is ready, again where it gave up: whoever runs it does so too."""
        while True:
            try:
                await replica.start()
            except AssertionError as error:
                if replica.running:
                    raise
                self.counts["replica gave up"] += 1
                self.violations.append(str(error)[-2_000:])
            else:
                return

    async def _kill_and_start(self, replica: Replica, _rng: random.Random) -> None:
        await self._kill(replica)
        await self._start(replica)

    async def _kill_while_it_starts(self, replica: Replica, rng: random.Random) -> None:
        await self._kill(replica)
        for _ in range(rng.randint(1, 4)):
            await replica.start(until_ready=False)
            await asyncio.sleep(rng.uniform(0, 1.2 * START))
            self.counts["replica killed while it starts"] += replica.running
            await self._kill(replica)
        await self._start(replica)

    async def _roll(self, replica: Replica, _rng: random.Random) -> None:
        code = await replica.terminate()
        self.counts["replica stopped (SIGTERM)"] += 1
        if code != 0:
            self.violations.append(str(replica.failure(f"ended with {code} after a SIGTERM"))[:2_000])
        await self._start(replica)

    async def _freeze(self, replica: Replica, rng: random.Random) -> None:
        seconds = 1.2 * LEASE if rng.random() < LONG_FREEZE else rng.uniform(0.3, 3)
        replica.suffers(seconds=seconds)
        replica.freeze()
        self.counts["replica frozen"] += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            replica.thaw()

    async def _reset(self, replica: Replica, _rng: random.Random) -> None:
        self.counts["connections reset"] += 1
        await replica.proxy.reset()

    async def _cut(self, replica: Replica, _rng: random.Random) -> None:
        self.counts["connections cut"] += 1
        await replica.proxy.cut()

    async def _delay(self, replica: Replica, rng: random.Random) -> None:
        self.counts["connections delayed"] += 1
        replica.proxy.delay(to_server=rng.uniform(0, 0.2), to_client=rng.uniform(0, 0.2))
        await asyncio.sleep(rng.uniform(0.3, 2))

    async def _hold(self, replica: Replica, rng: random.Random) -> None:
        self.counts["connections held"] += 1
        replica.proxy.hold()
        await asyncio.sleep(rng.uniform(0.3, 2))

    async def _silence(self, replica: Replica, rng: random.Random) -> None:
        self.counts["connections swallowed"] += 1
        replica.proxy.blackhole()
        await asyncio.sleep(rng.uniform(0.3, 2))

    async def _refuse(self, replica: Replica, rng: random.Random) -> None:
        self.counts["connections refused"] += 1
        replica.proxy.refuse()
        await replica.proxy.reset()
        await asyncio.sleep(rng.uniform(0.1, 1))

    async def _lose_commit(self, replica: Replica, rng: random.Random) -> None:
        loss = replica.proxy.lose_request(b"COMMIT", reset=rng.random() < 0.8)
        await asyncio.sleep(rng.uniform(0.1, 0.5))
        self.counts["COMMIT lost"] += loss.happened

    async def _lose_answer_to_commit(self, replica: Replica, rng: random.Random) -> None:
        loss = replica.proxy.lose_answer(b"COMMIT", answer=b"COMMIT\0", reset=rng.random() < 0.8)
        await asyncio.sleep(rng.uniform(0.1, 0.5))
        self.counts["answer to COMMIT lost"] += loss.happened
