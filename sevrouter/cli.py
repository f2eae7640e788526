"""The command line. Exit codes: 0 good, 1 the answer is no, 2 usage or configuration."""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sevrouter import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001  argparse has no public name for it

LISTEN = "127.0.0.1:9095"
USAGE = 2

_CONFIG_HELP = (
    "the configuration; by default $SEVROUTER_CONFIG, ./sevrouter.yaml, ./config/sevrouter.yaml or "
    "/etc/sevrouter/sevrouter.yaml"
)
_EXPLAIN_EXAMPLES = """\
Examples:
  sevrouter explain severity=critical service=checkout -a users_affected_percent=12%
  sevrouter explain --payload webhook.json --json
  sevrouter explain severity=critical --expect SEV-2"""
_MIGRATE_EXAMPLES = """\
To move from one machine's file to PostgreSQL for several: stop sevrouter, write the new store.url, its password_file
and tls into the configuration, move, and start again.
  sevrouter migrate --from sqlite:sevrouter.db --to postgresql://sevrouter@db.example/sevrouter
The new database has to be empty. It gets all or nothing; the old one stays as it is."""


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    # The option may stand before or after the command.
    config = argparse.ArgumentParser(add_help=False)
    config.add_argument("-c", "--config", type=Path, metavar="FILE", default=argparse.SUPPRESS, help=_CONFIG_HELP)
    top = argparse.ArgumentParser(
        prog="sevrouter",
        parents=[config],
        description="Routes Alertmanager's alerts by how bad they are: SEV-1 to SEV-5, a call, a thread, a ticket.",
        epilog="Exit codes: 0 good, 1 the answer is no, 2 usage or configuration.",
    )
    top.add_argument("--version", action="version", version=f"sevrouter {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for add in (_add_serve, _add_check, _add_test, _add_explain, _add_incidents, _add_reviewing, _add_dead_letters):
        add(commands, config)
    for add in (_add_on_call, _add_drill, _add_migrate):
        add(commands, config)
    return top


def _add_serve(commands: Subparsers, config: argparse.ArgumentParser) -> None:
    serve = commands.add_parser("serve", parents=[config], help="run the daemon")
    serve.add_argument("--listen", default=LISTEN, metavar="HOST:PORT", help=f"where to listen (default: {LISTEN})")
    serve.add_argument(
        "--shadow",
        action="store_true",
        help="decide everything, deliver nothing: show and record what would have been done, in a database of its own",
    )
    serve.add_argument(
        "--log-level", default="info", choices=("debug", "info", "warning", "error"), help="(default: info)"
    )


def _add_check(commands: Subparsers, config: argparse.ArgumentParser) -> None:
    check = commands.add_parser("check", parents=[config], help="say everything that is wrong with a configuration")
    check.add_argument("file", nargs="?", type=Path, metavar="FILE", help="the configuration, instead of --config")
    check.add_argument("--no-secrets", action="store_true", help="do not look for the files of secrets")


def _add_test(commands: Subparsers, config: argparse.ArgumentParser) -> None:
    test = commands.add_parser("test", parents=[config], help="run the tests that are in a configuration")
    test.add_argument("file", nargs="?", type=Path, metavar="FILE", help="the configuration, instead of --config")


def _add_explain(commands: Subparsers, config: argparse.ArgumentParser) -> None:
    explain = commands.add_parser(
        "explain",
        parents=[config],
        help="say how bad an alert is, and why",
        epilog=_EXPLAIN_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    explain.add_argument("labels", nargs="*", metavar="NAME=VALUE", help="the labels of an alert")
    explain.add_argument(
        "-a", "--annotation", action="append", default=[], metavar="NAME=VALUE", help="an annotation, repeatable"
    )
    explain.add_argument(
        "-v", "--value", action="append", default=[], metavar="NAME=VALUE", help="a value of Grafana's, repeatable"
    )
    explain.add_argument("--payload", metavar="FILE", help="a webhook's body instead; - for standard input")
    explain.add_argument("--all", action="store_true", help="name every rule that nearly said something else")
    explain.add_argument("--json", action="store_true", help="print a list with an object for each alert")
    explain.add_argument("--expect", metavar="SEV", help="exit with 1 unless every alert is SEV-1 … SEV-5 or none")


def _row_number(text: str) -> int:
    number = int(text)
    if not 0 <= number < 2**63:
        raise argparse.ArgumentTypeError(f"{text} is no number of a row")
    return number


def _add_incidents(commands: Subparsers, config: argparse.ArgumentParser) -> None:
    incidents = commands.add_parser("incidents", parents=[config], help="list incidents, or show one")
    incidents.add_argument("id", nargs="?", type=_row_number, help="show this one with its timeline")
    incidents.add_argument("--all", action="store_true", help="the resolved ones too")
    _add_listing(incidents)


def _add_reviewing(commands: Subparsers, config: argparse.ArgumentParser) -> None:
    set_sev = commands.add_parser(
        "set-sev", parents=[config], help="set the SEV of an incident: the floor from which it only rises by itself"
    )
    set_sev.add_argument("id", type=_row_number, help="the incident")
    set_sev.add_argument("sev", metavar="SEV", help="SEV-1 … SEV-5")
    set_sev.add_argument("--reason", required=True, help="why; kept for the post-mortem")
    set_sev.add_argument("--by", metavar="NAME", help="who says so (default: who you are logged in as)")
    postmortem = commands.add_parser(
        "postmortem", parents=[config], help="one incident as Markdown: each decision with its evidence"
    )
    postmortem.add_argument("id", type=_row_number, help="the incident")
    saying = []
    for name, does in (
        ("ack", "own an incident: it rings no more"),
        ("resolve", "end an incident whose alerts are over"),
    ):
        said = commands.add_parser(name, parents=[config], help=does)
        said.add_argument("incident", metavar="INCIDENT", help="its number, or its key")
        said.add_argument("--by", metavar="NAME", help="who says so (default: who you are logged in as)")
        saying.append(said)
    for command in (set_sev, postmortem, *saying):
        command.add_argument("--shadow", action="store_true", help="one of serve --shadow")


def _add_dead_letters(commands: Subparsers, config: argparse.ArgumentParser) -> None:
    letters = commands.add_parser(
        "dead-letters", parents=[config], help="list deliveries that were given up (exit 1 if any), or retry them"
    )
    letters.add_argument("action", nargs="?", choices=("list", "retry"), default="list")
    letters.add_argument("ids", nargs="*", type=_row_number, metavar="ID", help="which to retry")
    letters.add_argument("--every", action="store_true", help="retry all of them")
    _add_listing(letters)


def _add_listing(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="print JSON")
    command.add_argument(
        "--most", type=_row_number, default=100, metavar="N", help="list at most so many (default: 100)"
    )
    command.add_argument("--shadow", action="store_true", help="those of serve --shadow")


def _add_on_call(commands: Subparsers, config: argparse.ArgumentParser) -> None:
    on_call = commands.add_parser("on-call", parents=[config], help="say who is on call, until when, and who is next")
    on_call.add_argument("schedule", nargs="?", metavar="SCHEDULE", help="only this one")
    on_call.add_argument(
        "--at",
        metavar="TIME",
        help="at this time: 2026-03-29T09:00, in UTC, or with an offset: …T09:00+02:00 (default: now)",
    )
    on_call.add_argument("--json", action="store_true", help="print a list with an object for each schedule")


def _add_drill(commands: Subparsers, config: argparse.ArgumentParser) -> None:
    drill = commands.add_parser(
        "drill", parents=[config], help="have a person called while nothing is wrong (exit 1 unless they confirm it)"
    )
    drill.add_argument("--person", required=True, metavar="NAME", help="one of `people`")
    drill.add_argument("--provider", metavar="NAME", help="by this one (default: the first that phones)")
    drill.set_defaults(shadow=False)


def _add_migrate(commands: Subparsers, config: argparse.ArgumentParser) -> None:
    migrate = commands.add_parser(
        "migrate",
        parents=[config],
        help="bring the database to this version's schema, or move it to another one",
        epilog=_MIGRATE_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    migrate.add_argument("--shadow", action="store_true", help="that of serve --shadow")
    for option, name, does in (
        ("--from", "source", "move all that is in this one"),
        ("--to", "target", "move it here"),
    ):
        migrate.add_argument(
            option,
            dest=name,
            metavar="STORE",
            help=f"{does}: sqlite:FILE, the configuration's postgresql://…, or another configuration "
            "(default: the store of --config)",
        )


# Where each command is: a module of `sevrouter.commands`, and its function.
_COMMANDS = {
    "serve": ("serving", "run"),
    "check": ("checking", "check"),
    "test": ("testing", "test"),
    "explain": ("explain", "explain"),
    "incidents": ("looking", "incidents"),
    "set-sev": ("reviewing", "set_sev"),
    "postmortem": ("reviewing", "postmortem"),
    "ack": ("calling", "acknowledge"),
    "resolve": ("calling", "resolve"),
    "drill": ("calling", "drill"),
    "dead-letters": ("looking", "dead_letters"),
    "on-call": ("on_call", "on_call"),
    "migrate": ("looking", "migrate"),
}


def run(arguments: argparse.Namespace) -> int:
    """Carry out a command and return its exit code."""
    module, function = _COMMANDS[arguments.command]
    if arguments.command == "migrate" and (arguments.source is not None or arguments.target is not None):
        module, function = "moving", "move"
    # Each command brings only what it needs, so that `--help` and `explain` are quick.
    command: Callable[[argparse.Namespace], int] = getattr(
        importlib.import_module(f"sevrouter.commands.{module}"), function
    )
    return command(arguments)


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command and exit."""
    from sevrouter.commands.terminal import CommandError, complain  # noqa: PLC0415
    from sevrouter.store.errors import StoreError  # noqa: PLC0415

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a character shows its number instead of a traceback.
            stream.reconfigure(errors="backslashreplace")
    arguments = parser().parse_args(argv)
    arguments.config = getattr(arguments, "config", None)
    try:
        code = run(arguments)
        sys.stdout.flush()
    except (CommandError, StoreError) as error:
        complain(f"sevrouter: {error}")
        code = USAGE
    except BrokenPipeError:
        # Whoever read our output has seen enough; the interpreter must not complain of it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = USAGE
    except OSError as error:
        complain(f"sevrouter: {error.strerror or error}")
        code = USAGE
    sys.exit(code)
