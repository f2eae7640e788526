"""An Alertmanager of the engine's stories: it shows what a test tells it to, and notices who asks for too much."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sevrouter.domain.reconciliation import Answer, Unanswered
from tests.domain.building import shown

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping

    from sevrouter.domain.alert import Alert
    from sevrouter.domain.shown import Shown
    from sevrouter.domain.suppression import Silence

SILENCE = "66fc4d0c-375c-4d53-8b46-7e717d77b87d"


class Showing:
    """One Alertmanager, which has been up for a day."""

    def __init__(self, name: str = "http://alertmanager:9093") -> None:
        self.name = name
        self.alerts: dict[bytes, Shown] = {}
        self.is_away = False
        self.unreadable = 0
        self.up: timedelta | Unanswered = timedelta(days=1)
        self.mutes: set[bytes] | Unanswered = set()
        self.told: dict[str, Silence] = {}
        self.receivers: tuple[str, ...] = ()
        self.asked: list[str] = []
        # What happens between its answer and what follows from it.
        self.meanwhile: Callable[[], Awaitable[None]] | None = None

    def shows(self, *alerts: Alert, receivers: tuple[str, ...] = ("sevrouter",)) -> None:
        """Let alerts fire there."""
        self.alerts |= {each.digest: shown(each, receivers=receivers) for each in alerts}

    def hushes(self, *alerts: Alert, by: str = SILENCE) -> None:
        """Silence alerts that fire there."""
        self.alerts |= {each.digest: shown(each, silenced_by=(by,)) for each in alerts}

    def inhibits(self, *alerts: Alert, by: Alert) -> None:
        """Let one alert inhibit others."""
        self.shows(by)
        name = by.labels["alertname"].lower()
        self.alerts |= {each.digest: shown(each, inhibited_by=(name,)) for each in alerts}

    def forgets(self, *alerts: Alert) -> None:
        """Let alerts end there."""
        for each in alerts:
            del self.alerts[each.digest]

    async def _note(self, what: str) -> None:
        self.asked.append(what)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()

    async def ask(self) -> Answer | Unanswered:
        """Show them, unless it is away."""
        self.asked.append("alerts")
        return Unanswered("it is away") if self.is_away else Answer({**self.alerts}, self.unreadable, self.receivers)

    async def up_for(self) -> timedelta | Unanswered:
        """For how long it has been running."""
        await self._note("status")
        return self.up

    async def muted(self) -> Collection[bytes] | Unanswered:
        """What it mutes by time."""
        await self._note("groups")
        return self.mutes

    async def silences(self, ids: Iterable[str]) -> Mapping[str, Silence]:
        """What it tells of silences."""
        await self._note("silences")
        return {each: self.told[each] for each in ids if each in self.told}
