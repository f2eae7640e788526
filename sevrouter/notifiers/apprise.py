"""The call, through whatever Apprise can reach: one message to each address, in threads, because it is synchronous.

Apprise says whether a service took a message, and not why it did not: refused, away, or lost after it was sent. So a
failure is *unknown*, which is tried again; and what one of several addresses took is delivered, because to send it
again would ring there twice. The addresses hold secrets, and Apprise and its HTTP client log them: both are silenced.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import structlog

from sevrouter.domain.backoff import Schedule
from sevrouter.domain.delivery import Delivered, NoticeKind, OutcomeReason, Rejected, Retry, Unknown
from sevrouter.notifiers.plain_text import plain_text, title_of
from sevrouter.notifiers.wording import origin, state_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import apprise

    from sevrouter.domain.delivery import Delivery, Notice, Outcome
    from sevrouter.notifiers.base import Secret

log = structlog.get_logger()

# A call is worth asking for every half minute for as long as it takes.
SCHEDULE = Schedule(first=timedelta(seconds=1), longest=timedelta(seconds=30))

# Seconds. Nothing ends a thread from outside: one that is late goes on, and is only waited for no more.
ANSWER_WITHIN = 20.0
# Threads at once, those that are waited for no more included.
MOST_THREADS = 32
LONGEST_TITLE = 250

_LOGGERS = ("apprise", "urllib3", "requests")
_SILENT = logging.CRITICAL + 100


class _NotInstalledError(Exception):
    """Apprise is not there: install sevrouter[apprise]."""


class _NoAddressError(Exception):
    """Not an address that Apprise knows how to reach."""


class Apprise:
    """Sends every notice to every address; each of `urls` holds one, or one a line."""

    def __init__(self, *, urls: Sequence[Secret], answer_within: float = ANSWER_WITHIN) -> None:
        self._urls = urls
        self._answer_within = answer_within
        self._threads: set[threading.Thread] = set()

    async def prepare(self) -> None:
        """Load its plug-ins, for seconds that no call has to wait then; say so where it is not installed."""
        loaded = await self._in_thread(_is_loaded)
        if loaded is not True:
            log.error("apprise_not_loaded", reason=(loaded.__doc__ if isinstance(loaded, _NotInstalledError) else ""))

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Send it to each address once."""
        urls = await asyncio.to_thread(self._read)
        if not isinstance(urls, list):
            return urls
        self._threads = {each for each in self._threads if each.is_alive()}
        if len(self._threads) + len(urls) > MOST_THREADS:
            return Retry(OutcomeReason.RATE_LIMITED, f"{len(self._threads)} messages before it have not come back yet")
        notice = delivery.notice
        title, body, kind = title_of(notice, LONGEST_TITLE), _body(notice), _kind_of(notice)
        sent = [self._in_thread(partial(_send, url, title, body, kind)) for url in urls]
        done, late = await asyncio.wait(sent, timeout=self._answer_within)
        return _outcome(delivery, [each.result() for each in done], late=len(late))

    def _read(self) -> list[str] | Retry | Rejected:
        try:
            lines = [line.strip() for secret in self._urls for line in secret().splitlines()]
        except (OSError, ValueError) as error:
            # Not the error's text: it may hold what was read.
            return Retry(OutcomeReason.SECRET_UNREADABLE, f"the addresses cannot be read: {type(error).__name__}")
        urls = [line for line in lines if line and not line.startswith("#")]
        if not urls:
            return Retry(OutcomeReason.SECRET_UNREADABLE, "there is no address")
        if len(urls) > MOST_THREADS:
            return Rejected(OutcomeReason.NOT_CONFIGURED, f"more than {MOST_THREADS} addresses")
        return urls

    def _in_thread(self, work: Callable[[], bool]) -> asyncio.Future[bool | Exception]:
        """Run it in a thread that keeps no process alive, as those of an executor do."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bool | Exception] = loop.create_future()

        def settle(result: bool | Exception) -> None:
            if not future.done():
                future.set_result(result)

        def run() -> None:
            try:
                result: bool | Exception = work()
            except Exception as error:  # noqa: BLE001  whatever a plug-in raises, its text may name the address
                result = error
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, result)

        thread = threading.Thread(target=run, name="apprise", daemon=True)
        self._threads.add(thread)
        thread.start()
        return future


def _outcome(delivery: Delivery, results: Sequence[bool | Exception], *, late: int) -> Outcome:
    taken = sum(result is True for result in results)
    errors = sorted({type(each) for each in results if isinstance(each, Exception)}, key=lambda kind: kind.__name__)
    every = len(results) + late
    if taken:
        detail = "" if taken == every else f"{every - taken} of {every} addresses did not take it"
        return Delivered(delivery.reference or f"apprise-{delivery.id}", detail=detail)
    if late:
        return Unknown(OutcomeReason.TIMED_OUT, f"{late} of {every} addresses did not answer in time")
    if errors and all(isinstance(each, _NotInstalledError | _NoAddressError) for each in results):
        return Rejected(OutcomeReason.NOT_CONFIGURED, errors[0].__doc__ or "")
    names = ", ".join(each.__name__ for each in errors)
    return Unknown(OutcomeReason.UNREADABLE_ANSWER, f"Apprise says that it failed, and not why {names}".strip())


def _client() -> apprise.Apprise:
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(_SILENT)
    try:
        import apprise  # noqa: PLC0415  an extra, large and slow to import
    except ImportError:
        raise _NotInstalledError from None
    # Nothing of ours is written to disk.
    asset = apprise.AppriseAsset(async_mode=False, secure_logging=True, storage_mode="memory")
    # What we send is meant for no other address.
    asset.http_redirects = False
    return apprise.Apprise(asset=asset)


def _is_loaded() -> bool:
    return bool(_client().add("json://localhost"))


def _send(url: str, title: str, body: str, kind: str) -> bool:
    client = _client()
    if not client.add(url):
        raise _NoAddressError
    # As text: whatever service wants HTML or Markdown gets it escaped.
    return bool(client.notify(body=body, title=title, notify_type=kind, body_format="text"))


def _body(notice: Notice) -> str:
    return f"{state_of(notice)}\n{plain_text(notice)}\n{origin(notice)}"


def _kind_of(notice: Notice) -> str:
    match notice.kind:
        case NoticeKind.RESOLVED:
            return "success"
        case NoticeKind.ACKNOWLEDGED:
            return "info"
        case _:
            return "failure" if notice.sev.is_major else "warning"
