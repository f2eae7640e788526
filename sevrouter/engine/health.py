"""Which providers can call just now. One that failed is left alone for a while, longer each time, and tried again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sevrouter.domain.policy import Provider
    from sevrouter.engine.ports import Clock

log = structlog.get_logger()

# How long one that failed is left alone, as long as there is another one: the first time, and at the most.
FIRST, LONGEST = timedelta(minutes=1), timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class _Condemned:
    until: datetime
    wait: timedelta


class Health:
    """What this process has seen of providers; another one sees for itself."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._condemned: dict[str, _Condemned] = {}

    def condemn(self, provider: str, reason: str) -> None:
        """It could not call just now."""
        now, known = self._clock(), self._condemned.get(provider)
        if known is not None and now < known.until:
            return
        wait = FIRST if known is None else min(LONGEST, known.wait * 2)
        self._condemned[provider] = _Condemned(now + wait, wait)
        log.error("provider_failing", provider=provider, reason=reason, for_seconds=wait.total_seconds())

    def acquit(self, provider: str) -> None:
        """It called."""
        if self._condemned.pop(provider, None) is not None:
            log.info("provider_recovered", provider=provider)

    def is_fit(self, provider: str) -> bool:
        """Whether it is worth trying first."""
        known = self._condemned.get(provider)
        return known is None or self._clock() >= known.until

    def in_order(self, providers: Sequence[Provider]) -> list[Provider]:
        """All of them, in the order in which to try them: as they are configured, those last that failed just now."""
        return sorted(providers, key=lambda each: not self.is_fit(each.name))
