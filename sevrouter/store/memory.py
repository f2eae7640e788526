"""What a process holds in memory of rows that it has read or written, so that it need not ask for them again.

It learns only what is committed. Where other processes write too it is a guess that each transaction verifies.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Iterable, Mapping

    from sevrouter.domain.alert import AlertRecord
    from sevrouter.domain.incident import Incident

K = TypeVar("K")

# An alert takes about half a kilobyte, an incident two; what was learned first is forgotten first. What is forgotten
# is read again: that costs little for an incident, which is asked for once a webhook, and much for every alert of it.
MOST_ALERTS = 150_000
MOST_INCIDENTS = 15_000


class Memory:
    """Alerts by the digest of their labels and by their last sighting, incidents by id and by dedup key."""

    def __init__(self, *, most_alerts: int = MOST_ALERTS, most_incidents: int = MOST_INCIDENTS) -> None:
        self._most_alerts = most_alerts
        self._most_incidents = most_incidents
        self.records: dict[bytes, AlertRecord] = {}
        self.sightings: dict[bytes, AlertRecord] = {}
        self.incidents: dict[int, Incident] = {}
        self.last_by_key: dict[str, int] = {}
        # None where nobody has looked yet.
        self.any_truncated: bool | None = None
        # Numbers that no row has yet, by table.
        self.free_ids: dict[str, deque[int]] = {}
        self.last_ids: dict[str, int] = {}

    def clear(self) -> None:
        """Forget everything: somebody else has written."""
        self.records.clear()
        self.sightings.clear()
        self.incidents.clear()
        self.last_by_key.clear()
        self.any_truncated = None
        self.free_ids.clear()
        self.last_ids.clear()

    def learn_records(self, records: Iterable[AlertRecord]) -> None:
        """Take over alerts as they were committed."""
        known, sightings = self.records, self.sightings
        for record in records:
            before = known.get(record.digest)
            if before is not None and before.sighting != record.sighting:
                sightings.pop(before.sighting, None)
            known[record.digest] = record
            if record.sighting:
                sightings[record.sighting] = record
        if len(known) > self._most_alerts:
            self.forget_records(_first(known, self._most_alerts // 8))

    def learn_incidents(self, incidents: Iterable[Incident]) -> None:
        """Take over incidents as they were committed."""
        for incident in incidents:
            assert incident.id is not None
            self.incidents[incident.id] = incident
        if len(self.incidents) > self._most_incidents:
            self.forget_incidents(_first(self.incidents, self._most_incidents // 8))

    def learn_last(self, last_by_key: Mapping[str, int]) -> None:
        """Take over which incident is the last of its kind, of those that are known: who was looked up as such."""
        self.last_by_key.update((key, number) for key, number in last_by_key.items() if number in self.incidents)

    def forget_records(self, digests: Iterable[bytes]) -> None:
        """Forget alerts."""
        for digest in digests:
            record = self.records.pop(digest, None)
            if record is not None:
                self.sightings.pop(record.sighting, None)

    def forget_incidents(self, ids: Iterable[int]) -> None:
        """Forget incidents."""
        for number in ids:
            incident = self.incidents.pop(number, None)
            if incident is not None and self.last_by_key.get(incident.dedup_key) == number:
                del self.last_by_key[incident.dedup_key]


def _first(known: dict[K, object] | dict[K, AlertRecord] | dict[K, Incident], count: int) -> list[K]:
    return list(islice(known, max(1, count)))
