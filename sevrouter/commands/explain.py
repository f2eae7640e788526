"""`explain`: how bad an alert is by a configuration, and why. Nothing is stored and nobody is told."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sevrouter.commands import GOOD, NO
from sevrouter.commands.terminal import CommandError, complain, load_config, say
from sevrouter.domain.ahead import Ahead, ahead
from sevrouter.domain.alert import Alert, AlertStatus
from sevrouter.domain.explanation import title_of, why
from sevrouter.domain.lenient import clean
from sevrouter.domain.near_miss import consider, nearest
from sevrouter.domain.review import queries
from sevrouter.domain.sev import parse_sev, sev_name
from sevrouter.domain.text import duration_text, one_line
from sevrouter.ingest.payload import read_payload

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from sevrouter.domain.grading import Verdict
    from sevrouter.domain.near_miss import Considered
    from sevrouter.domain.routing import Routing

# Rules that nearly said something else, of which no more are told unless all are asked for.
MOST_NEARLY = 3


def explain(arguments: argparse.Namespace) -> int:
    """Print a verdict for each alert; 1 where one differs from what was expected, or could not be read."""
    routing = load_config(arguments.config, secrets=False).routing
    alerts, unreadable = _alerts(arguments)
    verdicts = [(alert, routing.grader.grade(alert)) for alert in alerts]
    if arguments.json:
        say(json.dumps([_as_json(alert, verdict, routing) for alert, verdict in verdicts], indent=2))
    else:
        for alert, verdict in verdicts:
            _say(alert, verdict, routing, most=None if arguments.all else MOST_NEARLY)
    for reason in unreadable:
        complain(f"cannot be read, would be quarantined and answered as {routing.grader.unmatched}: {reason}")
    if arguments.expect is None:
        return NO if unreadable else GOOD
    return _compare(verdicts, arguments.expect, len(unreadable))


def _compare(verdicts: Sequence[tuple[Alert, Verdict]], expected: str, unreadable: int) -> int:
    try:
        sev = parse_sev(expected)
    except ValueError as error:
        raise CommandError(f"--expect: {error}") from None
    wrong = [(alert, verdict) for alert, verdict in verdicts if verdict.sev is not sev]
    for alert, verdict in wrong:
        complain(f"expected {expected}, got {sev_name(verdict.sev)}: {title_of(alert, None)}")
    if not verdicts:
        complain(f"expected {expected}, got no alert")
    return NO if wrong or unreadable or not verdicts else GOOD


def _alerts(arguments: argparse.Namespace) -> tuple[list[Alert], list[str]]:
    now = datetime.now(UTC)
    if arguments.payload is None:
        if not arguments.labels:
            raise CommandError("give labels (name=value …) or --payload FILE")
        alert = Alert(
            labels=_pairs(arguments.labels),
            annotations=_pairs(arguments.annotation),
            values=_pairs(arguments.value),
            starts_at=now,
        )
        return [alert], []
    if arguments.labels or arguments.annotation or arguments.value:
        raise CommandError("give either labels and annotations or --payload, not both")
    payload = read_payload(_read(arguments.payload), received_at=now)
    # A resolved alert is not graded by the daemon; here the question is how bad it is while it fires.
    return payload.alerts, [each.reason for each in payload.rejected]


def _read(name: str) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise CommandError(f"--payload {name}: {error.strerror}") from None


def _pairs(texts: Iterable[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise CommandError(f"{text!r} is not name=value")
        if name in pairs:
            raise CommandError(f"{name!r} is given twice")
        # Bytes of a terminal that are no text would break whatever encodes them.
        pairs[clean(name)] = clean(value)
    return pairs


def _as_json(alert: Alert, verdict: Verdict, routing: Routing) -> dict[str, Any]:
    return {
        "labels": dict(alert.labels),
        "sev": sev_name(verdict.sev),
        "unsure": verdict.unsure,
        "heartbeats": list(verdict.heartbeats),
        "reasons": [
            {
                "rule": grade.rule,
                "sev": sev_name(grade.sev),
                "why": grade.why,
                "reading": grade.reading,
                "threshold": grade.threshold,
            }
            for grade in verdict.grades
        ],
        "considered": [_considered_json(each) for each in consider(routing.grader, alert)],
        "ahead": [_ahead_json(each, routing) for each in ahead(routing.grader, alert)],
        "asks": list(queries(routing.grader, [alert])),
        "incident": routing.incidents.dedup_key(alert.labels),
        "owner": routing.ownership.of(alert.labels).owner,
    }


def _considered_json(considered: Considered) -> dict[str, Any]:
    miss = considered.not_crossed
    return {
        "rule": considered.rule,
        "sev": sev_name(considered.sev),
        "matches": considered.matches,
        "unmet": [{"matcher": each.matcher, "label": each.label, "value": each.value} for each in considered.unmet],
        "not_crossed": miss and {"reading": miss.reading, "threshold": miss.threshold, "sev": str(miss.sev)},
    }


def _ahead_json(each: Ahead, routing: Routing) -> dict[str, Any]:
    return {
        "after_seconds": each.after.total_seconds(),
        "sev": str(each.sev),
        "rule": each.rule,
        "unless_answered": each.unless_answered,
        "responses": list(routing.responses.get(each.sev, ())),
    }


def _say(alert: Alert, verdict: Verdict, routing: Routing, *, most: int | None) -> None:
    owned = routing.ownership.of(alert.labels)
    doubt = " (unsure)" if verdict.unsure else ""
    say(f"{sev_name(verdict.sev)}{doubt}  {title_of(alert, owned.system)}")
    for line in why(verdict):
        say(f"  {line}")
    missed = nearest(consider(routing.grader, alert))
    for each in missed[:most]:
        say(f"  nearly:   {each}")
    if len(missed[:most]) < len(missed):
        say(f"  nearly:   and {len(missed) - MOST_NEARLY} more (--all)")
    responses = ", ".join(routing.responses.get(verdict.sev, ())) if verdict.sev else ""
    identity = ", ".join(f"{name}={value}" for name, value in routing.incidents.identity(alert.labels).items())
    say(f"  response: {responses or 'none'}")
    for rise in ahead(routing.grader, alert):
        say(f"  ahead:    {_ahead_text(rise, routing)}")
    for query in queries(routing.grader, [alert]):
        say(f"  asks:     {one_line(query)}")
    system = f"system {owned.system}" if owned.system else "no system matches"
    say(f"  owner:    {owned.owner or 'nobody'} ({system})")
    say(f"  incident: {routing.incidents.dedup_key(alert.labels)} ({one_line(identity)})")
    if alert.status is AlertStatus.RESOLVED:
        say("  it is resolved, and graded here as if it fired")


def _ahead_text(each: Ahead, routing: Routing) -> str:
    because = f" as its query cannot be asked ({each.problem})" if each.problem else ""
    because = " if its query gives nothing" if each.unless_answered else because
    asked = ", ".join(routing.responses.get(each.sev, ())) or "none"
    return f"in {duration_text(each.after)}  {each.sev} by rule {each.rule!r}{because} → {asked}"
