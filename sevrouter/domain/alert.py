"""An alert as it was received, and what is remembered of one between webhooks."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sevrouter.domain.labels import pairs_digest
from sevrouter.domain.sev import Sev


class AlertStatus(enum.Enum):
    """Whether an alert fires."""

    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert of one webhook, cleaned: text without surrogates, times in UTC.

    `values` are Grafana's measured numbers as text. `ends_at` is None while it fires and where it could
    not be read. `digest` identifies the label set; the sender's fingerprint is never trusted for that.
    `content` is a hash of all that can change while the labels stay: annotations and values.
    """

    labels: Mapping[str, str]
    annotations: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)
    status: AlertStatus = AlertStatus.FIRING
    starts_at: datetime
    ends_at: datetime | None = None
    generator_url: str = ""
    digest: bytes = b""
    content: bytes = b""

    def __post_init__(self) -> None:
        if not self.digest:
            object.__setattr__(self, "digest", pairs_digest(self.labels))
        if not self.content:
            content = pairs_digest(self.annotations, size=8)
            object.__setattr__(self, "content", content + pairs_digest(self.values, size=8) if self.values else content)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRecord:
    """What is remembered of an alert: its last state, and the incident that it belongs to.

    `closed_until` is the end of its last closed episode: a `firing` that began before it is stale.
    `changed_at` is when this state was received. `sev` is that of its last grading, None for `none`.
    """

    digest: bytes
    status: AlertStatus
    starts_at: datetime
    closed_until: datetime | None
    changed_at: datetime
    sev: Sev | None
    unsure: bool
    content: bytes
    incident_id: int | None
    id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One change of an alert's state, value or SEV, kept so that a month can be replayed.

    A `record` without an id is of an alert that was never seen before. `with_content` says that the annotations
    or values differ from those of the entry before.
    """

    record: AlertRecord
    alert: Alert
    at: datetime
    reading: str | None
    with_content: bool
