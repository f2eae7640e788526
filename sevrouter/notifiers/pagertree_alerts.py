"""The requests that we make of PagerTree's API v4, one attempt each, and the alerts in its answers.

Knows their addresses, their filters and their states. Must not know what follows from an answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sevrouter.domain.delivery import OutcomeReason, Unknown
from sevrouter.domain.moments import read_moment
from sevrouter.domain.sev import Sev
from sevrouter.notifiers.answers import Answer, Failure, Meaning, Statuses, judge
from sevrouter.notifiers.plain_text import plain_text, title_of
from sevrouter.notifiers.wording import bridge_of, state_of

if TYPE_CHECKING:
    from sevrouter.domain.delivery import Notice
    from sevrouter.notifiers.http import Transport

URL = "https://api.pagertree.com"

# They tell of no limits: what fits into a line of a phone and into a page of theirs.
LONGEST_TITLE = 255
LONGEST_MESSAGE = 500
# The most that one page of a list holds.
MOST_ALERTS = 100

STATUSES: Statuses = {
    2: (Meaning.MAYBE_DONE, OutcomeReason.UNREADABLE_ANSWER),
    401: (Meaning.NEVER, OutcomeReason.UNAUTHORISED),
    403: (Meaning.NEVER, OutcomeReason.UNAUTHORISED),
    404: (Meaning.NEVER, OutcomeReason.NOT_FOUND),
    408: (Meaning.MAYBE_DONE, OutcomeReason.TIMED_OUT),
    429: (Meaning.NOT_DONE, OutcomeReason.RATE_LIMITED),
    503: (Meaning.NOT_DONE, OutcomeReason.SERVER_ERROR),
    5: (Meaning.MAYBE_DONE, OutcomeReason.SERVER_ERROR),
}

# A major incident must get through a phone that is set to silent.
URGENCIES = {
    Sev.SEV_1: "critical",
    Sev.SEV_2: "critical",
    Sev.SEV_3: "high",
    Sev.SEV_4: "medium",
    Sev.SEV_5: "low",
}

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert as they tell of it: `own_id` is what we call it, `status` their word."""

    id: str
    own_id: str
    status: str
    acknowledged_at: datetime | None = None
    resolved_at: datetime | None = None

    def is_of(self, key: str) -> bool:
        """Whether it is one of the alerts of an incident."""
        return self.own_id == key or self.own_id.startswith(f"{key}/")


def incident_facts(notice: Notice) -> dict[str, object]:
    """What they show on the banner of an incident."""
    message = bridge_of(notice) or f"{notice.sev} {state_of(notice)}"
    return {
        "incident": True,
        "incident_severity": str(notice.sev),
        "incident_message": message[:LONGEST_MESSAGE],
    }


def description_of(notice: Notice, own_id: str) -> str:
    """The text of an alert. Its last line begins with our name for it, by which it is found again."""
    return f"{plain_text(notice)}\n{own_id} · configuration {notice.config_hash}"


def title(notice: Notice) -> str:
    """What the voice says."""
    return title_of(notice, LONGEST_TITLE)


class PagerTreeAlerts:
    """The alerts of one account, for the length of one attempt: `token` is what it is now."""

    def __init__(self, transport: Transport, url: str, token: str) -> None:
        self._transport = transport
        self._url = url
        self._token = token

    async def create(self, document: Mapping[str, object]) -> Answer | Failure:
        """Open an alert."""
        return await self._post("alerts", document)

    async def act(self, alert_id: str, action: str) -> Answer | Failure:
        """`acknowledge` or `resolve` an alert."""
        return await self._post(f"alerts/{alert_id}/{action}", {})

    async def fetch(self, alert_id: str) -> Alert | Failure:
        """One alert as it is now."""
        answer = await self._get(f"alerts/{alert_id}", {})
        if not isinstance(answer, Answer):
            return answer
        alert = read_alert(answer.document) if answer.status == 200 else None
        return alert or judge(answer, STATUSES)

    async def of_incident(self, key: str) -> list[Alert] | Failure:
        """The alerts of an incident, the newest first."""
        wanted: dict[str, str | int] = {
            "description": key,
            "ops": "description:contains",
            "sort": "created_at",
            "direction": "desc",
            "limit": MOST_ALERTS,
        }
        answer = await self._get("alerts", wanted)
        if not isinstance(answer, Answer):
            return answer
        listed = answer.document.get("data")
        if answer.status != 200 or not isinstance(listed, list):
            return judge(answer, STATUSES)
        # What the filter lets through is theirs to say, and what is ours is not.
        alerts = (read_alert(each) for each in listed)
        return [alert for alert in alerts if alert is not None and alert.is_of(key)]

    async def _post(self, path: str, body: Mapping[str, object]) -> Answer | Failure:
        return await self._transport.post(
            f"{self._url}/api/v4/{path}", body=body, headers=self._headers, secrets=(self._token,)
        )

    async def _get(self, path: str, params: Mapping[str, str | int]) -> Answer | Failure:
        return await self._transport.get(
            f"{self._url}/api/v4/{path}", params=params, headers=self._headers, secrets=(self._token,)
        )

    @property
    def _headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self._token}"}


def read_alert(document: object) -> Alert | None:
    """An alert, or None where this is none that can be asked for again."""
    if not isinstance(document, Mapping) or not _ID.fullmatch(_text(document, "id")):
        return None
    return Alert(
        _text(document, "id"),
        _own_id(document),
        _text(document, "status"),
        read_moment(_text(document, "acknowledged_at")),
        read_moment(_text(document, "resolved_at")),
    )


def read_created(answer: Answer) -> Alert | Unknown:
    """The alert that a success tells of; Unknown where it tells of none."""
    alert = read_alert(answer.document)
    return alert or Unknown(OutcomeReason.UNREADABLE_ANSWER, answer.detail)


def _own_id(document: Mapping[str, object]) -> str:
    # Not every version of theirs keeps the name that it is given, so that it stands in the text, too: on the last line,
    # which no alert of ours writes.
    if name := _text(document, "thirdparty_id"):
        return name
    lines = _text(document, "description").splitlines()
    return lines[-1].partition(" ")[0] if lines else ""


def _text(document: Mapping[str, object], name: str) -> str:
    value = document.get(name)
    return value if isinstance(value, str) else ""
