"""`test`: whether a configuration makes of alerts what its `tests` expect. Nothing is stored and nobody is told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec.structs import replace

from sevrouter.commands import GOOD, NO
from sevrouter.commands.terminal import complain, load_config, say
from sevrouter.domain.explanation import why
from sevrouter.domain.rehearsal import STARTED, rehearse
from sevrouter.domain.sev import sev_name
from sevrouter.domain.text import one_line, shown_labels
from sevrouter.ingest.payload import read_payload

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from pathlib import Path

    from sevrouter.config import Expected
    from sevrouter.domain.alert import Alert
    from sevrouter.domain.rehearsal import Outcome
    from sevrouter.domain.routing import Routing

# Later than every start that can be read: what a test says must not depend on the day on which it is run.
_LATER = datetime(9999, 1, 1, tzinfo=UTC)


class _UnplayableError(Exception):
    """A payload cannot be played through; the message says why."""


def test(arguments: argparse.Namespace) -> int:
    """Print every test that fails, with the reasons for what came of it; 1 where one fails, or there is none."""
    configuration = load_config(arguments.file or arguments.config, secrets=False)
    failed = 0
    for number, expected in enumerate(configuration.tests, start=1):
        wrong, *reasons = _failure(expected, configuration.routing)
        if wrong:
            failed += 1
            complain(f"test {number} ({expected.name}): {wrong}")
        for line in reasons:
            complain(f"  {line}")
    if not configuration.tests:
        complain(f"{configuration.path}: has no tests")
        return NO
    say(f"{configuration.path}: {len(configuration.tests) - failed} passed, {failed} failed")
    return NO if failed else GOOD


def _failure(expected: Expected, routing: Routing) -> list[str]:
    """What is wrong, empty where nothing is, and lines that say why."""
    rehearsal = expected.rehearsal
    if expected.payload is not None:
        try:
            rehearsal = replace(rehearsal, alerts=_alerts(expected.payload))
        except _UnplayableError as cannot:
            return [str(cannot)]
    outcome = rehearse(routing, rehearsal)
    wrong = "; ".join(_differences(expected, outcome))
    if not wrong:
        return [""]
    return [wrong, *(_decided(outcome) if expected.payload is not None else ()), *why(outcome.verdict)]


def _alerts(file: Path) -> tuple[Alert, ...]:
    """The alerts of a payload. Raises _UnplayableError."""
    try:
        body = file.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a file name"
        raise _UnplayableError(one_line(f"{file} cannot be read: {reason}")) from None
    payload = read_payload(body, received_at=_LATER)
    if payload.rejected:
        first = payload.rejected[0].reason
        if not payload.alerts:
            raise _UnplayableError(one_line(f"{file} cannot be read: {first}"))
        raise _UnplayableError(one_line(f"{file}: {len(payload.rejected)} of its alerts cannot be read: {first}"))
    if not payload.alerts:
        raise _UnplayableError(one_line(f"{file} has no alerts"))
    # What does not say when it began, began with the last of the others.
    begun = max((each.starts_at for each in payload.alerts if each.starts_at != _LATER), default=STARTED)
    return tuple(replace(each, starts_at=min(each.starts_at, begun)) for each in payload.alerts)


def _decided(outcome: Outcome) -> Iterator[str]:
    if outcome.alert is None:
        yield "no alert in it fires"
    else:
        shown = ", ".join(f"{name}={value}" for name, value in shown_labels(outcome.alert.labels).items())
        yield one_line(f"decided by {shown}")


def _differences(expected: Expected, outcome: Outcome) -> Iterator[str]:
    verdict = outcome.verdict
    if verdict.sev is not expected.sev:
        yield f"expected {sev_name(expected.sev)}, got {sev_name(verdict.sev)}"
    if expected.unsure is not None and verdict.unsure is not expected.unsure:
        yield f"expected to be {_surety(expected.unsure)}, is {_surety(verdict.unsure)}"
    if expected.owner is not None and outcome.owner != expected.owner:
        yield f"expected owner {expected.owner}, got {outcome.owner or 'nobody'}"
    if expected.responses is not None and outcome.responses != expected.responses:
        yield f"expected responses {_listed(expected.responses)}, got {_listed(outcome.responses)}"
    if expected.incidents is not None and outcome.incidents != expected.incidents:
        yield f"expected incidents: {expected.incidents}, got {outcome.incidents}"


def _surety(unsure: bool) -> str:
    return "unsure" if unsure else "sure"


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "none"
