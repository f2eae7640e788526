"""The transport where no vendor is: connections that never come about, and answers that are not HTTP."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import aiohttp
import pytest

from sevrouter.domain.delivery import OutcomeReason, Rejected, Retry, Unknown
from sevrouter.notifiers.answers import Answer
from sevrouter.notifiers.http import LONGEST_ANSWER, Transport, failure_of, open_transport
from tests.standins.server import a_server, a_server_that_says

if TYPE_CHECKING:
    import asyncio

R = OutcomeReason


async def test_a_name_that_nobody_has_is_unreachable(transport: Transport) -> None:
    outcome = await transport.post("http://nobody.invalid/", body={})
    assert (type(outcome), getattr(outcome, "reason", None)) == (Retry, R.UNREACHABLE)


async def test_an_address_that_is_none_is_rejected(transport: Transport) -> None:
    for url in ("not an address", "http://", "ftp://example.com/", "http://[::1/"):
        outcome = await transport.post(url, body={})
        assert (type(outcome), getattr(outcome, "reason", None)) == (Rejected, R.NOT_CONFIGURED), url


async def test_a_server_without_tls_is_unreachable_over_tls(transport: Transport) -> None:
    async def speak(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with a_server(speak) as url:
        outcome = await transport.post(url.replace("http:", "https:"), body={})
    assert (type(outcome), getattr(outcome, "reason", None)) == (Retry, R.UNREACHABLE)


async def test_a_connection_that_does_not_come_about_in_time_is_unreachable() -> None:
    # TLS is part of connecting, and a server that says nothing never gets through with it.
    async def listen(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with a_server(listen) as url, open_transport(connect_within=0.1, answer_within=10) as transport:
        outcome = await transport.post(url.replace("http:", "https:"), body={})
    assert (type(outcome), getattr(outcome, "reason", None)) == (Retry, R.UNREACHABLE)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"hello\r\n\r\n",
        b"HTTP/1.1 202",
        b"HTTP/1.1 abc Fine\r\n\r\n",
        b"HTTP/1.1 202 Accepted\r\nContent-Length: 10\r\n\r\n{",
        b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
        b"HTTP/1.1 202 Accepted\r\n" + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
    ],
)
async def test_an_answer_that_is_broken_is_unknown(transport: Transport, said: bytes) -> None:
    async with a_server_that_says(said) as url:
        outcome = await transport.post(url, body={})
    assert (type(outcome), getattr(outcome, "reason", None)) == (Unknown, R.CONNECTION_LOST)


async def test_an_answer_that_never_ends_is_cut_and_still_has_its_status(transport: Transport) -> None:
    head = b"HTTP/1.1 400 Bad\r\nConnection: close\r\n\r\n"
    async with a_server_that_says(head, endless=b"x" * 65_536) as url:
        answer = await transport.post(url, body={})
    assert isinstance(answer, Answer)
    assert answer.status == 400
    assert len(answer.detail) < 300


async def test_an_answer_of_just_the_longest_length_is_whole(transport: Transport) -> None:
    document = b'{"key": "' + b"x" * (LONGEST_ANSWER - 11) + b'"}'
    head = f"HTTP/1.1 201 Created\r\nContent-Length: {len(document)}\r\n\r\n".encode()
    async with a_server_that_says(head, document) as url:
        answer = await transport.post(url, body={})
    assert isinstance(answer, Answer)
    assert answer.document


async def test_an_answer_that_stops_half_way_is_not_waited_for(impatient: Transport) -> None:
    async def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 9\r\n\r\n{")
        await writer.drain()
        await reader.read()

    async with a_server(begin) as url:
        outcome = await impatient.post(url, body={})
    assert (type(outcome), getattr(outcome, "reason", None)) == (Unknown, R.TIMED_OUT)


async def test_cookies_are_not_kept(transport: Transport) -> None:
    async with a_server_that_says(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n") as url:
        # Cookies of bare addresses would not be kept anyway.
        answer = await transport.post(url.replace("127.0.0.1", "localhost"), body={})
        assert isinstance(answer, Answer)
        assert len(transport.session.cookie_jar) == 0


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (aiohttp.ServerDisconnectedError(), (Unknown, R.CONNECTION_LOST)),
        (aiohttp.ClientOSError(104, "reset"), (Unknown, R.CONNECTION_LOST)),
        (aiohttp.ClientPayloadError(), (Unknown, R.CONNECTION_LOST)),
        (aiohttp.SocketTimeoutError(), (Unknown, R.TIMED_OUT)),
        (aiohttp.ConnectionTimeoutError(), (Retry, R.UNREACHABLE)),
        (TimeoutError(), (Unknown, R.TIMED_OUT)),
        (ConnectionResetError(), (Unknown, R.CONNECTION_LOST)),
        (ssl.SSLError("late"), (Unknown, R.CONNECTION_LOST)),
    ],
)
def test_only_what_never_left_is_a_retry(error: Exception, expected: tuple[type, OutcomeReason]) -> None:
    outcome = failure_of(error, ())
    assert (type(outcome), outcome.reason) == expected


def test_an_error_that_holds_a_secret_is_told_without_it() -> None:
    assert failure_of(OSError("cannot send s3cr3t"), ("s3cr3t",)).detail == "OSError: cannot send [redacted]"
