"""An escalation: where an incident stands in its policy, what is to be done next, and when. Never ends in silence."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from sevrouter.domain.policy import Target
from sevrouter.domain.sev import Sev

if TYPE_CHECKING:
    from sevrouter.domain.policy import Policy, Step


class EscalationState(enum.Enum):
    """ringing → (ran out) paused → ringing …, until acknowledged or over. An acknowledgement may time out."""

    RINGING = "ringing"
    PAUSED = "paused"
    ACKNOWLEDGED = "acknowledged"
    OVER = "over"


class Page(Struct, frozen=True, gc=False):
    """A paging service that was asked to call, of which nobody knows yet whether it does.

    `delivery_id` is what asks it, since `since`, and at `check_at` it is looked at again what came of that.
    """

    provider: str
    delivery_id: int
    since: datetime
    check_at: datetime


class Escalation(Struct, frozen=True, kw_only=True, gc=False):
    """How an incident's call stands. `round`, `step` and `ring` (from 0) are what `due_at` brings next.

    `people` are whom it last asked for. `page` is the paging service that is being tried, `paged` are all that were
    told of it, and `asked` those that did not take it in time, and may have taken it since. `run_out` counts how often
    the policy ended without anybody. `received_at` is when the webhook came that it is about. `version` counts writes.
    """

    incident_id: int
    state: EscalationState
    policy: str
    sev: Sev
    round: int = 0
    step: int = 0
    ring: int = 0
    due_at: datetime | None = None
    people: tuple[str, ...] = ()
    page: Page | None = None
    paged: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    run_out: int = 0
    received_at: datetime
    version: int = 0

    @property
    def next_at(self) -> datetime | None:
        """When there is something to be done about it."""
        if self.page is None:
            return self.due_at
        return self.page.check_at if self.due_at is None else min(self.due_at, self.page.check_at)


@dataclass(frozen=True, slots=True)
class RingTargets:
    """Have these called now."""

    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class HandOver:
    """The policy has run out: say so, loudly."""


Act: TypeAlias = RingTargets | HandOver


def begin(
    earlier: Escalation | None, incident_id: int, policy: Policy, sev: Sev, *, received_at: datetime, now: datetime
) -> Escalation:
    """An escalation that is due at once: for an incident, for its rise, or because nobody owns it any more."""
    begun = Escalation(
        incident_id=incident_id, state=EscalationState.RINGING, policy=policy.name, sev=sev, due_at=now,
        received_at=received_at,
    )  # fmt: skip
    if earlier is None:
        return begun
    return replace(begun, paged=earlier.paged, asked=earlier.asked, run_out=earlier.run_out, version=earlier.version)


def advance(escalation: Escalation, policy: Policy, *, now: datetime) -> tuple[Escalation, Act]:
    """What is to be done about a ringing or paused escalation that is due, and how it stands then.

    A policy that has fewer steps by now than where it stood goes on with its next round.
    """
    if escalation.state is EscalationState.PAUSED:
        escalation = replace(escalation, state=EscalationState.RINGING, policy=policy.name, round=0, step=0, ring=0)
    step = _step_at(escalation, policy)
    if step is None:
        escalation = replace(escalation, round=escalation.round + 1, step=0, ring=0)
        step = _step_at(escalation, policy)
    if step is None or escalation.round >= policy.repeat:
        paused = replace(
            escalation, state=EscalationState.PAUSED, run_out=escalation.run_out + 1, due_at=now + policy.pause
        )
        return paused, HandOver()
    if escalation.ring + 1 < step.times:
        moved = replace(escalation, ring=escalation.ring + 1, due_at=now + step.every)
    else:
        moved = replace(skip(escalation, policy), due_at=now + step.then)
    return moved, RingTargets(step.targets)


def skip(escalation: Escalation, policy: Policy) -> Escalation:
    """It, standing at the next step, whenever that is due."""
    if escalation.step + 1 < len(policy.steps):
        return replace(escalation, step=escalation.step + 1, ring=0)
    return replace(escalation, round=escalation.round + 1, step=0, ring=0)


def _step_at(escalation: Escalation, policy: Policy) -> Step | None:
    return policy.steps[escalation.step] if escalation.step < len(policy.steps) else None


def acknowledged(escalation: Escalation, policy: Policy, sev: Sev, *, since: datetime) -> Escalation:
    """It, owned by somebody since then; due again where the policy doubts an acknowledgement after some time."""
    timeout = policy.ack_timeouts.get(sev)
    due_at = None if timeout is None else since + timeout
    return replace(escalation, state=EscalationState.ACKNOWLEDGED, sev=sev, page=None, run_out=0, due_at=due_at)


def over(escalation: Escalation) -> Escalation:
    """It, when nobody is to be called any more."""
    return replace(escalation, state=EscalationState.OVER, due_at=None, page=None, run_out=0)
