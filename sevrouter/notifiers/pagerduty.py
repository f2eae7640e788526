"""The call, through PagerDuty's Events v2: a trigger rings, an acknowledge or a resolve stops it.

An alert that somebody owns never rings again, so what has to ring again opens another, and resolves those before. Which
alerts are open is what our reference says: their dedup keys, the newest last. Knows their event and their limits. Must
not know when to try again: the same event again is harmless.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from sevrouter.domain.backoff import Schedule
from sevrouter.domain.delivery import Delivered, NoticeKind, OutcomeReason
from sevrouter.domain.sev import Sev
from sevrouter.domain.text import one_line
from sevrouter.notifiers.answers import Answer, Meaning, Statuses, judge
from sevrouter.notifiers.redaction import read_secret
from sevrouter.notifiers.wording import DEPLOYED, bridge_of, facts, origin

if TYPE_CHECKING:
    from collections.abc import Sequence

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


TRIGGER, ACKNOWLEDGE, RESOLVE = "trigger", "acknowledge", "resolve"


class PagerDuty:
    """Triggers, acknowledges and resolves the alerts of incidents."""

    def __init__(self, transport: Transport, *, routing_key: Secret, url: str = URL) -> None:
        self._transport = transport
        self._routing_key = routing_key
        self._url = f"{url.rstrip('/')}/v2/enqueue"

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Ring, or have it ring no more."""
        key = read_secret(self._routing_key)
        if not isinstance(key, str):
            return key
        notice, known = delivery.notice, open_alerts(delivery)
        match notice.kind:
            case NoticeKind.RESOLVED:
                return await self._settle(known, RESOLVE, key)
            case NoticeKind.ACKNOWLEDGED:
                owned = await self._settle(known[-1:], ACKNOWLEDGE, key)
                return replace(owned, reference=" ".join(known)) if isinstance(owned, Delivered) else owned
            case _:
                return await self._ring(delivery, known, key)

    async def _ring(self, delivery: Delivery, known: Sequence[str], routing_key: str) -> Outcome:
        notice, own = delivery.notice, own_key(delivery)
        outcome = await self._send(trigger(notice, dedup_key=own, routing_key=routing_key), routing_key)
        if not isinstance(outcome, Delivered):
            return outcome
        # It rings, which nothing undoes: what cannot be resolved just now is resolved later, with it.
        left = [each for each in known if each != own and not await self._resolves(each, routing_key)]
        return Delivered(reference=" ".join([*left, own]), detail=outcome.detail)

    async def _resolves(self, key: str, routing_key: str) -> bool:
        return isinstance(await self._settle([key], RESOLVE, routing_key), Delivered)

    async def _settle(self, keys: Sequence[str], action: str, routing_key: str) -> Outcome:
        for key in keys:
            outcome = await self._send({**_envelope(key, routing_key), "event_action": action}, routing_key)
            if not isinstance(outcome, Delivered):
                return outcome
        return Delivered(reference=keys[-1])

    async def _send(self, event: dict[str, object], routing_key: str) -> Outcome:
        answer = await self._transport.post(self._url, body=event, secrets=(routing_key,))
        if not isinstance(answer, Answer):
            return answer
        return Delivered(detail=answer.detail) if answer.status == 202 else judge(answer, STATUSES)


def open_alerts(delivery: Delivery) -> list[str]:
    """The dedup keys of what may be open there for an incident, the newest last; never empty."""
    return (delivery.reference or delivery.notice.key).split()


# What has to ring whatever was told before: somebody may own what is open there, or it has stopped to ring by itself.
_ANEW = frozenset({NoticeKind.ACK_ENDED, NoticeKind.UNANSWERED})


def own_key(delivery: Delivery) -> str:
    """The dedup key that a notice rings by: the same at each attempt, another one where what is open would not ring."""
    notice = delivery.notice
    # A rise of what nobody owns goes to the alert that rings: to open another is one more that a late answer of a lost
    # worker could ring anew.
    is_anew = notice.kind in _ANEW or (notice.kind is NoticeKind.ROSE and notice.acknowledged_by is not None)
    if is_anew and delivery.reference is not None:
        return f"{notice.key}/{int(notice.at.timestamp() * 1_000_000)}"
    return notice.key if notice.kind in (NoticeKind.OPENED, NoticeKind.REOPENED) else open_alerts(delivery)[-1]


def _envelope(dedup_key: str, routing_key: str) -> dict[str, object]:
    return {"routing_key": routing_key, "dedup_key": dedup_key}


def trigger(notice: Notice, *, dedup_key: str, routing_key: str) -> dict[str, object]:
    """The event that rings, small enough to be taken."""
    links = [{"href": url, "text": name} for name, url in notice.links.items()]
    if notice.bridge is not None:
        links.append({"href": notice.bridge, "text": "Bridge"})
    whole = _envelope(dedup_key, routing_key) | {
        "event_action": TRIGGER,
        "client": "sevrouter",
        "links": links,
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
        **({"Bridge": bridge} if (bridge := bridge_of(notice)) else {}),
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
