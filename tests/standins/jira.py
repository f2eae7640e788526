"""Jira: projects, the people who can be assigned, issues and their comments, and a lagging search.

Cloud, version 3 of the API, and Data Center, version 2, which takes texts and user names and is searched elsewhere.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast

from tests.standins.adf import LONGEST_TEXT, document_problems, java_length, text_of
from tests.standins.jira_workflow import Edited, Moved, edit, move, offered, refused, standing
from tests.standins.vendor import WITHIN, Effect, Reply, Seen, Vendor
from tests.standins.wiki import render

EMAIL = "bot@example.com"
PRIORITIES = ("Highest", "High", "Medium", "Low", "Lowest")
TOKEN = "ATATT3xFfGF0MadeUpTokenOfATest"

_FIELDS = {"project", "issuetype", "summary", "description", "labels", "assignee", "components", "priority"}
_LABEL_CLAUSE = re.compile(r'labels\s*=\s*"((?:[^"\\]|\\.)*)"\s*(?:ORDER BY .*)?', re.IGNORECASE)


@dataclass(kw_only=True)
class Comment(Effect):
    """A comment on an issue."""

    id: str
    issue: str
    text: str
    body: object = field(repr=False)


@dataclass(kw_only=True)
class Issue(Effect):
    """An issue. `hidden` is how many searches do not find it yet."""

    key: str
    fields: Mapping[str, object] = field(repr=False)
    comments: list[Comment] = field(default_factory=list)
    hidden: int = 0
    status: str = "To Do"
    resolution: str | None = None

    @property
    def summary(self) -> str:
        """Its one line."""
        return str(self.fields["summary"])

    @property
    def description(self) -> str:
        """Its description without formatting."""
        written = self.fields.get("description", "")
        return render(written).text if isinstance(written, str) else text_of(written)

    @property
    def labels(self) -> tuple[str, ...]:
        """Its labels."""
        return tuple(cast("list[str]", self.fields.get("labels", [])))

    @property
    def project(self) -> str:
        """The key of its project."""
        return cast("Mapping[str, str]", self.fields["project"])["key"]

    @property
    def assignee(self) -> str | None:
        """The account that it is assigned to."""
        assignee = self.fields.get("assignee")
        return str(next(iter(assignee.values()))) if isinstance(assignee, dict) else None


class Jira(Vendor[Issue | Comment | Moved | Edited]):
    """One site in the cloud, with one account."""

    contract_file = "jira-cloud-v3.json"
    contract_host = "https://your-domain.atlassian.net"
    version = 3
    search_path: tuple[str, ...] = ("search", "jql")
    account_field = "accountId"
    says_null = True
    about: Mapping[str, object] = {"deploymentType": "Cloud", "version": "1001.0.0-SNAPSHOT"}

    def __init__(
        self,
        *,
        email: str | None = EMAIL,
        token: str = TOKEN,
        projects: tuple[str, ...] = ("PAY", "OPS"),
        issue_types: tuple[str, ...] = ("Bug", "Task"),
        assignable: tuple[str, ...] = ("5b10ac8d",),
    ) -> None:
        super().__init__()
        self.credentials = f"{email}:{token}" if email else token
        basic = base64.b64encode(self.credentials.encode()).decode()
        self._authorization = f"Basic {basic}" if email else f"Bearer {token}"
        self.projects = projects
        self.issue_types = issue_types
        self.assignable = set(assignable)
        self.components = {"Checkout", "Operations"}
        self.search_lag = 0
        self.issues: dict[str, Issue] = {}
        self.searches: list[str] = []
        # Old keys of issues that people have moved to another project, which go on to work.
        self.moved: dict[str, str] = {}
        # What the screen of the transition to Done demands.
        self.screen: frozenset[str] = frozenset()

    async def answer(self, seen: Seen) -> Reply:
        """Do what a request of the API asks for."""
        if seen.headers.get("Authorization") != self._authorization:
            return refused(401, "Client must be authenticated to access this resource.")
        if (seen.method, seen.path) == ("GET", "/rest/api/2/serverInfo"):
            return Reply(200, self.about)
        body = seen.json if seen.body else {}
        if not isinstance(body, dict):
            return refused(400, "There was an error parsing JSON.")
        return self._route(seen, body)

    def described_as(self, path: str) -> str:
        """The published file is of version 3 alone; version 2 says the same of the site."""
        return path.replace("/rest/api/2/serverInfo", f"/rest/api/{self.version}/serverInfo")

    def _route(self, seen: Seen, body: Mapping[str, object]) -> Reply:
        match seen.method, seen.path.removeprefix(f"/rest/api/{self.version}/").split("/"):
            case "POST", ["issue"]:
                return self._create(body)
            case "POST", ["search", *rest] if ("search", *rest) == self.search_path:
                return self._search(body)
            case "GET" | "POST", ["search"]:
                return refused(410, "The requested API has been removed. Please migrate to /rest/api/3/search/jql.")
            case _, ["issue", key, *rest]:
                issue = self.issues.get(self.moved.get(key, key))
                if issue is None:
                    return refused(404, "Issue does not exist or you do not have permission to see it.")
                return self._of(issue, (seen.method, *rest), seen.query, body)
            case _:
                return refused(404, "null for uri")

    def _of(self, issue: Issue, asked: tuple[str, ...], query: Mapping[str, str], body: Mapping[str, object]) -> Reply:
        match asked:
            case ("POST", "comment"):
                return self._comment(issue, body)
            case ("GET", "comment"):
                return self._comments(issue, query)
            case ("GET",):
                return standing(issue, query, says_null=self.says_null)
            case ("GET", "transitions"):
                return offered(issue)
            case ("POST", "transitions") | ("PUT",):
                is_move = asked[0] == "POST"
                return self._written(move(issue, body, self.screen) if is_move else edit(issue, body, PRIORITIES))
            case _:
                return refused(404, "null for uri")

    def _written(self, done: Reply | Moved | Edited) -> Reply:
        if isinstance(done, Reply):
            return done
        self.effects.append(done)
        return Reply(204, {})

    def show_all(self) -> None:
        """Let search catch up."""
        for issue in self.issues.values():
            issue.hidden = 0

    def _create(self, body: Mapping[str, object]) -> Reply:
        fields = body.get("fields")
        if not isinstance(fields, dict) or body.keys() != {"fields"}:
            return refused(400, "fields are required, and nothing else is known")
        errors = dict(self._field_errors(fields))
        if errors:
            return Reply(400, {"errorMessages": [], "errors": errors}, refused=json.dumps(errors))
        number = 1 + len(self.issues)
        issue = Issue(key=f"{fields['project']['key']}-{number}", fields=fields, hidden=self.search_lag)
        self.issues[issue.key] = issue
        self.effects.append(issue)
        address = f"{self.url}/rest/api/{self.version}/issue/{number}"
        return Reply(201, {"id": str(10_000 + number), "key": issue.key, "self": address})

    def _field_errors(self, fields: Mapping[str, object]) -> Iterator[tuple[str, str]]:
        for name in fields.keys() - _FIELDS:
            yield name, f"Field '{name}' cannot be set. It is not on the appropriate screen, or unknown."
        if fields.get("project") not in [{"key": key} for key in self.projects]:
            yield "project", "valid project is required"
        if fields.get("issuetype") not in [{"name": name} for name in self.issue_types]:
            yield "issuetype", "Specify a valid issue type"
        yield from _summary_errors(fields.get("summary"))
        yield from _label_errors(fields.get("labels", []))
        for problem in self.body_problems(fields.get("description")):
            yield "description", problem
        for component in cast("list[object]", fields.get("components", [])):
            if component not in [{"name": name} for name in self.components]:
                yield "components", f"Component name '{component}' is not valid"
        if fields.get("priority", {"name": "Low"}) not in [{"name": name} for name in PRIORITIES]:
            yield "priority", "The priority selected is invalid."
        assignee = fields.get("assignee")
        if assignee is not None and assignee not in [{self.account_field: each} for each in self.assignable]:
            yield "assignee", f"User '{assignee}' cannot be assigned issues."

    def _search(self, query: Mapping[str, object]) -> Reply:
        if unknown := query.keys() - {"jql", "fields", "maxResults", "nextPageToken"}:
            return refused(400, f"unknown {sorted(unknown)}")
        jql = str(query.get("jql", ""))
        found = _LABEL_CLAUSE.fullmatch(jql.strip())
        if found is None:
            return refused(400, f"Unbounded JQL queries are not allowed here, nor is anything but a label: {jql}")
        self.searches.append(jql)
        label = re.sub(r"\\(.)", r"\1", found[1])
        shown = []
        for issue in self.issues.values():
            if issue.hidden > 0:
                issue.hidden -= 1
            elif label in issue.labels:
                shown.append({"id": str(10_000), **({"key": issue.key} if query.get("fields") else {})})
        return Reply(200, {"issues": shown, "isLast": True})

    def _comment(self, issue: Issue, body: Mapping[str, object]) -> Reply:
        if body.keys() != {"body"}:
            return refused(400, "a body is required, and nothing else is known")
        document = body["body"]
        if problem := next(self.body_problems(document), None):
            return refused(400, problem)
        comment = Comment(id=str(len(issue.comments) + 1), issue=issue.key, text=self.shown(document), body=document)
        issue.comments.append(comment)
        self.effects.append(comment)
        return Reply(201, {"id": comment.id, "body": document})

    def _comments(self, issue: Issue, query: Mapping[str, str]) -> Reply:
        comments = issue.comments
        ordered = comments[::-1] if query.get("orderBy") == "-created" else comments
        shown = [{"id": each.id, "body": each.body} for each in ordered[: int(query.get("maxResults", "100"))]]
        return Reply(200, {"comments": shown, "startAt": 0, "maxResults": 100, "total": len(comments)})

    def body_problems(self, body: object) -> Iterator[str]:
        """Why a description or a comment cannot be taken."""
        return document_problems(body)

    def shown(self, body: object) -> str:
        """What a reader sees of a body that was taken."""
        return text_of(body)

    # What a test expects

    async def expect_issue(
        self,
        summary: str = "",
        *,
        project: str | None = None,
        assignee: str | None = None,
        within: float = WITHIN,
    ) -> Issue:
        """Claim an issue, its summary found by a regular expression."""
        found = await self.expect(
            f"issue {summary!r}",
            lambda each: isinstance(each, Issue)
            and re.search(summary, each.summary) is not None
            and project in (None, each.project)
            and assignee in (None, each.assignee),
            within=within,
        )  # fmt: skip
        return cast("Issue", found)

    async def expect_comment(self, issue: str, text: str = "", *, within: float = WITHIN) -> Comment:
        """Claim a comment on an issue, its text found by a regular expression."""
        found = await self.expect(
            f"comment {text!r} on {issue}",
            lambda each: isinstance(each, Comment) and each.issue == issue and re.search(text, each.text) is not None,
            within=within,
        )
        return cast("Comment", found)

    async def expect_move(self, issue: str, status: str, *, within: float = WITHIN) -> None:
        """Claim a transition of an issue to a status."""
        await self.expect(
            f"{issue} to be {status}",
            lambda each: isinstance(each, Moved) and (each.issue, each.status) == (issue, status),
            within=within,
        )

    async def expect_edit(self, issue: str, *, within: float = WITHIN) -> Mapping[str, object]:
        """Claim that fields of an issue were written."""
        found = await self.expect(
            f"{issue} to be edited", lambda each: isinstance(each, Edited) and each.issue == issue, within=within
        )
        return cast("Edited", found).fields


class DataCenter(Jira):
    """One site of one's own, where a personal access token says who asks."""

    contract_file = "jira-dc-10.3.json"
    contract_host = "http://localhost:8090"
    # The file says that every field of an issue is an object, its summary too.
    contract_loosened = ("components", "schemas", "IssueUpdateBean", "properties", "fields", "additionalProperties")
    version = 2
    search_path = ("search",)
    account_field = "name"
    # That is what the file says of an answer, too.
    says_null = False
    about: Mapping[str, object] = {"deploymentType": "Server", "version": "10.3.0", "versionNumbers": [10, 3, 0]}

    def __init__(self) -> None:
        super().__init__(email=None)

    def body_problems(self, body: object) -> Iterator[str]:
        """A text of any markup is taken, a document is not."""
        if not isinstance(body, str):
            yield "Operation value must be a string"
        elif java_length(body) > LONGEST_TEXT:
            yield "The entered text is too long. It exceeds the allowed limit of 32,767 characters."

    def shown(self, body: object) -> str:
        """As Jira's renderer shows it."""
        return render(str(body)).text


def _summary_errors(summary: object) -> Iterator[tuple[str, str]]:
    if not isinstance(summary, str) or not summary.strip():
        yield "summary", "You must specify a summary of the issue."
    elif java_length(summary) > 255:
        yield "summary", "Summary can't exceed 255 characters."
    elif len(summary.splitlines()) > 1:
        yield "summary", "The summary is invalid because it contains newline characters."


def _label_errors(labels: object) -> Iterator[tuple[str, str]]:
    if not isinstance(labels, list):
        yield "labels", "data was not an array"
        return
    for label in labels:
        if not isinstance(label, str) or not label or len(label) > 255 or re.search(r"\s", label):
            yield "labels", f"The label {label!r} can't contain spaces or be longer than 255."
