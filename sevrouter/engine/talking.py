"""What is said in a call and what its keys do: written before it is said, so that any replica can go on with it."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, TypeVar

from sevrouter.domain import speech
from sevrouter.domain.policy import NO_BRIDGE, Bridge
from sevrouter.domain.ringing import RingEnd

if TYPE_CHECKING:
    from collections.abc import Callable

    from sevrouter.domain.incident import Incident
    from sevrouter.domain.ringing import Ring, Script
    from sevrouter.domain.routing import Routing
    from sevrouter.engine.ports import Clock, CurrentRouting, StorePort, TransactionPort

T = TypeVar("T")

# Of more incidents than this a call says only how many they are.
NAMED = 2


class Talking:
    """Speaks in calls. `pressed_key` is told that a key was stored, which somebody has to act on."""

    def __init__(
        self, store: StorePort, routing: CurrentRouting, *, clock: Clock, pressed_key: Callable[[], None]
    ) -> None:
        self._store = store
        self._routing = routing
        self._clock = clock
        self._pressed_key = pressed_key

    async def script(self, ring_id: int, token: str) -> Script | None:
        """What a call says now; None where there is no such call, or it is over. Raises NotStoredError."""
        return await self._store.write(lambda tx: self._if_known(tx, ring_id, token, self._say))

    async def pressed(self, ring_id: int, token: str, key: str) -> Script | None:
        """What a call says after a key; None as above. Raises NotStoredError: then the key has done nothing."""
        said = await self._store.write(
            lambda tx: self._if_known(tx, ring_id, token, lambda tx, ring: self._press(tx, ring, key))
        )
        self._pressed_key()
        return said

    async def progressed(self, ring_id: int, token: str, reference: str) -> bool:
        """A provider says that it has taken a call, and calls it this. Raises NotStoredError."""
        return await self._store.write(
            lambda tx: bool(self._if_known(tx, ring_id, token, lambda tx, ring: tx.rings.place(ring, reference)))
        )

    def _if_known(
        self, tx: TransactionPort, ring_id: int, token: str, work: Callable[[TransactionPort, Ring], T]
    ) -> T | None:
        ring = tx.rings.find(ring_id)
        if ring is None or ring.end is not None or not hmac.compare_digest(ring.token.encode(), token.encode()):
            return None
        return work(tx, ring)

    def _say(self, tx: TransactionPort, ring: Ring) -> Script:
        if ring.is_drill:
            return speech.drill_text() if ring.heard is None else speech.drilled_text()
        now = self._clock()
        is_owned = ring.acknowledged_at is not None
        count = tx.rings.count_told(ring.id) if is_owned else tx.rings.adopt(ring, now=now)
        told = told_of(tx, ring.id, NAMED)
        if is_owned:
            return speech.acknowledged_text(max(1, count), Bridge(dial=ring.dial))
        return speech.call_text(told, count, bridge_of(self._routing(), told), now=now)

    def _press(self, tx: TransactionPort, ring: Ring, key: str) -> Script:
        if key == speech.ACKNOWLEDGE:
            return self._acknowledge(tx, ring)
        if ring.is_drill or key not in (speech.PASS_ON, speech.CONNECT):
            return self._say(tx, ring)
        is_owned = ring.acknowledged_at is not None
        dial = ring.dial if is_owned else bridge_of(self._routing(), told_of(tx, ring.id, NAMED)).dial
        if key == speech.CONNECT and dial is not None:
            tx.rings.hear(ring.id, RingEnd.CONNECTED)
            return speech.connecting_text(dial, RingEnd.ACKNOWLEDGED if is_owned else RingEnd.CONNECTED)
        if key == speech.PASS_ON and ring.acknowledged_at is None:
            tx.rings.hear(ring.id, RingEnd.PASSED_ON)
            return speech.passed_on_text()
        return self._say(tx, ring)

    def _acknowledge(self, tx: TransactionPort, ring: Ring) -> Script:
        if ring.is_drill:
            tx.rings.acknowledge(ring.id, at=self._clock(), dial=None)
            return speech.drilled_text()
        count, dial = tx.rings.count_told(ring.id), ring.dial
        if ring.acknowledged_at is None:
            if not count:
                return speech.no_longer_needed(None)
            dial = bridge_of(self._routing(), told_of(tx, ring.id, NAMED)).dial
            tx.rings.acknowledge(ring.id, at=self._clock(), dial=dial)
        return speech.acknowledged_text(max(1, count), Bridge(dial=dial))


def told_of(tx: TransactionPort, ring_id: int, most: int) -> list[Incident]:
    """The worst of the incidents that a call is about."""
    numbers = [each.incident_id for each in tx.rings.told(ring_id, most=most)]
    found = tx.incidents.by_id(numbers)
    return [found[number] for number in numbers if number in found]


def bridge_of(routing: Routing, told: list[Incident]) -> Bridge:
    """The bridge of the worst of them."""
    return routing.bridge_of(told[0].owner, told[0].sev) if told else NO_BRIDGE
