"""`set-sev` and `postmortem`: what a person says of an incident, and all that was decided about it."""

from __future__ import annotations

import getpass
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from sevrouter.commands import GOOD, NO
from sevrouter.commands.looking import existing
from sevrouter.commands.terminal import CommandError, complain, load_config, say
from sevrouter.domain.overruling import set_sev as overrule
from sevrouter.domain.postmortem import postmortem as as_markdown
from sevrouter.domain.sev import parse_sev
from sevrouter.engine.announcing import announce
from sevrouter.store.errors import ConflictError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from sevrouter.domain.sev import Sev
    from sevrouter.store.database import Database
    from sevrouter.store.transaction import Transaction

T = TypeVar("T")

# A daemon may write the same incident just then.
TRIES = 5


def set_sev(arguments: argparse.Namespace) -> int:
    """Set the SEV of an open incident; 1 where there is none of that number."""
    sev, by = _sev(arguments.sev), arguments.by or getpass.getuser()
    if not arguments.reason.strip():
        raise CommandError("--reason: say why; it is kept for the post-mortem")
    routing = load_config(arguments.config, secrets=False).routing
    now = datetime.now(UTC)

    def work(tx: Transaction) -> str | None:
        incident = tx.incidents.by_id([arguments.id]).get(arguments.id)
        if incident is None or not incident.is_open:
            return None
        said = overrule(incident, sev, by=by, reason=arguments.reason, now=now)
        announce(tx, routing, [(incident, said)], now=now)
        return f"incident {arguments.id}: {incident.sev} → {sev}, by {by}"

    with closing(existing(arguments)) as database:
        done = written(database, work)
    if done is None:
        complain(f"there is no open incident {arguments.id}")
        return NO
    say(f"{done}; a running sevrouter tells of it within seconds")
    return GOOD


def written(database: Database, work: Callable[[Transaction], T]) -> T:
    """Write once, again where a daemon wrote the same just then. Raises CommandError where that never ends."""
    for _ in range(TRIES):
        try:
            return database.write_once(work)
        except ConflictError:
            continue
    raise CommandError("the incident is being written by others all the time: try again")


def _sev(text: str) -> Sev:
    try:
        sev = parse_sev(text)
    except ValueError as error:
        raise CommandError(str(error)) from None
    if sev is None:
        raise CommandError("an incident cannot be set to none: SEV-5 is the mildest")
    return sev


def postmortem(arguments: argparse.Namespace) -> int:
    """Print one incident as Markdown; 1 where there is none of that number."""
    number = arguments.id
    with closing(existing(arguments)) as database:
        found, timeline = database.read_once(
            lambda tx: (tx.incidents.by_id([number]).get(number), tx.incidents.timeline(number))
        )
    if found is None:
        complain(f"there is no incident {number}")
        return NO
    say(as_markdown(found, timeline, now=datetime.now(UTC)))
    return GOOD
