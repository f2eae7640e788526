"""What becomes of heartbeats as time passes: one that stays away is an alert of our own, until it comes again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from msgspec import Struct

from sevrouter.domain.alert import Alert, AlertRecord, AlertStatus
from sevrouter.domain.grading import Grade, GradeReason, Verdict
from sevrouter.domain.heartbeat import Heartbeat, Pulse, listened
from sevrouter.domain.own import HEARTBEAT_MISSING
from sevrouter.domain.text import duration_text, one_line

# How often is written down that somebody listens: a restart of up to 25 s is told from a silence to the second.
LISTEN_EVERY = timedelta(seconds=5)
# The silence begins after the last beat, so that an end which that beat brought is older than the next silence.
_NEXT = timedelta(microseconds=1)


class Known(NamedTuple):
    """What is stored: each heartbeat by its name, and the alerts of our own about them."""

    pulses: Mapping[str, Pulse]
    records: Mapping[str, AlertRecord]


class Look(Struct, frozen=True, kw_only=True, gc=False):
    """What there is to do. `pulses` are to be stored, `gone` to be forgotten, `alerts` to be taken.

    `missing` are the heartbeats that stay away now, and `next_at` is when the next one would be missing.
    """

    pulses: Mapping[str, Pulse]
    gone: tuple[str, ...]
    alerts: tuple[tuple[Alert, Verdict | None], ...]
    missing: frozenset[str]
    next_at: datetime | None

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.pulses or self.gone or self.alerts)


def labels_of(name: str) -> dict[str, str]:
    """The labels of the alert that sevrouter raises itself while a heartbeat is missing."""
    return HEARTBEAT_MISSING | {"heartbeat": name}


def look(heartbeats: Sequence[Heartbeat], known: Known, now: datetime) -> Look:
    """Look at every heartbeat that is configured, and at those that nobody waits for any more."""
    looker = _Looker(known, now)
    for each in heartbeats:
        looker.wait_for(each)
    names = {each.name for each in heartbeats}
    # Another replica may still run on a configuration that has it, and listens.
    gone = tuple(name for name, each in known.pulses.items() if name not in names and each.is_unheard(now))
    for name in gone:
        looker.end(name, now)
    return Look(
        pulses=looker.pulses,
        gone=gone,
        alerts=tuple(looker.alerts),
        missing=frozenset(looker.missing),
        next_at=min(looker.times, default=None),
    )


class _Looker:
    """Looks at heartbeats one by one, and takes note of what follows."""

    def __init__(self, known: Known, now: datetime) -> None:
        self._known = known
        self._now = now
        self.pulses: dict[str, Pulse] = {}
        self.alerts: list[tuple[Alert, Verdict | None]] = []
        self.missing: list[str] = []
        self.times: list[datetime] = []

    def wait_for(self, heartbeat: Heartbeat) -> None:
        name, before = heartbeat.name, self._known.pulses.get(heartbeat.name)
        pulse = listened(before, self._now)
        if before is None or self._now - before.listened_at >= LISTEN_EVERY:
            self.pulses[name] = pulse
        due_at, record = pulse.due_at(heartbeat), self._raised(name)
        if due_at <= self._now:
            self._raise(heartbeat, pulse, record)
        elif record is not None and pulse.beat_at is not None and pulse.beat_at >= record.starts_at:
            self.end(name, pulse.beat_at)
        elif record is not None:
            # Since somebody listens again it has not come yet.
            self.missing.append(name)
        if due_at > self._now:
            self.times.append(due_at)

    def end(self, name: str, at: datetime) -> None:
        record = self._raised(name)
        if record is not None:
            over = Alert(
                labels=labels_of(name), status=AlertStatus.RESOLVED, starts_at=record.starts_at, ends_at=at
            )  # fmt: skip
            self.alerts.append((over, None))

    def _raised(self, name: str) -> AlertRecord | None:
        record = self._known.records.get(name)
        return record if record is not None and record.status is AlertStatus.FIRING else None

    def _raise(self, heartbeat: Heartbeat, pulse: Pulse, record: AlertRecord | None) -> None:
        self.missing.append(heartbeat.name)
        if record is not None and record.sev is heartbeat.missed:
            return
        summary = f"heartbeat {one_line(heartbeat.name, 100)} is missing: nothing came since {_time(pulse.since)}"
        alert = Alert(
            labels=labels_of(heartbeat.name),
            annotations={"summary": summary},
            starts_at=pulse.since + _NEXT if record is None else record.starts_at,
        )
        self.alerts.append((alert, _verdict(heartbeat, pulse)))


def _verdict(heartbeat: Heartbeat, pulse: Pulse) -> Verdict:
    grade = Grade(
        rule="(heartbeat missing)", sev=heartbeat.missed, reason=GradeReason.HEARTBEAT_MISSED,
        why=f"{_silence(pulse)}; {', '.join(map(str, heartbeat.matchers))} has to come every "
        f"{duration_text(heartbeat.every)}, and may be {duration_text(heartbeat.grace)} late",
    )  # fmt: skip
    return Verdict(heartbeat.missed, unsure=False, grades=(grade,))


def _silence(pulse: Pulse) -> str:
    if pulse.beat_at is None:
        return f"it never came, and is waited for since {_time(pulse.since)}"
    if pulse.beat_at >= pulse.since:
        return f"nothing came since {_time(pulse.since)}"
    return f"it last came at {_time(pulse.beat_at)}, and not since {_time(pulse.since)}, when we began to listen again"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
