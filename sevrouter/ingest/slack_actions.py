"""What somebody pressed in a message on Slack, however it comes to us: read, done, and what is said back.

Knows their payload. Must not know how it came, or whether to believe it.
"""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog

from sevrouter.domain.acknowledging import LONGEST_NAME
from sevrouter.domain.explanation import headline, reasons
from sevrouter.domain.text import one_line, shorten
from sevrouter.engine.acknowledging import Said, Taken
from sevrouter.engine.ports import NotStoredError

if TYPE_CHECKING:
    from sevrouter.domain.incident import Incident
    from sevrouter.domain.ownership import Person
    from sevrouter.engine.acknowledging import Acknowledging

log = structlog.get_logger()

HOW = "slack"
ACKNOWLEDGE, RESOLVE, EXPLAIN = "acknowledge", "resolve", "explain"
# Characters of what is said to who pressed, before any is escaped.
LONGEST_EXPLANATION = 3_000
_UNKNOWN = "Nobody here knows this incident any more."
_SECONDS = re.compile(r"[0-9]{1,11}(\.[0-9]{1,9})?", re.ASCII)

# Says a text to who pressed, at an address that only they are given.
Respond = Callable[[str, str], Awaitable[None]]
People = Callable[[], Mapping[str, "Person"]]


class SlackActions:
    """Does what was pressed. `people` are ours, to name them as we do."""

    def __init__(self, acknowledging: Acknowledging, *, people: People, respond: Respond) -> None:
        self._acknowledging = acknowledging
        self._people = people
        self._respond = respond
        self._responses: set[asyncio.Task[None]] = set()

    async def take(self, payload: object) -> None:
        """Do it. Raises NotStoredError where it could not be stored."""
        pressed = _pressed(payload)
        if pressed is None or not isinstance(payload, Mapping):
            return
        try:
            if pressed.action == EXPLAIN:
                self._say(payload, _explained(await self._acknowledging.look(pressed.key)))
            else:
                await self._do(pressed, payload)
        except NotStoredError:
            self._say(payload, "This could not be stored just now: please press it again.")
            raise

    async def _do(self, pressed: _Pressed, payload: Mapping[str, Any]) -> None:
        by = self._name(payload.get("user"))
        do = self._acknowledging.resolve if pressed.action == RESOLVE else self._acknowledging.acknowledge
        said = await do(pressed.key, by=by, how=HOW, at=pressed.at)
        log.info("slack_pressed", by=by, button=pressed.action, incident=said.incident_id, result=said.taken.value)
        answer = _answer(said)
        if answer is not None:
            self._say(payload, answer)

    def _name(self, user: object) -> str:
        found: Mapping[str, Any] = user if isinstance(user, Mapping) else {}
        identity = found.get("id")
        known = next((each.name for each in self._people().values() if each.slack and each.slack == identity), None)
        said = next((found[each] for each in ("username", "name", "id") if isinstance(found.get(each), str)), "")
        return known or one_line(said, LONGEST_NAME) or "somebody on Slack"

    def _say(self, payload: Mapping[str, Any], text: str) -> None:
        address = payload.get("response_url")
        if not isinstance(address, str):
            return
        # They wait three seconds for our answer to what was pressed, and this is another matter.
        task = asyncio.create_task(self._responded(address, html.escape(text, quote=False)))
        self._responses.add(task)
        task.add_done_callback(self._responses.discard)

    async def _responded(self, address: str, text: str) -> None:
        await self._respond(address, text)


@dataclass(frozen=True, slots=True)
class _Pressed:
    """A button of ours, the key of its incident, and when it was pressed."""

    action: str
    key: str
    at: datetime | None


def _pressed(payload: object) -> _Pressed | None:
    """The first button of ours that was pressed."""
    if not isinstance(payload, Mapping) or payload.get("type") != "block_actions":
        return None
    actions = payload.get("actions")
    for each in actions if isinstance(actions, list) else ():
        match each:
            case {"action_id": "acknowledge" | "resolve" | "explain" as action, "value": str(key)}:
                return _Pressed(action, key, _moment(each.get("action_ts")))
    return None


def _explained(incident: Incident | None) -> str:
    """Why an incident is as bad as it is: the rules, their values against thresholds, and the configuration."""
    if incident is None:
        return _UNKNOWN
    lines = (headline(incident), *reasons(incident), f"Configuration: {incident.evidence.config_hash}")
    return shorten("\n".join(lines), LONGEST_EXPLANATION)


def _moment(text: object) -> datetime | None:
    """Their seconds since 1970, as a time; None where that is none."""
    if not isinstance(text, str) or _SECONDS.fullmatch(text) is None:
        return None
    return datetime.fromtimestamp(float(text), UTC)


def _answer(said: Said) -> str | None:
    """What who pressed is told, where the thread does not show it."""
    match said.taken:
        case Taken.OWNED:
            return f"{said.owner} owns it already ({said.how})."
        case Taken.OVER:
            return "It is over already."
        case Taken.EARLIER:
            return "It has rung again since you pressed it: please press it once more."
        case Taken.UNKNOWN:
            return _UNKNOWN
        case Taken.FIRING:
            return f"It still fires: {said.owner} owns it, and it is over once its alerts are."
        case _:
            return None
