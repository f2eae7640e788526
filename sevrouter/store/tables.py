"""The tables as they are now, for the statements; the migrations make them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Boolean, Column, Integer, LargeBinary, MetaData, SmallInteger, Table, Text
from sqlalchemy.types import TypeDecorator

from sevrouter.domain.sev import Sev

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(moment: datetime) -> int:
    """An aware time as microseconds since 1970."""
    return (moment - EPOCH) // _MICROSECOND


def moment(microseconds: int) -> datetime:
    """Microseconds since 1970 as an aware time in UTC."""
    return EPOCH + timedelta(microseconds=microseconds)


class Moment(TypeDecorator[datetime]):
    """An aware time as microseconds since 1970, which every database orders and indexes alike."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """To microseconds."""
        return None if value is None else microseconds(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """To an aware time in UTC."""
        return None if value is None else moment(value)


class SevNumber(TypeDecorator[Sev]):
    """A SEV as its number, 1 is the worst; NULL is `none`."""

    impl = SmallInteger
    cache_ok = True

    def process_bind_param(self, value: Sev | None, dialect: Dialect) -> int | None:
        """To its number."""
        return None if value is None else value.rank

    def process_result_value(self, value: Any | None, dialect: Dialect) -> Sev | None:
        """To a Sev."""
        return None if value is None else Sev(value)


metadata = MetaData()

migrations = Table(
    "schema_migrations",
    metadata,
    Column("version", Integer, primary_key=True),
    Column("applied_at", Moment),
    Column("works_with", Integer),
)

alerts = Table(
    "alerts", metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("labels", Text, nullable=False),
    Column("generator_url", Text, nullable=False),
    Column("first_seen_at", Moment, nullable=False),
)  # fmt: skip

alert_states = Table(
    "alert_states", metadata,
    Column("alert_id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("status", Text, nullable=False),
    Column("starts_at", Moment, nullable=False),
    Column("closed_until", Moment),
    Column("changed_at", Moment, nullable=False),
    Column("sev", SevNumber),
    Column("unsure", Boolean, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("incident_id", BigInteger),
    Column("version", BigInteger, nullable=False),
    Column("watch_id", BigInteger),
    Column("seen_there", Boolean, nullable=False, default=False),
)  # fmt: skip

watches = Table(
    "watches", metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("dedup_key", Text, nullable=False, unique=True),
    Column("next_at", Moment),
    Column("version", BigInteger, nullable=False),
    Column("readings", Text, nullable=False),
)  # fmt: skip

history = Table(
    "history", metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("alert_id", BigInteger, nullable=False),
    Column("at", Moment, nullable=False),
    Column("status", Text, nullable=False),
    Column("starts_at", Moment, nullable=False),
    Column("ends_at", Moment),
    Column("sev", SevNumber),
    Column("unsure", Boolean, nullable=False),
    Column("reading", Text),
    Column("content", Text),
)  # fmt: skip

incidents = Table(
    "incidents", metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("dedup_key", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("sev", SevNumber, nullable=False),
    Column("unsure", Boolean, nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("resolved_at", Moment),
    Column("due_at", Moment),
    Column("system", Text),
    Column("owner", Text),
    Column("firing", Integer, nullable=False),
    Column("truncated", Boolean, nullable=False),
    Column("asked", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("standing", Text),
    Column("suppressed", Text),
    Column("heard_at", Moment),
    Column("stale_since", Moment),
)  # fmt: skip

timeline = Table(
    "timeline", metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("incident_id", BigInteger, nullable=False),
    Column("at", Moment, nullable=False),
    Column("fact", Text, nullable=False),
    Column("details", Text, nullable=False),
)  # fmt: skip

deliveries = Table(
    "deliveries", metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("incident_id", BigInteger, nullable=False),
    Column("integration", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("sev", SevNumber, nullable=False),
    Column("notice", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("unknowns", Integer, nullable=False),
    Column("received_at", Moment, nullable=False),
    Column("not_before", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("lease", Text),
    Column("lease_until", Moment),
    Column("reason", Text),
    Column("detail", Text),
    Column("finished_at", Moment),
)  # fmt: skip

delivery_references = Table(
    "delivery_references", metadata,
    Column("incident_id", BigInteger, primary_key=True, autoincrement=False),
    Column("integration", Text, primary_key=True),
    Column("reference", Text, nullable=False),
)  # fmt: skip

deployments = Table(
    "deployments", metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("system", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("at", Moment, nullable=False),
    Column("link", Text),
    Column("received_at", Moment, nullable=False),
)  # fmt: skip

heartbeats = Table(
    "heartbeats", metadata,
    Column("name", Text, primary_key=True),
    Column("since", Moment, nullable=False),
    Column("beat_at", Moment),
    Column("listened_at", Moment, nullable=False),
)  # fmt: skip

escalations = Table(
    "escalations", metadata,
    Column("incident_id", BigInteger, primary_key=True, autoincrement=False),
    Column("state", Text, nullable=False),
    Column("due_at", Moment),
    Column("run_out", Integer, nullable=False),
    Column("standing", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
)  # fmt: skip

rings = Table(
    "rings", metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("person", Text, nullable=False),
    Column("number", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("token", Text, nullable=False),
    Column("is_drill", Boolean, nullable=False),
    Column("sev", SevNumber),
    Column("began_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("outcome", Text),
    Column("detail", Text, nullable=False),
    Column("reference", Text),
    Column("unknowns", Integer, nullable=False),
    Column("acknowledged_at", Moment),
    Column("heard", Text),
    Column("dial", Text),
    Column("lease", Text),
    Column("lease_until", Moment),
)  # fmt: skip

summons = Table(
    "summons", metadata,
    Column("incident_id", BigInteger, primary_key=True, autoincrement=False),
    Column("person", Text, primary_key=True),
    Column("sev", SevNumber, nullable=False),
    Column("wanted_at", Moment, nullable=False),
    Column("not_before", Moment, nullable=False),
    Column("ring_id", BigInteger),
)  # fmt: skip

drills = Table(
    "drills", metadata,
    Column("person", Text, primary_key=True),
    Column("provider", Text, primary_key=True),
    Column("drilled_at", Moment),
    Column("outcome", Text),
    Column("succeeded_at", Moment),
    Column("asked_at", Moment),
)  # fmt: skip

quarantine = Table(
    "quarantine", metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("first_at", Moment, nullable=False),
    Column("last_at", Moment, nullable=False),
    Column("times", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
)  # fmt: skip
