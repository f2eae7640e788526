"""The call, for everything else: a signed JSON document of ours, by POST to an address of the user's.

Knows the document and its signature, which `docs/webhook-out.md` describes and which change with `VERSION` only. Must
not know who receives it, or when to try again.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from sevrouter.domain.backoff import Schedule
from sevrouter.domain.delivery import Delivered, OutcomeReason
from sevrouter.domain.text import many_lines, one_line
from sevrouter.notifiers.answers import Answer, Meaning, Statuses, judge
from sevrouter.notifiers.redaction import read_address, read_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sevrouter.domain.delivery import Delivery, Outcome, Rejected, Retry
    from sevrouter.notifiers.base import Secret
    from sevrouter.notifiers.http import Transport

VERSION = 1

SIGNATURE, DELIVERY = "X-Sevrouter-Signature", "X-Sevrouter-Delivery"

# A call is worth asking for every half minute for as long as it takes.
SCHEDULE = Schedule(first=timedelta(seconds=1), longest=timedelta(seconds=30))

LARGEST_BODY = 1024 * 1024  # bytes; what most receivers take
LONGEST_LINE = 2_000
LONGEST_DESCRIPTION = 20_000
# What is left out of a body that is too large, the least needed first.
_LEFT_OUT: tuple[tuple[str, object], ...] = (
    ("labels", {}),
    ("description", ""),
    ("why", ()),
    ("deployments", ()),
    ("links", {}),
)

STATUSES: Statuses = {
    401: (Meaning.NEVER, OutcomeReason.UNAUTHORISED),
    403: (Meaning.NEVER, OutcomeReason.UNAUTHORISED),
    404: (Meaning.NEVER, OutcomeReason.NOT_FOUND),
    408: (Meaning.NOT_DONE, OutcomeReason.TIMED_OUT),
    429: (Meaning.NOT_DONE, OutcomeReason.RATE_LIMITED),
    503: (Meaning.NOT_DONE, OutcomeReason.SERVER_ERROR),
    # It may have been done before something broke; the receiver knows it again by its event's id.
    5: (Meaning.MAYBE_DONE, OutcomeReason.SERVER_ERROR),
}


class Webhook:
    """Posts every notice. `url` is a secret; the first of `secrets` signs."""

    def __init__(
        self,
        transport: Transport,
        *,
        url: Secret,
        secrets: Sequence[Secret],
        bearer_token: Secret | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._transport = transport
        self._url = url
        self._signing = secrets[0]
        self._bearer_token = bearer_token
        self._clock = clock

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Post it once; any 2xx is that it was taken."""
        body, event_id = document(delivery), event_id_of(delivery)
        prepared = self._prepare(body, event_id)
        if not isinstance(prepared, tuple):
            return prepared
        url, headers, secrets = prepared
        answer = await self._transport.post_bytes(url, body=body, headers=headers, secrets=secrets)
        if not isinstance(answer, Answer):
            return answer
        if answer.status // 100 == 2:
            return Delivered(delivery.notice.key)
        return judge(answer, STATUSES)

    def _prepare(self, body: bytes, event_id: str) -> tuple[str, Mapping[str, str], tuple[str, ...]] | Retry | Rejected:
        """Where to, with which headers, and what must not be told of it."""
        address = read_address(self._url)
        if not isinstance(address, tuple):
            return address
        url, told = address
        signing = read_secret(self._signing)
        if not isinstance(signing, str):
            return signing
        headers = {SIGNATURE: signature(body, secret=signing, at=self._clock()), DELIVERY: event_id}
        if self._bearer_token is None:
            return url, headers, (*told, signing)
        bearer = read_secret(self._bearer_token)
        if not isinstance(bearer, str):
            return bearer
        return url, headers | {"Authorization": f"Bearer {bearer}"}, (*told, signing, bearer)


def signature(body: bytes, *, secret: str, at: datetime) -> str:
    """`t=UNIX,v1=HEX`: when it was signed, and the HMAC-SHA256 of that, a dot and the body."""
    seconds = int(at.timestamp())
    digest = hmac.new(secret.encode(), b"%d." % seconds + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"


def event_id_of(delivery: Delivery) -> str:
    """The same at each attempt, and never that of another event, also where a database is new."""
    return f"{delivery.notice.key}-{delivery.id}"


def document(delivery: Delivery) -> bytes:
    """The body, no larger than it may be."""
    notice = delivery.notice
    whole: dict[str, object] = {
        "version": VERSION,
        "event_id": event_id_of(delivery),
        "kind": notice.kind.value,
        "key": notice.key,
        "incident_id": notice.incident_id,
        "sev": str(notice.sev),
        "previous_sev": None if notice.previous_sev is None else str(notice.previous_sev),
        "unsure": notice.unsure,
        "title": one_line(notice.title, LONGEST_LINE),
        "note": one_line(notice.note, LONGEST_LINE),
        "description": many_lines(notice.description, LONGEST_DESCRIPTION),
        "system": notice.system,
        "owner": notice.owner,
        "why": notice.why,
        "labels": dict(notice.labels),
        "links": dict(notice.links),
        "deployments": notice.deployments,
        "suppressed": notice.suppressed,
        "bridge": {"url": notice.bridge, "dial": notice.bridge_dial},
        "acknowledged_by": notice.acknowledged_by,
        "firing": notice.firing,
        "opened_at": notice.opened_at,
        "at": notice.at,
        "config_hash": notice.config_hash,
        "left_out": (),
    }
    body = msgspec.json.encode(whole)
    left_out: list[str] = []
    for name, nothing in _LEFT_OUT:
        if len(body) <= LARGEST_BODY:
            break
        left_out.append(name)
        whole |= {name: nothing, "left_out": left_out}
        body = msgspec.json.encode(whole)
    return body
