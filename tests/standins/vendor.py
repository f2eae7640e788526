"""What every fake vendor shares: a real HTTP server, misbehaviour on demand, and effects that a test must claim.

It runs in the test's loop and is reached by its `url`, also from another process.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from aiohttp import web

from tests.standins.contract import Contract, Exchange

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

WITHIN = 10.0  # seconds that an expected effect may take


@dataclass(kw_only=True)
class Effect:
    """Something that the vendor did because we asked. `claimed` once a test has expected it."""

    claimed: bool = False


EffectT = TypeVar("EffectT", bound=Effect)


@dataclass(frozen=True)
class Reply:
    """A vendor's answer; `refused` says why it did not do what it was asked."""

    status: int
    document: object
    headers: Mapping[str, str] = field(default_factory=dict)
    refused: str | None = None


@dataclass(frozen=True)
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> object:
        """The body as JSON, None where it is not."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class Hang:
    """A request that gets no answer until it is released."""

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self._released = asyncio.Event()

    def release(self) -> None:
        """Let it go on."""
        self._released.set()

    async def wait(self) -> None:
        """Until released."""
        self.arrived.set()
        await self._released.wait()


class Vendor(Generic[EffectT]):
    """The server. A subclass says what a request does."""

    contract_file: str | None = None
    # The one place at which the published file is stricter than the vendor.
    contract_loosened: tuple[str, ...] = ()
    contract_host: str = ""

    def __init__(self) -> None:
        self.requests: list[Seen] = []
        self.effects: list[EffectT] = []
        self.refusals: list[str] = []
        self._allowed_refusals = 0
        self._violations: list[str] = []
        self._misbehaviours: collections.deque[Callable[..., Awaitable[web.StreamResponse]]] = collections.deque()
        self._hanging: list[Hang] = []
        self._changed = asyncio.Condition()
        self._contract = Contract.load(self.contract_file, self.contract_loosened) if self.contract_file else None
        self._runner: web.AppRunner | None = None
        self._port = 0

    async def answer(self, seen: Seen) -> Reply:
        """Do what a request asks for, or refuse it."""
        raise NotImplementedError

    def described_as(self, path: str) -> str:
        """The path by which the contract knows a path."""
        return path

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    # The server

    async def __aenter__(self) -> Self:
        await self.come_back()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.go_down()

    async def come_back(self) -> None:
        """Listen, on the same port as before."""
        app = web.Application(client_max_size=2 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await site.start()
        self._port = int(self._runner.addresses[0][1])

    async def go_down(self) -> None:
        """Refuse connections; what was done stays done."""
        for hang in self._hanging:
            hang.release()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        seen = Seen(request.method, request.path, dict(request.query), dict(request.headers), await request.read())
        self.requests.append(seen)

        async def act() -> Reply:
            return await self._act(seen)

        if self._misbehaviours:
            return await self._misbehaviours.popleft()(request, act)
        return _response(await act())

    async def _act(self, seen: Seen) -> Reply:
        reply = await self.answer(seen)
        async with self._changed:
            if reply.refused is not None:
                self.refusals.append(f"{seen.method} {seen.path}: {reply.status} {reply.refused}")
            elif self._contract is not None:
                self._violations += self._contract.violations(
                    Exchange(
                        self.contract_host,
                        seen.method,
                        self.described_as(seen.path),
                        seen.query,
                        seen.body,
                        reply.status,
                        reply.document,
                        seen.headers.get("Content-Type", "application/json"),
                    )
                )
            self._changed.notify_all()
        return reply

    # Misbehaviour, of the next requests in the order of these calls

    def fail_next(
        self,
        status: int,
        *,
        headers: Mapping[str, str] | None = None,
        body: str | bytes = "",
        content_type: str = "application/json",
        times: int = 1,
    ) -> None:
        """Answer with a status, and do nothing."""

        async def fail(_request: web.Request, _act: object) -> web.StreamResponse:
            content = body.encode() if isinstance(body, str) else body
            return web.Response(status=status, body=content, headers={**(headers or {}), "Content-Type": content_type})

        self._misbehaviours.extend([fail] * times)

    def lose_answer(self, times: int = 1) -> None:
        """Do what is asked, and cut the connection instead of answering."""

        async def lose(request: web.Request, act: Callable[[], Awaitable[Reply]]) -> web.StreamResponse:
            await act()
            return _cut(request)

        self._misbehaviours.extend([lose] * times)

    def garble_answer(self, body: str = "<html>", *, content_type: str = "text/html", times: int = 1) -> None:
        """Do what is asked, and answer with the right status and a body that says nothing."""

        async def garble(_request: web.Request, act: Callable[[], Awaitable[Reply]]) -> web.StreamResponse:
            reply = await act()
            return web.Response(status=reply.status, text=body, content_type=content_type)

        self._misbehaviours.extend([garble] * times)

    def reset_before(self, times: int = 1) -> None:
        """Cut the connection, and do nothing."""

        async def reset(request: web.Request, _act: object) -> web.StreamResponse:
            return _cut(request)

        self._misbehaviours.extend([reset] * times)

    def hang(self) -> Hang:
        """Give no answer until released, and do what is asked only then."""
        hang = Hang()
        self._hanging.append(hang)

        async def wait(_request: web.Request, act: Callable[[], Awaitable[Reply]]) -> web.StreamResponse:
            await hang.wait()
            return _response(await act())

        self._misbehaviours.append(wait)
        return hang

    # What a test expects

    async def expect(self, what: str, matches: Callable[[EffectT], bool], *, within: float = WITHIN) -> EffectT:
        """Claim the first unclaimed effect that matches, waiting for it up to `within` seconds."""

        def find() -> EffectT | None:
            return next((each for each in self.effects if not each.claimed and matches(each)), None)

        async with self._changed:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within):
                    await self._changed.wait_for(lambda: find() is not None)
            found = find()
            assert found is not None, f"no {what} within {within} s\n{self._story()}"
            found.claimed = True
            return found

    async def expect_requests(self, count: int, *, within: float = WITHIN) -> None:
        """Wait until this many requests were acted on or refused."""
        async with self._changed, asyncio.timeout(within):
            await self._changed.wait_for(lambda: len(self.requests) >= count)

    def allow_refusals(self, count: int = 1) -> None:
        """Say that this many requests are meant to be refused."""
        self._allowed_refusals += count

    def assert_nothing_unexpected(self) -> None:
        """Fail on an effect that no test claimed, a refusal that none allowed, a breach of the contract."""
        unclaimed = [each for each in self.effects if not each.claimed]
        assert not unclaimed, f"unexpected: {unclaimed}\n{self._story()}"
        assert len(self.refusals) == self._allowed_refusals, (
            f"{len(self.refusals)} refusals, {self._allowed_refusals} of them allowed\n{self._story()}"
        )
        assert not self._violations, "against the vendor's contract:\n" + "\n".join(self._violations)

    def _story(self) -> str:
        seen = [f"  {each.method} {each.path}" for each in self.requests]
        return "\n".join(["requests:", *seen, "effects:", *map(repr, self.effects), "refusals:", *self.refusals])


def _response(reply: Reply) -> web.Response:
    return web.json_response(reply.document, status=reply.status, headers=dict(reply.headers))


def _cut(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()
