"""A ping of an outside monitor: one attempt, and nothing of the address is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sevrouter.config import SecretError
from sevrouter.domain.heartbeat import Ping
from sevrouter.notifiers.http import Transport, open_transport
from sevrouter.notifiers.ping import HttpPinger
from tests.standins.server import a_server, a_server_that_says

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

KEY = "hunter2"


def answer(status: str, *headers: str) -> bytes:
    """A whole answer."""
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "Content-Length: 2", "", "OK"]).encode()


async def pinged(transport: Transport, url: str) -> Ping:
    """What comes of a ping; what is said of it must tell nothing of the address."""
    ping, detail = await HttpPinger(transport).ping(lambda: url)
    assert not any(part in detail for part in (KEY, "127.0.0.1", "invalid", url))
    assert len(detail) < 60
    return ping


@pytest.mark.parametrize(
    ("status", "ping"),
    [
        ("200 OK", Ping.SENT),
        ("202 Accepted", Ping.SENT),
        ("404 Not Found", Ping.REFUSED),
        ("429 Too Many Requests", Ping.REFUSED),
        ("500 Internal Server Error", Ping.REFUSED),
    ],
)
async def test_only_a_success_is_one(transport: Transport, status: str, ping: Ping) -> None:
    async with a_server_that_says(answer(status)) as url:
        assert await pinged(transport, f"{url}ping/{KEY}?msg=up") is ping


async def test_it_asks_by_get_for_just_that_address(transport: Transport) -> None:
    asked: list[bytes] = []

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer("200 OK", "Connection: close"))
        await writer.drain()

    async with a_server(speak) as url:
        assert await pinged(transport, f"{url}ping/{KEY}?msg=a%20b&up") is Ping.SENT
    assert asked == [b"GET /ping/hunter2?msg=a%20b&up HTTP/1.1\r\n"]


async def test_no_redirect_is_followed(transport: Transport) -> None:
    async with a_server_that_says(answer("200 OK")) as other:
        location = f"Location: {other}{KEY}"
        async with a_server_that_says(answer("302 Found", location, "Connection: close")) as url:
            assert await pinged(transport, url) is Ping.REFUSED


async def test_who_does_not_answer_in_time_is_not_waited_for(transport: Transport) -> None:
    async def speak(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with a_server(speak) as url:
        ping, detail = await HttpPinger(transport, answer_within=0.1).ping(lambda: url)
    assert (ping, detail) == (Ping.TIMED_OUT, "TimeoutError")


@pytest.mark.parametrize("said", [b"", b"hello\r\n\r\n", b"HTTP/1.1 200"])
async def test_who_does_not_speak_http_is_not_reached(transport: Transport, said: bytes) -> None:
    async with a_server_that_says(said) as url:
        assert await pinged(transport, url) is Ping.UNREACHABLE


async def test_nobody_there_is_not_reached(transport: Transport) -> None:
    assert await pinged(transport, f"http://nobody.invalid/{KEY}") is Ping.UNREACHABLE
    assert await pinged(transport, f"http://127.0.0.1:1/{KEY}") is Ping.UNREACHABLE


@pytest.mark.parametrize(
    "url", ["", "hc.example/x", "ftp://hc.example/x", "file:///etc/passwd", "http://", "http://[::1/"]
)
async def test_what_is_no_address_is_not_asked_for(transport: Transport, url: str) -> None:
    ping, _ = await HttpPinger(transport).ping(lambda: url)
    assert ping is Ping.NO_ADDRESS


@pytest.mark.parametrize("error", [SecretError("hunter2"), OSError("hunter2")])
async def test_an_address_that_cannot_be_read_is_none(error: Exception) -> None:
    def url() -> str:
        raise error

    read: Callable[[], str] = url
    async with open_transport() as transport:
        assert await HttpPinger(transport).ping(read) == (Ping.NO_ADDRESS, type(error).__name__)
