"""Which observations belong to one incident, whose it is, and which incident that is so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from msgspec.structs import replace

from sevrouter.domain.incident import Fold, Incident, Opening
from sevrouter.domain.observation import Change, Observation
from sevrouter.domain.outlook import Outlook
from sevrouter.domain.plan import Planned
from sevrouter.engine.entries import is_watched

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sevrouter.domain.routing import Routing
    from sevrouter.engine.ports import TransactionPort

_OWNED = frozenset({Change.FIRED, Change.CHANGED, Change.EVENT, Change.MEASURED})


@dataclass(slots=True)
class Group:
    """The observations of one webhook that belong to one incident, and what comes of them."""

    incident: Incident | None
    opening: Opening
    observations: list[Observation] = field(default_factory=list)
    outlook: Outlook | None = None
    folded: Fold | None = None
    planned: tuple[Planned, ...] = ()

    @property
    def is_watched(self) -> bool:
        """Whether time alone may change how bad one of them is."""
        return any(each.change is not Change.MEASURED and is_watched(each.verdict) for each in self.observations)


class Grouping:
    """Groups by the dedup key of the incident. `keys` are those of alerts, by their digest, that are known already."""

    def __init__(self, tx: TransactionPort, routing: Routing, keys: Mapping[bytes, str]) -> None:
        self._tx = tx
        self._routing = routing
        self._keys = keys
        self.groups: dict[str, Group] = {}
        # Alerts that fired just now and that no system matches.
        self.unowned = 0

    def add(self, observations: Sequence[Observation]) -> None:
        """Put each where it belongs; an alert stays with its open incident, whatever a reload has changed."""
        mine = self._open_incidents(observations)
        keys = [
            self._key(each) if incident is None else incident.dedup_key
            for each, incident in zip(observations, mine, strict=True)
        ]
        unknown = {key for key, incident in zip(keys, mine, strict=True) if incident is None}
        last = self._tx.incidents.last_by_key(unknown)
        for observation, key, own in zip(observations, keys, mine, strict=True):
            group = self.groups.get(key)
            if group is None:
                group = self._begin(key, own or last.get(key))
            self._own(group, observation)
            group.observations.append(observation)

    def look(self, outlooks: Mapping[int, Outlook]) -> None:
        """Add what is said of open incidents, by their ids."""
        for number, incident in self._tx.incidents.by_id(outlooks).items():
            key = incident.dedup_key
            group = self.groups.get(key) or self._begin(key, incident)
            group.outlook = outlooks[number]

    def _begin(self, key: str, incident: Incident | None) -> Group:
        group = self.groups[key] = Group(incident, Opening(dedup_key=key, system=None, owner=None))
        return group

    def _key(self, observation: Observation) -> str:
        alert = observation.alert
        return self._keys.get(alert.digest) or self._routing.incidents.dedup_key(alert.labels)

    def _open_incidents(self, observations: Sequence[Observation]) -> list[Incident | None]:
        ids = [each.record.incident_id if each.record else None for each in observations]
        found = self._tx.incidents.by_id({number for number in ids if number is not None})
        incidents = (None if number is None else found.get(number) for number in ids)
        return [each if each is not None and each.is_open else None for each in incidents]

    def _own(self, group: Group, observation: Observation) -> None:
        if observation.change not in _OWNED:
            return
        owned = self._routing.ownership.of(observation.alert.labels)
        self.unowned += owned.system is None and observation.change is Change.FIRED
        if group.opening.system is None:
            group.opening = replace(group.opening, system=owned.system, owner=owned.owner)
