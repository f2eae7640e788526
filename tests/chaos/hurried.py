"""`python hurried.py NAME HOST:PORT ARGUMENTS`: sevrouter, with a database behind a proxy, and in a hurry.

Run as a script in a replica's own process. What takes a minute in production takes seconds here, so that a lease runs
out and an unknown outcome is looked into while a test can wait for it; the proportions stay. Nothing else is changed.
"""

from __future__ import annotations

import dataclasses
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

from sevrouter import cli, opening
from sevrouter.domain.backoff import Schedule
from sevrouter.engine import janitor, lease
from sevrouter.notifiers import http, jira

if TYPE_CHECKING:
    from sevrouter.config import PostgresSettings
    from sevrouter.store.connector import Connector

# Seconds; in production 60, 15, 5, 15 and 30 to 300.
LEASE = 12.0
ANSWER_WITHIN = 3.0
CONNECT_WITHIN = 1.0
RESCUE_EVERY = 3.0
SETTLE = (0.5, 1.0, 2.0, 5.0)


def hurry() -> None:
    """Shorten the waits."""
    lease.LEASE = timedelta(seconds=LEASE)
    janitor.RESCUE_EVERY = RESCUE_EVERY
    jira.SETTLE = tuple(timedelta(seconds=wait) for wait in SETTLE)  # type: ignore[assignment]
    jira.SCHEDULE = Schedule(first=timedelta(seconds=0.5), longest=timedelta(seconds=5), settle=jira.SETTLE)
    http.open_transport.__wrapped__.__kwdefaults__ = {  # type: ignore[attr-defined]
        "connect_within": CONNECT_WITHIN,
        "answer_within": ANSWER_WITHIN,
    }


def introduce(name: str) -> None:
    """Let the vendors know which process does what: the ledger asks whether it was killed meanwhile."""
    http._USER_AGENT = name


def go_through(host: str, port: int) -> None:
    """Reach the database by a proxy of this replica's own, though all replicas have the same configuration."""
    connector = opening._connector

    def through(settings: PostgresSettings) -> Connector:
        return dataclasses.replace(connector(settings), hosts=((host, port),))

    opening._connector = through


if __name__ == "__main__":
    hurry()
    introduce(sys.argv[1])
    its_host, _, its_port = sys.argv[2].rpartition(":")
    go_through(its_host, int(its_port))
    del sys.argv[1:3]
    cli.main()
