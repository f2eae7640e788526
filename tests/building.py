"""What the rooms around the domain share: a clock to move, the routing of a small team, a look into tables."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from sevrouter.domain.alert import Alert, AlertStatus
from sevrouter.domain.grading import Grader
from sevrouter.domain.identity import IncidentPolicy
from sevrouter.domain.labels import parse_matcher
from sevrouter.domain.ownership import Ownership, System
from sevrouter.domain.routing import Routing
from sevrouter.domain.sev import Sev
from tests.domain.building import CONFIG, NOW, at, by_number, by_word, fixed

if TYPE_CHECKING:
    from datetime import datetime

    from sevrouter.domain.grading import Rule
    from sevrouter.domain.heartbeat import Heartbeat
    from sevrouter.store.postgres import PostgresStore
    from sevrouter.store.sqlite import SqliteStore

RULES = (
    by_word("severity label", {"critical": Sev.SEV_2, "warning": Sev.SEV_4, "info": Sev.SEV_5, "none": None},
            'severity=~".+"'),
    by_number("customers affected", {Sev.SEV_1: ">= 25", Sev.SEV_2: ">= 5", Sev.SEV_3: "> 0"}, 'slo="availability"'),
    fixed("not an incident", None, 'alertname="Watchdog"'),
)  # fmt: skip
RESPONSES = {
    Sev.SEV_1: ("call", "slack"),
    Sev.SEV_2: ("call", "slack"),
    Sev.SEV_3: ("slack",),
    Sev.SEV_4: ("slack",),
    Sev.SEV_5: ("jira",),
}
TABLES = (
    "alerts",
    "alert_states",
    "history",
    "incidents",
    "watches",
    "timeline",
    "deliveries",
    "delivery_references",
    "escalations",
    "rings",
    "summons",
    "drills",
    "deployments",
    "heartbeats",
    "quarantine",
)


class MovedClock:
    """The time of a test, which stands still until it is moved."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, *, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Let time pass."""
        self.now += timedelta(hours=hours, minutes=minutes, seconds=seconds)


def routing(
    *,
    rules: tuple[Rule, ...] = RULES,
    unmatched: Sev = Sev.SEV_2,
    group_by: tuple[str, ...] = ("cluster", "service", "alertname"),
    default_owner: str | None = None,
    give_up_after: timedelta = timedelta(hours=24),
    stale_after: timedelta = timedelta(hours=24),
    horizon: timedelta = timedelta(hours=1),
    deployment_query: str | None = None,
    config_hash: str = CONFIG,
    heartbeats: tuple[Heartbeat, ...] = (),
) -> Routing:
    """What decides: severity words, a share of customers, one system with an owner."""
    return Routing(
        grader=Grader(rules, unmatched=unmatched, heartbeats=heartbeats),
        incidents=replace(IncidentPolicy(), group_by=group_by),
        ownership=Ownership(
            (System("checkout", (parse_matcher('service="checkout"'),), "payments"),), default_owner=default_owner
        ),
        responses=RESPONSES,
        give_up_after=give_up_after,
        stale_after=stale_after,
        horizon=horizon,
        deployment_query=deployment_query,
        config_hash=config_hash,
    )


def labelled(labels: dict[str, str], *, start: float = 0) -> Alert:
    """An alert with just these labels that fires since minute `start`."""
    return Alert(labels=labels, starts_at=at(start))


def over(alert: Alert, *, minute: float = 1) -> Alert:
    """The end of an alert at that minute."""
    return Alert(labels=alert.labels, status=AlertStatus.RESOLVED, starts_at=alert.starts_at, ends_at=at(minute))


async def select(store: SqliteStore | PostgresStore, sql: str, **parameters: object) -> list[dict[str, Any]]:
    """What a query gives, row by row, as it stands in the database."""
    return await store.read(
        lambda tx: [dict(row) for row in tx.alerts._connection.execute(text(sql), parameters).mappings()]
    )


async def counts(store: SqliteStore | PostgresStore, *tables: str) -> dict[str, int]:
    """How many rows there are in these tables, by default in all."""
    return {
        table: (await select(store, f"SELECT count(*) AS n FROM {table}"))[0]["n"]  # noqa: S608  a name of ours
        for table in tables or TABLES
    }
