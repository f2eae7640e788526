"""What the loops need from the edges, as protocols. The store and the notifiers meet them by their shape."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol, TypeVar

from sevrouter.domain.readings import Readings

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set

    from sevrouter.domain.alert import Alert, AlertRecord, HistoryEntry
    from sevrouter.domain.delivery import Delivery, DeliveryState, NewDelivery, Outcome, OutcomeReason, Sibling
    from sevrouter.domain.deployment import Deployment
    from sevrouter.domain.heartbeat import Ping, Pulse
    from sevrouter.domain.incident import Incident, TimelineEntry
    from sevrouter.domain.promql import QueryAnswer
    from sevrouter.domain.reconciliation import Answer, Held, Unanswered
    from sevrouter.domain.routing import Routing
    from sevrouter.domain.suppression import Silence
    from sevrouter.engine.calling_ports import DrillsPort, EscalationsPort, RingsPort

T = TypeVar("T")


class NotStoredError(Exception):
    """The store could not take something; nothing was changed as far as we know, and it can be tried again."""


class ForgottenError(Exception):
    """A sighting is not remembered any more, or its alert has changed since: it has to be read after all."""


class Clock(Protocol):
    """The time now, aware and in UTC. What decides gets it as an argument; tests move it."""

    def __call__(self) -> datetime: ...


class CurrentRouting(Protocol):
    """The routing in force; a reload replaces it whole."""

    def __call__(self) -> Routing: ...


class Notifier(Protocol):
    """Tells one integration of one incident.

    Never raises for an expected failure, never sleeps, never retries, never touches the store: when to try
    again is decided by the schedule in the outbox.
    """

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Make one attempt and say what came of it."""
        ...


class Source(Protocol):
    """Where numbers are asked for. Never raises for an expected failure."""

    async def ask(self, query: str) -> QueryAnswer:
        """Ask one query and say what came of it."""
        ...


class Pinger(Protocol):
    """Asks for an address, so that who keeps it knows that we live. Never raises for an expected failure."""

    async def ping(self, url: Callable[[], str]) -> tuple[Ping, str]:
        """Ask once; what came of it, and a detail that tells nothing of the address."""
        ...


class Alertmanager(Protocol):
    """Who is asked what fires. Never raises for an expected failure."""

    @property
    def name(self) -> str:
        """Its address."""
        ...

    async def ask(self) -> Answer | Unanswered:
        """Every alert that it shows."""
        ...

    async def up_for(self) -> timedelta | Unanswered:
        """For how long it has been running."""
        ...

    async def muted(self) -> Collection[bytes] | Unanswered:
        """The digests of the alerts that it tells nobody of just now because of the time of day."""
        ...

    async def silences(self, ids: Iterable[str]) -> Mapping[str, Silence]:
        """What is told of silences, of those that it knows."""
        ...


class Lanes(Protocol):
    """Who delivers. What they take is handed over right after the commit, and need not be looked for."""

    def takes(self, integration: str) -> bool:
        """Whether a new delivery would be sent at once; asked in the store's thread."""
        ...

    def hand_over(self, deliveries: Sequence[Delivery]) -> None:
        """Send these: they are committed, with their leases."""
        ...

    def wake(self, integrations: set[str]) -> None:
        """There is something new in the outbox for these."""
        ...


class AlertsPort(Protocol):
    """What is remembered of alerts."""

    def expect(self, digests: Sequence[bytes]) -> Set[bytes]: ...

    def expect_sighted(self, sightings: Iterable[bytes]) -> None: ...

    def records(self, digests: Collection[bytes]) -> dict[bytes, AlertRecord]: ...

    def sighted(self, sightings: Iterable[bytes]) -> list[AlertRecord]: ...

    def save(self, entries: Sequence[HistoryEntry]) -> None: ...

    def reword(self, entries: Sequence[HistoryEntry]) -> None: ...

    def recall(self, records: Iterable[AlertRecord]) -> None: ...


class IncidentsPort(Protocol):
    """Incidents and their timelines."""

    def expect(self, keys: Iterable[str]) -> None: ...

    def by_id(self, ids: Iterable[int]) -> dict[int, Incident]: ...

    def last_by_key(self, keys: Iterable[str]) -> dict[str, Incident]: ...

    def any_truncated(self) -> bool: ...

    def due(self, now: datetime, *, most: int) -> list[Incident]: ...

    def next_due_at(self) -> datetime | None: ...

    def unheard(self, since: datetime, *, most: int) -> list[Incident]: ...

    def begun(self, naming: str, *, since: datetime, until: datetime, most: int) -> list[tuple[datetime, Incident]]: ...

    def add(self, new: Sequence[Incident]) -> dict[str, int]: ...

    def save(self, changed: Sequence[Incident]) -> None: ...

    def tell(self, entries: Sequence[tuple[int, TimelineEntry]]) -> None: ...


class OutboxPort(Protocol):
    """The deliveries."""

    def add(self, new: Sequence[NewDelivery]) -> list[int]: ...

    def is_empty(self, integration: str) -> bool: ...

    def held(self, lease: str) -> list[Delivery]: ...

    def release(self, delivery: Delivery) -> bool: ...

    def heads(self, integration: str, *, now: datetime, most: int) -> list[Delivery]: ...

    def next_due_at(self, integration: str) -> datetime | None: ...

    def siblings(self, integration: str, incident_ids: Collection[int]) -> dict[int, list[Sibling]]: ...

    def states(self, ids: Collection[int]) -> dict[int, DeliveryState]: ...

    def begin(self, begun: Sequence[Delivery], *, until: datetime) -> None: ...

    def void(
        self, delivery: Delivery, state: DeliveryState, *, reason: str, detail: str = "", at: datetime
    ) -> None: ...

    def finish(
        self, delivery: Delivery, state: DeliveryState, *, reason: OutcomeReason, detail: str, at: datetime
    ) -> bool: ...

    def postpone(
        self, delivery: Delivery, *, not_before: datetime, unknowns: int, reason: OutcomeReason, detail: str
    ) -> bool: ...

    def give_up_orphans(self, integrations: Collection[str], *, now: datetime, most: int) -> list[Delivery]: ...

    def refer(self, delivery: Delivery, reference: str) -> None: ...

    def references(self, integration: str, incident_ids: Collection[int]) -> dict[int, str]: ...

    def expired_leases(self, now: datetime | None, *, most: int) -> list[Delivery]: ...


@dataclass(frozen=True, slots=True)
class Watch:
    """A claim on the timed measures of one identity, and what they gave so far.

    `version` is its token, and `claimed_until` when it ends.
    """

    id: int
    dedup_key: str
    version: int
    claimed_until: datetime
    readings: Readings


class WatchesPort(Protocol):
    """Whose timed measures are read when."""

    def ensure(self, keys: Iterable[str], *, at: datetime) -> dict[str, int]: ...

    def wake(self, ids: Collection[int], *, at: datetime) -> None: ...

    def claim(self, now: datetime, *, until: datetime, most: int) -> list[Watch]: ...

    def held(self, claimed: Sequence[Watch]) -> list[Watch]: ...

    def settle(self, watch: Watch, *, next_at: datetime | None, readings: Readings) -> None: ...

    def end(self, watch: Watch) -> None: ...

    def firing(self, ids: Collection[int]) -> dict[int, list[Alert]]: ...

    def next_due_at(self) -> datetime | None: ...


class FiringPort(Protocol):
    """What fires, as it was last told of, and by its incidents."""

    def ids(self, *, after: int, most: int) -> list[int]: ...

    def alerts(self, ids: Collection[int]) -> list[Alert]: ...

    def held(self) -> list[Held]: ...

    def of_incidents(self, ids: Collection[int]) -> dict[int, list[bytes]]: ...

    def labelled(self, ids: Iterable[int]) -> dict[bytes, Alert]: ...

    def see(self, ids: Sequence[int]) -> None: ...

    def suppressed(self) -> set[int]: ...


class DeploymentsPort(Protocol):
    """What went live."""

    def hold(self) -> None: ...

    def find(self, system: str, version: str, *, since: datetime, until: datetime) -> Deployment | None: ...

    def latest(self, system: str) -> Deployment | None: ...

    def add(self, deployment: Deployment, *, received_at: datetime) -> None: ...

    def recent(self, *, since: datetime, until: datetime) -> Mapping[str, Sequence[Deployment]]: ...


class HeartbeatsPort(Protocol):
    """When heartbeats were last heard."""

    def put(self, pulses: Mapping[str, Pulse]) -> None: ...

    def known(self, *, hold: bool = False) -> Mapping[str, Pulse]: ...

    def forget(self, names: Collection[str]) -> None: ...


class QuarantinePort(Protocol):
    """What could not be read."""

    def add(self, body: bytes, *, reason: str, at: datetime) -> None: ...


class RetentionPort(Protocol):
    """What is old enough to be forgotten."""

    def forget(self, before: datetime, *, most: int) -> int: ...


class TransactionPort(Protocol):
    """One transaction: all of it is committed together, or none."""

    @property
    def alerts(self) -> AlertsPort: ...
    @property
    def incidents(self) -> IncidentsPort: ...
    @property
    def outbox(self) -> OutboxPort: ...
    @property
    def watches(self) -> WatchesPort: ...
    @property
    def firing(self) -> FiringPort: ...
    @property
    def escalations(self) -> EscalationsPort: ...
    @property
    def rings(self) -> RingsPort: ...
    @property
    def drills(self) -> DrillsPort: ...
    @property
    def deployments(self) -> DeploymentsPort: ...
    @property
    def heartbeats(self) -> HeartbeatsPort: ...
    @property
    def quarantine(self) -> QuarantinePort: ...
    @property
    def retention(self) -> RetentionPort: ...

    def touch(self) -> None: ...


class StorePort(Protocol):
    """Runs works in transactions; a write is on disk when it returns.

    `ahead` is called before any work of the same transaction, to say what this one expects to read.
    """

    @property
    def is_sure(self) -> bool: ...

    def remembered(self, sighting: bytes) -> AlertRecord | None: ...

    async def write(
        self, work: Callable[[TransactionPort], T], *, ahead: Callable[[TransactionPort], None] | None = None
    ) -> T: ...

    async def read(self, work: Callable[[TransactionPort], T]) -> T: ...
