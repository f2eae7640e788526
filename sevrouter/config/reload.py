"""Replaces the running configuration while the daemon runs: whole or not at all.

Knows when to read again and whom to tell. Must not know what a change means to anybody else.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import replace

import structlog

from sevrouter.config.configuration import Configuration, changed_settings
from sevrouter.config.load import load
from sevrouter.config.problem import ConfigurationError
from sevrouter.config.secret import signature

# Seconds between two looks at the file; a change is taken up at the second look that finds it.
INTERVAL = 1.0

_log = structlog.get_logger()

OnChange = Callable[[Configuration], Awaitable[None] | None]
OnReload = Callable[[bool], None]
Sleep = Callable[[float], Awaitable[None]]


class ConfigurationKeeper:
    """Holds the running configuration.

    `on_change` is given a new configuration before it counts as running, and applies it whole or raises; then the
    old one stays. `on_reload` hears of every reload whether it was successful.
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        on_change: OnChange,
        on_reload: OnReload = lambda _: None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._configuration = configuration
        self._on_change = on_change
        self._on_reload = on_reload
        self._sleep = sleep
        self._lock = asyncio.Lock()
        self._last_reload_successful = True
        self._loaded = self._noticed = signature(configuration.path)

    @property
    def configuration(self) -> Configuration:
        """The running one."""
        return self._configuration

    @property
    def last_reload_successful(self) -> bool:
        """Whether the running configuration is the one that was read last."""
        return self._last_reload_successful

    async def reload(self, reason: str) -> bool:
        """Read the file again and run on it; `reason` says who asked. False where the old one stays."""
        async with self._lock:
            # Taken before the file is read, so that a change during the reading is noticed afterwards.
            self._loaded = self._noticed = signature(self._configuration.path)
            successful = await self._try(reason)
            self._last_reload_successful = successful
            self._on_reload(successful)
            return successful

    async def check_once(self) -> bool | None:
        """Reload if the file changed and has come to rest. None where there was nothing to do.

        A file that still changes between two looks is half-written, and part of it may well be valid.
        """
        now = signature(self._configuration.path)
        at_rest, self._noticed = now == self._noticed, now
        if now == self._loaded or not at_rest:
            return None
        return await self.reload("file changed")

    async def watch(self, interval: float = INTERVAL) -> None:
        """Look at the file for ever, every `interval` seconds."""
        while True:
            await self._sleep(interval)
            await self.check_once()

    async def _try(self, reason: str) -> bool:
        old = self._configuration
        try:
            new = _with_running_store(await asyncio.to_thread(load, old.path), old)
            applied = self._on_change(new)
            if inspect.isawaitable(applied):
                await applied
        except ConfigurationError as error:
            for problem in error.problems:
                _log.error("configuration_refused", reason=reason, problem=str(problem), running=old.hash)
            return False
        except Exception:  # noqa: BLE001  whatever else goes wrong, the running configuration stays
            _log.exception("configuration_refused", reason=reason, problem="cannot be applied", running=old.hash)
            return False
        self._configuration = new
        log_loaded(new, reason)
        return True


def _with_running_store(new: Configuration, old: Configuration) -> Configuration:
    if new.store == old.store:
        return new
    changed = ", ".join(changed_settings(new.store, old.store))
    _log.warning("restart_needed", setting=changed, running=str(old.store), written=str(new.store))
    return replace(new, store=old.store)


def log_loaded(configuration: Configuration, reason: str) -> None:
    """Log that a configuration runs now, and each of its warnings."""
    _log.info("configuration_loaded", hash=configuration.hash, path=str(configuration.path), reason=reason)
    for warning in configuration.warnings:
        _log.warning("configuration_doubtful", problem=str(warning))
