"""Looks at all that a database holds, whichever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from sevrouter.store.tables import metadata, migrations

if TYPE_CHECKING:
    from sevrouter.store.database import Database


def everything(database: Database) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table but that of the migrations, in the order of their keys; and let go of it."""
    try:
        return database.read_once(
            lambda tx: {
                table.name: [
                    dict(row)
                    for row in tx.alerts._connection.execute(select(table).order_by(*table.primary_key)).mappings()
                ]
                for table in metadata.tables.values()
                if table is not migrations
            }
        )
    finally:
        database.close()
