"""The call, through PagerTree's API v4: an alert rings, is acknowledged, and is resolved.

An alert that somebody owns never rings again, so what has to ring again opens another and resolves the ones before.
What was opened before is asked for there, not remembered here: any replica may go on. Must not know when to try again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sevrouter.domain.backoff import Schedule
from sevrouter.domain.delivery import Delivered, NoticeKind, OutcomeReason, Rejected, Retry
from sevrouter.engine.ack_polling import NotAsked, Owned
from sevrouter.notifiers.answers import Answer, judge, not_done
from sevrouter.notifiers.pagertree_alerts import (
    STATUSES,
    URGENCIES,
    URL,
    Alert,
    PagerTreeAlerts,
    description_of,
    incident_facts,
    read_created,
    title,
)
from sevrouter.notifiers.redaction import read_secret

if TYPE_CHECKING:
    from datetime import datetime

    from sevrouter.domain.delivery import Delivery, Notice, Outcome
    from sevrouter.engine.ack_polling import OpenThere
    from sevrouter.notifiers.answers import Failure
    from sevrouter.notifiers.base import Secret
    from sevrouter.notifiers.http import Transport

# A call is worth asking for every half minute for as long as it takes.
SCHEDULE = Schedule(first=timedelta(seconds=1), longest=timedelta(seconds=30))

ACKNOWLEDGE, RESOLVE = "acknowledge", "resolve"
# The states in which an action has nothing to do any more.
_SETTLED = {
    ACKNOWLEDGE: frozenset({"acknowledged", "resolved"}),
    # Nobody is rung for what is suppressed, and they do not resolve it.
    RESOLVE: frozenset({"resolved", "suppressed"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Destinations:
    """Whom an alert goes to, by their ids; at least one."""

    teams: Sequence[str] = ()
    routers: Sequence[str] = ()
    account_users: Sequence[str] = ()

    @property
    def lists(self) -> dict[str, list[str]]:
        """As they are sent."""
        named = {
            "destination_team_ids": self.teams,
            "destination_router_ids": self.routers,
            "destination_account_user_ids": self.account_users,
        }
        return {name: list(ids) for name, ids in named.items() if ids}


class PagerTree:
    """Opens, acknowledges and resolves the alerts of incidents."""

    def __init__(self, transport: Transport, *, api_token: Secret, destinations: Destinations, url: str = URL) -> None:
        self._transport = transport
        self._api_token = api_token
        self._destinations = destinations
        self._url = url.rstrip("/")

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Ring, or have it ring no more."""
        token = read_secret(self._api_token)
        if not isinstance(token, str):
            return token
        alerts = PagerTreeAlerts(self._transport, self._url, token)
        match delivery.notice.kind:
            case NoticeKind.RESOLVED:
                return await _settle_all(alerts, delivery, RESOLVE)
            case NoticeKind.ACKNOWLEDGED:
                return await _settle_all(alerts, delivery, ACKNOWLEDGE)
            case _:
                return await self._ring(alerts, delivery)

    async def owned(self, asked: Sequence[OpenThere]) -> Sequence[Owned] | NotAsked:
        """Which of these incidents somebody owns there, or has ended, by their newest alerts."""
        token = read_secret(self._api_token)
        if not isinstance(token, str):
            return NotAsked(token.detail)
        alerts, owned = PagerTreeAlerts(self._transport, self._url, token), list[Owned]()
        for each in asked:
            found = await alerts.of_incident(each.key)
            if not isinstance(found, list):
                return NotAsked(f"{found.reason.value} {found.detail}".strip())
            # They do not say who it was.
            owned += [
                Owned(each.key, "somebody at PagerTree", at, is_over=alert.status == "resolved")
                for alert in found[:1]
                if (at := _owned_at(alert)) is not None
            ]
        return owned

    async def _ring(self, alerts: PagerTreeAlerts, delivery: Delivery) -> Outcome:
        notice, name = delivery.notice, own_id(delivery)
        if delivery.unknowns:
            found = await _find(alerts, notice, name)
            # Whom they do not let look may still ring: twice is better than never.
            if isinstance(found, Delivered | Retry):
                return found
        answer = await alerts.create(self._document(notice, name))
        if not isinstance(answer, Answer):
            return answer
        if answer.status == 409:
            found = await _find(alerts, notice, name)
            return found if isinstance(found, Delivered) else judge(answer, STATUSES)
        if answer.status not in (200, 201, 202):
            return judge(answer, STATUSES)
        alert = read_created(answer)
        if not isinstance(alert, Alert):
            return alert
        return Delivered(alert.id, detail=await _tidy(alerts, notice, alert.id))

    def _document(self, notice: Notice, name: str) -> dict[str, object]:
        return {
            "title": title(notice),
            "description": description_of(notice, name),
            "urgency": URGENCIES[notice.sev],
            "thirdparty_id": name,
            "meta": incident_facts(notice),
            **self._destinations.lists,
        }


def _owned_at(alert: Alert) -> datetime | None:
    match alert.status:
        case "acknowledged":
            return alert.acknowledged_at
        case "resolved":
            return alert.resolved_at
        case _:
            return None


def own_id(delivery: Delivery) -> str:
    """Our name for the alert that a delivery opens: the same at each attempt, another for each time that it rings."""
    notice = delivery.notice
    # Where one was opened before, whatever has become of it, its name is taken.
    if notice.kind is NoticeKind.OPENED and delivery.reference is None:
        return notice.key
    return f"{notice.key}/{notice.kind.value}-{int(notice.at.timestamp() * 1_000_000)}"


async def _find(alerts: PagerTreeAlerts, notice: Notice, name: str) -> Delivered | Retry | Rejected | None:
    """The alert of which nobody knew whether it was opened, if it was and is not over."""
    found = await alerts.of_incident(notice.key)
    if not isinstance(found, list):
        return not_done(found)
    alert = next((each for each in found if each.own_id == name and each.status != "resolved"), None)
    if alert is None:
        return None
    return Delivered(alert.id, detail=await _tidy(alerts, notice, alert.id) or "it was there already")


async def _tidy(alerts: PagerTreeAlerts, notice: Notice, kept: str) -> str:
    """Resolve the alerts before the one that rings; what went wrong, which does not undo that it rings."""
    if notice.kind is NoticeKind.OPENED:
        return ""
    found = await alerts.of_incident(notice.key)
    if not isinstance(found, list):
        return f"those before it are not resolved: {found.detail}"
    failed = [
        problem.detail
        for each in found
        if each.id != kept and each.status not in _SETTLED[RESOLVE]
        if (problem := await _settle(alerts, each.id, RESOLVE)) is not None
    ]
    return f"those before it are not resolved: {failed[0]}" if failed else ""


async def _settle_all(alerts: PagerTreeAlerts, delivery: Delivery, action: str) -> Outcome:
    found = await alerts.of_incident(delivery.notice.key)
    listed = found if isinstance(found, list) else []
    wanted = [each.id for each in listed if each.status not in _SETTLED[action]]
    # What was opened first is known here, too, whatever they list.
    if delivery.reference and all(each.id != delivery.reference for each in listed):
        wanted.append(delivery.reference)
    problem = None
    for alert_id in wanted:
        problem = problem or await _settle(alerts, alert_id, action)
    if problem is None and not isinstance(found, list) and not (isinstance(found, Rejected) and wanted):
        problem = not_done(found)
    return problem or Delivered(delivery.reference, detail=f"{action}: {len(wanted)}")


async def _settle(alerts: PagerTreeAlerts, alert_id: str, action: str) -> Failure | None:
    """Acknowledge or resolve one alert; None once it is, whoever did it."""
    answer = await alerts.act(alert_id, action)
    if not isinstance(answer, Answer):
        return answer
    # What was deleted there rings nobody.
    if answer.status // 100 == 2 or answer.status == 404:
        return None
    if answer.status in (400, 409, 422):
        alert = await alerts.fetch(alert_id)
        if isinstance(alert, Alert) and alert.status in _SETTLED[action]:
            return None
        if isinstance(alert, Alert) and alert.status == "queued":
            return Retry(OutcomeReason.NOT_VISIBLE_YET, "it has not been routed there yet")
    return judge(answer, STATUSES)
