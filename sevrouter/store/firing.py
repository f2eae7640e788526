"""What fires, as it was last told of. Reads only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import select

from sevrouter.domain.alert import Alert, AlertStatus
from sevrouter.store.rows import select_in
from sevrouter.store.tables import alert_states, moment

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from sqlalchemy import Connection

# What an alert is made of, and where that stands; `alert_of` reads it.
COLUMNS = (
    "digest, labels, generator_url, starts_at, state.content,"
    " (SELECT content FROM history WHERE history.alert_id = alerts.id AND content IS NOT NULL"
    "  ORDER BY history.id DESC LIMIT 1) AS told"
)
SOURCE = "alert_states AS state JOIN alerts ON alerts.id = alert_id"
_BY_ID = f"SELECT {COLUMNS} FROM {SOURCE} WHERE status = 'firing' AND alert_id {{keys}}"  # noqa: S608  constants
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
