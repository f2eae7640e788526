"""Deliveries as rows, and rows as deliveries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from sevrouter.domain.delivery import Delivery, DeliveryState, NewDelivery, Notice
from sevrouter.store.rows import Rows
from sevrouter.store.tables import microseconds

if TYPE_CHECKING:
    from sqlalchemy import RowMapping

NEW = Rows(
    "deliveries",
    {
        "id": "bigint",
        "incident_id": "bigint",
        "integration": "text",
        "kind": "text",
        "sev": "smallint",
        "notice": "text",
        "state": "text",
        "attempts": "integer",
        "unknowns": "integer",
        "received_at": "bigint",
        "not_before": "bigint",
        "expires_at": "bigint",
        "lease": "text",
        "lease_until": "bigint",
    },
)


def row_of(number: int, new: NewDelivery) -> tuple[object, ...]:
    """The values of a new row, in the order of `NEW`."""
    told = new.notice
    return (
        number,
        told.incident_id,
        new.integration,
        told.kind.value,
        told.sev.rank,
        msgspec.json.encode(told).decode(),
        DeliveryState.PENDING.value if new.lease is None else DeliveryState.SENDING.value,
        0 if new.lease is None else 1,
        0,
        microseconds(new.received_at),
        microseconds(told.at),
        microseconds(new.expires_at),
        new.lease,
        None if new.lease_until is None else microseconds(new.lease_until),
    )


def delivery_of(row: RowMapping) -> Delivery:
    """A delivery as it is stored, with the reference that was joined to it, if any."""
    return Delivery(
        id=row["id"],
        integration=row["integration"],
        notice=msgspec.json.decode(row["notice"], type=Notice),
        attempts=row["attempts"],
        unknowns=row["unknowns"],
        received_at=row["received_at"],
        expires_at=row["expires_at"],
        reference=row.get("reference"),
        lease=row["lease"] or "",
    )
