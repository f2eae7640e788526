"""A workflow of Jira's: three statuses, transitions that may demand fields, and what is written on issues later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.standins.vendor import Effect, Reply

if TYPE_CHECKING:
    from tests.standins.jira import Issue

# By the id of the transition: the status that it leads to, and that status's category.
WORKFLOW = {"11": ("To Do", "new"), "21": ("In Progress", "indeterminate"), "31": ("Done", "done")}
CATEGORIES = dict(WORKFLOW.values())


@dataclass(kw_only=True)
class Moved(Effect):
    """An issue went through a transition."""

    issue: str
    status: str


@dataclass(kw_only=True)
class Edited(Effect):
    """Fields of an issue were written."""

    issue: str
    fields: Mapping[str, object] = field(repr=False)


def refused(status: int, message: str) -> Reply:
    """An answer that says why nothing was done."""
    return Reply(status, {"errorMessages": [message], "errors": {}}, refused=message)


def standing(issue: Issue, query: Mapping[str, str], *, says_null: bool) -> Reply:
    """What was asked for of an issue; what it has not is null, or is not said."""
    known = {
        "status": {"name": issue.status, "statusCategory": {"key": CATEGORIES[issue.status]}},
        "resolution": None if issue.resolution is None else {"name": issue.resolution},
    }
    wanted = query.get("fields", "").split(",")
    shown = {name: value for name, value in known.items() if name in wanted and (says_null or value)}
    return Reply(200, {"id": "10001", "key": issue.key, "fields": shown})


def offered(issue: Issue) -> Reply:
    """The transitions that lead elsewhere."""
    shown = [
        {"id": number, "name": f"Nach {status}", "to": {"name": status, "statusCategory": {"key": category}}}
        for number, (status, category) in WORKFLOW.items()
        if status != issue.status
    ]
    return Reply(200, {"transitions": shown})


def move(issue: Issue, body: Mapping[str, object], screen: frozenset[str]) -> Reply | Moved:
    """Take an issue through a transition. `screen` names the fields that its end demands, and takes no others."""
    fields = body.get("fields", {})
    match body:
        case {"transition": {"id": str(number), **more}} if not more and body.keys() <= {"transition", "fields"}:
            pass
        case _:
            return refused(400, "a transition's id is required, and nothing but fields is known beside it")
    if number not in WORKFLOW or WORKFLOW[number][0] == issue.status:
        return refused(400, f"It seems that you have tried to perform an illegal workflow operation: {number}")
    status, category = WORKFLOW[number]
    wanted = screen if category == "done" else frozenset()
    if not isinstance(fields, dict) or fields.keys() != wanted:
        return refused(400, f"the screen holds {sorted(wanted)}, and {fields} was sent")
    issue.status = status
    resolution = fields.get("resolution", {"name": "Done"}) if category == "done" else {}
    issue.resolution = resolution.get("name")
    return Moved(issue=issue.key, status=status)


def edit(issue: Issue, body: Mapping[str, object], priorities: tuple[str, ...]) -> Reply | Edited:
    """Write the priority of an issue, which is all that anybody should."""
    match body:
        case {"fields": {"priority": {"name": str(name)}}} if name in priorities:
            issue.fields = {**issue.fields, "priority": {"name": name}}
            return Edited(issue=issue.key, fields={"priority": {"name": name}})
        case _:
            return refused(400, f"{body} cannot be set")
