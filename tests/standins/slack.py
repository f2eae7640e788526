"""Slack's chat.postMessage: a workspace with channels, and the threads in them."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models.blocks import Block

from tests.standins.vendor import WITHIN, Effect, Reply, Seen, Vendor

TOKEN = "xoxb-1111111111-2222222222-MadeUpTokenOfATest"

_KNOWN = {
    "channel", "text", "blocks", "thread_ts", "mrkdwn", "parse", "link_names", "unfurl_links", "unfurl_media",
}  # fmt: skip
_BLOCKS = {"header", "section", "context", "divider", "actions"}
# What Slack turns into a mention, a channel or a link, wherever it formats text.
_CONTROL = re.compile(r"<([^<>]*)>")


@dataclass(kw_only=True)
class Message(Effect):
    """A message as people see it. `mentions` and `links` are those that a client would act on."""

    channel: str
    ts: str
    thread_ts: str | None
    text: str
    fallback: str = field(repr=False)
    blocks: tuple[Mapping[str, object], ...] = field(repr=False)
    mentions: tuple[str, ...] = ()
    links: tuple[str, ...] = ()


@dataclass
class Channel:
    """A channel that the bot can post to, or why it cannot."""

    id: str
    name: str
    trouble: str | None = None
    last_posted_at: float = -10.0


class Slack(Vendor[Message]):
    """One workspace. Its `base_url` is what a client is configured with."""

    def __init__(self, *, token: str = TOKEN, channels: tuple[str, ...] = ("C0PAY", "C0DEFAULT")) -> None:
        super().__init__()
        self.token = token
        self.channels = [Channel(id=each, name=each.removeprefix("C0").lower()) for each in channels]
        self.one_a_second = False
        self._posted = 0

    @property
    def base_url(self) -> str:
        """The address of its API."""
        return f"{self.url}/api/"

    @property
    def messages(self) -> list[Message]:
        """All that was posted."""
        return self.effects

    def trouble(self, channel: str, error: str) -> None:
        """Have a channel refuse: `is_archived`, `not_in_channel`."""
        self._channel(channel).trouble = error

    async def answer(self, seen: Seen) -> Reply:
        """Post a message."""
        if seen.path != "/api/chat.postMessage" or seen.method != "POST":
            return _refused("unknown_method")
        if seen.headers.get("Authorization") != f"Bearer {self.token}":
            return _refused("invalid_auth" if "Authorization" in seen.headers else "not_authed")
        post = seen.json
        if not isinstance(post, dict) or not seen.headers.get("Content-Type", "").startswith("application/json"):
            return _refused("invalid_json")
        if problem := next(_problems(post), None):
            return _refused(*problem)
        return self._post(post)

    def _channel(self, name: str) -> Channel:
        return next(each for each in self.channels if name in (each.id, each.name, f"#{each.name}"))

    def _post(self, post: Mapping[str, object]) -> Reply:
        try:
            channel = self._channel(str(post["channel"]))
        except StopIteration:
            return _refused("channel_not_found")
        if channel.trouble:
            return _refused(channel.trouble)
        thread = post.get("thread_ts")
        known = {each.ts for each in self.messages if each.channel == channel.id and each.thread_ts is None}
        if thread is not None and thread not in known:
            return _refused("thread_not_found")
        now = asyncio.get_running_loop().time()
        if self.one_a_second and now - channel.last_posted_at < 1:
            return Reply(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": "1"})
        channel.last_posted_at = now
        self._posted += 1
        message = _message(post, channel.id, f"1700000000.{self._posted:06}")
        self.effects.append(message)
        return Reply(200, {"ok": True, "channel": channel.id, "ts": message.ts, "message": {"text": message.fallback}})

    # What a test expects

    async def expect_message(self, text: str = "", *, channel: str | None = None, within: float = WITHIN) -> Message:
        """Claim a message that opens a thread, its text found by a regular expression."""
        return await self.expect(
            f"message {text!r}",
            lambda each: each.thread_ts is None and re.search(text, each.text) is not None
            and channel in (None, each.channel),
            within=within,
        )  # fmt: skip

    async def expect_reply(self, to: Message, text: str = "", *, within: float = WITHIN) -> Message:
        """Claim a reply in the thread of a message."""
        return await self.expect(
            f"reply {text!r}",
            lambda each: (each.channel, each.thread_ts) == (to.channel, to.ts)
            and re.search(text, each.text) is not None,
            within=within,
        )  # fmt: skip


def _refused(error: str, *messages: str) -> Reply:
    document = {"ok": False, "error": error, "response_metadata": {"messages": list(messages)}}
    return Reply(200, document, refused=" ".join([error, *messages]))


def _message(post: Mapping[str, object], channel: str, ts: str) -> Message:
    blocks = post.get("blocks", [])
    assert isinstance(blocks, list)
    texts = list(texts_of(blocks))
    # The fallback is only read aloud, but Slack looks for mentions in it all the same.
    active = [text["text"] for text in texts if text["type"] == "mrkdwn"] + [str(post["text"])]
    controls = [found for text in active for found in _CONTROL.findall(text)]
    return Message(
        channel=channel,
        ts=ts,
        thread_ts=str(post["thread_ts"]) if "thread_ts" in post else None,
        text="\n".join(html.unescape(text["text"]) for text in texts),
        fallback=str(post["text"]),
        blocks=tuple(blocks),
        mentions=tuple(each for each in controls if each[:1] in ("@", "!", "#")),
        links=tuple(html.unescape(each.split("|")[0]) for each in controls if each[:1] not in ("@", "!", "#")),
    )


def texts_of(node: object) -> Iterator[Mapping[str, str]]:
    """Every text object in some blocks."""
    match node:
        case {"type": "plain_text" | "mrkdwn" as kind, "text": str(text)}:
            yield {"type": kind, "text": text}
        case dict(members):
            for each in members.values():
                yield from texts_of(each)
        case list(items):
            for each in items:
                yield from texts_of(each)


def _problems(post: Mapping[str, object]) -> Iterator[tuple[str, ...]]:
    """Why a message is not taken: Slack's word, and what it says besides."""
    if unknown := post.keys() - _KNOWN:
        yield "invalid_arguments", f"unknown {sorted(unknown)}"
    text = post.get("text")
    if not isinstance(text, str) or not text:
        yield ("no_text",)
    if len(str(text)) > 40_000:
        yield ("msg_too_long",)
    blocks = post.get("blocks", [])
    if not isinstance(blocks, list) or len(blocks) > 50:
        yield "invalid_blocks", "no more than 50 items allowed"
        return
    for block in blocks:
        yield from _block_problems(block)
    if sum(len(each["text"]) for each in texts_of(blocks)) > 13_000:
        yield ("msg_blocks_too_long",)


def _block_problems(block: object) -> Iterator[tuple[str, ...]]:
    if not isinstance(block, dict) or block.get("type") not in _BLOCKS:
        yield "invalid_blocks", f"unsupported {block!r}"
        return
    if any(not text["text"] for text in texts_of(block)):
        yield "invalid_blocks", "must be more than 0 characters"
    if block["type"] == "header" and block["text"]["type"] != "plain_text":
        yield "invalid_blocks", "a header is plain text"
    try:
        # The published contract is of 2021; the SDK's own models know the limits.
        parsed = Block.parse(block)
        if parsed is None or parsed.to_dict() != block:
            yield "invalid_blocks", f"unknown fields in {block!r}"
    except SlackObjectFormationError as error:
        yield "invalid_blocks", str(error)
