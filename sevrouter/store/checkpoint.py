"""Brings SQLite's write-ahead log back into the database, in a thread of its own, so that no commit waits for it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import structlog
from sqlalchemy.exc import SQLAlchemyError

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

log = structlog.get_logger()

# Seconds between two looks at the log.
_EVERY = 1.0
# Bytes. A smaller log is left alone, for its pages will be written again.
_WORTH_WHILE = 8 * 2**20


class Checkpointer:
    """Checkpoints now and then until it is closed."""

    def __init__(self, path: Path, engine: Engine) -> None:
        self._log = path.with_name(path.name + "-wal")
        self._engine = engine
        self._closed = threading.Event()
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="store-checkpointer", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop; what is left in the log is brought back with the last connection, or at the next start."""
        self._closed.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closed.wait(_EVERY):
            try:
                self.look()
                self._failing = False
            except (OSError, SQLAlchemyError) as error:
                if not self._failing:
                    log.warning("checkpoint_failing", reason=str(getattr(error, "orig", error)))
                self._failing = True

    def look(self) -> None:
        """Checkpoint where the log is worth it.

        Only what needs nobody to wait: to begin the log anew is for the writer, who would otherwise take it for
        somebody else's writing.
        """
        if self._size() < _WORTH_WHILE:
            return
        with self._engine.connect() as connection:
            cursor = connection.connection.cursor()
            cursor.execute("PRAGMA wal_checkpoint(PASSIVE)")
            cursor.close()

    def _size(self) -> int:
        return self._log.stat().st_size if self._log.exists() else 0
