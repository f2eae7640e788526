"""When to try again: one pure function's business. The schedule itself is durable, in the outbox row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from tenacity import RetryCallState, Retrying
from tenacity.wait import wait_base, wait_chain, wait_exponential, wait_fixed

from sevrouter.domain.delivery import Retry, Unknown


@dataclass(frozen=True, slots=True)
class Schedule:
    """The waits of an integration: exponential from `first` to `longest` after a retry.

    `settle` are the waits after an unknown outcome, the last one for ever; empty where sending the same again
    is harmless and the exponential waits serve for both.
    """

    first: timedelta = timedelta(seconds=1)
    longest: timedelta = timedelta(minutes=5)
    settle: tuple[timedelta, ...] = ()


# A share of the wait that is added at random, so that what failed together does not come back together.
JITTER = 0.25


def next_attempt_at(
    outcome: Retry | Unknown,
    *,
    attempts: int,
    unknowns: int,
    schedule: Schedule,
    now: datetime,
    jitter: float,
) -> datetime:
    """When the next attempt is due. `attempts` and `unknowns` count this one; `jitter` is from 0 up to 1.

    A provider's own wish (Retry-After) is never undercut.
    """
    strategy: wait_base
    if isinstance(outcome, Unknown) and schedule.settle:
        strategy = wait_chain(*(wait_fixed(wait) for wait in schedule.settle))
        number = unknowns
    else:
        strategy = wait_exponential(multiplier=schedule.first.total_seconds(), max=schedule.longest)
        number = attempts
    state = RetryCallState(Retrying(), None, (), {})
    state.attempt_number = max(1, number)
    due = now + timedelta(seconds=strategy(state) * (1 + JITTER * jitter))
    if isinstance(outcome, Retry) and outcome.not_before is not None:
        return max(due, outcome.not_before)
    return due
