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
from sevrouter.domain.labels import pairs_digest
from sevrouter.ingest.lenient import Unreadable, clean, load_json, number_text, text_map
from sevrouter.ingest.moments import read_end, read_start

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

VERSION = "4"
# What Grafana sends in the same shape.
VERSIONS = (VERSION, "1")


# What was not sent. An optional `Raw` would take nothing but null.
_ABSENT = msgspec.Raw()


class _Member(msgspec.Struct, gc=False):
    """An alert as well-behaved senders write it."""

    labels: msgspec.Raw
    annotations: msgspec.Raw = _ABSENT
    status: str = "firing"
    startsAt: str = ""  # noqa: N815  Alertmanager's name
    endsAt: str = ""  # noqa: N815  Alertmanager's name
    generatorURL: str = ""  # noqa: N815  Alertmanager's name
    values: msgspec.Raw = _ABSENT


class _Envelope(msgspec.Struct, gc=False):
    """The group, as far as it matters; the status of a group is not to be trusted, so it is not read."""

    alerts: list[msgspec.Raw]
    version: msgspec.Raw = _ABSENT
    truncatedAlerts: msgspec.Raw = _ABSENT  # noqa: N815  Alertmanager's name


_envelope = msgspec.json.Decoder(_Envelope)
_member = msgspec.json.Decoder(_Member)
_text_map = msgspec.json.Decoder(dict[str, str])
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


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

    @property
    def count(self) -> int:
        """How many alerts came, those that were not read again among them."""
        return len(self.alerts) + len(self.repeats)


def _nothing(_sighting: bytes) -> bool:
    return False


def read_payload(body: bytes, *, received_at: datetime, is_remembered: Callable[[bytes], bool] = _nothing) -> Payload:
    """Read a webhook's body, all of which may be nonsense; members whose sighting is remembered are left unread."""
    if body.count(b'"alerts"') > 1:
        # A decoder keeps the last of two keys and drops the other's alerts without a word.
        return _read_leniently(body, received_at)
    try:
        envelope = _envelope.decode(body)
    except _UNREADABLE:
        return _read_leniently(body, received_at)
    payload = Payload(
        truncated=_says_truncated(_loaded(envelope.truncatedAlerts)),
        version=_version(_loaded(envelope.version)),
    )
    for raw in envelope.alerts:
        sighting = sha256(raw).digest()
        if is_remembered(sighting):
            payload.repeats.append(sighting)
        else:
            _take_member(payload, raw, sighting, received_at)
    return payload


# The digest of a label set by the hash of its text: a busy Alertmanager sends the same ones for hours.
_identities: dict[bytes, bytes] = {}
MOST_IDENTITIES = 100_000


def _identity(text: msgspec.Raw, labels: dict[str, str]) -> bytes:
    key = sha256(text).digest()
    digest = _identities.get(key)
    if digest is None:
        if len(_identities) >= MOST_IDENTITIES:
            _identities.clear()
        digest = _identities[key] = pairs_digest(labels)
    return digest


def _take_member(payload: Payload, raw: msgspec.Raw, sighting: bytes, received_at: datetime) -> None:
    try:
        member = _member.decode(raw)
        labels = _text_map.decode(member.labels)
        annotations = _text_map.decode(member.annotations) if bytes(member.annotations) else {}
        values = _values(load_json(raw_values)) if (raw_values := bytes(member.values)) else {}
    except (*_UNREADABLE, Unreadable):
        _take_leniently(payload, bytes(raw), received_at)
        return
    content = sha256(member.annotations)
    if bytes(member.values):
        # Apart, so that nothing that moves from one to the other looks the same.
        content.update(b"\0")
        content.update(member.values)
    payload.alerts.append(
        Alert(
            labels=labels,
            annotations=annotations,
            values=values,
            status=_status(member.status),
            starts_at=read_start(member.startsAt, received_at=received_at),
            ends_at=read_end(member.endsAt),
            generator_url=member.generatorURL,
            digest=_identity(member.labels, labels),
            content=content.digest()[:16],
            sighting=sighting,
        )
    )


def _take_leniently(payload: Payload, raw: bytes, received_at: datetime) -> None:
    try:
        payload.alerts.append(_alert(load_json(raw), received_at))
    except Unreadable as error:
        payload.rejected.append(Rejected(error.reason, raw))


def _read_leniently(body: bytes, received_at: datetime) -> Payload:
    try:
        document = load_json(body)
    except Unreadable as error:
        return Payload(rejected=[Rejected(error.reason, body)])
    members = document.get("alerts") if isinstance(document, dict) else None
    if not isinstance(members, list):
        return Payload(rejected=[Rejected("no list of alerts in it", body)])
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
        annotations=_annotations(member.get("annotations")),
        values=_values(member.get("values")),
        status=_status(member.get("status")),
        starts_at=read_start(member.get("startsAt"), received_at=received_at),
        ends_at=read_end(member.get("endsAt")),
        generator_url=clean(member["generatorURL"]) if isinstance(member.get("generatorURL"), str) else "",
    )


# An enum's own `value` is slow to get at, and alerts come by the thousand.
_RESOLVED = AlertStatus.RESOLVED.value


def _status(value: Any) -> AlertStatus:
    # Whatever is not plainly resolved may still be burning.
    return AlertStatus.RESOLVED if value == _RESOLVED else AlertStatus.FIRING


def _annotations(value: Any) -> dict[str, str]:
    # What identifies an alert is in its labels; without annotations a number is missing, and that is unsure.
    try:
        return text_map(value, "annotations")
    except Unreadable:
        return {}


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
