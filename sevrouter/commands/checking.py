"""`check`: whether a configuration is good, with everything that is wrong or doubtful in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sevrouter.commands import GOOD, USAGE
from sevrouter.commands.terminal import complain, config_path, say
from sevrouter.config import ConfigurationError, Level, load

if TYPE_CHECKING:
    import argparse


def check(arguments: argparse.Namespace) -> int:
    """Print every problem; 2 where there is an error."""
    path = config_path(arguments.file or arguments.config)
    try:
        configuration = load(path, secrets=not arguments.no_secrets, payloads=True)
    except ConfigurationError as error:
        for problem in error.problems:
            complain(str(problem))
        errors = sum(problem.level is Level.ERROR for problem in error.problems)
        complain(f"{path}: refused, {errors} {'error' if errors == 1 else 'errors'}")
        return USAGE
    for warning in configuration.warnings:
        complain(str(warning))
    say(f"{path}: good ({configuration.hash}), {', '.join(configuration.integrations)}")
    return GOOD
