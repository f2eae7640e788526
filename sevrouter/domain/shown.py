"""An alert as an Alertmanager shows it in its API: what it is, whether it fires, and what suppresses it.

An alert of a webhook and the same one here have the same digest. Nothing in here raises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, Struct, field

from sevrouter.domain.alert import Alert
from sevrouter.domain.lenient import Unreadable, clean, load_json, text_map
from sevrouter.domain.member import ABSENT, UNREADABLE, content_of, forgiven_annotations, identity, read_texts
from sevrouter.domain.moments import read_start
from sevrouter.domain.own import is_own

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

ACTIVE = "active"
# What the name of an alert of our own begins with, which no Alertmanager has from us.
_OWN_START = b'"Sevrouter'


class _Receiver(Struct, frozen=True, gc=False):
    name: str


class ShownStatus(Struct, frozen=True, gc=False, rename="camel"):
    """What it says of its state; older versions leave things out."""

    state: str = ""
    silenced_by: tuple[str, ...] | None = None
    inhibited_by: tuple[str, ...] | None = None
    muted_by: tuple[str, ...] | None = None


class Shown(Struct, frozen=True, kw_only=True, gc=False, rename="camel"):
    """One alert. `receivers` is None where it does not say who is told of it."""

    labels: Raw
    annotations: Raw = ABSENT
    starts_at: str = ""
    generator_url: str = field(name="generatorURL", default="")
    fingerprint: str = ""
    status: ShownStatus = ShownStatus()
    receivers: tuple[_Receiver, ...] | None = None

    @property
    def is_suppressed(self) -> bool:
        """Whether it says by what it is suppressed, and does not call it active all the same."""
        status = self.status
        return bool(status.silenced_by or status.inhibited_by or status.muted_by) and status.state != ACTIVE

    def is_for(self, receivers: Collection[str]) -> bool:
        """Whether one of these is told of it; all are where none is named, or where it does not say."""
        if not receivers or self.receivers is None:
            return True
        return any(each.name in receivers for each in self.receivers)

    def began(self, asked_at: datetime) -> datetime:
        """Since when it fires, no later than it was asked for."""
        return min(read_start(self.starts_at, received_at=asked_at), asked_at)

    def name(self) -> str:
        """What it is called, empty where it has no name."""
        try:
            return read_texts(self.labels).get("alertname", "")
        except UNREADABLE:
            return ""

    def alert(self, *, received_at: datetime) -> Alert:
        """It as an alert that fires, as a webhook would have brought it."""
        labels = read_texts(self.labels)
        try:
            annotations = {} if self.annotations is ABSENT else read_texts(self.annotations)
        except UNREADABLE:
            annotations = _forgiven(self.annotations)
        return Alert(
            labels=labels,
            annotations=annotations,
            starts_at=read_start(self.starts_at, received_at=received_at),
            generator_url=self.generator_url,
            digest=identity(self.labels, labels),
            content=content_of(self.annotations),
        )


def _forgiven(annotations: Raw) -> dict[str, str]:
    return forgiven_annotations(_loaded(bytes(annotations)))


_shown = msgspec.json.Decoder(Shown)
_members = msgspec.json.Decoder(list[Raw])


def read_all_shown(body: bytes) -> tuple[dict[bytes, Shown], int] | None:
    """The alerts of a list by their digest, and how many could not be read; None where it is no list.

    Alerts of our own are left out. Of two with one digest the one counts that fires.
    """
    members = _read_members(body)
    if members is None:
        return None
    listed, unreadable = members
    # To look into the labels of all of them would be dear.
    may_be_our_own = _OWN_START in body
    found: dict[bytes, Shown] = {}
    for each in listed:
        try:
            digest = identity(each.labels)
        except UNREADABLE:
            again = _forgive(bytes(msgspec.json.encode(each)))
            if again is None:
                unreadable += 1
                continue
            each, digest = again, identity(again.labels)  # noqa: PLW2901  it stands for what was written
        if may_be_our_own and _is_our_own(each):
            continue
        if digest not in found or not each.is_suppressed:
            found[digest] = each
    return found, unreadable


def _read_members(body: bytes) -> tuple[list[Shown], int] | None:
    try:
        # One by one, for others have no turn while many are decoded at once.
        read = [_read_one(each) for each in _members.decode(body)]
    except UNREADABLE:
        members = _loaded(body)
        if not isinstance(members, list):
            return None
        read = [_forgiven_member(each) for each in members]
    return [each for each in read if each is not None], read.count(None)


def _read_one(raw: Raw) -> Shown | None:
    try:
        return _shown.decode(raw)
    except UNREADABLE:
        return _forgive(bytes(raw))


def _forgive(raw: bytes) -> Shown | None:
    return _forgiven_member(_loaded(raw))


def _loaded(raw: bytes) -> Any:
    try:
        return load_json(raw)
    except Unreadable:
        return None


def _forgiven_member(member: Any) -> Shown | None:
    if not isinstance(member, dict) or not isinstance(member.get("labels"), dict):
        return None
    try:
        labels = text_map(member["labels"], "labels")
    except Unreadable:
        return None
    return Shown(
        labels=Raw(msgspec.json.encode(labels)),
        annotations=Raw(msgspec.json.encode(forgiven_annotations(member.get("annotations")))),
        starts_at=_text(member.get("startsAt")),
        generator_url=_text(member.get("generatorURL")),
        fingerprint=_text(member.get("fingerprint")),
        status=_forgiven_status(member.get("status")),
    )


def _forgiven_status(status: Any) -> ShownStatus:
    # What says nothing that can be read fires.
    try:
        return msgspec.convert(status, ShownStatus)
    except msgspec.ValidationError:
        return ShownStatus()


def _text(value: Any) -> str:
    return clean(value) if isinstance(value, str) else ""


def _is_our_own(shown: Shown) -> bool:
    return is_own(read_texts(shown.labels))
