"""A running configuration is replaced whole or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sevrouter.config import Configuration, ConfigurationKeeper, PostgresSettings, load
from sevrouter.domain.sev import Sev

Write = Callable[..., Path]
Logs = list[MutableMapping[str, Any]]


@dataclass
class Daemon:
    """Stands for whoever runs on the configuration."""

    applied: list[Configuration] = field(default_factory=list)
    results: list[bool] = field(default_factory=list)
    trouble: Exception | None = None

    def apply(self, configuration: Configuration) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.applied.append(configuration)


@pytest.fixture
def daemon() -> Daemon:
    return Daemon()


@pytest.fixture
def path(write: Write, smallest: str) -> Path:
    return write(smallest)


@pytest.fixture
def keeper(path: Path, daemon: Daemon) -> ConfigurationKeeper:
    return ConfigurationKeeper(load(path), on_change=daemon.apply, on_reload=daemon.results.append)


def events(logs: Logs) -> list[str]:
    return [event["event"] for event in logs]


async def look_twice(keeper: ConfigurationKeeper) -> bool | None:
    """Once to notice the change, once to see that it is complete."""
    assert await keeper.check_once() is None
    return await keeper.check_once()


async def test_a_good_configuration_replaces_the_running_one(
    keeper: ConfigurationKeeper, daemon: Daemon, write: Write, smallest: str, logs: Logs
) -> None:
    write(smallest + "unmatched: SEV-1\n")

    assert await keeper.reload("SIGHUP")
    assert keeper.configuration.routing.grader.unmatched is Sev.SEV_1
    assert daemon.applied == [keeper.configuration]
    assert daemon.results == [True]
    assert events(logs) == ["configuration_loaded"]
    assert (logs[0]["hash"], logs[0]["reason"]) == (keeper.configuration.hash, "SIGHUP")


async def test_its_warnings_are_logged(keeper: ConfigurationKeeper, write: Write, smallest: str, logs: Logs) -> None:
    write(smallest.replace("""'severity="critical"'""", """'a="b"', 'a="c"'"""))

    assert await keeper.reload("SIGHUP")
    assert events(logs) == ["configuration_loaded", "configuration_doubtful"]
    assert "can never match" in logs[1]["problem"]


async def test_a_bad_configuration_leaves_the_running_one_and_logs_each_problem(
    keeper: ConfigurationKeeper, daemon: Daemon, write: Write, smallest: str, logs: Logs
) -> None:
    old = keeper.configuration
    path = write(smallest + "unmatched: SEV-9\ndefault_owner: nobody\n")

    assert not await keeper.reload("POST /-/reload")
    assert keeper.configuration is old
    assert not keeper.last_reload_successful
    assert (daemon.applied, daemon.results) == ([], [False])
    assert events(logs) == ["configuration_refused"] * 2
    assert logs[0]["problem"].startswith(f"{path}:8:12: unmatched: 'SEV-9' is not a SEV")
    assert logs[0]["running"] == old.hash


async def test_a_good_one_after_a_bad_one_is_successful_again(
    keeper: ConfigurationKeeper, daemon: Daemon, write: Write, smallest: str
) -> None:
    write("rules: [")
    await keeper.reload("SIGHUP")
    write(smallest)

    assert await keeper.reload("SIGHUP")
    assert keeper.last_reload_successful
    assert daemon.results == [False, True]


async def test_a_configuration_that_cannot_be_applied_leaves_the_running_one(
    keeper: ConfigurationKeeper, daemon: Daemon, write: Write, smallest: str, logs: Logs
) -> None:
    old = keeper.configuration
    daemon.trouble = RuntimeError("no")
    write(smallest + "unmatched: SEV-1\n")

    assert not await keeper.reload("SIGHUP")
    assert keeper.configuration is old
    assert daemon.results == [False]
    assert (events(logs), logs[0]["problem"]) == (["configuration_refused"], "cannot be applied")


async def test_the_old_one_counts_as_running_while_the_new_one_is_applied(
    path: Path, write: Write, smallest: str
) -> None:
    seen: list[Configuration] = []

    async def apply(_: Configuration) -> None:
        await asyncio.sleep(0)
        seen.append(the_keeper.configuration)

    the_keeper = ConfigurationKeeper(load(path), on_change=apply)
    old = the_keeper.configuration
    write(smallest + "unmatched: SEV-1\n")

    assert await the_keeper.reload("SIGHUP")
    assert seen == [old]
    assert the_keeper.configuration is not old


async def test_an_asynchronous_callback_that_fails_leaves_the_running_one(path: Path) -> None:
    async def apply(_: Configuration) -> None:
        await asyncio.sleep(0)
        raise OSError

    keeper = ConfigurationKeeper(load(path), on_change=apply)
    old = keeper.configuration

    assert not await keeper.reload("SIGHUP")
    assert keeper.configuration is old


async def test_reloads_do_not_overlap(path: Path) -> None:
    running = most = 0

    async def apply(_: Configuration) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    keeper = ConfigurationKeeper(load(path), on_change=apply)

    assert await asyncio.gather(*(keeper.reload("SIGHUP") for _ in range(5))) == [True] * 5
    assert most == 1


async def test_an_unchanged_file_is_left_alone(keeper: ConfigurationKeeper, daemon: Daemon) -> None:
    assert [await keeper.check_once() for _ in range(3)] == [None] * 3
    assert daemon.results == []


async def test_a_changed_file_is_taken_up_once(
    keeper: ConfigurationKeeper, daemon: Daemon, write: Write, smallest: str, logs: Logs
) -> None:
    write(smallest + "unmatched: SEV-1\n")

    assert await look_twice(keeper) is True
    assert await keeper.check_once() is None
    assert len(daemon.applied) == 1
    assert logs[0]["reason"] == "file changed"


async def test_a_file_that_is_still_being_written_is_left_to_rest(
    keeper: ConfigurationKeeper, daemon: Daemon, write: Write, smallest: str
) -> None:
    half = smallest + "  slack: {type: console}\n"
    for text in (half, half + "unmatched:", half + "unmatched: SEV-1\n"):
        write(text)
        assert await keeper.check_once() is None

    assert await keeper.check_once() is True
    assert [each.routing.grader.unmatched for each in daemon.applied] == [Sev.SEV_1]


async def test_a_half_written_file_is_refused_and_tried_again_when_it_changes(
    keeper: ConfigurationKeeper, daemon: Daemon, write: Write, smallest: str
) -> None:
    old = keeper.configuration
    write(smallest[: len(smallest) // 2])
    assert await look_twice(keeper) is False
    assert keeper.configuration is old
    assert await keeper.check_once() is None

    write(smallest + "unmatched: SEV-1\n")
    assert await look_twice(keeper) is True
    assert daemon.results == [False, True]


async def test_a_vanished_file_leaves_the_running_configuration(
    keeper: ConfigurationKeeper, path: Path, logs: Logs
) -> None:
    old = keeper.configuration
    path.unlink()  # noqa: ASYNC240  nothing else runs in this loop

    assert await look_twice(keeper) is False
    assert await keeper.check_once() is None
    assert keeper.configuration is old
    assert "No such file" in logs[0]["problem"]


async def test_links_that_are_swapped_are_noticed(tmp_path: Path, smallest: str, daemon: Daemon) -> None:
    # As Kubernetes does with a ConfigMap: the file is a link into a directory that is a link itself.
    for version, unmatched in (("v1", "SEV-2"), ("v2", "SEV-1")):
        (tmp_path / version).mkdir()
        (tmp_path / version / "sevrouter.yaml").write_text(f"{smallest}unmatched: {unmatched}\n")
    (tmp_path / "..data").symlink_to("v1")
    (tmp_path / "sevrouter.yaml").symlink_to("..data/sevrouter.yaml")
    keeper = ConfigurationKeeper(load(tmp_path / "sevrouter.yaml"), on_change=daemon.apply)
    (tmp_path / "next").symlink_to("v2")
    (tmp_path / "next").replace(tmp_path / "..data")

    assert await look_twice(keeper) is True
    assert keeper.configuration.routing.grader.unmatched is Sev.SEV_1


async def test_a_change_of_the_store_waits_for_a_restart(
    keeper: ConfigurationKeeper, daemon: Daemon, write: Write, smallest: str, logs: Logs
) -> None:
    running = keeper.configuration.store
    write(smallest + "unmatched: SEV-1\nstore: {url: 'sqlite:other.db'}\n")

    assert await keeper.reload("SIGHUP")
    assert keeper.configuration.store == daemon.applied[0].store == running
    assert keeper.configuration.routing.grader.unmatched is Sev.SEV_1
    assert events(logs) == ["restart_needed", "configuration_loaded"]
    assert logs[0]["setting"] == "store.url"
    assert logs[0]["written"].endswith("other.db")


POSTGRES = "store: {url: 'postgresql://me@db/incidents', password_file: password}\n"


async def test_a_rotated_password_is_no_change_of_the_store(
    write: Write, smallest: str, daemon: Daemon, logs: Logs
) -> None:
    write("hunter2", "password")
    keeper = ConfigurationKeeper(load(write(smallest + POSTGRES)), on_change=daemon.apply)
    running = keeper.configuration.store
    write("hunter2000", "password")

    assert await keeper.reload("SIGHUP")
    assert keeper.configuration.store == running
    assert isinstance(running, PostgresSettings)
    assert running.password is not None
    assert running.password() == "hunter2000"
    assert "restart_needed" not in events(logs)


@pytest.mark.parametrize(
    ("new", "settings"),
    [
        (POSTGRES.replace("@db", "@db:5433"), "store.url"),
        (POSTGRES.replace("me@", "you@"), "store.url"),
        (POSTGRES.replace("incidents'", "incidents?application_name=a'"), "store.url"),
        (POSTGRES.replace("}", ", lock_timeout: 5s}"), "store.lock_timeout"),
        (POSTGRES.replace("}", ", tls: {mode: require}, schema: a}"), "store.tls, store.schema"),
        (POSTGRES.replace(": password}", ": other}"), "store.password_file"),
        (POSTGRES.replace("password_file: password", "password: hunter2"), "store.password_file"),
        ("", "store.url"),
    ],
)
async def test_a_change_of_any_of_its_settings_is_named_and_waits_for_a_restart(
    write: Write, smallest: str, daemon: Daemon, logs: Logs, new: str, settings: str
) -> None:
    smallest += "allow_inline_secrets: true\n"
    write("hunter2", "password")
    write("hunter2", "other")
    keeper = ConfigurationKeeper(load(write(smallest + POSTGRES)), on_change=daemon.apply)
    running = keeper.configuration.store
    write(smallest + new)

    assert await keeper.reload("SIGHUP")
    assert keeper.configuration.store is daemon.applied[0].store is running
    assert (logs[0]["event"], logs[0]["setting"]) == ("restart_needed", settings)
    assert logs[0]["running"] == "postgresql://me@db:5432/incidents"
    assert "hunter2" not in str(logs)


async def test_watching_looks_at_the_file_at_every_interval(
    path: Path, write: Write, smallest: str, daemon: Daemon
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            write(smallest + "unmatched: SEV-1\n")
        if len(slept) == 5:
            raise asyncio.CancelledError

    keeper = ConfigurationKeeper(load(path), on_change=daemon.apply, sleep=sleep)
    with pytest.raises(asyncio.CancelledError):
        await keeper.watch(2.0)

    assert slept == [2.0] * 5
    assert len(daemon.applied) == 1
