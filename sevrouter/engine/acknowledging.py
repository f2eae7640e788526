"""Takes what people say of incidents, wherever they say it: that they own one, or that it is over."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sevrouter.domain.acknowledging import acknowledge, resolve
from sevrouter.domain.incident import Incident, IncidentState
from sevrouter.domain.plan import incident_key
from sevrouter.engine.announcing import Announced, announce

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sevrouter.domain.routing import Routing
    from sevrouter.engine.ports import Clock, CurrentRouting, StorePort, TransactionPort

# A number of a row, and not one that no database takes.
_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)
# Who tells us when something was said has another clock; nobody owns a thing and hears it ring anew as soon as that.
CLOCKS_DIFFER = timedelta(seconds=5)
# A paging service may know it by more than one: what rings again there is another alert, its key after a slash.
_KEY = re.compile(r"(sevrouter-(.+)-\d+)(?:/[^/]*)?", re.DOTALL)


class Wish(enum.Enum):
    """What somebody wants to say of an incident."""

    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"


class Taken(enum.Enum):
    """What came of it: `OWNED` is that somebody owns it already, `FIRING` that it is owned now and not over,
    `EARLIER` that it was said before it rang again."""

    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    FIRING = "firing"
    OWNED = "owned"
    OVER = "over"
    UNKNOWN = "unknown"
    EARLIER = "earlier"


@dataclass(frozen=True, slots=True)
class Said:
    """What came of it, and who owns the incident now."""

    taken: Taken
    incident_id: int | None = None
    owner: str | None = None
    how: str | None = None


def say(
    tx: TransactionPort, routing: Routing, incident: Incident | None, wish: Wish, *, by: str, how: str, now: datetime
) -> tuple[Said, Announced]:
    """Write what somebody says of an incident, within a transaction; the same again changes nothing."""
    if incident is None:
        return Said(Taken.UNKNOWN), Announced()
    if not incident.is_open:
        return Said(Taken.OVER, incident.id), Announced()
    if wish is Wish.ACKNOWLEDGE and incident.state is IncidentState.ACKNOWLEDGED:
        return _said(Taken.OWNED, incident), Announced()
    folded = (acknowledge if wish is Wish.ACKNOWLEDGE else resolve)(incident, by=by, how=how, now=now)
    announced = announce(tx, routing, [(incident, folded)], now=now)
    if folded.incident is None or not folded.incident.is_open:
        return Said(Taken.RESOLVED, incident.id), announced
    return _said(Taken.ACKNOWLEDGED if wish is Wish.ACKNOWLEDGE else Taken.FIRING, folded.incident), announced


def _said(taken: Taken, incident: Incident) -> Said:
    owned = incident.standing.acknowledged
    return Said(taken, incident.id) if owned is None else Said(taken, incident.id, owned.by, owned.how)


def named(tx: TransactionPort, incident: int | str) -> Incident | None:
    """The incident of a number, also where that is written, or of a key."""
    if isinstance(incident, str) and _NUMBER.fullmatch(incident):
        incident = int(incident)
    return _by_key(tx, incident) if isinstance(incident, str) else tx.incidents.by_id([incident]).get(incident)


def _by_key(tx: TransactionPort, key: str) -> Incident | None:
    """The incident that integrations know by this key, if it is the last of its identity."""
    match = _KEY.fullmatch(key)
    if match is None:
        return None
    found = tx.incidents.last_by_key([match[2]]).get(match[2])
    return found if found is not None and incident_key(found) == match[1] else None


def _rang_since(tx: TransactionPort, incident: Incident, at: datetime) -> bool:
    """Whether an incident that nobody owns was called for anew since then."""
    assert incident.id is not None
    escalation = tx.escalations.by_incident([incident.id]).get(incident.id)
    is_nobodys = incident.state is IncidentState.TRIGGERED
    return is_nobodys and escalation is not None and at < escalation.received_at - CLOCKS_DIFFER


class Acknowledging:
    """`wake` is told who has something to deliver. Its methods raise NotStoredError where the store is away."""

    def __init__(
        self, store: StorePort, routing: CurrentRouting, *, clock: Clock, wake: Callable[[set[str]], None]
    ) -> None:
        self._store = store
        self._routing = routing
        self._clock = clock
        self._wake = wake

    async def acknowledge(self, incident: int | str, *, by: str, how: str, at: datetime | None = None) -> Said:
        """Somebody owns an incident, which is known by its number or its key.

        `at` is when that was said, where it reaches us later: what has rung again since then is nobody's.
        """
        return await self._say(incident, Wish.ACKNOWLEDGE, by, how, at)

    async def resolve(self, incident: int | str, *, by: str, how: str, at: datetime | None = None) -> Said:
        """An incident is over; `at` as above."""
        return await self._say(incident, Wish.RESOLVE, by, how, at)

    async def look(self, incident: int | str) -> Incident | None:
        """The incident of a number or a key, as it is stored."""
        return await self._store.read(lambda tx: named(tx, incident))

    async def _say(self, incident: int | str, wish: Wish, by: str, how: str, at: datetime | None) -> Said:
        def work(tx: TransactionPort) -> tuple[Said, Announced]:
            found = named(tx, incident)
            if at is not None and found is not None and _rang_since(tx, found, at):
                return Said(Taken.EARLIER, found.id), Announced()
            return say(tx, self._routing(), found, wish, by=by, how=how, now=self._clock())

        said, announced = await self._store.write(work)
        announced.follow_up(self._wake)
        return said
