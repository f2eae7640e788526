"""What the process is told by signals."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextlib import AsyncExitStack


class Signals:
    """SIGTERM and SIGINT stop, once; SIGHUP reloads while there is something to reload."""

    def __init__(self, stack: AsyncExitStack) -> None:
        loop = asyncio.get_running_loop()
        self.stopped: asyncio.Future[str] = loop.create_future()
        self.on_reload: Callable[[], Coroutine[None, None, object]] | None = None
        self._reloads: set[asyncio.Task[object]] = set()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
            stack.callback(loop.remove_signal_handler, number)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        stack.callback(loop.remove_signal_handler, signal.SIGHUP)

    def _stop(self, number: signal.Signals) -> None:
        if not self.stopped.done():
            self.stopped.set_result(number.name)

    def _reload(self) -> None:
        if self.on_reload is not None:
            task = asyncio.get_running_loop().create_task(self.on_reload())
            self._reloads.add(task)
            task.add_done_callback(self._reloads.discard)
