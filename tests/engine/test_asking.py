"""Who asks what has just been asked, gets the answer that is there."""

from __future__ import annotations

import asyncio

from sevrouter.domain.promql import QueryAnswer, QueryProblem, Series
from sevrouter.engine.asking import GOOD_FOR, TOGETHER, Asker
from sevrouter.engine.outage import LABELS, Outage, is_away
from tests.building import MovedClock
from tests.domain.building import at
from tests.engine.stage import Answering

AWAY, EMPTY = QueryAnswer(problem=QueryProblem.AWAY, detail="no route"), QueryAnswer(problem=QueryProblem.EMPTY)


async def test_each_is_asked_once_and_again_when_it_is_old() -> None:
    clock, source = MovedClock(), Answering()
    source.gives = {"a": 1.0}
    asker = Asker(clock=clock)
    asker.source = source
    assert await asker.ask(["a", "b", "a"]) == {
        "a": QueryAnswer((Series({}, 1.0),)),
        "b": QueryAnswer(problem=QueryProblem.EMPTY, detail="so it was said"),
    }
    await asker.ask(["b", "a"])
    assert sorted(source.asked) == ["a", "b"]
    clock.forward(seconds=GOOD_FOR.total_seconds())
    await asker.ask(["a"])
    assert sorted(source.asked) == ["a", "a", "b"]


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
    assert len(await asker.ask(str(number) for number in range(50))) == 50
    assert slow.most == TOGETHER


async def test_without_anybody_to_ask_there_is_no_number() -> None:
    answers = await Asker(clock=MovedClock()).ask(["a"])
    assert answers["a"].problem is QueryProblem.AWAY


def test_prometheus_is_away_only_where_nothing_at_all_is_answered() -> None:
    assert is_away({"a": AWAY, "b": QueryAnswer(problem=QueryProblem.REFUSED)})
    assert not is_away({"a": AWAY, "b": EMPTY})
    assert not is_away({})


def test_an_outage_is_told_after_a_while_and_its_end_at_once() -> None:
    outage = Outage()
    assert outage.note({"a": AWAY}, at(0)) is None
    assert outage.note({"a": AWAY}, at(0.9)) is None
    raised = outage.note({"a": AWAY}, at(1))
    assert raised is not None
    assert (raised.labels, raised.starts_at, raised.status.value) == (LABELS, at(0), "firing")
    assert "no route" in raised.annotations["summary"]
    over = outage.note({"a": EMPTY}, at(2))
    assert over is not None
    assert (over.status.value, over.digest) == ("resolved", raised.digest)
    assert outage.note({"a": EMPTY}, at(3)) is None
    assert outage.note({"a": EMPTY}, at(7)) is not None, "another replica may have told of one"
    assert outage.note({"a": AWAY}, at(8)) is None, "the next one begins anew"
