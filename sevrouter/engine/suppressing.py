"""Suppresses incidents and lifts it again, as other folds are written; says why in the words of a silence."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING

from sevrouter.domain.reconciliation import all_suppressed
from sevrouter.domain.suppression import Silence, reason_of, suppress, unsuppress
from sevrouter.engine.announcing import Announced, announce

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from sevrouter.domain.reconciliation import Picture
    from sevrouter.domain.routing import Routing
    from sevrouter.engine.ports import Alertmanager, TransactionPort

# Silences that are asked for at once: a few explain very many alerts.
MOST_SILENCES = 20


class Suppressing:
    """Suppresses incidents for their reasons, unless one of their alerts has come to fire meanwhile."""

    def __init__(self, picture: Picture, reasons: Mapping[int, str], routing: Routing, now: datetime) -> None:
        self._picture = picture
        self._reasons = reasons
        self._routing = routing
        self._now = now

    def __call__(self, tx: TransactionPort) -> Announced:
        incidents = tx.incidents.by_id(self._reasons)
        digests = tx.firing.of_incidents(self._reasons)
        # One from which alerts were left out may have more of them than anybody knows of.
        folds = [
            (each, suppress(each, self._reasons[number], now=self._now))
            for number, each in incidents.items()
            if not each.truncated and all_suppressed(self._picture, digests[number])
        ]
        return announce(tx, self._routing, folds, now=self._now)


class Lifting:
    """Lets people be called for incidents again; those of which nothing fires any more end as they are."""

    def __init__(self, ids: Collection[int], note: str, routing: Routing, now: datetime) -> None:
        self._ids = ids
        self._note = note
        self._routing = routing
        self._now = now

    def __call__(self, tx: TransactionPort) -> Announced:
        incidents = tx.incidents.by_id(self._ids)
        folds = [
            (each, unsuppress(each, self._note, now=self._now))
            for each in incidents.values()
            if each.is_open and each.due_at is None
        ]
        return announce(tx, self._routing, folds, now=self._now)


async def reasons(
    alertmanagers: Sequence[Alertmanager], picture: Picture, of_incidents: Mapping[int, bytes], *, now: datetime
) -> dict[int, str]:
    """Why incidents are suppressed, each by one of its alerts."""
    shown = {number: picture.shown(digest)[0] for number, digest in of_incidents.items()}
    wanted = dict.fromkeys(each for found in shown.values() for each in found.status.silenced_by or ())
    silences = await _silences(alertmanagers, islice(wanted, MOST_SILENCES))
    fingerprints = {each for found in shown.values() for each in found.status.inhibited_by or ()}
    names = {
        each.fingerprint: each.name()
        for answer in picture.answers if fingerprints
        for each in answer.alerts.values()
        if each.fingerprint in fingerprints
    }  # fmt: skip
    return {number: reason_of(found, silences, names, now=now) for number, found in shown.items()}


async def _silences(alertmanagers: Sequence[Alertmanager], ids: Iterable[str]) -> dict[str, Silence]:
    wanted = list(ids)
    if not wanted:
        return {}
    found: dict[str, Silence] = {}
    for told in await asyncio.gather(*(each.silences(wanted) for each in alertmanagers)):
        found.update(told)
    return found
