"""What the daemon and the process of a call say to each other, and what that reads in its library's log."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from sevrouter.notifiers.sip_trace import Answer, read
from sevrouter.notifiers.sip_words import (
    Answered,
    Connect,
    Connected,
    Dial,
    Failed,
    HangUp,
    Heard,
    NotConnected,
    Over,
    Pressed,
    Said,
    Say,
    Sent,
    encoded,
    read_news,
    read_order,
)

if TYPE_CHECKING:
    from sevrouter.notifiers.sip_words import News, Order

DIAL = Dial(server="pbx.example:5080", transport="tls", caller="+4930999", number="+4930123", password="a\nb")


def a_stream(data: bytes) -> asyncio.StreamReader:
    stream = asyncio.StreamReader()
    stream.feed_data(data)
    stream.feed_eof()
    return stream


@pytest.mark.parametrize("order", [DIAL, HangUp(), Connect("+4930", ",,77#"), Say(3, 22_050, 4)])
async def test_orders_arrive_as_they_were_given(order: Order) -> None:
    sound = b"\n\x00{}" if isinstance(order, Say) else b""
    stream = a_stream(encoded(order, sound) + encoded(HangUp()))

    assert await read_order(stream) == (order, sound)
    assert await read_order(stream) == (HangUp(), b"")
    assert await read_order(stream) is None


@pytest.mark.parametrize(
    "news",
    [
        Sent(), Heard(180, "id"), Answered("id"), Said(2), Pressed("#"), Connected(), NotConnected("busy"),
        Over(486, "486 Busy"), Over(None, ""), Failed("no extra", is_ours=True),
    ],
)  # fmt: skip
async def test_news_arrive_as_they_were_told(news: News) -> None:
    stream = a_stream(encoded(news))

    assert await read_news(stream) == news
    assert await read_news(stream) is None


@pytest.mark.parametrize(
    "data", [b"", b"{", b"rubbish\n", b'{"type":"dance"}\n', encoded(Say(1, 8_000, 9), b"short"), b"x" * 70_000]
)
async def test_what_is_cut_or_unreadable_is_the_end(data: bytes) -> None:
    assert await read_order(a_stream(data)) is None
    if b'"say"' not in data:
        assert await read_news(a_stream(data)) is None


def a_message(first: str, method: str = "INVITE") -> str:
    return (
        f"{first}\r\nVia: SIP/2.0/UDP 127.0.0.1\r\ncall-id :  94fe7c@host \r\nCSeq: 7 {method}\r\n\r\nCall-ID: body\r\n"
    )


def test_an_answer_is_read() -> None:
    assert read(f"RX UDP a -> b\n{a_message('SIP/2.0 180 Ringing')}") == Answer("INVITE", 180, "94fe7c@host")
    assert read(f"RX UDP a -> b\n{a_message('SIP/2.0 200 OK', 'BYE')}") == Answer("BYE", 200, "94fe7c@host")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no message",
        f"TX UDP a -> b\n{a_message('SIP/2.0 180 Ringing')}",
        f"TX UDP a -> b\n{a_message('INVITE sip:x@y SIP/2.0')}",
        f"RX UDP a -> b\n{a_message('INVITE sip:x@y SIP/2.0')}",
        f"RX UDP a -> b\n{a_message('SIP/2.0 999 Never')}",
        "RX UDP a -> b\nSIP/2.0 180 Ringing\r\n\r\n",
    ],
)
def test_other_messages_are_none(text: str) -> None:
    assert read(text) is None
