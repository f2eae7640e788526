"""Who asks what has just been asked, gets the answer that is there."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from sevrouter.domain.own import CANNOT_MEASURE
from sevrouter.domain.promql import QueryAnswer, QueryProblem, Series
from sevrouter.engine import asking
from sevrouter.engine.asking import GOOD_FOR, PAUSE, PROBE, TOGETHER, Answers, Asker
from sevrouter.engine.outage import SELDOM, SOON, Outage
from tests.building import MovedClock
from tests.domain.building import at
from tests.engine.stage import Answering

if TYPE_CHECKING:
    import pytest

AWAY = QueryAnswer(problem=QueryProblem.AWAY, detail="no route")


def each_half_minute(*queries: str) -> dict[str, timedelta]:
    return dict.fromkeys(queries, timedelta(seconds=30))


async def test_each_is_asked_once_and_again_when_it_is_old() -> None:
    clock, source = MovedClock(), Answering()
    source.gives = {"a": 1.0}
    asker = Asker(clock=clock)
    asker.source = source
    assert (await asker.ask(each_half_minute("a", "b", "a"))).by_query == {
        "a": QueryAnswer((Series({}, 1.0),)),
        "b": QueryAnswer(problem=QueryProblem.EMPTY, detail="so it was said"),
    }
    await asker.ask(each_half_minute("b", "a"))
    assert sorted(source.asked) == ["a", "b"]
    clock.forward(seconds=GOOD_FOR.total_seconds())
    await asker.ask(each_half_minute("a"))
    assert sorted(source.asked) == ["a", "a", "b"]


async def test_what_is_asked_every_second_is_asked_every_second() -> None:
    clock, source = MovedClock(), Answering()
    source.gives = {"a": 1.0}
    asker = Asker(clock=clock)
    asker.source = source
    for _ in range(3):
        await asker.ask({"a": timedelta(seconds=1)})
        await asker.ask({"a": timedelta(seconds=1)})
        clock.forward(seconds=1)
    assert source.asked == ["a"] * 3


async def test_only_so_many_are_under_way_at_once() -> None:
    class Slow:
        def __init__(self) -> None:
            self.now = self.most = 0
            self.full = asyncio.Event()

        async def ask(self, query: str) -> QueryAnswer:
            self.now += 1
            self.most = max(self.most, self.now)
            if self.now == TOGETHER:
                self.full.set()
            await self.full.wait()
            self.now -= 1
            return QueryAnswer(detail=query)

    slow, asker = Slow(), Asker(clock=MovedClock())
    asker.source = slow
    assert len((await asker.ask(each_half_minute(*map(str, range(50))))).by_query) == 50
    assert slow.most == TOGETHER


async def test_without_anybody_to_ask_nobody_answers() -> None:
    answers = await Asker(clock=MovedClock()).ask(each_half_minute("a"))
    assert answers.outage is not None
    assert (answers.by_query, answers.outage.problem) == ({}, QueryProblem.AWAY)


async def test_one_query_that_is_too_slow_is_no_outage() -> None:
    source, asker = Answering(), Asker(clock=MovedClock())
    source.gives = {"slow": QueryProblem.TIMED_OUT, PROBE: 1.0}
    asker.source = source
    answers = await asker.ask(each_half_minute("slow"))
    assert answers.outage is None
    assert answers.by_query["slow"].problem is QueryProblem.TIMED_OUT


async def test_in_an_outage_nothing_waits_for_what_hangs() -> None:
    clock, source = MovedClock(), Answering()
    source.gives = {"a": QueryProblem.TIMED_OUT, PROBE: QueryProblem.TIMED_OUT}
    asker = Asker(clock=clock)
    asker.source = source
    assert (await asker.ask(each_half_minute("a"))).outage is not None
    assert source.asked == ["a", PROBE]
    assert (await asker.ask(each_half_minute("a", "b"))).outage is not None
    assert source.asked == ["a", PROBE], "nobody is asked for a while"
    clock.forward(seconds=PAUSE.total_seconds())
    source.gives = {"a": 1.0}
    assert (await asker.ask(each_half_minute("a"))) == Answers({"a": QueryAnswer((Series({}, 1.0),))})


async def test_what_is_not_answered_in_time_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging(Answering):
        async def ask(self, query: str) -> QueryAnswer:
            if query == "hangs":
                await asyncio.Event().wait()
            return await super().ask(query)

    monkeypatch.setattr(asking, "ASK_WITHIN", 0.01)
    source, asker = Hanging(), Asker(clock=MovedClock())
    source.gives["a"] = 1.0
    asker.source = source
    async with asyncio.timeout(5):
        answers = (await asker.ask(each_half_minute("hangs", "a"))).by_query
    assert (answers["hangs"].problem, answers["a"].problem) == (QueryProblem.TIMED_OUT, None)


def test_an_outage_is_told_since_when_it_lasts_and_its_end_at_once() -> None:
    outage = Outage()
    for minute in (0, 0.9, 5):
        raised = outage.note(AWAY, at(minute))
        assert raised is not None
        assert (raised.labels, raised.starts_at, raised.status.value) == (CANNOT_MEASURE, at(0), "firing")
        assert "no route" in raised.annotations["summary"]
    over = outage.note(None, at(6))
    assert over is not None
    assert (over.status.value, over.labels) == ("resolved", CANNOT_MEASURE)
    assert outage.note(None, at(7)) is None
    assert outage.note(None, at(11)) is not None, "another replica may have told of one"
    again = outage.note(AWAY, at(12))
    assert again is not None
    assert again.starts_at == at(12), "the next one begins anew"


def test_somebody_looks_soon_while_it_lasts_and_seldom_else() -> None:
    outage = Outage()
    assert outage.is_due(at(0)), "what a process before this one has told of may be over"
    outage.note(None, at(0))
    assert (outage.is_due(at(0) + SOON), outage.is_due(at(0) + SELDOM)) == (False, True)
    outage.note(AWAY, at(0))
    assert outage.is_due(at(0) + SOON)
