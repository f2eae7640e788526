"""What is asked often reads only the rows that it is about, however many there are by then."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event

from sevrouter.store.sqlite import make_engine, migrate_file, write_once

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy import Connection

    from sevrouter.store.transaction import Transaction

NOW = datetime(2026, 1, 1, tzinfo=UTC)

OFTEN: dict[str, Callable[[Transaction], object]] = {
    "records of alerts": lambda tx: tx.alerts.records([b"a", b"b"]),
    "incidents of alerts": lambda tx: tx.incidents.by_id([1, 2]),
    "the last incident of an identity": lambda tx: tx.incidents.last_by_key(["a", "b"]),
    "truncated incidents": lambda tx: tx.incidents.any_truncated(),
    "incidents that are due": lambda tx: tx.incidents.due(NOW, most=10),
    "when the next incident is due": lambda tx: tx.incidents.next_due_at(),
    "incidents that began": lambda tx: tx.incidents.begun("a", since=NOW, until=NOW, most=10),
    "what fires": lambda tx: tx.firing.held(),
    "what fires of incidents": lambda tx: tx.firing.of_incidents([1, 2]),
    "alerts that fire": lambda tx: tx.firing.alerts([1, 2]),
    "suppressed incidents": lambda tx: tx.firing.suppressed(),
    "recent deployments": lambda tx: tx.deployments.recent(since=NOW, until=NOW),
    "a deployment": lambda tx: tx.deployments.find("a", "1", since=NOW, until=NOW),
    "counts of incidents": lambda tx: tx.incidents.counts(),
    "whose turn it is": lambda tx: tx.outbox.heads("call", now=NOW, most=8),
    "when it is the next one's turn": lambda tx: tx.outbox.next_due_at("call"),
    "expired leases": lambda tx: tx.outbox.expired_leases(NOW, most=10),
    "counts of the outbox": lambda tx: tx.outbox.counts(),
}


def _plans(path: Path, work: Callable[[Transaction], object]) -> list[str]:
    engine = make_engine(path)
    asked: list[str] = []

    def trace(connection: Connection) -> None:
        # As the driver itself sees them, for not all go through SQLAlchemy; with their values in their places.
        driver: Any = connection.connection.driver_connection
        driver.set_trace_callback(asked.append)

    event.listen(engine, "begin", trace)
    write_once(engine, work)
    event.remove(engine, "begin", trace)
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        driver.set_trace_callback(None)
        plans = [
            row[3]
            for statement in asked
            if statement.startswith("SELECT")
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}")
        ]
    engine.dispose()
    return plans


@pytest.mark.parametrize("name", OFTEN)
def test_nothing_that_is_asked_often_reads_a_whole_table(name: str, tmp_path: Path) -> None:
    path = tmp_path / "sevrouter.db"
    migrate_file(path)
    plans = _plans(path, OFTEN[name])
    assert plans
    assert [plan for plan in plans if plan.startswith("SCAN") and "USING" not in plan] == []
