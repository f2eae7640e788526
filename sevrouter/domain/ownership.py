"""What is affected, whose it is, and how those people are reached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sevrouter.domain.labels import Matcher, all_match

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can be reached: phone in E.164, Slack user id, Jira account id; None where not known."""

    name: str
    phone: str | None = None
    slack: str | None = None
    jira: str | None = None


@dataclass(frozen=True, slots=True)
class Team:
    """Who owns systems. `slack_mention` is the id of a user (U…) or a user group (S…).

    What is None is as the integration says.
    """

    name: str
    slack_channel: str | None = None
    slack_mention: str | None = None
    jira_project: str | None = None
    jira_assignee: Person | None = None
    jira_issue_type: str | None = None
    jira_components: tuple[str, ...] | None = None
    jira_labels: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class System:
    """Something that alerts speak of, and the team that owns it."""

    name: str
    matchers: tuple[Matcher, ...]
    owner: str


@dataclass(frozen=True, slots=True)
class Owned:
    """The affected system and its owning team. Without a system the default owner answers, if there is one."""

    system: str | None
    owner: str | None


@dataclass(frozen=True, slots=True)
class Ownership:
    """The systems in the order of the configuration; the first that matches an alert is the affected one."""

    systems: tuple[System, ...] = ()
    default_owner: str | None = None

    def of(self, labels: Mapping[str, str]) -> Owned:
        """Whose an alert with these labels is."""
        for system in self.systems:
            if all_match(system.matchers, labels):
                return Owned(system.name, system.owner)
        return Owned(None, self.default_owner)
