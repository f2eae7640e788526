"""The ticket, in Jira: filed once, commented on afterwards, and never touched where humans edit it.

Knows what follows from Jira's answers, and how long it hides a new issue from its own search. Must not know
its addresses, what a ticket says, or when to try again.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sevrouter.domain.backoff import Schedule
from sevrouter.domain.delivery import Delivered, NoticeKind, OutcomeReason, Rejected, Unknown
from sevrouter.notifiers.answers import Answer, Failure, judge
from sevrouter.notifiers.jira_dialect import Deployment, Dialect, dialect_of
from sevrouter.notifiers.jira_life import Kept, Life, keep_up
from sevrouter.notifiers.jira_site import STATUSES, JiraSite, Login, ask_dialect, is_issue_key
from sevrouter.notifiers.jira_ticket import OPTIONAL, Form, comment, fields, marker
from sevrouter.notifiers.redaction import read_secret

if TYPE_CHECKING:
    from collections.abc import Mapping, Set

    from sevrouter.domain.delivery import Delivery, Notice, Outcome
    from sevrouter.domain.ownership import Team
    from sevrouter.notifiers.base import Secret
    from sevrouter.notifiers.http import Transport

# Search shows a new issue after seconds to minutes, so after an unknown create it is looked for at these times.
SETTLE = (timedelta(seconds=30), timedelta(seconds=60), timedelta(seconds=120), timedelta(seconds=300))
SCHEDULE = Schedule(first=timedelta(seconds=2), longest=timedelta(minutes=5), settle=SETTLE)


class Jira:
    """Files an issue in the owning team's project, or in the default one, and says there how it goes on."""

    def __init__(
        self,
        transport: Transport,
        *,
        url: str,
        token: Secret,
        deployment: Deployment = "auto",
        email: str | None = None,
        project: str | None = None,
        form: Form | None = None,
        life: Life | None = None,
        teams: Mapping[str, Team] | None = None,
    ) -> None:
        self._transport = transport
        self._url = url
        self._dialect = dialect_of(deployment, url)
        self._token = token
        self._email = email
        self._project = project
        self._form = form or Form()
        self._life = life or Life()
        self._teams = teams or {}

    async def deliver(self, delivery: Delivery) -> Outcome:
        """File the ticket, or comment on the one that there is."""
        token = read_secret(self._token)
        if not isinstance(token, str):
            return token
        login = Login.of(self._email, token)
        dialect = self._dialect or await ask_dialect(self._transport, self._url, login)
        if not isinstance(dialect, Dialect):
            return dialect
        self._dialect = dialect
        return await self._tell(JiraSite(self._transport, url=self._url, login=login, dialect=dialect), delivery)

    async def _tell(self, site: JiraSite, delivery: Delivery) -> Outcome:
        if delivery.reference is not None and is_issue_key(delivery.reference):
            return await self._go_on(site, delivery, delivery.reference)
        if delivery.notice.kind is NoticeKind.OPENED and delivery.unknowns == 0:
            return await self._file(site, delivery.notice)
        return await self._look_first(site, delivery)

    async def _look_first(self, site: JiraSite, delivery: Delivery) -> Outcome:
        """There may be a ticket whose key never reached us."""
        notice = delivery.notice
        key = await site.find(notice.key)
        if isinstance(key, str):
            if notice.kind is NoticeKind.OPENED:
                return Delivered(reference=key, detail="found by its label")
            return await self._go_on(site, delivery, key)
        if key is not None:
            return key
        if notice.kind is NoticeKind.RESOLVED:
            return Rejected(OutcomeReason.NOT_FOUND, "there is no ticket to comment on")
        # Each unknown outcome is one search that found nothing, but for the first, which was the create.
        if delivery.unknowns % len(SETTLE) != 0:
            return Unknown(OutcomeReason.NOT_VISIBLE_YET, "an earlier create may have filed it; search shows nothing")
        return await self._file(site, notice)

    async def _go_on(self, site: JiraSite, delivery: Delivery, key: str) -> Outcome:
        """Have the ticket keep up, and say on it what happened, unless people want to hear no more."""
        notice = delivery.notice
        priority = self._form.priorities.get(notice.sev)
        kept = await keep_up(site, key, delivery, self._life, priority)
        if not isinstance(kept, Kept):
            return kept
        if kept.wont_fix is not None:
            return Delivered(key, OutcomeReason.WONT_FIX, f"people closed it as {kept.wont_fix}, and it is left so")
        told = await _comment(site, delivery, key)
        if isinstance(told, Delivered) and kept.missed:
            return Delivered(key, OutcomeReason.INCOMPLETE, kept.missed)
        return told

    async def _file(self, site: JiraSite, notice: Notice) -> Outcome:
        team = self._teams.get(notice.owner) if notice.owner else None
        project = (team.jira_project if team else None) or self._project
        if project is None:
            return Rejected(OutcomeReason.NOT_CONFIGURED, f"neither {notice.owner or 'nobody'} nor Jira has a project")
        wanted = fields(
            notice,
            site.dialect,
            self._form.of(team),
            project=project,
            assignee=team.jira_assignee.jira if team and team.jira_assignee else None,
        )
        answer = await site.create(wanted)
        if refused := _needlessly_refused(answer):
            # Somebody who left must not keep a ticket from being filed, and this answer says that none was.
            rest = {name: value for name, value in wanted.items() if name not in refused}
            return _without(refused, _filed(await site.create(rest)))
        return _filed(answer)


async def _comment(site: JiraSite, delivery: Delivery, key: str) -> Outcome:
    if delivery.unknowns > 0:
        posted = await site.has_comment(key, marker(delivery))
        if not isinstance(posted, bool):
            return posted
        if posted:
            return Delivered(reference=key, detail="found among the comments")
    answer = await site.add_comment(key, comment(delivery, site.dialect.document))
    if not isinstance(answer, Answer):
        return answer
    return Delivered(reference=key) if answer.status == 201 else judge(answer, STATUSES)


def _without(refused: Set[str], filed: Outcome) -> Outcome:
    if not isinstance(filed, Delivered):
        return filed
    reason = OutcomeReason.UNASSIGNED if "assignee" in refused else OutcomeReason.INCOMPLETE
    return Delivered(reference=filed.reference, reason=reason, detail=f"filed without {', '.join(sorted(refused))}")


def _filed(answer: Answer | Failure) -> Outcome:
    if not isinstance(answer, Answer):
        return answer
    match answer.document:
        case {"key": str(key)} if answer.status == 201 and is_issue_key(key):
            return Delivered(reference=key)
        case _:
            return judge(answer, STATUSES)


def _needlessly_refused(answer: Answer | Failure) -> Set[str]:
    """The fields that alone kept a ticket from being filed, where it can do without."""
    if not isinstance(answer, Answer) or answer.status != 400 or answer.document.get("errorMessages"):
        return frozenset()
    errors = answer.document.get("errors")
    return errors.keys() if isinstance(errors, dict) and errors.keys() <= OPTIONAL else frozenset()
