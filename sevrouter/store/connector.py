"""How PostgreSQL is reached: its hosts, a password that may change, TLS, time-outs, and how a dead peer is noticed."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
from asyncpg.connect_utils import SessionAttribute

# Seconds of silence after which a peer is asked whether it is there, between two such questions, and how many go
# unanswered before it counts as dead: within 15 s in all.
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 5), (socket.TCP_KEEPINTVL, 3), (socket.TCP_KEEPCNT, 3))
_DEAD_AFTER = 15_000  # milliseconds that what was sent may go unacknowledged
# A replica that is frozen in the middle of a transaction must not hold its locks for ever.
_LONGEST_PAUSE = timedelta(seconds=60)
# Our own patience ends a little after the server's, whose error says more.
_GRACE = timedelta(seconds=2)
_NEVER = timedelta()

# What says that a host is away, is starting, stopping or full, or only reads.
_TRY_THE_NEXT = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.TargetServerAttributeNotMatched,
)

_DURABLE = "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How a connection is encrypted; the files are read at each connection, because they may be renewed."""

    verify: bool
    check_name: bool
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Build what TLS needs. Raises OSError where a file cannot be read."""
        context = ssl.create_default_context(cafile=self.ca_file)
        context.check_hostname = self.verify and self.check_name
        context.verify_mode = ssl.CERT_REQUIRED if self.verify else ssl.CERT_NONE
        if self.cert_file is not None:
            context.load_cert_chain(self.cert_file, self.key_file)
        return context


@dataclass(frozen=True, slots=True, kw_only=True)
class Connector:
    """Opens connections. `name` is the address without any secret; `password` is asked for at each connection."""

    name: str
    hosts: tuple[tuple[str, int], ...]
    database: str
    user: str | None
    password: Callable[[], str] | None
    tls: Tls | None
    schema: str | None
    application_name: str
    connect_timeout: timedelta
    statement_timeout: timedelta
    lock_timeout: timedelta

    def patient(self) -> Connector:
        """The same without an end to a statement: a large table takes its time, and so may who is before us."""
        return replace(self, statement_timeout=_NEVER, lock_timeout=_NEVER)

    async def connect(self, **_options: Any) -> asyncpg.Connection[Any]:
        """Open a connection to the first host that takes writes. Raises OSError, TimeoutError or PostgresError."""
        # One by one: the driver's time-out is for all of them, and ends its search at a host that is starting.
        *others, last = self.hosts
        for host in others:
            with contextlib.suppress(*_TRY_THE_NEXT):
                return await self._connect(host)
        return await self._connect(last)

    async def _connect(self, host: tuple[str, int]) -> asyncpg.Connection[Any]:
        settings = {
            "application_name": self.application_name,
            "statement_timeout": _milliseconds(self.statement_timeout),
            "lock_timeout": _milliseconds(self.lock_timeout),
            "idle_in_transaction_session_timeout": _milliseconds(_LONGEST_PAUSE),
        }
        if self.schema is not None:
            settings["search_path"] = self.schema
        connection: asyncpg.Connection[Any] = await asyncpg.connect(
            host=host[0],
            port=host[1],
            user=self.user,
            database=self.database,
            password=self._password(),
            ssl=self.tls.context() if self.tls else False,
            timeout=self.connect_timeout.total_seconds(),
            command_timeout=(self.statement_timeout + _GRACE).total_seconds() if self.statement_timeout else None,
            target_session_attrs=SessionAttribute.read_write,
            server_settings=settings,
        )
        _notice_a_dead_peer(connection)
        # What is answered with 200 has to be on disk, whatever others in the same server can do without.
        await connection.execute(_DURABLE)
        return connection

    def _password(self) -> str:
        try:
            return self.password() if self.password is not None else ""
        except ValueError as error:
            raise ConnectionError(f"no password: {error}") from None


def _milliseconds(time: timedelta) -> str:
    return str(round(time.total_seconds() * 1_000))


def _notice_a_dead_peer(connection: asyncpg.Connection[Any]) -> None:
    # The driver has no setting for it.
    transport = getattr(connection, "_transport", None)
    peer = transport.get_extra_info("socket") if transport is not None else None
    if peer is None or peer.family == socket.AF_UNIX:
        return
    with contextlib.suppress(OSError):
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _DEAD_AFTER)
        for option, value in _KEEPALIVE:
            peer.setsockopt(socket.IPPROTO_TCP, option, value)
