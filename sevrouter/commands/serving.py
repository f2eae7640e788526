"""`serve`: runs the daemon."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

from sevrouter.app import Options, serve
from sevrouter.commands import GOOD
from sevrouter.commands.terminal import CommandError, load_config
from sevrouter.telemetry import logs

if TYPE_CHECKING:
    import argparse

# What is received is no cycle and goes with its last user. To look through all of it every few hundred objects, as
# Python does unless it is told otherwise, finds next to nothing and takes a tenth of the time that a webhook takes.
LOOK_FOR_CYCLES = (50_000, 20, 20)


def run(arguments: argparse.Namespace) -> int:
    """Run until told to stop."""
    host, port = read_address(arguments.listen)
    configuration = load_config(arguments.config)
    logs.set_up(level=arguments.log_level)
    gc.freeze()
    gc.set_threshold(*LOOK_FOR_CYCLES)
    try:
        asyncio.run(serve(configuration, Options(host=host, port=port, shadow=arguments.shadow)))
    except OSError as error:
        raise CommandError(f"cannot listen on {arguments.listen}: {error.strerror or error}") from None
    return GOOD


def read_address(text: str) -> tuple[str, int]:
    """`HOST:PORT`, `:PORT` for all addresses, `[::1]:PORT`. Raises CommandError."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535 or (":" in host and not host.startswith("[")):
        raise CommandError(f"--listen {text}: write HOST:PORT")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104  asked for by leaving the host out
