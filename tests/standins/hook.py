"""Receivers of what we post: one of our own signed webhook, which verifies it by itself, and one of Apprise's JSON."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.standins.vendor import WITHIN, Effect, Reply, Seen, Vendor

SIGNING_KEY = "whsec-0123456789abcdef0123456789abcdef"
BEARER_TOKEN = "hook-bearer-0123456789abcdef"
PATH = "/in/s3cr3t-path-0123456789"
LARGEST = 1024 * 1024
LONGEST_AGO = 300

_FIELDS: dict[str, type | tuple[type, ...]] = {
    "version": int,
    "event_id": str,
    "kind": str,
    "key": str,
    "incident_id": int,
    "sev": str,
    "previous_sev": (str, type(None)),
    "unsure": bool,
    "title": str,
    "note": str,
    "description": str,
    "system": (str, type(None)),
    "owner": (str, type(None)),
    "why": list,
    "labels": dict,
    "links": dict,
    "deployments": list,
    "suppressed": (str, type(None)),
    "bridge": dict,
    "acknowledged_by": (str, type(None)),
    "firing": int,
    "opened_at": str,
    "at": str,
    "config_hash": str,
    "left_out": list,
}


@dataclass(kw_only=True)
class Event(Effect):
    """An event that was taken for the first time."""

    event_id: str
    document: Mapping[str, Any] = field(repr=False)


class Hook(Vendor[Event]):
    """Takes our webhook, each event once."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[str, bytes] = {}
        self.status = 200

    @property
    def hook_url(self) -> str:
        """Where it takes events."""
        return f"{self.url}{PATH}?token=s3cr3t-query-0123456789"

    async def answer(self, seen: Seen) -> Reply:
        """Take an event, or say why not."""
        headers = {name.lower(): value for name, value in seen.headers.items()}
        if seen.path != PATH or seen.method != "POST" or seen.query != {"token": "s3cr3t-query-0123456789"}:
            return Reply(404, {"error": "nothing here"}, refused="no such address")
        problem = _forgery(headers, seen.body)
        if problem is not None:
            return Reply(401, {"error": problem}, refused=problem)
        problem = next(_problems(headers, seen.body), None)
        if problem is not None:
            return Reply(422, {"error": problem}, refused=problem)
        document = json.loads(seen.body)
        event_id = document["event_id"]
        if event_id not in self.known:
            self.effects.append(Event(event_id=event_id, document=document))
        elif self.known[event_id] != seen.body:
            return Reply(409, {"error": "not the same"}, refused="an event is not the same when it comes again")
        self.known[event_id] = seen.body
        return Reply(self.status, {})

    async def expect_event(self, kind: str | None = None, *, within: float = WITHIN) -> Event:
        """Claim an event."""
        return await self.expect(
            f"event {kind or ''}", lambda event: kind in (None, event.document["kind"]), within=within
        )


def _forgery(headers: Mapping[str, str], body: bytes) -> str | None:
    found = re.fullmatch(r"t=(\d+),v1=([0-9a-f]{64})", headers.get("x-sevrouter-signature", ""))
    if found is None:
        return "no signature"
    expected = hmac.digest(SIGNING_KEY.encode(), b".".join([found[1].encode(), body]), hashlib.sha256).hex()
    if not hmac.compare_digest(expected, found[2]):
        return "the signature is wrong"
    if abs(datetime.now(UTC).timestamp() - int(found[1])) > LONGEST_AGO:
        return "the signature is old"
    if headers.get("authorization", f"Bearer {BEARER_TOKEN}") != f"Bearer {BEARER_TOKEN}":
        return "the token is wrong"
    return None


def _problems(headers: Mapping[str, str], body: bytes) -> Iterator[str]:
    if len(body) > LARGEST:
        yield "too large"
    if headers.get("content-type") != "application/json":
        yield "not JSON by its type"
    document = json.loads(body)
    if document.keys() != _FIELDS.keys():
        yield f"not the fields of version 1: {sorted(document.keys() ^ _FIELDS.keys())}"
    for name, kind in _FIELDS.items():
        if not isinstance(document.get(name), kind):
            yield f"{name} is {document.get(name)!r}"
    if document.get("version") != 1 or document.get("event_id") != headers.get("x-sevrouter-delivery"):
        yield "another version, or another event than its header says"
    for name in ("opened_at", "at"):
        if datetime.fromisoformat(document[name]).utcoffset() is None:
            yield f"{name} is of no time zone"


@dataclass(kw_only=True)
class Message(Effect):
    """A message that Apprise sent."""

    title: str
    body: str
    kind: str
    path: str


class AppriseTarget(Vendor[Message]):
    """Takes what Apprise's `json://` sends."""

    def apprise_url(self, path: str = "s3cr3t-path-0123456789") -> str:
        """The address that Apprise is given."""
        return f"{self.url.replace('http', 'json', 1)}/{path}"

    async def answer(self, seen: Seen) -> Reply:
        """Take a message."""
        document = seen.json
        if not isinstance(document, dict) or document.keys() != {"version", "title", "message", "attachments", "type"}:
            return Reply(400, {}, refused="not a message of Apprise")
        if not document["message"] or document["attachments"]:
            return Reply(400, {}, refused="an empty message, or one with attachments")
        self.effects.append(
            Message(title=document["title"], body=document["message"], kind=document["type"], path=seen.path)
        )
        return Reply(200, {})

    async def expect_message(self, title: str = "", *, within: float = WITHIN) -> Message:
        """Claim a message."""
        return await self.expect(
            f"message {title!r}", lambda message: re.search(title, message.title) is not None, within=within
        )
