"""Whoever watches sevrouter from outside hears of it as long as all of its loops turn, and no longer."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from sevrouter.domain.heartbeat import Ping
from sevrouter.engine import heartbeat_out as heartbeat_out_module
from sevrouter.engine.heartbeat_out import HeartbeatOut, Outgoing
from sevrouter.engine.janitor import Janitor
from sevrouter.engine.lane import Lane, Route
from sevrouter.engine.rounds import Rounds
from sevrouter.engine.timer import Timer
from sevrouter.store.errors import StoreUnavailableError
from tests.engine.stage import PATIENCE, SCHEDULE, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

ADDRESS = "https://hc.example/ping/hunter2"


class Monitor:
    """Takes note of pings, and answers as it is told."""

    def __init__(self) -> None:
        self.pinged: list[str] = []
        self.answer = Ping.SENT

    async def ping(self, url: Callable[[], str]) -> tuple[Ping, str]:
        """Take note."""
        self.pinged.append(url())
        return self.answer, "so it was said"

    def pings(self) -> int:
        """How many there were since the last look."""
        count = len(self.pinged)
        self.pinged.clear()
        return count


class Alive:
    """What pings, with two loops that turn, and a monitor that hears of it."""

    def __init__(self, stage: Stage) -> None:
        self.clock = stage.clock
        self.stage = stage
        self.monitor = Monitor()
        self.rounds = [Rounds(name, clock=stage.clock) for name in ("watcher", "lane-call")]
        self.outgoing: Outgoing | None = Outgoing(self.address, timedelta(seconds=30))
        self.out = HeartbeatOut(
            stage.store,
            self.monitor,
            stage.metrics,
            clock=stage.clock,
            outgoing=lambda: self.outgoing,
            rounds=lambda: self.rounds,
        )

    @staticmethod
    def address() -> str:
        return ADDRESS

    async def after(self, seconds: float, *stuck: str) -> int:
        """Let time pass; how many pings there were, once all loops but these came round."""
        self.clock.forward(seconds=seconds)
        for each in self.rounds:
            if each.name not in stuck:
                each.came()
        await self.out.ping_due()
        return self.monitor.pings()

    def counted(self) -> dict[str, float]:
        """How many pings there were by what came of them."""
        counts = {each.value: self.stage.metric("heartbeat_out_pings_total", outcome=each.value) for each in Ping}
        return {name: count for name, count in counts.items() if count}


@pytest.fixture
def alive(stage: Stage) -> Alive:
    """One that has not pinged yet."""
    return Alive(stage)


async def test_it_pings_every_so_often_and_at_once_at_the_start(alive: Alive) -> None:
    assert [await alive.after(seconds) for seconds in (0, 5, 24, 1, 29, 1)] == [1, 0, 0, 1, 0, 1]
    assert alive.counted() == {"sent": 3}
    assert await alive.out.ping_due() == alive.clock() + timedelta(seconds=30)


async def test_a_loop_that_is_stuck_stops_it_and_is_named_once(alive: Alive) -> None:
    await alive.after(0)
    with capture_logs() as logs:
        assert [await alive.after(30, "watcher") for _ in range(5)] == [1, 1, 0, 0, 0]
        assert [await alive.after(30) for _ in range(2)] == [1, 1]
    assert logs == [
        {"event": "heartbeat_out_withheld", "log_level": "error", "stuck": ["watcher"]},
        {"event": "heartbeat_out_resumed", "log_level": "info"},
    ]
    assert alive.counted() == {"sent": 5, "withheld": 3}


async def test_another_loop_that_is_stuck_too_is_named(alive: Alive) -> None:
    with capture_logs() as logs:
        await alive.after(61, "watcher")
        await alive.after(61, "watcher", "lane-call")
    assert [each["stuck"] for each in logs] == [["watcher"], ["lane-call", "watcher"]]


@pytest.mark.parametrize("stuck", [False, True])
async def test_a_store_that_takes_no_write_stops_it(alive: Alive, monkeypatch: pytest.MonkeyPatch, stuck: bool) -> None:
    async def write(*_arguments: Any, **_keywords: Any) -> None:
        if stuck:
            await asyncio.Event().wait()
        raise StoreUnavailableError("away")

    monkeypatch.setattr(heartbeat_out_module, "WRITTEN_WITHIN", 0.01)
    with monkeypatch.context() as patched, capture_logs() as logs:
        patched.setattr(alive.stage.store, "write", write)
        assert [await alive.after(30) for _ in range(2)] == [0, 0]
    assert logs == [{"event": "heartbeat_out_withheld", "log_level": "error", "stuck": ["store"]}]
    monkeypatch.setattr(heartbeat_out_module, "WRITTEN_WITHIN", PATIENCE)
    assert await alive.after(30) == 1


async def test_a_monitor_that_does_not_take_it_is_said_once_without_its_address(alive: Alive) -> None:
    alive.monitor.answer = Ping.REFUSED
    with capture_logs() as logs:
        assert [await alive.after(30) for _ in range(3)] == [1, 1, 1]
        alive.monitor.answer = Ping.UNREACHABLE
        await alive.after(30)
        alive.monitor.answer = Ping.SENT
        await alive.after(30)
    assert [(each["event"], each.get("outcome")) for each in logs] == [
        ("heartbeat_out_failed", "refused"),
        ("heartbeat_out_failed", "unreachable"),
        ("heartbeat_out_resumed", None),
    ]
    assert "hunter2" not in repr(logs)
    assert alive.counted() == {"refused": 3, "unreachable": 1, "sent": 1}


async def test_a_new_address_is_told_at_once_and_without_one_nobody_is(alive: Alive) -> None:
    await alive.after(0)
    alive.outgoing = Outgoing(lambda: "https://another.example/", timedelta(seconds=30))
    assert await alive.after(1) == 1
    assert await alive.after(1) == 0
    alive.outgoing = None
    assert await alive.after(60) == 0
    assert await alive.out.ping_due() is None
    assert alive.counted() == {"sent": 2}


class Turn:
    """Something that a loop does, which may be told to fail or to hang; it says when it was asked to."""

    def __init__(self, *, fails: bool = False, hangs: bool = False) -> None:
        self._fails = fails
        self._hangs = hangs
        self.asked = asyncio.Event()

    async def __call__(self, *_arguments: Any, **_keywords: Any) -> Any:
        self.asked.set()
        if self._hangs:
            await asyncio.Event().wait()
        if self._fails:
            raise StoreUnavailableError("away")
        return None


async def comes_round(run: Coroutine[Any, Any, None], rounds: Rounds, turn: Turn, stage: Stage) -> bool:
    """Whether a loop has come round, once it turned more than a minute after it began."""
    stage.clock.forward(seconds=61)
    assert rounds.is_stuck
    task = asyncio.create_task(run)
    async with asyncio.timeout(PATIENCE):
        await turn.asked.wait()
    # What follows from the answer happens without any further wait.
    for _ in range(10):
        await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return not rounds.is_stuck


ENDS = pytest.mark.parametrize(
    ("turn", "turns"), [({}, True), ({"fails": True}, False), ({"hangs": True}, False)], ids=["well", "fails", "hangs"]
)


@ENDS
async def test_a_timer_comes_round_when_its_step_was_done(stage: Stage, turn: dict[str, bool], turns: bool) -> None:
    step = Turn(**turn)
    timer = Timer("watcher", step, clock=stage.clock)
    assert await comes_round(timer.run(), timer.rounds, step, stage) is turns


@ENDS
async def test_the_janitor_comes_round_when_it_has_tidied(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, turn: dict[str, bool], turns: bool
) -> None:
    rescue = Turn(**turn)
    janitor = Janitor(stage.store, stage.dispatcher, lambda: timedelta(days=35), clock=stage.clock)
    monkeypatch.setattr(stage.dispatcher, "rescue", rescue)
    monkeypatch.setattr(stage.dispatcher, "give_up_orphans", Turn())
    monkeypatch.setattr(janitor, "forget", Turn())
    assert await comes_round(janitor.run(), janitor.rounds, rescue, stage) is turns


@ENDS
async def test_a_lane_comes_round_when_it_has_looked_at_its_outbox(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, turn: dict[str, bool], turns: bool
) -> None:
    look = Turn(**turn)
    lane = Lane("call", Route(None, SCHEDULE), stage.store, stage.metrics, clock=stage.clock)

    async def looked() -> float:
        await look()
        return 1.0

    monkeypatch.setattr(lane, "_turn", looked)
    assert await comes_round(lane.run(), lane.rounds, look, stage) is turns


async def test_every_lane_that_is_open_counts(stage: Stage) -> None:
    assert {each.name for each in stage.dispatcher.rounds} == {"lane-call", "lane-slack", "lane-jira"}
    stage.dispatcher.route({"call": Route(None, SCHEDULE)})
    assert {each.name for each in stage.dispatcher.rounds} == {"lane-call"}


async def test_to_forget_for_long_is_no_standstill(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    janitor = Janitor(stage.store, stage.dispatcher, lambda: timedelta(days=35), clock=stage.clock)
    gone = iter([500, 500, 0])

    async def write(*_arguments: Any, **_keywords: Any) -> int:
        assert not janitor.rounds.is_stuck
        stage.clock.forward(seconds=50)
        return next(gone)

    monkeypatch.setattr("sevrouter.engine.janitor.PAUSE", 0)
    monkeypatch.setattr(stage.store, "write", write)
    assert await janitor.forget() == 1_000
