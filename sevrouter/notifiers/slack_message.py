"""What a message on Slack looks like. All that comes from an alert is inert: no mention, no link, no formatting.

Knows Block Kit and its limits. Must not know how a message is sent.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from slack_sdk.models.blocks import (
    ActionsBlock,
    ButtonElement,
    ConfirmObject,
    ContextBlock,
    HeaderBlock,
    MarkdownTextObject,
    PlainTextObject,
    SectionBlock,
)

from sevrouter.domain.delivery import NoticeKind
from sevrouter.domain.sev import Sev
from sevrouter.domain.text import ELLIPSIS, shorten
from sevrouter.notifiers.wording import DEPLOYED, bridge_of, facts, origin, standing_of, state_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from slack_sdk.models.blocks import Block

    from sevrouter.domain.delivery import Notice

LONGEST_HEADER = 150
LONGEST_SECTION = 3_000
LONGEST_DESCRIPTION = 1_500
# All blocks together have a limit that is nowhere written down, at about 13,000 characters.
LONGEST_LABELS = 2_000
LONGEST_DEPLOYMENTS = 600
# The names and numbers of everybody whom a policy called need more room, and there is nothing beside them.
LONGEST_NOTE, LONGEST_HAND_OVER = 600, 2_800
LONGEST_LINKS = 4_600

_USER = re.compile(r"[UW][A-Z0-9]+", re.ASCII)
_USER_GROUP = re.compile(r"S[A-Z0-9]+", re.ASCII)
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


# What the buttons are called to us.
ACKNOWLEDGE, RESOLVE, EXPLAIN = "acknowledge", "resolve", "explain"


def message(notice: Notice, *, mention: str | None, buttons: bool = False) -> dict[str, object]:
    """A message that opens a thread: the SEV, why, whose it is, and where to look. With `buttons`, what can be done."""
    buttons = buttons and notice.kind is not NoticeKind.RESOLVED
    blocks = [*_beginning(notice, mention), *_buttons(notice, buttons), *_explanation(notice), _end(notice)]
    return _post(notice, blocks)


def head(notice: Notice, *, buttons: bool = False) -> dict[str, object]:
    """What the first message of a thread has become: how it stands now. Nobody is mentioned by what is edited."""
    is_over = notice.kind is NoticeKind.RESOLVED
    bridge = [] if is_over else _bridge(notice)
    standing = facts(notice) | {"State": standing_of(notice)}
    asking = _buttons(notice, buttons and not is_over)
    blocks = [_header(notice), *bridge, _facts(standing), *asking, *_explanation(notice), _end(notice)]
    post = _post(notice, blocks) | {"text": inert(f"{notice.title} ({standing_of(notice)})", LONGEST_SECTION)}
    return {name: value for name, value in post.items() if name in _EDITABLE}


# What can be said of a message that is there already.
_EDITABLE = frozenset({"text", "blocks", "parse", "link_names"})

# What a note says all about, or needs no more words.
_PLAIN = frozenset(
    {
        NoticeKind.RESOLVED,
        NoticeKind.SUPPRESSED,
        NoticeKind.STALE,
        NoticeKind.ACKNOWLEDGED,
        NoticeKind.UNANSWERED,
    }
)
# What asks for somebody to own it, in the middle of a thread.
_ASKING = frozenset({NoticeKind.ROSE, NoticeKind.REOPENED, NoticeKind.ACK_ENDED, NoticeKind.UNANSWERED})


def reply(notice: Notice, *, mention: str | None, buttons: bool = False) -> dict[str, object]:
    """What happened since, for the thread. What is over, owned or quiet, needs no explanation."""
    explanation = () if notice.kind in _PLAIN else _explanation(notice)
    asks = buttons and notice.kind in _ASKING
    asking = [ActionsBlock(elements=list(_acknowledging(notice)))] if asks and notice.acknowledged_by is None else []
    return _post(notice, [*_beginning(notice, mention), *asking, *explanation, _end(notice)])


def inert(text: str, limit: int) -> str:
    """A text with Slack's three special characters escaped, at most `limit` characters long after that."""
    escaped = [_ESCAPES.get(character, character) for character in shorten(text, limit)]
    if sum(map(len, escaped)) <= limit:
        return "".join(escaped)
    kept, length = [], len(ELLIPSIS)
    for each in escaped:
        length += len(each)
        if length > limit:
            break
        kept.append(each)
    return "".join([*kept, ELLIPSIS])


def mention_of(identity: str | None) -> str | None:
    """How a user or a user group is called; None for what is neither."""
    if identity is None:
        return None
    if _USER.fullmatch(identity):
        return f"<@{identity}>"
    return f"<!subteam^{identity}>" if _USER_GROUP.fullmatch(identity) else None


def _post(notice: Notice, blocks: list[Block]) -> dict[str, object]:
    return {
        # What a phone's lock screen shows.
        "text": inert(f"{notice.title} ({state_of(notice)})", LONGEST_SECTION),
        "blocks": [block.to_dict() for block in blocks],
        # Without these, Slack looks for names, channels and addresses in the text by itself.
        "mrkdwn": False,
        "parse": "none",
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
    }


def _beginning(notice: Notice, mention: str | None) -> Iterator[Block]:
    yield _header(notice)
    # Nobody answers: that is everybody's.
    called = "<!channel>" if notice.kind is NoticeKind.UNANSWERED else mention_of(mention)
    if called and _is_urgent(notice):
        yield SectionBlock(text=MarkdownTextObject(text=f"{called} {_call_to(notice)}", verbatim=True))
    if notice.note:
        yield _section(notice.note, LONGEST_HAND_OVER if notice.kind is NoticeKind.UNANSWERED else LONGEST_NOTE)
    yield from _bridge(notice)
    yield _facts(facts(notice))


def _header(notice: Notice) -> Block:
    return HeaderBlock(text=_plain(notice.title or str(notice.sev), LONGEST_HEADER))


def _bridge(notice: Notice) -> Iterator[Block]:
    if bridge := bridge_of(notice):
        yield _section(f"Bridge: {bridge}", LONGEST_NOTE)


def _facts(told: Mapping[str, str]) -> Block:
    return _section("\n".join(f"{name}: {value}" for name, value in told.items()))


# What gets worse, or may do so; all else is news that can be read later.
_URGENT = frozenset({NoticeKind.OPENED, NoticeKind.ROSE, NoticeKind.REOPENED, NoticeKind.UNSUPPRESSED,
                     NoticeKind.ACK_ENDED, NoticeKind.UNANSWERED})  # fmt: skip


def _is_urgent(notice: Notice) -> bool:
    if notice.suppressed is not None:
        return False
    if notice.kind is NoticeKind.LIKELY:
        return notice.foreseen is not None and notice.foreseen.is_major
    # From SEV-4 down it can wait for normal hours.
    return notice.kind in _URGENT and not Sev.SEV_3.is_worse_than(notice.sev)


def _call_to(notice: Notice) -> str:
    if notice.kind is NoticeKind.UNANSWERED:
        return f"{notice.sev}, and nobody answers: somebody has to call by hand"
    if notice.kind is NoticeKind.ACK_ENDED:
        return f"nobody owns this {notice.sev} any more, and it rings again"
    if notice.kind is NoticeKind.LIKELY:
        return f"this is yours, and likely to become {notice.foreseen}"
    return f"this is yours: {notice.sev}"


def _buttons(notice: Notice, wanted: bool) -> Iterator[Block]:
    """All that can be pressed while it is open; what is owned needs no owner."""
    if wanted:
        yield ActionsBlock(elements=[*_acknowledging(notice), _resolving(notice), _button("Explain", EXPLAIN, notice)])


def _acknowledging(notice: Notice) -> Iterator[ButtonElement]:
    if notice.acknowledged_by is None:
        yield _button("Acknowledge", ACKNOWLEDGE, notice, style="primary")


def _resolving(notice: Notice) -> ButtonElement:
    confirm = ConfirmObject(
        title=_plain("Is it over?", 100),
        text=_plain("What still fires is owned by you, and over once its alerts are.", 300),
        confirm=_plain("Resolve", 30),
        deny=_plain("Cancel", 30),
    )
    return _button("Resolve", RESOLVE, notice, confirm=confirm)


def _button(
    text: str, action: str, notice: Notice, *, style: str | None = None, confirm: ConfirmObject | None = None
) -> ButtonElement:
    return ButtonElement(text=text, action_id=action, value=notice.key, style=style, confirm=confirm)


def _explanation(notice: Notice) -> Iterator[Block]:
    if notice.deployments:
        yield _section("\n".join([DEPLOYED, *notice.deployments]), LONGEST_DEPLOYMENTS)
    if notice.why:
        yield _section("\n".join(["Why", *notice.why]))
    if notice.description:
        yield _section(notice.description, LONGEST_DESCRIPTION)
    if notice.labels:
        labels = "\n".join(f"{name} = {value}" for name, value in notice.labels.items())
        yield _section(f"Labels\n{labels}", LONGEST_LABELS)
    # An address cannot be cut, so each has a section of its own.
    room = LONGEST_LINKS
    for name, url in notice.links.items():
        link = f"<{inert(url, LONGEST_SECTION)}|{inert(name, 75)}>"
        if len(link) <= min(room, LONGEST_SECTION):
            room -= len(link)
            yield SectionBlock(text=MarkdownTextObject(text=link, verbatim=True))


def _end(notice: Notice) -> Block:
    return ContextBlock(elements=[_plain(origin(notice), 300)])


def _section(text: str, limit: int = LONGEST_SECTION) -> Block:
    return SectionBlock(text=_plain(text, limit))


def _plain(text: str, limit: int) -> PlainTextObject:
    return PlainTextObject(text=inert(text, limit), emoji=False)
