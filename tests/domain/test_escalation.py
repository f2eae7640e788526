"""Policies as they are played: which step is due when, and that every way of them ends loudly, and begins anew."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sevrouter.domain.escalation import (
    Escalation,
    EscalationState,
    HandOver,
    RingTargets,
    acknowledged,
    advance,
    begin,
    over,
    skip,
)
from sevrouter.domain.policy import Policy, Step, Target
from sevrouter.domain.sev import Sev
from tests.domain.building import NOW, at

ANA, BEN = (Target(person="ana"),), (Target(person="ben"),)
MINUTE = timedelta(minutes=1)


def policy(*steps: Step, repeat: int = 1) -> Policy:
    return Policy(name="p", steps=steps, repeat=repeat, pause=15 * MINUTE, ack_timeouts={Sev.SEV_1: 30 * MINUTE})


def begun(played: Policy) -> Escalation:
    return begin(None, 7, played, Sev.SEV_1, received_at=NOW, now=NOW)


def played(policy_: Policy, escalation: Escalation, *, acts: int) -> list[tuple[float, str]]:
    """When what is done, in minutes from the beginning."""
    done = []
    for _ in range(acts):
        assert escalation.due_at is not None
        now = escalation.due_at
        escalation, act = advance(escalation, policy_, now=now)
        names = "hand over" if isinstance(act, HandOver) else ", ".join(each.person or "" for each in act.targets)
        done.append(((now - NOW) / MINUTE, names))
    return done


def test_steps_are_played_in_turn_and_again_until_it_has_run_out_and_then_it_starts_over() -> None:
    both = policy(Step(ANA, times=2, every=2 * MINUTE), Step(BEN, then=3 * MINUTE), repeat=2)
    assert played(both, begun(both), acts=8) == [
        (0, "ana"), (2, "ana"), (7, "ben"), (10, "ana"), (12, "ana"), (17, "ben"), (20, "hand over"), (35, "ana"),
    ]  # fmt: skip


def test_a_policy_that_was_shortened_meanwhile_goes_on_with_its_next_round() -> None:
    long, short = policy(Step(ANA), Step(BEN), repeat=2), policy(Step(ANA), repeat=2)
    at_ben, _ = advance(begun(long), long, now=NOW)
    moved, act = advance(at_ben, short, now=at(5))
    assert (act, moved.round) == (RingTargets(ANA), 2)
    _, act = advance(moved, short, now=at(10))
    assert act == HandOver()


def test_who_passes_it_on_brings_the_next_step_forward_whenever_that_is_due() -> None:
    both = policy(Step(ANA, times=3), Step(BEN))
    rung, _ = advance(begun(both), both, now=NOW)
    assert (skip(rung, both).step, skip(rung, both).ring) == (1, 0)
    assert skip(skip(rung, both), both).round == 1


def test_what_is_owned_is_due_again_where_the_policy_doubts_it() -> None:
    alone = policy(Step(ANA))
    assert acknowledged(begun(alone), alone, Sev.SEV_1, since=at(3)).due_at == at(33)
    assert acknowledged(begun(alone), alone, Sev.SEV_2, since=at(3)).due_at is None
    assert over(begun(alone)).due_at is None


def test_what_begins_anew_remembers_how_often_it_ran_out_until_somebody_owns_it() -> None:
    alone = policy(Step(ANA))
    out, act = advance(advance(begun(alone), alone, now=NOW)[0], alone, now=at(5))
    assert (act, out.run_out, out.state) == (HandOver(), 1, EscalationState.PAUSED)
    again = begin(out, 7, alone, Sev.SEV_1, received_at=at(6), now=at(6))
    assert (again.run_out, again.version) == (1, out.version)
    assert acknowledged(again, alone, Sev.SEV_1, since=at(7)).run_out == 0


STEPS = st.builds(
    Step,
    st.just(ANA),
    times=st.integers(1, 4),
    every=st.integers(1, 60).map(lambda n: n * MINUTE),
    then=st.integers(1, 60).map(lambda n: n * MINUTE),
)


@given(steps=st.lists(STEPS, min_size=1, max_size=5), repeat=st.integers(1, 4))
def test_whatever_the_policy_it_rings_as_often_as_it_says_and_then_says_so(steps: list[Step], repeat: int) -> None:
    any_policy = policy(*steps, repeat=repeat)
    rings = repeat * sum(step.times for step in steps)
    done = played(any_policy, begun(any_policy), acts=2 * (rings + 1))
    assert [name for _, name in done] == 2 * (["ana"] * rings + ["hand over"])
    moments = [minute for minute, _ in done]
    assert moments == sorted(moments)
    # It never goes quiet for longer than its longest wait.
    longest = max([15.0, *(max(step.every, step.then) / MINUTE for step in steps)])
    assert max(later - earlier for earlier, later in pairwise(moments)) <= longest


@pytest.mark.parametrize("sev", [Sev.SEV_1, Sev.SEV_2])
def test_it_is_due_at_once(sev: Sev) -> None:
    begun_now = begin(None, 7, policy(Step(ANA)), sev, received_at=at(-1), now=NOW)
    assert (begun_now.due_at, begun_now.received_at, begun_now.sev) == (NOW, at(-1), sev)
