"""Slack's chat.postMessage and chat.update: a workspace with channels, and the threads in them."""

from __future__ import annotations

import asyncio
import contextlib
import html
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from urllib.parse import urlencode

import aiohttp
from aiohttp import web
from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models.blocks import Block
from slack_sdk.signature import SignatureVerifier

from tests.standins.vendor import WITHIN, Effect, Reply, Seen, Vendor

SIGNING_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
APP_TOKEN = "xapp-1-A0-1-MadeUpTokenOfATest"
TOKEN = "xoxb-1111111111-2222222222-MadeUpTokenOfATest"

_KNOWN = {
    "channel", "text", "blocks", "thread_ts", "mrkdwn", "parse", "link_names", "unfurl_links", "unfurl_media",
}  # fmt: skip
_EDITABLE = {"channel", "ts", "text", "blocks", "parse", "link_names"}
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
    edits: list[Message] = field(default_factory=list, repr=False)


@dataclass
class Channel:
    """A channel that the bot can post to, or why it cannot."""

    id: str
    name: str
    trouble: str | None = None
    last_posted_at: float = -10.0


@dataclass(kw_only=True)
class Shown:
    """What somebody is shown whom nobody else sees it."""

    text: str


class Slack(Vendor[Message]):
    """One workspace. Its `base_url` is what a client is configured with.

    `connected` is set while an app listens by Socket Mode; `acknowledged` are the envelopes that it has answered.
    """

    def __init__(self, *, token: str = TOKEN, channels: tuple[str, ...] = ("C0PAY", "C0DEFAULT")) -> None:
        super().__init__()
        self.token = token
        self.channels = [Channel(id=each, name=each.removeprefix("C0").lower()) for each in channels]
        self.one_a_second = False
        self.shown: list[Shown] = []
        self.connected = asyncio.Event()
        self.acknowledged: list[str] = []
        self.app_token = APP_TOKEN
        self.connections = 0
        self._socket: web.WebSocketResponse | None = None
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

    # Somebody presses a button

    async def press(
        self, message: Message, url: str, *, user: str = "U0ANA", at: float | None = None, action: str = "acknowledge"
    ) -> int:
        """Press a message's button, of which the app hears at an address: the status that it answers."""
        body = urlencode({"payload": json.dumps(self.pressed(message, user=user, at=at, action=action))}).encode()
        stamp = str(int(time.time() if at is None else at))
        signed = SignatureVerifier(SIGNING_SECRET).generate_signature(timestamp=stamp, body=body)
        assert signed is not None
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Slack-Request-Timestamp": stamp,
            "X-Slack-Signature": signed,
        }
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3)) as session,
            session.post(url, data=body, headers=headers) as answer,
        ):
            return answer.status

    async def press_by_socket(self, message: Message, *, user: str = "U0ANA", action: str = "acknowledge") -> None:
        """Press a message's button, of which the app hears over its connection."""
        await asyncio.wait_for(self.connected.wait(), WITHIN)
        assert self._socket is not None
        envelope = {
            "envelope_id": f"envelope-{len(self.acknowledged) + 1}",
            "type": "interactive",
            "accepts_response_payload": True,
            "payload": self.pressed(message, user=user, action=action),
        }
        await self._socket.send_json(envelope)

    def pressed(
        self, message: Message, *, user: str = "U0ANA", at: float | None = None, action: str = "acknowledge"
    ) -> dict[str, object]:
        """What they tell of a button that is pressed."""
        (button,) = [each for each in buttons_of(message) if each["action_id"] == action]
        return {
            "type": "block_actions",
            "user": {"id": user, "username": user.lower(), "team_id": "T0"},
            "api_app_id": "A0",
            "container": {"type": "message", "message_ts": message.ts, "channel_id": message.channel},
            "response_url": f"{self.url}/respond/{user}",
            "actions": [
                {
                    "type": "button",
                    "block_id": "b",
                    "action_ts": f"{time.time() if at is None else at:.6f}",
                    **{name: button[name] for name in ("action_id", "value")},
                }
            ],
        }

    async def drop(self) -> None:
        """Close the connection, as they do every few hours."""
        assert self._socket is not None
        await self._socket.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/socket":
            return await self._listen(request)
        return await super()._handle(request)

    async def _listen(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._socket = socket
        self.connections += 1
        await socket.send_json({"type": "hello", "num_connections": 1})
        self.connected.set()
        await self._tell()
        async for each in socket:
            if each.type is web.WSMsgType.TEXT and each.data.startswith("{"):
                self.acknowledged.append(json.loads(each.data)["envelope_id"])
                await self._tell()
        self.connected.clear()
        await self._tell()
        return socket

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def until(self, is_so: Callable[[], bool], *, within: float = WITHIN) -> None:
        """Until something about connections is so."""
        async with self._changed, asyncio.timeout(within):
            await self._changed.wait_for(is_so)

    async def answer(self, seen: Seen) -> Reply:
        """Post a message, show something, or say where to connect."""
        if seen.path == "/api/apps.connections.open" or seen.path.startswith("/respond/"):
            return self._answer_app(seen)
        if seen.path not in ("/api/chat.postMessage", "/api/chat.update") or seen.method != "POST":
            return _refused("unknown_method")
        if seen.headers.get("Authorization") != f"Bearer {self.token}":
            return _refused("invalid_auth" if "Authorization" in seen.headers else "not_authed")
        post = seen.json
        if not isinstance(post, dict) or not seen.headers.get("Content-Type", "").startswith("application/json"):
            return _refused("invalid_json")
        is_edit = seen.path == "/api/chat.update"
        if problem := next(_problems(post, _EDITABLE if is_edit else _KNOWN), None):
            return _refused(*problem)
        return self._edit(post) if is_edit else self._post(post)

    def _answer_app(self, seen: Seen) -> Reply:
        if seen.path.startswith("/respond/"):
            said = seen.json
            assert isinstance(said, dict)
            self.shown.append(Shown(text=said["text"]))
            return Reply(200, {"ok": True})
        if seen.headers.get("Authorization") != f"Bearer {self.app_token}":
            return _refused("invalid_auth")
        return Reply(200, {"ok": True, "url": f"ws://127.0.0.1:{self._port}/socket?ticket=secret-ticket"})

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

    def _edit(self, post: Mapping[str, object]) -> Reply:
        # By its id alone: a name is not taken here.
        channel = next((each for each in self.channels if each.id == post["channel"]), None)
        if channel is None or channel.trouble:
            return _refused("channel_not_found" if channel is None else channel.trouble or "")
        there = [each for each in self.messages if (each.channel, each.ts) == (channel.id, post.get("ts"))]
        if not there:
            return _refused("message_not_found")
        there[0].edits.append(_message(post, channel.id, there[0].ts))
        return Reply(200, {"ok": True, "channel": channel.id, "ts": there[0].ts, "text": str(post["text"])})

    # What a test expects

    async def expect_edit(self, of: Message, text: str = "", *, within: float = WITHIN) -> Message:
        """What a message has become, its text found by a regular expression."""

        def found() -> Message | None:
            return of.edits[-1] if of.edits and re.search(text, of.edits[-1].text) else None

        with contextlib.suppress(TimeoutError):
            await self.until(lambda: found() is not None, within=within)
        edit = found()
        assert edit is not None, f"no edit {text!r}, but {of.edits}"
        return edit

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


def buttons_of(message: Message) -> list[Mapping[str, str]]:
    """The buttons of a message."""
    rows = [each["elements"] for each in message.blocks if each["type"] == "actions"]
    return [button for row in rows if isinstance(row, list) for button in row]


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


def _problems(post: Mapping[str, object], known: Set[str]) -> Iterator[tuple[str, ...]]:
    """Why a message is not taken: Slack's word, and what it says besides."""
    if unknown := post.keys() - known:
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
