"""`drill`, `ack` and `resolve`: what a person says of calls, to a daemon that reads it in the database."""

from __future__ import annotations

import getpass
import time
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sevrouter.commands import GOOD, NO
from sevrouter.commands.looking import existing
from sevrouter.commands.reviewing import written
from sevrouter.commands.terminal import CommandError, complain, load_config, say
from sevrouter.domain.acknowledging import LONGEST_NAME, is_name
from sevrouter.domain.drill import ASKED_FOR, NEVER, Drill
from sevrouter.domain.policy import ProviderKind
from sevrouter.domain.ringing import RingEnd
from sevrouter.engine.acknowledging import Said, Taken, Wish, named
from sevrouter.engine.acknowledging import say as say_of

if TYPE_CHECKING:
    import argparse

    from sevrouter.domain.policy import Calling
    from sevrouter.store.database import Database
    from sevrouter.store.transaction import Transaction

HOW = "cli"
# Seconds between two looks at what has come of a drill, and how long one lasts at the most.
LOOK_EVERY, LASTS = 0.5, 240.0


def acknowledge(arguments: argparse.Namespace) -> int:
    """Own an incident; 1 where it is over, or there is none."""
    return _say(arguments, Wish.ACKNOWLEDGE)


def resolve(arguments: argparse.Namespace) -> int:
    """End an incident; 1 where it is over, or there is none."""
    return _say(arguments, Wish.RESOLVE)


def _say(arguments: argparse.Namespace, wish: Wish) -> int:
    wanted, by = arguments.incident, arguments.by or getpass.getuser()
    if not is_name(by):
        raise CommandError(f"--by: a name, printable, of at most {LONGEST_NAME} characters")
    routing = load_config(arguments.config, secrets=False).routing
    now = datetime.now(UTC)

    def work(tx: Transaction) -> Said:
        return say_of(tx, routing, named(tx, wanted), wish, by=by, how=HOW, now=now)[0]

    with closing(existing(arguments)) as database:
        said = written(database, work)
    number = said.incident_id
    match said.taken:
        case Taken.UNKNOWN:
            complain(f"there is no incident {wanted!r}")
            return NO
        case Taken.OVER:
            complain(f"incident {number} is over already")
            return NO
        case Taken.OWNED:
            say(f"incident {number} is owned by {said.owner} already ({said.how})")
        case Taken.ACKNOWLEDGED:
            say(f"incident {number}: acknowledged by {by}; a running sevrouter tells of it within seconds")
        case Taken.RESOLVED:
            say(f"incident {number}: resolved by {by}; a running sevrouter tells of it within seconds")
        case Taken.FIRING:
            say(f"incident {number} still fires: it is over once its alerts are")
            return NO
    return GOOD


def drill(arguments: argparse.Namespace) -> int:
    """Have a person called as a drill; 1 where that is not confirmed by a key."""
    calling = load_config(arguments.config, secrets=False).routing.calling
    person, provider = arguments.person, _provider(calling, arguments.person, arguments.provider)
    with closing(existing(arguments)) as database:
        asked_at = datetime.now(UTC)
        written(database, lambda tx: tx.drills.ask(person, provider, at=asked_at))
        say(f"{person} is called by {provider} …")
        found = _outcome(database, person, provider, asked_at)
    if found is None:
        complain(f"nobody has called {person}: is a sevrouter running with this database?")
        return NO
    if found.end is RingEnd.ACKNOWLEDGED:
        say(f"{person} has confirmed it")
        return GOOD
    complain(f"{person} has not confirmed it: {'' if found.end is None else found.end.value.replace('_', ' ')}")
    return NO


def _provider(calling: Calling | None, person: str, wanted: str | None) -> str:
    known = None if calling is None else calling.people.get(person)
    if calling is None:
        raise CommandError("nobody is phoned: the configuration has no policies")
    if known is None:
        raise CommandError(f"--person: nobody in people is called {person!r}")
    if known.phone is None:
        raise CommandError(f"--person: {person!r} has no phone")
    phones = [each.name for each in calling.providers if each.kind is ProviderKind.PHONE]
    if wanted is not None and wanted not in phones:
        raise CommandError(f"--provider: no provider that phones is called {wanted!r}; there is {', '.join(phones)}")
    if not phones:
        raise CommandError("nobody is phoned: integrations.call has no provider that phones")
    return wanted or phones[0]


def _outcome(database: Database, person: str, provider: str, asked_at: datetime) -> Drill | None:
    """What came of it; None where nobody has begun with it in time."""
    begun = time.monotonic()
    while (waited := time.monotonic() - begun) < LASTS:
        time.sleep(LOOK_EVERY)
        found, under_way = database.read_once(
            lambda tx: (tx.drills.known().get((person, provider), NEVER), tx.rings.under_way([person]))
        )
        if found.drilled_at is not None and found.drilled_at >= asked_at:
            return found
        if not under_way and waited > ASKED_FOR.total_seconds():
            return None
    return None
