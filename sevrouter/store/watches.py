"""Watches: whose timed measures are read when. A watch is claimed by moving it ahead; its version is the token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import bindparam, or_, select, update

from sevrouter.domain.readings import Past
from sevrouter.engine.ports import Watch
from sevrouter.store.chunks import chunks
from sevrouter.store.firing import COLUMNS, SOURCE, alert_of
from sevrouter.store.rows import execute, is_postgres, numbered, select_in
from sevrouter.store.tables import microseconds, watches

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from sevrouter.domain.alert import Alert
    from sevrouter.domain.readings import Readings

# Of more firing alerts than this, those that have been firing for longest are read.
MOST_ALERTS = 5_000
_NEW = "INSERT INTO watches (dedup_key, next_at, version, readings)"
_AGAIN = "ON CONFLICT (dedup_key) DO UPDATE SET next_at = excluded.next_at RETURNING dedup_key, id"
_ENSURE = _NEW + " VALUES (?, ?, 0, '{}') " + _AGAIN
_ENSURE_ARRAY = _NEW + " SELECT key, $2::bigint, 0, '{}' FROM unnest($1::text[]) AS key " + _AGAIN  # noqa: S608  constants
_CLAIM = "UPDATE watches SET next_at = ?, version = version + 1 WHERE id = ?"
# Who was added to it meanwhile has to be looked at, whatever was found before.
_SETTLE = (
    "UPDATE watches SET next_at = CASE WHEN next_at = ? THEN ? ELSE next_at END, readings = ?"
    " WHERE id = ? AND version = ?"
)
_END = "DELETE FROM watches WHERE id = ? AND version = ? AND next_at = ?"
_FIRING = (
    "SELECT watch_id, digest, labels, generator_url, starts_at, content, told FROM ("  # noqa: S608  constants
    f" SELECT watch_id, {COLUMNS},"
    "  row_number() OVER (PARTITION BY watch_id ORDER BY starts_at, alert_id) AS place"
    f" FROM {SOURCE} WHERE status = 'firing' AND watch_id {{keys}}"
    f") AS firing WHERE place <= {MOST_ALERTS}"
)
_due = select(watches).order_by(watches.c.next_at)
_versions = (
    select(watches.c.id, watches.c.version)
    .where(watches.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(watches.c.id)
    .with_for_update()
)
_next_at = select(watches.c.next_at).where(watches.c.next_at.is_not(None)).order_by(watches.c.next_at).limit(1)

_encode = msgspec.json.Encoder().encode
_readings = msgspec.json.Decoder(dict[str, Past]).decode


class Watches:
    """The statements on watches of one transaction."""

    def __init__(self, connection: Connection, flush: Callable[[], None]) -> None:
        self._connection = connection
        self._flush_all = flush

    def ensure(self, keys: Iterable[str], *, at: datetime) -> dict[str, int]:
        """Watch these identities from a time on, and return the watches' ids."""
        # In one order everywhere, so that two replicas wait for one another and never both ways.
        wanted, due = sorted(keys), microseconds(at)
        if is_postgres(self._connection):
            rows = execute(self._connection, _ENSURE_ARRAY, (wanted, due)).fetchall()
        else:
            rows = [execute(self._connection, _ENSURE, (key, due)).fetchall()[0] for key in wanted]
        return dict(rows)

    def wake(self, ids: Collection[int], *, at: datetime) -> None:
        """Look at these at a time at the latest, also those that somebody else has claimed just now."""
        # In one order everywhere, as above.
        for chunk in chunks(sorted(ids)):
            later = or_(watches.c.next_at.is_(None), watches.c.next_at > at)
            chosen = select(watches.c.id).where(watches.c.id.in_(chunk), later)
            found = self._connection.execute(chosen.order_by(watches.c.id).with_for_update()).scalars().all()
            self._connection.execute(update(watches).where(watches.c.id.in_(found)).values(next_at=at))

    def claim(self, now: datetime, *, until: datetime, most: int) -> list[Watch]:
        """Those that are due, the longest first; nobody else gets them before `until`."""
        statement = _due.where(watches.c.next_at <= now).limit(most).with_for_update(skip_locked=True)
        rows = self._connection.execute(statement).all()
        claim = numbered(_CLAIM, self._connection)
        for row in rows:
            execute(self._connection, claim, (microseconds(until), row.id))
        return [Watch(row.id, row.dedup_key, row.version + 1, until, _readings(row.readings)) for row in rows]

    def held(self, claimed: Sequence[Watch]) -> list[Watch]:
        """Those of claimed ones that nobody else has claimed since."""
        versions: dict[int, int] = {}
        # In one order everywhere, so that two replicas wait for one another and never both ways.
        for chunk in chunks(sorted(each.id for each in claimed)):
            rows = self._connection.execute(_versions, {"ids": chunk})
            versions.update((row.id, row.version) for row in rows)
        return [each for each in claimed if versions.get(each.id) == each.version]

    def settle(self, watch: Watch, *, next_at: datetime | None, readings: Readings) -> None:
        """Say when a claimed one is due again, and keep what it read."""
        values = (
            microseconds(watch.claimed_until),
            None if next_at is None else microseconds(next_at),
            _encode(readings).decode(),
            watch.id,
            watch.version,
        )
        execute(self._connection, numbered(_SETTLE, self._connection), values)

    def end(self, watch: Watch) -> None:
        """Forget a claimed one, unless somebody was added to it meanwhile."""
        values = (watch.id, watch.version, microseconds(watch.claimed_until))
        execute(self._connection, numbered(_END, self._connection), values)

    def firing(self, ids: Collection[int]) -> dict[int, list[Alert]]:
        """The firing alerts of watches, as they were last told of, those that fire for longest first."""
        self._flush_all()
        found: dict[int, list[Alert]] = {number: [] for number in ids}
        for watch, *told in select_in(self._connection, _FIRING, "bigint", ids):
            found[watch].append(alert_of(*told))
        return found

    def next_due_at(self) -> datetime | None:
        """When the next is due."""
        return self._connection.execute(_next_at).scalar()
