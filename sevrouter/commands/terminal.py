"""How commands find their configuration and say what is wrong."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from sevrouter.config import Configuration, ConfigurationError, load

VARIABLE = "SEVROUTER_CONFIG"
PLACES = (Path("sevrouter.yaml"), Path("config/sevrouter.yaml"), Path("/etc/sevrouter/sevrouter.yaml"))


class CommandError(Exception):
    """The command cannot be carried out as it was given; the message says why."""


def say(text: str) -> None:
    """Print a line of the answer."""
    sys.stdout.write(text + "\n")


def complain(text: str) -> None:
    """Print a line about what is wrong."""
    sys.stderr.write(text + "\n")


def config_path(given: Path | None) -> Path:
    """The configuration to use. Raises CommandError where none was given and none is found."""
    if given is not None:
        return given
    if os.environ.get(VARIABLE):
        return Path(os.environ[VARIABLE])
    for place in PLACES:
        if place.is_file():
            return place
    raise CommandError(f"no configuration: give --config, set {VARIABLE}, or have one of {', '.join(map(str, PLACES))}")


def load_config(given: Path | None, *, secrets: bool = True) -> Configuration:
    """Load the configuration. Raises CommandError with every problem."""
    path = config_path(given)
    try:
        return load(path, secrets=secrets)
    except ConfigurationError as error:
        raise CommandError(str(error)) from None
