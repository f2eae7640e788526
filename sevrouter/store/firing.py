"""What fires: as it was last told of, and by its incidents, as it is held against what Alertmanagers show."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import select

from sevrouter.domain.alert import Alert, AlertStatus
from sevrouter.domain.reconciliation import Held
from sevrouter.store.rows import execute, is_postgres, numbered, select_in
from sevrouter.store.tables import alert_states, moment

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from sqlalchemy import Connection

# What an alert is made of, and where that stands; `alert_of` reads it.
COLUMNS = (
    "digest, labels, generator_url, starts_at, state.content,"
    " (SELECT content FROM history WHERE history.alert_id = alerts.id AND content IS NOT NULL"
    "  ORDER BY history.id DESC LIMIT 1) AS told"
)
SOURCE = "alert_states AS state JOIN alerts ON alerts.id = alert_id"
_BY_ID = f"SELECT {COLUMNS} FROM {SOURCE} WHERE status = 'firing' AND alert_id {{keys}}"  # noqa: S608  constants
# The columns as the index has them, so that nobody reads all alerts that there ever were.
_HELD = (
    "SELECT alert_id, digest, incident_id, version, changed_at, seen_there"
    " FROM alert_states JOIN alerts ON alerts.id = alert_id WHERE status = 'firing'"
)
_OF_INCIDENTS = (
    "SELECT incident_id, digest FROM alert_states JOIN alerts ON alerts.id = alert_id"
    " WHERE status = 'firing' AND incident_id {keys}"
)
_LABELLED = (
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
_ids = select(alert_states.c.alert_id).where(alert_states.c.status == AlertStatus.FIRING.value)


class Firing:
    """The statements on firing alerts of one transaction."""

    def __init__(self, connection: Connection, flush: Callable[[], None]) -> None:
        self._connection = connection
        self._flush_all = flush

    def ids(self, *, after: int, most: int) -> list[int]:
        """The first ids above one, in order."""
        statement = _ids.where(alert_states.c.alert_id > after).order_by(alert_states.c.alert_id).limit(most)
        return [*self._connection.execute(statement).scalars()]

    def alerts(self, ids: Collection[int]) -> list[Alert]:
        """Those of these ids that fire, also by what this transaction has changed."""
        self._flush_all()
        return [alert_of(*row) for row in select_in(self._connection, _BY_ID, "bigint", ids)]

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

    def labelled(self, ids: Iterable[int]) -> dict[bytes, Alert]:
        """Alerts by their digest, with their labels and without their annotations."""
        return {
            digest: Alert(labels=_labels(labels), starts_at=moment(starts_at), generator_url=url, digest=digest)
            for digest, labels, url, starts_at in select_in(self._connection, _LABELLED, "bigint", ids)
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


def alert_of(digest: bytes, labels: str, generator_url: str, starts_at: int, content: bytes, told: str | None) -> Alert:
    """A firing alert, with the annotations and values that were last told."""
    texts: dict[str, Any] = {} if told is None else msgspec.json.decode(told)
    return Alert(
        labels=msgspec.json.decode(labels),
        annotations=texts.get("annotations", {}),
        values=texts.get("values", {}),
        starts_at=moment(starts_at),
        generator_url=generator_url,
        digest=digest,
        content=content,
    )
