"""An alert as it was received, and what is remembered of one between webhooks."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct, field
from msgspec.structs import force_setattr

from sevrouter.domain.grading import Verdict
from sevrouter.domain.labels import pairs_digest
from sevrouter.domain.sev import Sev


class AlertStatus(enum.Enum):
    """Whether an alert fires."""

    FIRING = "firing"
    RESOLVED = "resolved"


class Alert(Struct, frozen=True, kw_only=True, gc=False):
    """One alert of one webhook, cleaned: text without surrogates, times in UTC.

    `values` are Grafana's measured numbers as text. `ends_at` is None while it fires and where it could
    not be read. `digest` identifies the label set; the sender's fingerprint is never trusted for that.
    `content` is a hash of all that can change while the labels stay: annotations and values. `sighting` is a hash
    of all of it just as it was sent, empty where nothing is known of that.
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
    sighting: bytes = b""

    def __post_init__(self) -> None:
        if not self.digest:
            force_setattr(self, "digest", pairs_digest(self.labels))
        if not self.content:
            content = pairs_digest(self.annotations, size=8)
            force_setattr(self, "content", content + pairs_digest(self.values, size=8) if self.values else content)


class AlertRecord(Struct, frozen=True, kw_only=True, gc=False):
    """What is remembered of an alert: its last state, and the incident that it belongs to.

    `closed_until` is the end of its last closed episode: a `firing` that began before it is stale.
    `changed_at` is when this state was received. `sev` is that of its last grading, None for `none`. `version`
    counts how often it was written. `watch_id` is the watch that reads its timed measures. The last three are not
    stored: which `sighting` it was made of, and the `verdict` by which configuration.
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
    version: int = 0
    watch_id: int | None = None
    sighting: bytes = b""
    verdict: Verdict | None = None
    graded_by: str = ""


class HistoryEntry(Struct, frozen=True, kw_only=True, gc=False):
    """One change of an alert's state, value or SEV, kept so that a month can be replayed.

    A `record` without an id is of an alert that was never seen before. `with_content` says that the annotations
    or values differ from those of the entry before.
    """

    record: AlertRecord
    alert: Alert
    at: datetime
    reading: str | None
    with_content: bool
