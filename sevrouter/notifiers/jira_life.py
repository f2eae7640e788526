"""How a ticket lives with its incident: closed once it is over, opened again with it, left alone where people said so.

Knows which of Jira's answers may keep a comment waiting. Must not know its addresses, or what a comment says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sevrouter.domain.delivery import NoticeKind, Retry
from sevrouter.notifiers.answers import Answer, Failure, judge, not_done
from sevrouter.notifiers.jira_site import STATUSES, Found, JiraSite, Offer

if TYPE_CHECKING:
    from sevrouter.domain.delivery import Delivery, Notice

# The category of a status that is the end of an issue, by the key that no language changes.
DONE = "done"
PRIORITY = "priority"
# So many attempts a comment waits for what goes before it: what breaks for good must not keep it from being told.
PATIENCE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A transition: the one of an `id`, or the first to a status of a `category` (new, indeterminate, done).

    `fields` are what its screen demands, as Jira takes them.
    """

    id: str | None = None
    category: str | None = None
    fields: Mapping[str, object] = field(default_factory=dict)

    def chosen(self, offers: Sequence[Offer]) -> Offer | None:
        """The one among those that are open to us just now."""
        if self.id is not None:
            return next((each for each in offers if each.id == self.id), None)
        return next((each for each in offers if each.category == self.category), None)

    def __str__(self) -> str:
        return f"transition {self.id}" if self.id is not None else f"transition to a status of category {self.category}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """What becomes of an issue beside comments. `wont_fix` are resolutions that leave nothing to say.

    `update` names the fields that are written again; all others are people's once the issue is filed.
    """

    on_resolve: Move | None = None
    on_reopen: Move | None = None
    wont_fix: Set[str] = frozenset()
    update: Set[str] = frozenset()

    def move_for(self, notice: Notice) -> Move | None:
        """The transition that a notice asks for."""
        if notice.kind is NoticeKind.RESOLVED:
            return self.on_resolve
        return self.on_reopen if notice.kind is NoticeKind.REOPENED else None


@dataclass(frozen=True, slots=True)
class Kept:
    """How far an issue keeps up. `wont_fix` is the resolution by which people want to hear no more."""

    missed: str = ""
    wont_fix: str | None = None


async def keep_up(site: JiraSite, key: str, delivery: Delivery, life: Life, priority: str | None) -> Kept | Retry:
    """Do to an issue what a notice asks for beside the comment. All of it may be done twice without harm."""
    notice = delivery.notice
    move = life.move_for(notice)
    missed = []
    if life.wont_fix or move is not None:
        found = await site.look(key)
        if not isinstance(found, Found):
            return _without(found, delivery)
        if found.resolution in life.wont_fix:
            return Kept(wont_fix=found.resolution)
        # Where people have ended it, or have not, as it should be, it is left as they put it.
        if move is not None and (found.category == DONE) is (notice.kind is NoticeKind.REOPENED):
            moved = await _move(site, key, move)
            if isinstance(moved, Failure):
                moved = _without(moved, delivery)
            if isinstance(moved, Retry):
                return moved
            missed.append(moved.missed)
    if PRIORITY in life.update and priority is not None and notice.previous_sev is not None:
        edited = _done(await site.edit(key, {PRIORITY: {"name": priority}}))
        if edited is not None:
            kept = _without(edited, delivery)
            if isinstance(kept, Retry):
                return kept
            missed.append(kept.missed)
    return Kept("; ".join(filter(None, missed)))


async def _move(site: JiraSite, key: str, move: Move) -> Kept | Failure:
    offers = await site.offers(key)
    if isinstance(offers, Failure):
        return offers
    offer = move.chosen(offers)
    if offer is None:
        return Kept(f"no {move} is open to us")
    return _done(await site.move(key, offer.id, move.fields)) or Kept()


def _done(answer: Answer | Failure) -> Failure | None:
    if not isinstance(answer, Answer):
        return answer
    return None if answer.status == 204 else judge(answer, STATUSES)


def _without(outcome: Failure, delivery: Delivery) -> Kept | Retry:
    """What has to wait is tried again a few times; what is refused, or waits for too long, is done without."""
    waits = not_done(outcome)
    if isinstance(waits, Retry) and delivery.attempts <= PATIENCE:
        return waits
    return Kept(outcome.detail)
