"""The call, through PagerDuty's Events v2: a trigger rings, a resolve stops it.

Knows their event and their limits. Must not know when to try again, or what was sent before: the same
dedup key again is harmless while the alert is open.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

from sevrouter.domain.backoff import Schedule
from sevrouter.domain.delivery import Delivered, NoticeKind, OutcomeReason
from sevrouter.domain.sev import Sev
from sevrouter.domain.text import one_line
from sevrouter.notifiers.answers import Answer, Meaning, Statuses, judge
from sevrouter.notifiers.redaction import read_secret
from sevrouter.notifiers.wording import DEPLOYED, facts, origin

if TYPE_CHECKING:
    from sevrouter.domain.delivery import Delivery, Notice, Outcome
    from sevrouter.notifiers.base import Secret
    from sevrouter.notifiers.http import Transport

URL = "https://events.pagerduty.com"

# A call is worth asking for every half minute for as long as it takes.
SCHEDULE = Schedule(first=timedelta(seconds=1), longest=timedelta(seconds=30))

LONGEST_SUMMARY = 1_024
LONGEST_FIELD = 255
LARGEST_EVENT = 500_000  # bytes, of the 512 KB that they take

STATUSES: Statuses = {
    2: (Meaning.MAYBE_DONE, OutcomeReason.UNREADABLE_ANSWER),
    401: (Meaning.NEVER, OutcomeReason.UNAUTHORISED),
    403: (Meaning.NEVER, OutcomeReason.UNAUTHORISED),
    404: (Meaning.NEVER, OutcomeReason.NOT_FOUND),
    408: (Meaning.NOT_DONE, OutcomeReason.TIMED_OUT),
    429: (Meaning.NOT_DONE, OutcomeReason.RATE_LIMITED),
    5: (Meaning.NOT_DONE, OutcomeReason.SERVER_ERROR),
}

# Any other word is a 400 there, and nobody is paged.
SEVERITIES = {
    Sev.SEV_1: "critical",
    Sev.SEV_2: "critical",
    Sev.SEV_3: "error",
    Sev.SEV_4: "warning",
    Sev.SEV_5: "info",
}


class PagerDuty:
    """Triggers and resolves the alert of an incident."""

    def __init__(self, transport: Transport, *, routing_key: Secret, url: str = URL) -> None:
        self._transport = transport
        self._routing_key = routing_key
        self._url = f"{url.rstrip('/')}/v2/enqueue"

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Send one event."""
        key = read_secret(self._routing_key)
        if not isinstance(key, str):
            return key
        answer = await self._transport.post(self._url, body=event(delivery.notice, routing_key=key), secrets=(key,))
        if not isinstance(answer, Answer):
            return answer
        if answer.status == 202:
            return Delivered(reference=delivery.notice.key, detail=answer.detail)
        return judge(answer, STATUSES)


def event(notice: Notice, *, routing_key: str) -> dict[str, object]:
    """The event that tells of a notice, small enough to be taken."""
    envelope: dict[str, object] = {"routing_key": routing_key, "dedup_key": notice.key}
    if notice.kind is NoticeKind.RESOLVED:
        return envelope | {"event_action": "resolve"}
    whole = envelope | {
        "event_action": "trigger",
        "client": "sevrouter",
        "links": [{"href": url, "text": name} for name, url in notice.links.items()],
        "payload": _payload(notice),
    }
    return _fitted(whole)


def _payload(notice: Notice) -> dict[str, object]:
    labels = notice.labels
    known: dict[str, str | None] = {
        "component": notice.system,
        "group": labels.get("cluster") or labels.get("namespace"),
        "class": labels.get("alertname"),
    }
    payload: dict[str, object] = {
        "summary": one_line(notice.title, LONGEST_SUMMARY) or str(notice.sev),
        "severity": SEVERITIES[notice.sev],
        "source": one_line(labels.get("instance") or notice.system or "sevrouter", LONGEST_FIELD),
        "timestamp": notice.opened_at.isoformat(),
        "custom_details": _details(notice),
    }
    return payload | {name: one_line(value, LONGEST_FIELD) for name, value in known.items() if value}


def _details(notice: Notice) -> dict[str, object]:
    return {
        **facts(notice),
        **({"Note": notice.note} if notice.note else {}),
        **({DEPLOYED: list(notice.deployments)} if notice.deployments else {}),
        "Why": list(notice.why),
        "Incident": origin(notice),
        "Description": notice.description,
        "Labels": dict(notice.labels),
    }


def _fitted(whole: dict[str, object]) -> dict[str, object]:
    """The event without the details that would have it refused, the least needed left out first."""
    payload = whole["payload"]
    assert isinstance(payload, dict)
    details = payload["custom_details"]
    for name in ("Labels", "Description", "Why", DEPLOYED):
        if len(json.dumps(whole)) <= LARGEST_EVENT:
            break
        details = details | {name: "left out: too long"}
        whole = whole | {"payload": payload | {"custom_details": details}}
    return whole
