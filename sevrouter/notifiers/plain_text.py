"""A notice as plain text, for services that show one text and say little of what they make of it.

Knows what such services take for markup or for a call to everybody. Must not know one of them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sevrouter.domain.text import many_lines, one_line, shorten
from sevrouter.notifiers.wording import DEPLOYED, bridge_of, facts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sevrouter.domain.delivery import Notice

LONGEST_LINE = 500
LONGEST_DESCRIPTION = 3_000
LONGEST_TEXT = 7_500

_WORD_JOINER = "\u2060"
# A tag needs its letter right behind the bracket, and a mention of everybody its word right behind the sign.
_TAG = re.compile(r"<(?=[A-Za-z/!?@#])")
_EVERYBODY = re.compile(r"@(?=(everyone|here|channel|all)\b)", re.IGNORECASE)


def tame(text: str) -> str:
    """A text that nothing in it makes a tag of, and that calls nobody together; it reads as before."""
    return _EVERYBODY.sub(f"@{_WORD_JOINER}", _TAG.sub("< ", text))


def title_of(notice: Notice, longest: int) -> str:
    """The title, at most so many characters long."""
    return shorten(tame(one_line(notice.title, longest)), longest) or str(notice.sev)


def plain_text(notice: Notice) -> str:
    """All that explains an incident, what is most needed first."""
    return shorten(tame("\n".join(_lines(notice))), LONGEST_TEXT)


def _lines(notice: Notice) -> Iterator[str]:
    if notice.note:
        yield one_line(notice.note, LONGEST_LINE)
    if bridge := bridge_of(notice):
        yield f"Bridge: {one_line(bridge, LONGEST_LINE)}"
    yield from (f"{name}: {one_line(value, LONGEST_LINE)}" for name, value in facts(notice).items())
    yield from (f"Because {one_line(line, LONGEST_LINE)}" for line in notice.why)
    if notice.deployments:
        yield f"{DEPLOYED}:"
        yield from (one_line(line, LONGEST_LINE) for line in notice.deployments)
    # An address that is cut leads nowhere.
    yield from (f"{name}: {url}" for name, url in notice.links.items() if len(url) <= LONGEST_LINE)
    if notice.description:
        yield many_lines(notice.description, LONGEST_DESCRIPTION)
