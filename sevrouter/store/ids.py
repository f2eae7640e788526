"""Numbers for rows that are written later, together with others: given out here, so that nobody waits for each."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from sqlalchemy import text

from sevrouter.store.rows import is_postgres

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from sevrouter.store.memory import Memory

# Numbers that are taken at once; those that a process takes and does not use are left out for ever.
_AT_ONCE = 256

# What is read in the order of its numbers.
_ORDERED = ("incidents", "deliveries")

_sequence = text("SELECT nextval(pg_get_serial_sequence(:table, 'id')) FROM generate_series(1, :count)")
_last = text("SELECT seq FROM sqlite_sequence WHERE name = :table")


def take_ids(connection: Connection, memory: Memory, table: str, count: int) -> list[int]:
    """So many numbers that no row of the table has, nor ever had, in rising order."""
    free = memory.free_ids.setdefault(table, deque())
    missing = max(count - len(free), 0)
    if missing:
        wanted = missing + _AT_ONCE
        if is_postgres(connection):
            # Those that are given out in order are not kept for long.
            wanted = missing if table in _ORDERED else wanted
            free.extend(connection.execute(_sequence, {"table": table, "count": wanted}).scalars())
        else:
            # There is one writer, so what is beyond the last number is ours.
            last = free[-1] if free else connection.execute(_last, {"table": table}).scalar() or 0
            last = max(last, memory.last_ids.get(table, 0))
            free.extend(range(last + 1, last + 1 + wanted))
            memory.last_ids[table] = free[-1]
    return [free.popleft() for _ in range(count)]


def forget_ordered_ids(memory: Memory) -> None:
    """Give out new numbers from now on, higher than those of all that other replicas have committed.

    To be called with the lock of an incident just had: the next incident of its kind, and what is told of it next,
    come after what is there, by whichever replica that was written.
    """
    for table in _ORDERED:
        memory.free_ids.pop(table, None)
