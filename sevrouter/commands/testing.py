"""`test`: whether a configuration makes of alerts what its `tests` expect. Nothing is stored and nobody is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sevrouter.commands import GOOD, NO
from sevrouter.commands.terminal import complain, load_config, say
from sevrouter.domain.explanation import why
from sevrouter.domain.rehearsal import rehearse
from sevrouter.domain.sev import sev_name

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from sevrouter.config import Expected
    from sevrouter.domain.rehearsal import Outcome


def test(arguments: argparse.Namespace) -> int:
    """Print every test that fails, with the reasons for what came of it; 1 where one fails, or there is none."""
    configuration = load_config(arguments.file or arguments.config, secrets=False)
    failed = 0
    for number, expected in enumerate(configuration.tests, start=1):
        outcome = rehearse(configuration.routing, expected.rehearsal)
        wrong = list(_differences(expected, outcome))
        if wrong:
            failed += 1
            complain(f"test {number} ({expected.name}): {'; '.join(wrong)}")
            for line in why(outcome.verdict):
                complain(f"  {line}")
    if not configuration.tests:
        complain(f"{configuration.path}: has no tests")
        return NO
    say(f"{configuration.path}: {len(configuration.tests) - failed} passed, {failed} failed")
    return NO if failed else GOOD


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


def _surety(unsure: bool) -> str:
    return "unsure" if unsure else "sure"


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "none"
