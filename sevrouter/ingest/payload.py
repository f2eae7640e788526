"""Alertmanager's webhook payload (version 4, Grafana's superset too) as alerts, whatever state it comes in.

What can be read is read by member; what cannot is handed back raw with the reason. Nothing here raises.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec

from sevrouter.domain.alert import Alert, AlertStatus
from sevrouter.domain.lenient import Unreadable, clean, load_json, number_text, text_map
from sevrouter.domain.member import ABSENT, UNREADABLE, content_of, forgiven_annotations, identity, read_texts
from sevrouter.domain.moments import read_moment, read_start

if TYPE_CHECKING:
    from collections.abc import Container
    from datetime import datetime

VERSION = "4"
# What Grafana sends in the same shape.
VERSIONS = (VERSION, "1")


class _Member(msgspec.Struct, gc=False):
    """An alert as well-behaved senders write it."""

    labels: msgspec.Raw
    annotations: msgspec.Raw = ABSENT
    status: str = "firing"
    startsAt: str = ""  # noqa: N815  Alertmanager's name
    endsAt: str = ""  # noqa: N815  Alertmanager's name
    generatorURL: str = ""  # noqa: N815  Alertmanager's name
    values: msgspec.Raw = ABSENT


class _Envelope(msgspec.Struct, gc=False):
    """The group, as far as it matters; the status of a group is not to be trusted, so it is not read."""

    alerts: list[msgspec.Raw]
    version: msgspec.Raw = ABSENT
    truncatedAlerts: msgspec.Raw = ABSENT  # noqa: N815  Alertmanager's name


_envelope = msgspec.json.Decoder(_Envelope)
_member = msgspec.json.Decoder(_Member)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A body, or a member of one, that cannot be read, and why."""

    reason: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Payload:
    """What a webhook said. `truncated`: the sender left alerts out, or says something odd about it.

    `repeats` are the sightings of members that are remembered, byte for byte, and were not read again.
    """

    repeats: list[bytes] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    truncated: bool = False
    version: str = VERSION


class Outline:
    """A webhook's body, all of which may be nonsense, of which its alerts are not decoded yet.

    `sightings` are those of its members, in order; there are none where only the forgiving way can read it.
    """

    def __init__(self, body: bytes | bytearray, *, received_at: datetime) -> None:
        self._received_at = received_at
        self._members: list[msgspec.Raw] = []
        self.sightings: list[bytes] = []
        self._forgiven: Payload | None = None
        self.truncated = False
        # A decoder keeps the last of two keys and drops the other's alerts without a word.
        envelope = _envelope_of(body) if body.count(b'"alerts"') <= 1 else None
        if envelope is None:
            self._forgiven = payload = _read_leniently(body, received_at)
            self.truncated, self.version = payload.truncated, payload.version
            self.count = len(payload.alerts)
            return
        self._members = envelope.alerts
        self.count = len(self._members)
        self.sightings = [sha256(raw).digest() for raw in self._members]
        self.truncated = _says_truncated(_loaded(envelope.truncatedAlerts))
        self.version = _version(_loaded(envelope.version))

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing in it but the alerts of its sightings."""
        return self._forgiven is None and not self.truncated

    def read(self, remembered: Container[bytes] = ()) -> Payload:
        """Decode the members, but for those whose sightings are remembered."""
        if self._forgiven is not None:
            return self._forgiven
        payload = Payload(truncated=self.truncated, version=self.version)
        for raw, sighting in zip(self._members, self.sightings, strict=True):
            if sighting in remembered:
                payload.repeats.append(sighting)
                continue
            try:
                alert = _read_member(raw, sighting, self._received_at)
            except (*UNREADABLE, Unreadable):
                _take_leniently(payload, bytes(raw), self._received_at)
            else:
                payload.alerts.append(alert)
        return payload


def read_payload(body: bytes | bytearray, *, received_at: datetime) -> Payload:
    """Read all of a webhook's body."""
    return Outline(body, received_at=received_at).read()


def _envelope_of(body: bytes | bytearray) -> _Envelope | None:
    try:
        return _envelope.decode(body)
    except UNREADABLE:
        return None


def _read_member(raw: msgspec.Raw, sighting: bytes, received_at: datetime) -> Alert:
    member = _member.decode(raw)
    labels = read_texts(member.labels)
    return Alert(
        labels=labels,
        annotations={} if member.annotations is ABSENT else read_texts(member.annotations),
        values={} if member.values is ABSENT else _values(load_json(bytes(member.values))),
        status=_status(member.status),
        starts_at=read_start(member.startsAt, received_at=received_at),
        ends_at=read_moment(member.endsAt),
        generator_url=member.generatorURL,
        digest=identity(member.labels, labels),
        content=content_of(member.annotations, member.values),
        sighting=sighting,
    )


def _take_leniently(payload: Payload, raw: bytes, received_at: datetime) -> None:
    try:
        payload.alerts.append(_alert(load_json(raw), received_at))
    except Unreadable as error:
        payload.rejected.append(Rejected(error.reason, raw))


def _read_leniently(body: bytes | bytearray, received_at: datetime) -> Payload:
    try:
        document = load_json(body)
    except Unreadable as error:
        return Payload(rejected=[Rejected(error.reason, bytes(body))])
    members = document.get("alerts") if isinstance(document, dict) else None
    if not isinstance(members, list):
        return Payload(rejected=[Rejected("no list of alerts in it", bytes(body))])
    payload = Payload(
        truncated=_says_truncated(document.get("truncatedAlerts")), version=_version(document.get("version"))
    )
    for member in members:
        try:
            payload.alerts.append(_alert(member, received_at))
        except Unreadable as error:
            payload.rejected.append(Rejected(error.reason, json.dumps(member).encode()))
    return payload


def _alert(member: Any, received_at: datetime) -> Alert:
    if not isinstance(member, dict):
        raise Unreadable("an alert is not an object")
    return Alert(
        labels=text_map(member.get("labels"), "labels"),
        annotations=forgiven_annotations(member.get("annotations")),
        values=_values(member.get("values")),
        status=_status(member.get("status")),
        starts_at=read_start(member.get("startsAt"), received_at=received_at),
        ends_at=read_moment(member.get("endsAt")),
        generator_url=clean(member["generatorURL"]) if isinstance(member.get("generatorURL"), str) else "",
    )


# An enum's own `value` is slow to get at, and alerts come by the thousand.
_RESOLVED = AlertStatus.RESOLVED.value


def _status(value: Any) -> AlertStatus:
    # Whatever is not plainly resolved may still be burning.
    return AlertStatus.RESOLVED if value == _RESOLVED else AlertStatus.FIRING


def _values(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {clean(name): number_text(number) for name, number in value.items() if number is not None}


# What Alertmanager writes almost always.
_USUAL = {b"": None, b"0": 0, b'"4"': VERSION}


def _loaded(raw: msgspec.Raw) -> Any:
    text = bytes(raw)
    if text in _USUAL:
        return _USUAL[text]
    try:
        return load_json(text)
    except Unreadable as error:
        return error.reason


def _says_truncated(value: Any) -> bool:
    # A count that cannot be read, or that makes no sense, may well hide an alert.
    return value not in (None, 0, "0", "", False)


def _version(value: Any) -> str:
    return "" if isinstance(value, dict | list) else number_text(value)
