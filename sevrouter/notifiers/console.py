"""A demo's integration: prints the call, the message and the ticket that there would have been.

Knows how to draw them. Must not know a network.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

from sevrouter.domain.backoff import Schedule
from sevrouter.domain.delivery import CALL, Delivered, NoticeKind, OutcomeReason, Rejected, Retry
from sevrouter.domain.text import many_lines, one_line
from sevrouter.notifiers.wording import bridge_of, facts, origin, state_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sevrouter.domain.delivery import Delivery, Notice, Outcome
    from sevrouter.domain.ownership import Person, Team

SCHEDULE = Schedule(first=timedelta(seconds=1), longest=timedelta(seconds=30))

JIRA = "jira"


def to_stdout(text: str) -> None:
    """Print at once, also into a pipe."""
    sys.stdout.write(text)
    sys.stdout.flush()


class Console:
    """Prints a delivery; the name of its integration says whether as a call, a ticket or a message.

    With `is_call` it stands for a paging service, and whatever it is named, it prints calls.
    """

    def __init__(
        self,
        write: Callable[[str], None] = to_stdout,
        *,
        teams: Mapping[str, Team] | None = None,
        people: Mapping[str, Person] | None = None,
        is_call: bool = False,
    ) -> None:
        self._write = write
        self._is_call = is_call
        self._teams = teams or {}
        self._people = people or {}

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Print one block."""
        text = "\n".join([self._headline(delivery), *_body(delivery.notice), ""]) + "\n"
        try:
            # A terminal that is stopped stops its writer, which must not be the loop.
            await asyncio.to_thread(self._write, text)
        except OSError as error:
            return Retry(OutcomeReason.UNREACHABLE, f"cannot print: {type(error).__name__}")
        except ValueError as error:
            return Rejected(OutcomeReason.REFUSED, f"cannot print: {type(error).__name__}")
        return Delivered(reference=delivery.reference or f"console-{delivery.id}")

    def _headline(self, delivery: Delivery) -> str:
        notice = delivery.notice
        title = one_line(notice.title)
        match delivery.integration:
            case name if name == CALL or self._is_call:
                return f"☎ CALL {self._callee(notice)}: {_news(notice)}{title}"
            case name if name == JIRA:
                return f"✎ TICKET {state_of(notice)}, assigned to {self._assignee(notice)}: {title}"
            case name:
                return f"✉ {one_line(name, 40).upper()} {self._channel(notice)}: {state_of(notice)}: {title}"

    def _team(self, notice: Notice) -> Team | None:
        return self._teams.get(notice.owner) if notice.owner else None

    def _callee(self, notice: Notice) -> str:
        team = self._team(notice)
        if team is None:
            return "whoever is on call"
        person = team.jira_assignee
        return f"{person.name} ({person.phone})" if person and person.phone else f"{team.name}'s on-call"

    def _assignee(self, notice: Notice) -> str:
        team = self._team(notice)
        return team.jira_assignee.name if team and team.jira_assignee else "nobody"

    def _channel(self, notice: Notice) -> str:
        team = self._team(notice)
        if team is None:
            return "the default channel"
        mentioned = next((each.name for each in self._people.values() if each.slack == team.slack_mention), None)
        channel = team.slack_channel or f"{team.name}'s channel"
        return f"{channel} @{mentioned}" if mentioned and notice.sev.value <= 3 else channel


# What a call says before its title, where it is not the first.
_NEWS = {
    NoticeKind.RESOLVED: "over, resolved",
    NoticeKind.ACK_ENDED: "once more, nobody owns it any more",
    NoticeKind.UNANSWERED: "nobody answers, call by hand",
}


def _news(notice: Notice) -> str:
    match notice.kind:
        case NoticeKind.OPENED:
            return ""
        case NoticeKind.ACKNOWLEDGED:
            return f"over, owned by {one_line(notice.acknowledged_by or 'somebody', 80)}: "
        case kind:
            return f"{_NEWS.get(kind) or state_of(notice)}: "


def _body(notice: Notice) -> Iterator[str]:
    yield "  " + " · ".join(f"{name}: {one_line(value, 80)}" for name, value in facts(notice).items())
    if notice.note:
        yield f"  {one_line(notice.note, 500)}"
    if bridge := bridge_of(notice):
        yield f"  Bridge: {one_line(bridge, 500)}"
    yield from (f"  because {one_line(line, 500)}" for line in notice.why)
    yield from (f"  {one_line(line, 500)}" for line in notice.deployments)
    yield from (f"  | {line}" for line in many_lines(notice.description, 2_000).splitlines())
    yield from (f"  {name}: {url}" for name, url in notice.links.items())
    yield f"  {origin(notice)}"
