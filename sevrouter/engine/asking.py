"""Asks each query once, whoever wants to know, and tells a query that is not answered from nobody who answers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from sevrouter.domain.promql import QueryAnswer, QueryProblem

if TYPE_CHECKING:
    from datetime import datetime

    from sevrouter.engine.ports import Clock, Source

# Queries under way at once: Prometheus itself runs no more than 20.
TOGETHER = 8
# How long an answer is good for somebody else, and as a share of how often it is to be asked: what is read together,
# or by many that begin at about the same time, is asked once.
GOOD_FOR, GOOD_SHARE = timedelta(seconds=5), 0.5
# How long nothing is asked once nobody answers, so that what needs no query does not wait for those that hang.
PAUSE = timedelta(seconds=15)
# Seconds that all queries may take together, and the probe after them: what they are asked for must be written before
# its claim is over.
ASK_WITHIN, PROBE_WITHIN = 15.0, 5.0
# What everybody who speaks PromQL can answer.
PROBE = "vector(1)"
# What is wrong with Prometheus, or the way to it, unless it is what was asked.
_NOT_ANSWERED = {QueryProblem.AWAY, QueryProblem.TIMED_OUT, QueryProblem.REFUSED}
_NOBODY = QueryAnswer(problem=QueryProblem.AWAY, detail="no Prometheus is configured")


@dataclass(frozen=True, slots=True)
class Answers:
    """What queries gave; or `outage`, why nobody answers anything, and then there are none."""

    by_query: Mapping[str, QueryAnswer] = field(default_factory=dict)
    outage: QueryAnswer | None = None


class Asker:
    """Asks a source that may change (a reload) or be missing."""

    def __init__(self, *, clock: Clock) -> None:
        self.source: Source | None = None
        self._clock = clock
        self._answers: dict[str, tuple[datetime, QueryAnswer]] = {}
        self._outage: tuple[datetime, QueryAnswer] | None = None
        self._places = asyncio.Semaphore(TOGETHER)

    async def ask(self, wanted: Mapping[str, timedelta]) -> Answers:
        """The answers to queries, each asked once; what is not answered in time has timed out.

        With each stands how often it is to be asked at the most.
        """
        now = self._clock()
        if self._outage is not None and now - self._outage[0] < PAUSE:
            return Answers(outage=self._outage[1])
        self._answers = {query: known for query, known in self._answers.items() if now - known[0] < GOOD_FOR}
        old = [query for query, every in wanted.items() if not self._is_good(query, every, now)]
        await asyncio.gather(*map(self._ask, old))
        answers = {query: self._answers[query][1] for query in wanted}
        outage = await self.probe() if all(each.problem in _NOT_ANSWERED for each in answers.values()) else None
        return Answers(answers) if outage is None else Answers(outage=outage)

    async def probe(self) -> QueryAnswer | None:
        """Why nobody answers anything, None where somebody does."""
        answer = await self._answer(PROBE, PROBE_WITHIN)
        is_away = answer.problem in _NOT_ANSWERED
        self._outage = (self._clock(), answer) if is_away else None
        return answer if is_away else None

    def _is_good(self, query: str, every: timedelta, now: datetime) -> bool:
        known = self._answers.get(query)
        return known is not None and now - known[0] < min(GOOD_FOR, GOOD_SHARE * every)

    async def _ask(self, query: str) -> None:
        answer = await self._answer(query, ASK_WITHIN)
        self._answers[query] = (self._clock(), answer)

    async def _answer(self, query: str, within: float) -> QueryAnswer:
        if self.source is None:
            return _NOBODY
        try:
            async with asyncio.timeout(within), self._places:
                return await self.source.ask(query)
        except TimeoutError:
            detail = f"not answered within {within:g} s, beside others"
            return QueryAnswer(problem=QueryProblem.TIMED_OUT, detail=detail)
