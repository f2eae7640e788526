"""What somebody pressed in a message on Slack, however it comes to us: read, done, and what is said back.

Knows their payload. Must not know how it came, or whether to believe it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog

from sevrouter.domain.acknowledging import LONGEST_NAME
from sevrouter.domain.text import one_line
from sevrouter.engine.acknowledging import Said, Taken
from sevrouter.engine.ports import NotStoredError

if TYPE_CHECKING:
    from sevrouter.domain.ownership import Person
    from sevrouter.engine.acknowledging import Acknowledging

log = structlog.get_logger()

HOW = "slack"
ACKNOWLEDGE = "acknowledge"
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
        key, at = pressed
        by = self._name(payload.get("user"))
        try:
            said = await self._acknowledging.acknowledge(key, by=by, how=HOW, at=at)
        except NotStoredError:
            self._say(payload, "This could not be stored just now: please press it again.")
            raise
        log.info("slack_pressed", by=by, incident=said.incident_id, result=said.taken.value)
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
        task = asyncio.create_task(self._responded(address, text))
        self._responses.add(task)
        task.add_done_callback(self._responses.discard)

    async def _responded(self, address: str, text: str) -> None:
        await self._respond(address, text)


def _pressed(payload: object) -> tuple[str, datetime | None] | None:
    """The key of the incident whose button was pressed, and when that was."""
    if not isinstance(payload, Mapping) or payload.get("type") != "block_actions":
        return None
    actions = payload.get("actions")
    for each in actions if isinstance(actions, list) else ():
        if isinstance(each, Mapping) and each.get("action_id") == ACKNOWLEDGE and isinstance(each.get("value"), str):
            return str(each["value"]), _moment(each.get("action_ts"))
    return None


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
            return "Nobody here knows this incident any more."
        case _:
            return None
