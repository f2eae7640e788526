"""What fires, by its incidents, as it is held against what Alertmanagers show."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from sevrouter.domain.alert import Alert
from sevrouter.domain.reconciliation import Held
from sevrouter.store.rows import execute, is_postgres, numbered, select_in
from sevrouter.store.tables import moment

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from sqlalchemy import Connection

# The columns as the index has them, so that nobody reads all alerts that there ever were.
_HELD = (
    "SELECT alert_id, digest, incident_id, version, changed_at, seen_there"
    " FROM alert_states JOIN alerts ON alerts.id = alert_id WHERE status = 'firing'"
)
_OF_INCIDENTS = (
    "SELECT incident_id, digest FROM alert_states JOIN alerts ON alerts.id = alert_id"
    " WHERE status = 'firing' AND incident_id {keys}"
)
_ALERTS = (
    "SELECT digest, labels, generator_url, starts_at FROM alerts JOIN alert_states ON alert_id = alerts.id"
    " WHERE alerts.id {keys}"
)
_SUPPRESSED = "SELECT id FROM incidents WHERE suppressed IS NOT NULL AND state <> 'resolved'"
_SEE = "UPDATE alert_states SET seen_there = TRUE WHERE alert_id = ?"
_SEE_ARRAY = "UPDATE alert_states SET seen_there = TRUE WHERE alert_id = ANY($1::bigint[])"
_READ_TOGETHER = 1_000

# The alerts of a webhook share their time.
_moment = lru_cache(maxsize=4_096)(moment)
_labels = msgspec.json.Decoder(dict[str, str]).decode


class Firing:
    """The statements on what fires of one transaction."""

    def __init__(self, connection: Connection, flush: Callable[[], None]) -> None:
        self._connection = connection
        self._flush_all = flush

    def held(self) -> list[Held]:
        """Every alert that fires as far as we know."""
        self._flush_all()
        cursor = execute(self._connection, numbered(_HELD, self._connection), ())
        found: list[Held] = []
        # Part by part, so that others have a turn.
        while rows := cursor.fetchmany(_READ_TOGETHER):
            found += [
                Held(number, digest, incident, version, _moment(changed_at), bool(seen))
                for number, digest, incident, version, changed_at, seen in rows
            ]
        return found

    def of_incidents(self, ids: Collection[int]) -> dict[int, list[bytes]]:
        """The digests of the firing alerts of incidents."""
        self._flush_all()
        found: dict[int, list[bytes]] = {number: [] for number in ids}
        for number, digest in select_in(self._connection, _OF_INCIDENTS, "bigint", ids):
            found[number].append(digest)
        return found

    def alerts(self, ids: Iterable[int]) -> dict[bytes, Alert]:
        """Alerts by their digest, with their labels and without their annotations."""
        return {
            digest: Alert(labels=_labels(labels), starts_at=moment(starts_at), generator_url=url, digest=digest)
            for digest, labels, url, starts_at in select_in(self._connection, _ALERTS, "bigint", ids)
        }

    def see(self, ids: Sequence[int]) -> None:
        """Remember that an Alertmanager has shown these alerts."""
        # In one order everywhere, so that two replicas wait for one another and never both ways.
        ordered = sorted(ids)
        if is_postgres(self._connection):
            execute(self._connection, _SEE_ARRAY, (ordered,))
        else:
            self._connection.connection.cursor().executemany(_SEE, [(number,) for number in ordered])

    def suppressed(self) -> set[int]:
        """The ids of the incidents that are suppressed."""
        self._flush_all()
        return {number for (number,) in execute(self._connection, _SUPPRESSED, ()).fetchall()}
