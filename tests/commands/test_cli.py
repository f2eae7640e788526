"""The command line as a whole: help, where the configuration comes from, `check`, addresses, exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sevrouter import __version__
from sevrouter.commands import serving
from sevrouter.commands.serving import read_address
from sevrouter.commands.terminal import CommandError
from sevrouter.store.errors import StoreInUseError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.commands.conftest import Ended

    Command = Callable[..., Ended]

COMMANDS = ("serve", "check", "explain", "incidents", "dead-letters", "migrate")


def test_help_names_every_command_and_the_exit_codes(bare: Command) -> None:
    ended = bare("--help")
    assert ended.code == 0
    for command in COMMANDS:
        assert f"\n    {command} " in ended.out
    assert "0 good, 1 the answer is no, 2 usage or configuration" in ended.out


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_its_help(bare: Command, command: str) -> None:
    ended = bare(command, "--help")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"usage: sevrouter {command} ")
    assert "--config FILE" in ended.out


def test_help_of_explain_shows_examples_as_they_are_typed(bare: Command) -> None:
    assert "users_affected_percent=12%\n" in bare("explain", "--help").out


def test_the_version_is_printed(bare: Command) -> None:
    assert bare("--version").out == f"sevrouter {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("fly",),
        ("incidents", "x"),
        ("incidents", "9" * 20),
        ("incidents", "--most", "9" * 20),
        ("dead-letters", "retry", "-1"),
        ("serve", "--log-level", "loud"),
    ],
)
def test_a_wrong_usage_is_2(bare: Command, arguments: tuple[str, ...]) -> None:
    ended = bare(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("usage: sevrouter")


def test_the_configuration_may_be_given_before_or_after_the_command(bare: Command, config: Path) -> None:
    assert bare("--config", str(config), "explain", "severity=info").code == 0
    assert bare("explain", "severity=info", "-c", str(config)).code == 0


def test_the_configuration_is_looked_for(bare: Command, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = bare("explain", "severity=info")
    assert (ended.code, "no configuration: give --config" in ended.err) == (2, True)
    (config.parent / "config").mkdir()
    config.rename(config.parent / "config" / "sevrouter.yaml")
    assert bare("explain", "severity=info").code == 0
    monkeypatch.setenv("SEVROUTER_CONFIG", str(config))
    ended = bare("explain", "severity=info")
    assert (ended.code, "team.yaml" in ended.err) == (2, True)


def test_check_says_that_a_configuration_is_good(sevrouter: Command, config: Path) -> None:
    ended = sevrouter("check")
    assert ended.code == 0
    assert ended.out.startswith(f"{config}: good (")
    assert ended.out.endswith("), call, slack, jira\n")


def test_check_says_all_that_is_wrong_at_once(bare: Command, config: Path) -> None:
    config.write_text(config.read_text().replace("SEV-5", "SEV-6").replace("owner: payments", "owner: paymants"))
    ended = bare("check", str(config))
    assert (ended.code, ended.out) == (2, "")
    lines = ended.err.splitlines()
    assert any("SEV-6" in line for line in lines)
    assert any("paymants" in line for line in lines)
    assert all(line.startswith(f"{config}:") for line in lines)
    assert lines[-1].startswith(f"{config}: refused, ")


def test_check_looks_for_secrets_unless_told_not_to(bare: Command, config: Path) -> None:
    config.write_text(config.read_text().replace("slack: {type: console}", "slack: {token_file: nowhere, channel: C1}"))
    assert bare("check", str(config)).code == 2
    assert bare("check", str(config), "--no-secrets").code == 0


def test_a_doubt_is_said_and_is_still_good(bare: Command, config: Path) -> None:
    config.write_text(config.read_text().replace("SEV-2: [call, slack]", "SEV-2: [slack]"))
    ended = bare("check", str(config))
    assert (ended.code, "warning" in ended.err) == (0, True)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9095", ("127.0.0.1", 9095)),
        (":9095", ("0.0.0.0", 9095)),
        ("[::1]:80", ("::1", 80)),
        ("localhost:0", ("localhost", 0)),
        ("0.0.0.0:65535", ("0.0.0.0", 65535)),
    ],
)
def test_an_address_is_host_and_port(text: str, address: tuple[str, int]) -> None:
    assert read_address(text) == address


@pytest.mark.parametrize(
    "text", ["", "9095", "localhost", "localhost:", "localhost:http", "::1:80", "a:65536", "a:-1", "a:²"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(CommandError, match="write HOST:PORT"):
        read_address(text)


def test_serve_with_a_wrong_address_or_configuration_does_not_start(sevrouter: Command, bare: Command) -> None:
    assert sevrouter("serve", "--listen", "nowhere").code == 2
    ended = bare("serve", "--config", "/nowhere.yaml")
    assert (ended.code, "/nowhere.yaml: error: cannot be read" in ended.err or "cannot be read" in ended.err) == (
        2,
        True,
    )


@pytest.mark.parametrize(
    ("fault", "said"),
    [(OSError(98, "Address already in use"), "cannot listen on 127.0.0.1:9095: Address already in use")],
)
def test_serve_says_why_it_cannot_listen(
    sevrouter: Command, monkeypatch: pytest.MonkeyPatch, fault: Exception, said: str
) -> None:
    async def fails(*_: object) -> None:
        raise fault

    monkeypatch.setattr(serving, "serve", fails)
    monkeypatch.setattr("sevrouter.telemetry.logs.set_up", lambda **_: None)
    ended = sevrouter("serve")
    assert (ended.code, ended.err) == (2, f"sevrouter: {said}\n")


def test_serve_on_a_database_in_use_says_so(sevrouter: Command, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: object) -> None:
        raise StoreInUseError(config)

    monkeypatch.setattr(serving, "serve", fails)
    monkeypatch.setattr("sevrouter.telemetry.logs.set_up", lambda **_: None)
    ended = sevrouter("serve")
    assert (ended.code, "another sevrouter is using" in ended.err) == (2, True)


def test_a_reader_that_has_seen_enough_is_no_error_of_ours(config: Path) -> None:
    command = f"{sys.executable} -m sevrouter explain -c {config} severity=critical --json | head -c 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, "Traceback" in done.stderr) == ("[", False)


def test_dead_letters_are_not_listed_by_name(sevrouter: Command) -> None:
    ended = sevrouter("dead-letters", "list", "1")
    assert (ended.code, "name none" in ended.err or "no database" in ended.err) == (2, True)


@pytest.mark.parametrize(
    ("environment", "output", "code"), [({}, "/dev/full", 2), ({"PYTHONIOENCODING": "ascii"}, "/dev/null", 0)]
)
def test_an_output_that_cannot_be_written_is_no_traceback(
    config: Path, environment: dict[str, str], output: str, code: int
) -> None:
    command = [sys.executable, "-m", "sevrouter", "explain", "--config", str(config), "severity=crítical"]
    with Path(output).open("w") as stream:
        ended = subprocess.run(
            command, env=os.environ | environment, stdout=stream, stderr=subprocess.PIPE, text=True, check=False
        )
    assert "Traceback" not in ended.stderr
    assert ended.returncode == code
