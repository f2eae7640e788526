"""What a ticket and its comments say, in Jira's fields and documents. Text from an alert stays literal.

Knows Jira's limits. Must not know how a ticket is sent or found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sevrouter.domain.delivery import NoticeKind
from sevrouter.domain.sev import Sev
from sevrouter.domain.text import one_line
from sevrouter.notifiers import adf
from sevrouter.notifiers.wording import DEPLOYED, bridge_of, facts, instant, origin, state_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sevrouter.domain.delivery import Delivery, Notice
    from sevrouter.domain.ownership import Team
    from sevrouter.notifiers.jira_dialect import Dialect, Document

LONGEST_SUMMARY = 255

OWN_LABEL = "sevrouter"

# What its note says all about.
_PLAIN = frozenset(
    {
        NoticeKind.RESOLVED,
        NoticeKind.SUPPRESSED,
        NoticeKind.STALE,
        NoticeKind.ACKNOWLEDGED,
        NoticeKind.ACK_ENDED,
        NoticeKind.UNANSWERED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What a new issue is beside its texts. `priorities` are Jira's names."""

    issue_type: str = "Bug"
    labels: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    priorities: Mapping[Sev, str] = field(default_factory=dict)

    def of(self, team: Team | None) -> Form:
        """As a team wants it."""
        if team is None:
            return self
        return Form(
            issue_type=self.issue_type if team.jira_issue_type is None else team.jira_issue_type,
            labels=self.labels if team.jira_labels is None else team.jira_labels,
            components=self.components if team.jira_components is None else team.jira_components,
            priorities=self.priorities,
        )


# Without these there is still a ticket.
OPTIONAL = frozenset({"assignee", "components", "priority"})


def fields(notice: Notice, dialect: Dialect, form: Form, *, project: str, assignee: str | None) -> dict[str, object]:
    """The fields of a new issue."""
    known: dict[str, object] = {
        "project": {"key": project},
        "issuetype": {"name": form.issue_type},
        "summary": _summary(notice.title) or str(notice.sev),
        "description": description(notice, dialect.document),
        "labels": list(dict.fromkeys([*form.labels, OWN_LABEL, notice.key])),
    }
    if form.components:
        known["components"] = [{"name": name} for name in form.components]
    if priority := form.priorities.get(notice.sev):
        known["priority"] = {"name": priority}
    if assignee:
        known["assignee"] = {dialect.assignee: assignee}
    return known


def _summary(title: str) -> str:
    # Jira counts as Java does: a character beyond the first 65,536 is two.
    doubled = sum(character > "\uffff" for character in title[:LONGEST_SUMMARY])
    return one_line(title, LONGEST_SUMMARY - doubled)


def description(notice: Notice, document: Document) -> adf.Node | str:
    """Why there is a ticket, with all that a reader needs to judge that."""
    return document(_explanation(notice), last=adf.paragraph(adf.text(origin(notice))))


def comment(delivery: Delivery, document: Document) -> adf.Node | str:
    """What happened to the incident. Its last line is found again when nobody knows whether it was posted."""
    notice = delivery.notice
    told = [adf.paragraph(adf.text(f"{notice.sev}: {state_of(notice)} at {instant(notice.at)}"))]
    if notice.note:
        told.append(adf.paragraph(adf.text(notice.note)))
    if notice.kind not in _PLAIN:
        told += _explanation(notice)
    return document(told, last=adf.paragraph(adf.text(marker(delivery))))


def marker(delivery: Delivery) -> str:
    """A line that no other delivery has."""
    notice = delivery.notice
    return f"sevrouter · {notice.key} · {notice.kind.value} · {delivery.id}"


def _explanation(notice: Notice) -> Iterator[adf.Node]:
    known = facts(notice) | ({"Bridge": bridge} if (bridge := bridge_of(notice)) else {})
    yield adf.bullets(adf.paragraph(adf.text(f"{name}: {value}")) for name, value in known.items())
    for name, told in ((DEPLOYED, notice.deployments), ("Why", notice.why)):
        # Jira refuses a document with an empty text or list in it.
        if lines := [line for line in told if line]:
            yield adf.heading(name)
            yield adf.bullets(adf.paragraph(adf.text(line)) for line in lines)
    if notice.links:
        yield adf.heading("Links")
        yield adf.bullets(adf.paragraph(adf.text(name, link=url)) for name, url in notice.links.items())
    if notice.description:
        yield adf.heading("Description")
        yield adf.lines(notice.description)
    if notice.labels:
        yield adf.heading("Labels")
        yield adf.lines("\n".join(f"{name} = {value}" for name, value in notice.labels.items()))
