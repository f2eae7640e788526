"""What differs between Jira Cloud and Jira Data Center: addresses, how a text is written, how a person is named.

Knows both. Must not know what is said, or what follows from an answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol
from urllib.parse import urlsplit

from sevrouter.notifiers import adf, wiki

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sevrouter.notifiers.adf import Node

Deployment = Literal["auto", "cloud", "data-center"]


class Document(Protocol):
    """How blocks become the body of a ticket or comment, as long as Jira takes one."""

    def __call__(self, blocks: Iterable[Node], *, last: Node | None = None) -> Node | str:
        """The whole, or its beginning, a word that it was cut, and `last`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One of the two. `line` is how a line of text reads among the source of a body."""

    api: str
    search: str
    assignee: str
    document: Document
    line: Callable[[str], str]


def _as_it_is(line: str) -> str:
    return line


CLOUD = Dialect(
    api="rest/api/3", search="search/jql", assignee="accountId", document=adf.document, line=_as_it_is
)  # fmt: skip
DATA_CENTER = Dialect(
    api="rest/api/2", search="search", assignee="name", document=wiki.document, line=wiki.inert
)  # fmt: skip

# Where Atlassian itself serves Jira, at an address of the site's or of an application's.
_CLOUD_HOSTS = (".atlassian.net", ".jira.com", ".atlassian-us-gov-mod.net")
_CLOUD_GATEWAY = "api.atlassian.com"


def dialect_of(deployment: Deployment, url: str) -> Dialect | None:
    """What is spoken at an address, so far as configuration or address say it; None where Jira has to be asked."""
    if deployment == "auto":
        host = urlsplit(url).hostname or ""
        return CLOUD if host.endswith(_CLOUD_HOSTS) or host == _CLOUD_GATEWAY else None
    return CLOUD if deployment == "cloud" else DATA_CENTER
