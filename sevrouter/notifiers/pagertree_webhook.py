"""The call, through PagerTree's webhook integration, for who has no access to its API.

Nothing comes back from there: not what they call an alert, nor whether it is open. An alert that somebody owns never
rings again by the same id, so what has to ring again has an id of its own. Must not know when to try again.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from sevrouter.domain.delivery import Delivered, NoticeKind
from sevrouter.notifiers.answers import Answer, judge
from sevrouter.notifiers.pagertree_alerts import STATUSES, URGENCIES, description_of, incident_facts, title
from sevrouter.notifiers.redaction import read_address, read_secret
from sevrouter.notifiers.wording import state_of

if TYPE_CHECKING:
    from sevrouter.domain.delivery import Delivery, Notice, Outcome
    from sevrouter.notifiers.answers import Failure
    from sevrouter.notifiers.base import Secret
    from sevrouter.notifiers.http import Transport

# Of how many incidents we remember what rang.
MOST_REMEMBERED = 1_000


class PagerTreeWebhook:
    """Creates, acknowledges and resolves by ids of ours. `url` is a secret, `token` what they want to see with it.

    Which ids rang is known from the incident as far as can be, and remembered beyond that: after a restart, an alert
    that rang because nobody owned the incident any more stays open there until somebody looks at it.
    """

    def __init__(self, transport: Transport, *, url: Secret, token: Secret | None = None) -> None:
        self._transport = transport
        self._url = url
        self._token = token
        self._rang: OrderedDict[str, dict[str, None]] = OrderedDict()

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Ring, or have it ring no more."""
        notice = delivery.notice
        match notice.kind:
            case NoticeKind.RESOLVED:
                return await self._settle(notice, "resolve")
            case NoticeKind.ACKNOWLEDGED:
                return await self._settle(notice, "acknowledge")
            case _:
                return await self._ring(notice)

    async def _ring(self, notice: Notice) -> Outcome:
        name = own_id(notice)
        before = [each for each in self._ids(notice) if each != name]
        self._remember(notice.key, name)
        outcome = await self._send(_creation(notice, name))
        if not isinstance(outcome, Delivered) or name == notice.key:
            return outcome
        for each in before:
            problem = await self._send(_settlement(notice, each, "resolve"))
            if not isinstance(problem, Delivered):
                # It rings, which nothing undoes; what was there before is tried again at the next notice.
                return Delivered(name, detail=f"those before it are not resolved: {problem.detail}")
        self._rang[notice.key] = {name: None}
        return outcome

    async def _settle(self, notice: Notice, action: str) -> Outcome:
        for each in self._ids(notice):
            outcome = await self._send(_settlement(notice, each, action))
            if not isinstance(outcome, Delivered):
                return outcome
        if action == "resolve":
            self._rang.pop(notice.key, None)
        return Delivered(notice.key)

    def _ids(self, notice: Notice) -> list[str]:
        """What may be open there: by what is remembered, and by what any replica can tell from the notice."""
        told = (notice.key, f"{notice.key}/{notice.sev}")
        return list(dict.fromkeys((*self._rang.get(notice.key, ()), *told)))

    def _remember(self, key: str, name: str) -> None:
        self._rang.setdefault(key, {})[name] = None
        self._rang.move_to_end(key)
        while len(self._rang) > MOST_REMEMBERED:
            self._rang.popitem(last=False)

    async def _send(self, document: dict[str, object]) -> Delivered | Failure:
        address = read_address(self._url)
        if not isinstance(address, tuple):
            return address
        url, secrets = address
        headers: dict[str, str] = {}
        if self._token is not None:
            token = read_secret(self._token)
            if not isinstance(token, str):
                return token
            headers, secrets = {"pagertree-token": token}, (*secrets, token)
        answer = await self._transport.post(url, body=document, headers=headers, secrets=secrets)
        if not isinstance(answer, Answer):
            return answer
        if answer.status // 100 == 2:
            return Delivered(str(document["Id"]))
        return judge(answer, STATUSES)


def own_id(notice: Notice) -> str:
    """Our id for the alert that a notice opens: the same at each attempt, another for each time that it rings."""
    match notice.kind:
        case NoticeKind.OPENED | NoticeKind.REOPENED:
            return notice.key
        case NoticeKind.ROSE:
            return f"{notice.key}/{notice.sev}"
        case kind:
            return f"{notice.key}/{kind.value}-{int(notice.at.timestamp() * 1_000_000)}"


def _creation(notice: Notice, name: str) -> dict[str, object]:
    return {
        "event_type": "create",
        "Id": name,
        "Title": title(notice),
        "Description": description_of(notice, name),
        "Urgency": URGENCIES[notice.sev],
        "Meta": incident_facts(notice),
    }


def _settlement(notice: Notice, name: str, action: str) -> dict[str, object]:
    return {"event_type": action, "Id": name, "Title": title(notice), "Description": state_of(notice)}
