"""What calling people needs from the edges, as protocols: phones, who is on call, and what is stored of calls."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from sevrouter.domain.delivery import Rejected, Retry, Unknown
    from sevrouter.domain.drill import Drill
    from sevrouter.domain.escalation import Escalation
    from sevrouter.domain.ringing import Rang, Ring, RingEnd, Script, Wanted


class Conversation(Protocol):
    """What is said in one call. A provider speaks it, and hands on the keys that the person presses."""

    @property
    def stopped(self) -> asyncio.Event:
        """Set once the call is needed no more (resolved, or owned by another): then `farewell` is said, if it is
        answered, and the phone hangs up. A provider that waits for anything waits for this too."""
        ...

    @property
    def farewell(self) -> Script:
        """What is said once it is stopped."""
        ...

    async def placed(self, reference: str) -> None:
        """The provider took the call, and calls it this; stored when it returns, to be found after a restart."""
        ...

    async def script(self) -> Script:
        """What to say now: when it is answered, and each time it is said again. It may have grown meanwhile."""
        ...

    async def pressed(self, key: str) -> Script:
        """A key was pressed ("1"; anything else is allowed, and harmless). What it meant is stored when it returns."""
        ...


class Phone(Protocol):
    """Rings one person at a time, several at once. Never raises for an expected failure."""

    async def ring(self, ring: Ring, conversation: Conversation) -> Rang | Retry | Unknown | Rejected:
        """Place the call and stay with it until it is over, which may take minutes; hang up where this is cancelled.

        `Rang`: it was placed, whatever came of it (busy, no answer, a bad number). Retry and Rejected: it was not
        placed, and it is the provider's fault. Unknown: it may have been placed, and the answer was lost.
        """
        ...

    async def look_for(self, ring: Ring, conversation: Conversation) -> Rang | Retry | Unknown | Rejected:
        """What became of a ring whose answer was lost, or whose process died; stays with it while it is under way.

        Retry: it was certainly never placed. Unknown: nobody can say (yet).
        """
        ...


class Callbacks(Protocol):
    """What a provider tells of a ring by callbacks, which reach any replica: answered from what is stored.

    Nothing that is heard a second time, or late, has another effect. `token` is the one that the ring was given, and
    is compared here. All raise NotStoredError where the store is away.
    """

    async def script(self, ring_id: int, token: str) -> Script | None:
        """What to say now, to somebody who answered and pressed nothing (yet). None: no such ring, or a wrong token."""
        ...

    async def pressed(self, ring_id: int, token: str, key: str) -> Script | None:
        """One key was pressed; what it meant is stored when it returns. None: no such ring, or a wrong token."""
        ...

    async def progressed(self, ring_id: int, token: str, reference: str) -> bool:
        """The provider has a call for this ring, and calls it this. False: no such ring, or a wrong token."""
        ...


@dataclass(frozen=True, slots=True)
class OnCall:
    """Who is on call in a schedule, by name in `people`; `problem` says why that is the fallback, None where all is
    well. `until` is when the next shift begins, and `then` who has it, where that is known."""

    people: tuple[str, ...]
    problem: str | None = None
    until: datetime | None = None
    then: tuple[str, ...] = ()


class Roster(Protocol):
    """Who is on call. Answers at once, from what was read before, and never raises for an expected failure."""

    def on_call(self, schedule: str, at: datetime) -> OnCall:
        """Who is on call in a schedule at a time; the fallback where that cannot be said."""
        ...


class EscalationsPort(Protocol):
    """How the calls of incidents stand."""

    def by_incident(self, ids: Collection[int]) -> dict[int, Escalation]: ...

    def due(self, now: datetime, *, most: int) -> list[Escalation]: ...

    def paged(self, provider: str, *, after: int, most: int) -> list[Escalation]: ...

    def next_due_at(self) -> datetime | None: ...

    def save(self, changed: Sequence[Escalation]) -> None: ...

    def unanswered(self) -> int: ...


class RingsPort(Protocol):
    """Calls by telephone, and who is wanted for what. A ring is over once it is finished, by who holds its lease."""

    def want(self, wanted: Sequence[Wanted], *, not_before: datetime) -> None: ...

    def drop(self, incident_ids: Collection[int]) -> None: ...

    def forget(self, person: str) -> None: ...

    def waiting(self, *, now: datetime, most: int) -> list[str]: ...

    def next_waiting_at(self, *, after: datetime) -> datetime | None: ...

    def of_person(self, person: str, *, now: datetime, most: int) -> list[Wanted]: ...

    def under_way(self, people: Collection[str]) -> dict[str, Ring]: ...

    def recent(self, person: str, *, since: datetime) -> list[datetime]: ...

    def begin(self, ring: Ring, *, until: datetime) -> Ring | None: ...

    def adopt(self, ring: Ring, *, now: datetime) -> int: ...

    def told(self, ring_id: int, *, most: int) -> list[Wanted]: ...

    def count_told(self, ring_id: int) -> int: ...

    def find(self, ring_id: int) -> Ring | None: ...

    def place(self, ring: Ring, reference: str) -> bool: ...

    def acknowledge(self, ring_id: int, *, at: datetime, dial: str | None) -> None: ...

    def hear(self, ring_id: int, end: RingEnd) -> None: ...

    def extend(self, held: Sequence[Ring], *, until: datetime) -> list[int]: ...

    def finish(self, ring: Ring) -> bool: ...

    def release(self, ring_id: int, *, not_before: datetime) -> list[int]: ...

    def settle(self, incident_ids: Iterable[int], ring_id: int) -> None: ...

    def rescue(self, now: datetime | None, lease: str, *, until: datetime, most: int) -> list[Ring]: ...

    def unsettled(self, *, most: int) -> list[Ring]: ...


class DrillsPort(Protocol):
    """When each person's phone was last tried through each provider."""

    def known(self) -> Mapping[tuple[str, str], Drill]: ...

    def put(
        self, person: str, provider: str, *, drilled_at: datetime, end: RingEnd, succeeded_at: datetime | None
    ) -> None: ...

    def ask(self, person: str, provider: str, *, at: datetime) -> None: ...
