"""Asks each query once, whoever wants to know: what was asked a moment ago, or is being asked, is not asked again."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from sevrouter.domain.promql import QueryAnswer, QueryProblem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from sevrouter.engine.ports import Clock, Source

# Queries under way at once: Prometheus itself runs no more than 20.
TOGETHER = 8
# How long an answer is good for somebody else; what is read more often than this is asked each time.
GOOD_FOR = timedelta(seconds=5)


class Asker:
    """Asks a source that may change (a reload) or be missing."""

    def __init__(self, *, clock: Clock) -> None:
        self.source: Source | None = None
        self._clock = clock
        self._answers: dict[str, tuple[datetime, QueryAnswer]] = {}
        self._places = asyncio.Semaphore(TOGETHER)

    async def ask(self, queries: Iterable[str]) -> Mapping[str, QueryAnswer]:
        """The answers to queries, each asked once. Never raises."""
        wanted = list(dict.fromkeys(queries))
        now = self._clock()
        self._answers = {query: known for query, known in self._answers.items() if now - known[0] < GOOD_FOR}
        async with asyncio.TaskGroup() as group:
            for query in wanted:
                if query not in self._answers:
                    group.create_task(self._ask(query))
        return {query: self._answers[query][1] for query in wanted}

    async def _ask(self, query: str) -> None:
        if self.source is None:
            answer = QueryAnswer(problem=QueryProblem.AWAY, detail="no Prometheus is configured")
        else:
            async with self._places:
                answer = await self.source.ask(query)
        self._answers[query] = (self._clock(), answer)
