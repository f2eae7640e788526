"""What could not be read, kept raw as it came."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, insert, select, update

from sevrouter.store.tables import quarantine

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One body, or member of a body, that could not be read; `times` it came."""

    id: int
    reason: str
    times: int
    body: bytes


class Quarantine:
    """The statements on quarantined bodies of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, body: bytes, *, reason: str, at: datetime) -> None:
        """Keep a body; one that is there already is only counted, so that a sender's loop fills no disk."""
        digest = hashlib.blake2b(body, digest_size=16).digest()
        seen_again = (
            update(quarantine)
            .where(quarantine.c.digest == digest)
            .values(last_at=at, times=quarantine.c.times + 1, reason=reason)
        )
        if self._connection.execute(seen_again).rowcount:
            return
        row = {"digest": digest, "first_at": at, "last_at": at, "times": 1, "reason": reason, "body": body}
        self._connection.execute(insert(quarantine), row)

    def listed(self, *, most: int) -> list[Quarantined]:
        """The last ones that came."""
        statement = select(quarantine).order_by(quarantine.c.last_at.desc()).limit(most)
        return [
            Quarantined(row["id"], row["reason"], row["times"], row["body"])
            for row in self._connection.execute(statement).mappings()
        ]

    def count(self) -> int:
        """How many there are."""
        return self._connection.execute(select(func.count()).select_from(quarantine)).scalar_one()
