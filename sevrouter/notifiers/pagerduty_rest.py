"""Who owns an incident at PagerDuty, by its REST API: for whom their webhooks cannot reach.

Knows what is asked and what is answered. Must not know what follows from it, or when to ask again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sevrouter.domain.acknowledging import LONGEST_NAME
from sevrouter.domain.delivery import OutcomeReason
from sevrouter.domain.moments import read_moment
from sevrouter.domain.text import one_line
from sevrouter.engine.ack_polling import NotAsked, Owned
from sevrouter.notifiers.answers import Answer, Meaning, Statuses, judge
from sevrouter.notifiers.redaction import read_secret

if TYPE_CHECKING:
    from sevrouter.engine.ack_polling import OpenThere
    from sevrouter.notifiers.answers import Failure
    from sevrouter.notifiers.base import Secret
    from sevrouter.notifiers.http import Transport

URL = "https://api.pagerduty.com"
PEOPLE = frozenset({"user", "user_reference"})

STATUSES: Statuses = {
    2: (Meaning.NOT_DONE, OutcomeReason.UNREADABLE_ANSWER),
    401: (Meaning.NEVER, OutcomeReason.UNAUTHORISED),
    403: (Meaning.NEVER, OutcomeReason.UNAUTHORISED),
    404: (Meaning.NEVER, OutcomeReason.NOT_FOUND),
    429: (Meaning.NOT_DONE, OutcomeReason.RATE_LIMITED),
    5: (Meaning.NOT_DONE, OutcomeReason.SERVER_ERROR),
}


class PagerDutyRest:
    """One account, by a token that may read incidents."""

    def __init__(self, transport: Transport, *, api_token: Secret, url: str = URL) -> None:
        self._transport = transport
        self._api_token = api_token
        self._url = f"{url.rstrip('/')}/incidents"

    async def owned(self, asked: Sequence[OpenThere]) -> Sequence[Owned] | NotAsked:
        """Which of these somebody owns, or has ended, by the newest of their alerts."""
        token = read_secret(self._api_token)
        if not isinstance(token, str):
            return NotAsked(token.detail)
        found: list[Owned] = []
        for each in asked:
            answer = await self._ask((each.reference or each.key).split()[-1], token)
            if not isinstance(answer, Answer):
                return NotAsked(f"{answer.reason.value} {answer.detail}".strip())
            listed = answer.document.get("incidents")
            if answer.status != 200 or not isinstance(listed, list):
                failure = judge(answer, STATUSES)
                return NotAsked(f"{failure.reason.value} {failure.detail}".strip())
            found += [owned for incident in listed[:1] if (owned := _owned(each.key, incident)) is not None]
        return found

    async def _ask(self, dedup_key: str, token: str) -> Answer | Failure:
        return await self._transport.get(
            self._url,
            params={"incident_key": dedup_key, "date_range": "all", "limit": 1, "sort_by": "created_at:desc"},
            headers={
                "Authorization": f"Token token={token}",
                "Accept": "application/vnd.pagerduty+json;version=2",
                "Content-Type": "application/json",
            },
            secrets=(token,),
        )


def _owned(key: str, incident: object) -> Owned | None:
    if not isinstance(incident, Mapping) or incident.get("status") not in ("acknowledged", "resolved"):
        return None
    by, at = incident.get("last_status_change_by"), incident.get("last_status_change_at")
    acknowledgements = incident.get("acknowledgements")
    is_over = incident["status"] == "resolved"
    if not is_over and isinstance(acknowledgements, list) and acknowledgements:
        last = acknowledgements[-1] if isinstance(acknowledgements[-1], Mapping) else {}
        by, at = last.get("acknowledger", by), last.get("at", at)
    # What an integration has done, we have done ourselves, mostly.
    is_person = isinstance(by, Mapping) and by.get("type") in PEOPLE
    moment = read_moment(at if isinstance(at, str) else "")
    return Owned(key, _name(by), moment, is_over) if is_person and moment is not None else None


def _name(reference: object) -> str:
    name = reference.get("summary") if isinstance(reference, Mapping) else None
    return one_line(name, LONGEST_NAME) if isinstance(name, str) and name.strip() else "somebody at PagerDuty"
