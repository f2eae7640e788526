"""PagerTree: alerts that are open, acknowledged or resolved, by its API v4 and by its webhook integration.

Stricter than they are where they say nothing: they drop what they do not know, here it is refused.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tests.standins.vendor import WITHIN, Effect, Reply, Seen, Vendor

API_TOKEN = "pt4-api-token-0123456789abcdef"
WEBHOOK_TOKEN = "pt4-webhook-token-0123456789abcdef"
INTEGRATION = "int_0DCWag0G9s3cr3t"
TEAM, ROUTER, ACCOUNT_USER = "tem_pay", "rtr_all", "acc_usr_ana"

_URGENCIES = ("low", "medium", "high", "critical")
_SEVS = tuple(f"SEV-{number}" for number in range(1, 6))
_DESTINATIONS = {
    "destination_team_ids": {TEAM},
    "destination_router_ids": {ROUTER},
    "destination_account_user_ids": {ACCOUNT_USER},
}
_META = {"incident", "incident_severity", "incident_message"}
_KNOWN = {"title", "description", "urgency", "thirdparty_id", "meta", "tags", *_DESTINATIONS}
_KNOWN_EVENT = {"event_type", "Id", "Title", "Description", "Urgency", "Tags", "Meta"}
_FILTERS = {"description", "ops", "sort", "direction", "limit"}
# From which states an action leads on.
_FROM = {"acknowledge": {"open", "dropped", "suppressed"}, "resolve": {"open", "dropped", "acknowledged"}}
_TO = {"acknowledge": "acknowledged", "resolve": "resolved"}


class Did(enum.Enum):
    """What a request did."""

    RANG = "rang"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class SameId(enum.Enum):
    """What comes of a third party's id that an alert has already; they do not say."""

    ANOTHER = "another"
    THE_SAME = "the same"
    CONFLICT = "conflict"


@dataclass
class Alert:
    """An alert there."""

    id: str
    own_id: str
    document: Mapping[str, object] = field(repr=False)
    status: str = "open"

    @property
    def title(self) -> str:
        """What the voice says."""
        return str(self.document.get("title") or self.document.get("Title"))

    @property
    def description(self) -> str:
        """What the page shows."""
        return str(self.document.get("description") or self.document.get("Description"))


@dataclass(kw_only=True)
class Page(Effect):
    """What somebody hears of, or hears no more of."""

    did: Did
    alert: Alert


class PagerTree(Vendor[Page]):
    """One account with a team, and a webhook integration."""

    def __init__(self) -> None:
        super().__init__()
        self.alerts: list[Alert] = []
        self.same_id = SameId.ANOTHER
        self.keeps_ids = True
        self.opens_as = "open"

    @property
    def integration_url(self) -> str:
        """Where the webhook integration takes events."""
        return f"{self.url}/integration/{INTEGRATION}"

    def by_own_id(self, own_id: str) -> Alert:
        """The newest alert that we call this."""
        return next(each for each in reversed(self.alerts) if each.own_id == own_id)

    @property
    def standing(self) -> dict[str, list[str]]:
        """The states of all alerts, by what we call them."""
        states: dict[str, list[str]] = {}
        for each in self.alerts:
            states.setdefault(each.own_id, []).append(each.status)
        return states

    async def answer(self, seen: Seen) -> Reply:
        """Do what a request asks for, or say why not."""
        headers = {name.lower(): value for name, value in seen.headers.items()}
        if seen.path == f"/integration/{INTEGRATION}" and seen.method == "POST":
            is_known = headers.get("pagertree-token") == WEBHOOK_TOKEN
            return self._event(seen.json) if is_known else _refused(401, "the token is wrong")
        if headers.get("authorization") != f"Bearer {API_TOKEN}":
            return _refused(401, "a valid API key is not provided")
        if seen.path == "/api/v4/alerts":
            return self._list(seen.query) if seen.method == "GET" else self._create(seen.json)
        path = re.fullmatch(r"/api/v4/alerts/(alt_\d+)(?:/(acknowledge|resolve))?", seen.path)
        alert = path and next((each for each in self.alerts if each.id == path[1]), None)
        if not path or not alert or seen.method != ("POST" if path[2] else "GET"):
            return _refused(404, "no such alert")
        return self._one(alert, path[2])

    def _one(self, alert: Alert, action: str | None) -> Reply:
        if action is not None and alert.status not in _FROM[action]:
            return Reply(422, _errors(422, f"cannot {action} when {alert.status}"))
        if action is not None:
            self._move(alert, action)
        return Reply(200, self._shown(alert))

    def _shown(self, alert: Alert) -> dict[str, object]:
        return {
            "id": alert.id,
            "type": "alert",
            "title": alert.title,
            "description": alert.description,
            "status": alert.status,
            "thirdparty_id": alert.own_id if self.keeps_ids else None,
            "acknowledged_at": "2026-01-31T09:06:00.000Z" if alert.status == "acknowledged" else None,
            "resolved_at": "2026-01-31T09:07:00.000Z" if alert.status == "resolved" else None,
        }

    def _create(self, document: object) -> Reply:
        problem = next(_problems(document), None)
        if problem is not None or not isinstance(document, dict):
            return _refused(422, problem or "")
        own_id = str(document.get("thirdparty_id", ""))
        known = next((each for each in self.alerts if each.own_id == own_id), None)
        if known is not None and self.keeps_ids and self.same_id is SameId.CONFLICT:
            return Reply(409, _errors(409, "thirdparty_id has already been taken"))
        if known is not None and self.keeps_ids and self.same_id is SameId.THE_SAME:
            return Reply(200, self._shown(known))
        return Reply(201, self._shown(self._open(own_id, document)))

    def _list(self, query: Mapping[str, str]) -> Reply:
        if unknown := query.keys() - _FILTERS:
            return _refused(400, f"unknown filters {sorted(unknown)}")
        if query.get("ops") != "description:contains" or not 1 <= int(query.get("limit", "10")) <= 100:
            return _refused(400, "no such operation, or no such limit")
        found = [self._shown(each) for each in self.alerts if query["description"] in each.description]
        if query.get("direction") == "desc":
            found.reverse()
        listed = found[: int(query.get("limit", "10"))]
        return Reply(200, {"data": listed, "has_more": len(listed) < len(found), "total_count": len(found)})

    def _event(self, event: object) -> Reply:
        problem = next(_event_problems(event), None)
        if problem is not None or not isinstance(event, dict):
            return _refused(422, problem or "")
        open_ones = [each for each in self.alerts if each.own_id == event["Id"] and each.status != "resolved"]
        if event["event_type"] == "create" and not open_ones:
            self._open(event["Id"], event)
        for each in open_ones:
            if each.status in _FROM.get(event["event_type"], ()):
                self._move(each, event["event_type"])
        return Reply(200, {"status": "ok"})

    def _open(self, own_id: str, document: Mapping[str, object]) -> Alert:
        alert = Alert(f"alt_{len(self.alerts) + 1}", own_id, document, self.opens_as)
        self.alerts.append(alert)
        self.effects.append(Page(did=Did.RANG, alert=alert))
        return alert

    def _move(self, alert: Alert, action: str) -> None:
        alert.status = _TO[action]
        self.effects.append(Page(did=Did(alert.status), alert=alert))

    # What a test expects

    async def expect_call(self, title: str = "", *, own_id: str | None = None, within: float = WITHIN) -> Alert:
        """Claim an alert that rang, its `title` found by a regular expression."""
        page = await self.expect(
            f"call {title!r}",
            lambda page: (
                page.did is Did.RANG
                and re.search(title, page.alert.title) is not None
                and own_id in (None, page.alert.own_id)
            ),
            within=within,
        )
        return page.alert

    async def expect_action(self, did: Did, own_id: str, *, within: float = WITHIN) -> Alert:
        """Claim that an alert was acknowledged or resolved."""
        page = await self.expect(
            f"{did.value} {own_id}", lambda page: page.did is did and page.alert.own_id == own_id, within=within
        )
        return page.alert


def _errors(status: int, problem: str) -> dict[str, object]:
    return {"errors": [{"message": problem}], "code": status}


def _refused(status: int, problem: str) -> Reply:
    return Reply(status, _errors(status, problem), refused=problem)


def _problems(document: object) -> Iterator[str]:
    if not isinstance(document, dict):
        yield "not an object"
        return
    if unknown := document.keys() - _KNOWN:
        yield f"unknown fields {sorted(unknown)}"
    if not _is_text(document.get("title")) or len(document["title"]) > 255:
        yield "title can't be blank"
    if document.get("urgency") not in _URGENCIES:
        yield "urgency is not included in the list"
    for name, known in _DESTINATIONS.items():
        ids = document.get(name, [])
        if not isinstance(ids, list) or set(ids) - known:
            yield f"{name} must exist"
    if not any(document.get(name) for name in _DESTINATIONS):
        yield "at least one destination is required"
    yield from _meta_problems(document.get("meta", {}))


def _event_problems(event: object) -> Iterator[str]:
    if not isinstance(event, dict):
        yield "not an object"
        return
    if unknown := event.keys() - _KNOWN_EVENT:
        yield f"unknown fields {sorted(unknown)}"
    if event.get("event_type") not in ("create", "acknowledge", "resolve"):
        yield "event_type is none of theirs"
    for name in ("Id", "Title", "Description"):
        if not _is_text(event.get(name)):
            yield f"{name} can't be blank"
    if event.get("Urgency", "low") not in _URGENCIES:
        yield "Urgency is not included in the list"
    yield from _meta_problems(event.get("Meta", {}))


def _meta_problems(meta: object) -> Iterator[str]:
    if not isinstance(meta, dict) or meta.keys() - _META:
        yield "meta is not theirs"
    elif meta and (meta.get("incident") is not True or meta.get("incident_severity") not in _SEVS):
        yield "meta.incident_severity is not included in the list"
    elif meta and not _is_text(meta.get("incident_message")):
        yield "meta.incident_message can't be blank"


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())
