"""`incidents`, `dead-letters`, `migrate`: looks at the database, also beside a daemon that is using it."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sevrouter.commands import GOOD, NO
from sevrouter.commands.terminal import CommandError, complain, load_config, say
from sevrouter.domain.explanation import headline, reasons
from sevrouter.domain.plan import incident_key
from sevrouter.domain.sev import sev_name
from sevrouter.domain.text import one_line
from sevrouter.opening import open_database
from sevrouter.store.sqlite import SqliteDatabase

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from sevrouter.domain.incident import Incident, TimelineEntry
    from sevrouter.store.database import Database
    from sevrouter.store.outbox import DeadLetter

TIME = "%Y-%m-%d %H:%M:%S"


def incidents(arguments: argparse.Namespace) -> int:
    """List incidents, or show one with its timeline; 1 where that one does not exist."""
    with closing(existing(arguments)) as database:
        if arguments.id is not None:
            return _show_one(database, arguments.id, as_json=arguments.json)
        listed = database.read_once(lambda tx: tx.incidents.listed(with_resolved=arguments.all, most=arguments.most))
    if arguments.json:
        say(json.dumps([_incident_json(each) for each in listed], indent=2))
        return GOOD
    for each in listed:
        state = each.state.value if each.stale_since is None else "stale"
        hushed = "" if each.suppressed is None else f"  (suppressed: {each.suppressed})"
        say(f"{each.id:>6}  {state:<12}  since {each.opened_at:{TIME}}  {headline(each)}{hushed}")
    if not listed:
        say("no incidents" if arguments.all else "no open incidents")
    return GOOD


def _show_one(database: Database, number: int, *, as_json: bool) -> int:
    found, timeline = database.read_once(
        lambda tx: (tx.incidents.by_id([number]).get(number), tx.incidents.timeline(number))
    )
    if found is None:
        complain(f"there is no incident {number}")
        return NO
    if as_json:
        entries = [_entry_json(entry) for entry in timeline]
        say(json.dumps(_incident_json(found) | {"timeline": entries}, indent=2))
        return GOOD
    say(f"{headline(found)}\n{found.state.value} since {found.opened_at:{TIME}}, owner {found.owner or 'nobody'}")
    if found.suppressed is not None:
        say(f"suppressed, nobody is called: {found.suppressed}")
    for line in (*reasons(found), *_beside(found)):
        say(f"  {line}")
    for entry in timeline:
        details = ", ".join(f"{key}: {value}" for key, value in entry.details.items() if key != "labels")
        say(f"  {entry.at:{TIME}}  {entry.fact.value:<18} {one_line(details)}")
    return GOOD


def _beside(incident: Incident) -> Iterator[str]:
    """What is known of it beside its SEV."""
    milder = incident.standing.milder
    if milder is not None and incident.is_open:
        yield f"would be {sev_name(milder.sev)} by its measures, since {milder.since:{TIME}}"
    if incident.stale_since is not None:
        yield f"stale since {incident.stale_since:{TIME}}: nothing is heard of it"
    for sev, mention in incident.standing.mentions.items():
        yield f"{mention.likelihood.value} to become {sev}"


def _incident_json(incident: Incident) -> dict[str, Any]:
    owned = incident.standing.acknowledged
    return {
        "id": incident.id,
        "incident": incident.dedup_key,
        "state": incident.state.value,
        "sev": str(incident.sev),
        "unsure": incident.unsure,
        "title": headline(incident),
        "system": incident.system,
        "owner": incident.owner,
        "firing": incident.firing,
        "opened_at": incident.opened_at.isoformat(),
        "suppressed": incident.suppressed,
        "resolved_at": incident.resolved_at.isoformat() if incident.resolved_at else None,
        "would_be": sev_name(milder.sev) if (milder := incident.standing.milder) else str(incident.sev),
        "stale_since": incident.stale_since.isoformat() if incident.stale_since else None,
        "key": incident_key(incident),
        "acknowledged_by": None if owned is None else owned.by,
        "reasons": list(reasons(incident)),
        "labels": dict(incident.evidence.alert.labels),
    }


def _entry_json(entry: TimelineEntry) -> dict[str, Any]:
    return {"at": entry.at.isoformat(), "fact": entry.fact.value, "details": dict(entry.details)}


def dead_letters(arguments: argparse.Namespace) -> int:
    """List what was given up, or put it back into the outbox; listing gives 1 where there is any."""
    with closing(existing(arguments)) as database:
        if arguments.action == "retry":
            return _retry(arguments, database)
        if arguments.ids or arguments.every:
            raise CommandError("to list dead letters, name none")
        listed = database.read_once(lambda tx: tx.outbox.dead_letters(most=arguments.most))
    if arguments.json:
        say(json.dumps([_dead_letter_json(each) for each in listed], indent=2))
        return NO if listed else GOOD
    for each in listed:
        about = f"{each.integration} {each.notice.kind.value}, {each.reason} after {each.attempts} attempts"
        say(f"{each.id:>6}  {each.finished_at:{TIME}}  {about}  {each.notice.title}\n        {each.detail}")
    if not listed:
        say("no dead letters")
    return NO if listed else GOOD


def _dead_letter_json(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "integration": letter.integration,
        "kind": letter.notice.kind.value,
        "incident": letter.notice.incident_id,
        "title": letter.notice.title,
        "reason": letter.reason,
        "detail": letter.detail,
        "attempts": letter.attempts,
        "finished_at": letter.finished_at.isoformat(),
    }


def _retry(arguments: argparse.Namespace, database: Database) -> int:
    if bool(arguments.ids) == arguments.every:
        raise CommandError("name the dead letters to retry, or give --every")
    now = datetime.now(UTC)
    give_up_after = load_config(arguments.config, secrets=False).routing.give_up_after
    ids = None if arguments.every else arguments.ids
    count = database.write_once(lambda tx: tx.outbox.revive(ids, now=now, expires_at=now + give_up_after))
    say(f"{count} will be tried again; a running sevrouter takes them up within seconds")
    return GOOD if count else NO


def migrate(arguments: argparse.Namespace) -> int:
    """Bring the database to this version's schema, and say what was done."""
    configuration = load_config(arguments.config, secrets=False)
    with closing(open_database(configuration.store, shadow=arguments.shadow)) as database:
        for step in database.migrate():
            say(f"applied {step.version:04} {step.name}")
    say(f"{database}: the schema is current")
    return GOOD


def existing(arguments: argparse.Namespace) -> Database:
    """The configuration's database. Raises CommandError where there is none yet."""
    database = open_database(load_config(arguments.config, secrets=False).store, shadow=arguments.shadow)
    if isinstance(database, SqliteDatabase) and not database.path.is_file():
        raise CommandError(f"there is no database at {database}: has sevrouter run with this configuration?")
    return database
