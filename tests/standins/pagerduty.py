"""PagerDuty's Events v2: alerts that are open, and the phones that ring because of them."""

from __future__ import annotations

import collections
import enum
import hashlib
import hmac
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import aiohttp

from tests.standins.vendor import WITHIN, Effect, Reply, Seen, Vendor

if TYPE_CHECKING:
    from collections.abc import Callable

API_TOKEN = "y_NbAkKc66ryYTWUXYEu"
ROUTING_KEY = "R0UT1NGKEYR0UT1NGKEYR0UT1NGKEY32"
LARGEST = 512 * 1024

_KNOWN = {"routing_key", "event_action", "dedup_key", "payload", "client", "client_url", "links", "images"}
_KNOWN_PAYLOAD = {
    "summary", "source", "severity", "timestamp", "component", "group", "class", "custom_details",
}  # fmt: skip


class Did(enum.Enum):
    """What an accepted event does. The same trigger again does nothing while its alert is open, and an update of what
    somebody owns rings nobody."""

    RANG = "rang"
    UPDATED = "updated"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


@dataclass(kw_only=True)
class Event(Effect):
    """An accepted event that did something."""

    did: Did
    dedup_key: str
    payload: Mapping[str, object] = field(default_factory=dict, repr=False)
    links: tuple[Mapping[str, str], ...] = field(default=(), repr=False)

    @property
    def summary(self) -> str:
        """What the voice says."""
        return str(self.payload.get("summary", ""))

    @property
    def severity(self) -> str:
        """One of their four words."""
        return str(self.payload.get("severity", ""))


class Mode(enum.Enum):
    """How a webhook of theirs arrives."""

    NORMAL = "normal"
    LOST = "lost"
    DOUBLED = "doubled"


class PagerDuty(Vendor[Event]):
    """One account with one integration key."""

    contract_file = "pagerduty-events-v2.json"
    contract_host = "https://events.pagerduty.com"

    def __init__(self, *, routing_key: str = ROUTING_KEY, per_minute: int = 120) -> None:
        super().__init__()
        self.routing_key = routing_key
        self.per_minute = per_minute
        self.open_alerts: dict[str, Event] = {}
        self.owners: dict[str, str] = {}
        self.changed_at: dict[str, datetime] = {}
        self.ended_by: dict[str, str] = {}
        self.subscriptions: list[tuple[str, str]] = []
        self.mode = Mode.NORMAL
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)
        self._accepted: collections.Counter[str] = collections.Counter()

    async def answer(self, seen: Seen) -> Reply:
        """Take an event, or say why not."""
        if seen.path != "/v2/enqueue" or seen.method != "POST":
            return Reply(404, {"message": "Not Found"}, refused="no such address")
        if len(seen.body) > LARGEST:
            return _refused(413, "too large")
        event = seen.json
        problem = next(self._problems(event), None)
        if problem is not None or not isinstance(event, dict):
            return _refused(400, problem or "")
        self._accepted[self.routing_key] += 1
        if self._accepted[self.routing_key] > self.per_minute:
            return Reply(429, {"status": "throttle exceeded", "message": "Requests are arriving too quickly"})
        self._take(event)
        return Reply(202, {"status": "success", "message": "Event processed", "dedup_key": event["dedup_key"]})

    def _problems(self, event: object) -> Iterator[str]:
        if not isinstance(event, dict):
            yield "JSON object expected"
            return
        yield from _problems(event)
        if event["routing_key"] != self.routing_key:
            yield "'routing_key' is not known"

    # People there

    async def acknowledge(self, key: str, *, by: str = "Ana Example") -> list[int]:
        """Somebody takes an open alert; the answers to the webhooks that say so."""
        assert key in self.open_alerts
        self.owners[key] = by
        self.changed_at[key] = self.clock()
        return await self._say("incident.acknowledged", key, by)

    async def resolve(self, key: str, *, by: str = "Ana Example") -> list[int]:
        """Somebody ends an open alert."""
        del self.open_alerts[key]
        self.ended_by[key] = by
        self.changed_at[key] = self.clock()
        return await self._say("incident.resolved", key, by)

    async def _say(self, event_type: str, key: str, by: str) -> list[int]:
        body = json.dumps(webhook(event_type, key, by, at=self.clock())).encode()
        times = {Mode.LOST: 0, Mode.NORMAL: 1, Mode.DOUBLED: 2}[self.mode]
        answers = []
        async with aiohttp.ClientSession() as session:
            for url, secret in self.subscriptions * times:
                headers = {"Content-Type": "application/json", "X-PagerDuty-Signature": signature(body, secret)}
                async with session.post(url, data=body, headers=headers) as answer:
                    answers.append(answer.status)
        return answers

    def a_minute_passes(self) -> None:
        """Let the rate limit forget."""
        self._accepted.clear()

    def _take(self, event: Mapping[str, object]) -> None:
        key = str(event["dedup_key"])
        known = self.open_alerts.get(key)
        if event["event_action"] == "resolve":
            self.owners.pop(key, None)
            if self.open_alerts.pop(key, None) is not None:
                self.effects.append(Event(did=Did.RESOLVED, dedup_key=key))
            return
        if event["event_action"] == "acknowledge":
            if known is not None and key not in self.owners:
                self.owners[key] = "sevrouter"
                self.effects.append(Event(did=Did.ACKNOWLEDGED, dedup_key=key))
            return
        payload, links = event["payload"], event.get("links", [])
        assert isinstance(payload, dict)
        assert isinstance(links, list)
        if known is not None and known.payload == payload:
            return
        did = Did.RANG if known is None else Did.UPDATED
        self.open_alerts[key] = Event(did=did, dedup_key=key, payload=payload, links=tuple(links))
        self.effects.append(self.open_alerts[key])

    # What a test expects

    async def expect_call(
        self, summary: str = "", *, severity: str | None = None, dedup_key: str | None = None, within: float = WITHIN
    ) -> Event:
        """Claim a phone that rang, its `summary` found by a regular expression."""
        return await self._expect(
            f"call {summary!r}", {Did.RANG}, summary=summary, severity=severity, dedup_key=dedup_key, within=within
        )

    async def expect_update(
        self, summary: str = "", *, severity: str | None = None, dedup_key: str | None = None, within: float = WITHIN
    ) -> Event:
        """Claim a trigger that changed an open alert."""
        return await self._expect(
            f"update {summary!r}", {Did.UPDATED}, summary=summary, severity=severity, dedup_key=dedup_key, within=within
        )

    async def expect_trigger(
        self, summary: str = "", *, severity: str | None = None, dedup_key: str | None = None, within: float = WITHIN
    ) -> Event:
        """Claim a trigger, whether it rang or changed an open alert."""
        either = {Did.RANG, Did.UPDATED}
        return await self._expect(
            f"trigger {summary!r}", either, summary=summary, severity=severity, dedup_key=dedup_key, within=within
        )

    async def expect_acknowledge(self, dedup_key: str | None = None, *, within: float = WITHIN) -> Event:
        """Claim an acknowledgement of an open alert that nobody owned."""
        return await self._expect("acknowledge", {Did.ACKNOWLEDGED}, dedup_key=dedup_key, within=within)

    async def expect_resolve(self, dedup_key: str | None = None, *, within: float = WITHIN) -> Event:
        """Claim a resolve of an open alert."""
        return await self._expect("resolve", {Did.RESOLVED}, dedup_key=dedup_key, within=within)

    async def _expect(
        self,
        what: str,
        did: set[Did],
        *,
        summary: str = "",
        severity: str | None = None,
        dedup_key: str | None = None,
        within: float,
    ) -> Event:
        return await self.expect(
            what,
            lambda event: (
                event.did in did
                and re.search(summary, event.summary) is not None
                and severity in (None, event.severity)
                and dedup_key in (None, event.dedup_key)
            ),
            within=within,
        )


def signature(body: bytes, *secrets: str) -> str:
    """What they sign a webhook with; while a secret is rotated, by both."""
    return ",".join(f"v1={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}" for secret in secrets)


def webhook(event_type: str, key: str | None, by: str | None, *, at: datetime) -> dict[str, object]:
    """A webhook of theirs, version 3."""
    agent = {"id": "PLH1HKV", "type": "user_reference", "summary": by, "html_url": "https://acme.pagerduty.com/users/x"}
    return {
        "event": {
            "id": "01DVUHO6P4XQDFJ9AHOADT2NB1",
            "event_type": event_type,
            "resource_type": "incident",
            "occurred_at": at.isoformat(),
            "agent": None if by is None else agent,
            "client": None,
            "data": {
                "id": "PGR0VU2",
                "type": "incident",
                "number": 2,
                "status": event_type.partition(".")[2],
                "incident_key": key,
                "title": "A title",
            },
        }
    }


class PagerDutyApi(Vendor[Effect]):
    """The REST API of an account: who owns which incident."""

    def __init__(self, account: PagerDuty) -> None:
        super().__init__()
        self.account = account

    async def answer(self, seen: Seen) -> Reply:
        """List the incidents of a key."""
        if seen.headers.get("Authorization") != f"Token token={API_TOKEN}":
            return Reply(401, {"error": {"message": "Unauthorized", "code": 2006}}, refused="unauthorised")
        if seen.headers.get("Accept") != "application/vnd.pagerduty+json;version=2":
            return Reply(400, {"error": {"message": "Invalid Accept header"}}, refused="no version")
        if (seen.method, seen.path) != ("GET", "/incidents"):
            return Reply(404, {"error": {"message": "Not Found"}}, refused="no such address")
        if unknown := seen.query.keys() - {"incident_key", "date_range", "limit", "sort_by"}:
            return Reply(400, {"error": {"message": f"unknown {sorted(unknown)}"}}, refused="unknown parameters")
        key = seen.query.get("incident_key", "")
        known = key in self.account.open_alerts or key in self.account.ended_by
        return Reply(200, {"incidents": [self._incident(key)] if known else [], "limit": 1, "offset": 0, "more": False})

    def _incident(self, key: str) -> dict[str, object]:
        owner, ended_by = self.account.owners.get(key), self.account.ended_by.get(key)
        at = self.account.changed_at.get(key)
        moment = None if at is None else at.strftime("%Y-%m-%dT%H:%M:%SZ")
        kind = "user_reference" if ended_by or owner else "inbound_integration_reference"
        by = {"id": "P1", "type": kind, "summary": ended_by or owner or "Events API"}
        status = "resolved" if ended_by else "acknowledged" if owner else "triggered"
        return {
            "id": "PT4KHLK",
            "type": "incident",
            "incident_number": 1234,
            "status": status,
            "incident_key": key,
            "last_status_change_at": moment,
            "last_status_change_by": by,
            "acknowledgements": [{"at": moment, "acknowledger": by}] if status == "acknowledged" else [],
        }


def _refused(status: int, problem: str) -> Reply:
    return Reply(
        status, {"status": "invalid event", "message": "Event object is invalid", "errors": [problem]}, refused=problem
    )


def _problems(event: Mapping[str, object]) -> Iterator[str]:
    """Why an event is not taken."""
    if unknown := event.keys() - _KNOWN:
        yield f"unknown fields {sorted(unknown)}"
    if not isinstance(event.get("routing_key"), str) or len(str(event["routing_key"])) != 32:
        yield "Length of 'routing_key' is incorrect (should be 32 characters)"
    key = event.get("dedup_key")
    if not isinstance(key, str) or not 0 < len(key) <= 255:
        yield "'dedup_key' is missing or too long"
    if event.get("event_action") not in ("trigger", "acknowledge", "resolve"):
        yield f"'event_action' {event.get('event_action')!r} is not supported here"
    if event.get("event_action") == "trigger":
        yield from _payload_problems(event.get("payload"))
        yield from _link_problems(event.get("links", []))


def _payload_problems(payload: object) -> Iterator[str]:
    if not isinstance(payload, dict):
        yield "'payload' is missing or blank"
        return
    if unknown := payload.keys() - _KNOWN_PAYLOAD:
        yield f"unknown fields in 'payload' {sorted(unknown)}"
    for name in ({"summary", "source", "severity"} | payload.keys()) - {"custom_details"}:
        if not isinstance(payload.get(name), str) or not payload[name]:
            yield f"'payload.{name}' is missing or blank"
    if payload.get("severity") not in ("critical", "error", "warning", "info"):
        yield "'payload.severity' is invalid (must be one of: 'critical', 'warning', 'error' or 'info')"
    if len(str(payload.get("summary"))) > 1024:
        yield "'payload.summary' is too long"
    if not isinstance(payload.get("custom_details", {}), dict):
        yield "'payload.custom_details' is not an object"


def _link_problems(links: object) -> Iterator[str]:
    if not isinstance(links, list):
        yield "'links' is not a list"
        return
    for link in links:
        if not isinstance(link, dict) or link.keys() - {"href", "text"} or not str(link.get("href")).startswith("http"):
            yield f"not a link: {json.dumps(link)}"
