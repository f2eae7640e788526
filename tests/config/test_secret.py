"""Secrets in files: read as they are now, rotated while we run, never shown."""

from __future__ import annotations

import os
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

import pytest

from sevrouter.config import SecretError, SecretFile
from sevrouter.config.secret import InlineSecret, UnloadedSecret, UnopenedSecret

Write = Callable[..., Path]
Logs = list[MutableMapping[str, Any]]


def replace(path: Path, content: str) -> None:
    """Replace a file in one step, as whoever rotates secrets should."""
    new = path.with_name("new")
    new.write_text(content)
    new.replace(path)


@pytest.mark.parametrize("ending", ["", "\n", "\r\n", "\n\n\n"])
def test_line_breaks_at_the_end_are_no_part_of_a_secret(write: Write, ending: str) -> None:
    assert SecretFile(write(f"hunter2{ending}", "key"))() == "hunter2"


def test_spaces_are_part_of_a_secret(write: Write) -> None:
    assert SecretFile(write(" hunter 2 \n", "key"))() == " hunter 2 "


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"  \n", "is empty"),
        (b"hunter2\nhunter3\n", "holds more than one line"),
        (b"hunter2\rhunter3", "holds more than one line"),
        (b"hunter2\x00", "holds a control character"),
        (b"hunter2\t", "holds a control character"),
        (b"\xffhunter2", "is not text"),
        (b"hunter2" * 10_000, "is larger than 64 KiB"),
    ],
)
def test_what_cannot_be_a_secret_is_refused_without_showing_it(write: Write, content: bytes, reason: str) -> None:
    with pytest.raises(SecretError) as refused:
        SecretFile(write(content, "key"))

    assert str(refused.value) == reason
    assert "hunter" not in repr(refused.value)


@pytest.mark.parametrize(
    ("name", "reason"), [("nowhere", "No such file"), (".", "is a directory"), ("a\0b", "not a file name")]
)
def test_what_is_no_file_is_refused(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(SecretError, match=reason):
        SecretFile(tmp_path / name)


def test_a_secret_is_never_shown(write: Write) -> None:
    path = write("hunter2", "key")

    assert repr(SecretFile(path)) == f"SecretFile({str(path)!r})"
    assert "hunter2" not in f"{InlineSecret('hunter2')!r} {InlineSecret('hunter2')} {UnloadedSecret()!r}"


def test_secrets_are_the_same_where_they_come_from_the_same_place(write: Write) -> None:
    path, other = write("hunter2", "key"), write("hunter2", "other")
    secret = SecretFile(path)
    replace(path, "rotated")

    assert secret == SecretFile(path)
    assert hash(secret) == hash(SecretFile(path))
    assert secret != SecretFile(other)
    assert InlineSecret("a") == InlineSecret("a")
    assert InlineSecret("a") != InlineSecret("b")
    assert len({InlineSecret("a"), InlineSecret("a"), SecretFile(other)}) == 2


def test_an_unopened_secret_is_looked_for_when_it_is_asked_for(write: Write, tmp_path: Path) -> None:
    secret = UnopenedSecret(tmp_path / "key")
    with pytest.raises(SecretError, match="key cannot be read: No such file or directory"):
        secret()
    path = write("hunter2", "key")

    assert secret() == "hunter2"
    assert repr(secret) == f"UnopenedSecret({str(path)!r})"


def test_a_replaced_file_gives_the_new_secret(write: Write, logs: Logs) -> None:
    path = write("old", "key")
    secret = SecretFile(path)
    replace(path, "new")

    assert secret() == "new"
    assert [event["event"] for event in logs] == ["secret_rotated"]


def test_a_file_written_in_place_gives_the_new_secret(write: Write) -> None:
    path = write("old", "key")
    secret = SecretFile(path)
    path.write_text("newer")

    assert secret() == "newer"


def test_a_secret_of_the_same_length_is_noticed_by_its_time(write: Write) -> None:
    path = write("old", "key")
    secret = SecretFile(path)
    path.write_text("new")
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))

    assert secret() == "new"


def test_a_secret_behind_swapped_links_is_noticed(tmp_path: Path) -> None:
    for version in ("v1", "v2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "key").write_text(version)
    (tmp_path / "data").symlink_to("v1")
    (tmp_path / "key").symlink_to("data/key")
    secret = SecretFile(tmp_path / "key")
    (tmp_path / "next").symlink_to("v2")
    (tmp_path / "next").replace(tmp_path / "data")

    assert secret() == "v2"


def test_an_unchanged_file_is_not_read_again(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = SecretFile(write("old", "key"))
    monkeypatch.setattr("sevrouter.config.secret.read_secret", lambda _: pytest.fail("read again"))

    assert secret() == "old"


def test_a_vanished_file_leaves_the_last_good_secret_and_is_logged_once(write: Write, logs: Logs) -> None:
    path = write("hunter2", "key")
    secret = SecretFile(path)
    path.unlink()

    assert [secret(), secret(), secret()] == ["hunter2"] * 3
    assert [(event["event"], event["path"], event["reason"]) for event in logs] == [
        ("secret_unreadable", str(path), "cannot be read: No such file or directory")
    ]
    assert "hunter2" not in str(logs)


def test_each_change_for_the_worse_is_logged(write: Write, logs: Logs) -> None:
    path = write("hunter2", "key")
    secret = SecretFile(path)

    for content in ("", "two\nlines", "two\nother lines"):
        replace(path, content)
        assert [secret(), secret()] == ["hunter2"] * 2

    assert [event["reason"] for event in logs] == ["is empty"] + ["holds more than one line"] * 2
    assert "two" not in str(logs)


def test_a_file_that_comes_back_is_used_again(write: Write, logs: Logs) -> None:
    path = write("old", "key")
    secret = SecretFile(path)
    path.unlink()
    secret()
    write("new", "key")

    assert [secret(), secret()] == ["new"] * 2
    assert [event["event"] for event in logs] == ["secret_unreadable", "secret_rotated"]


def test_a_file_that_becomes_readable_without_a_change_is_used_again(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("old", "key")
    secret = SecretFile(path)
    replace(path, "new")
    with monkeypatch.context() as patch:
        patch.setattr("sevrouter.config.secret.read_secret", raise_denied)
        assert secret() == "old"

    assert secret() == "new"


def raise_denied(_: Path) -> str:
    raise SecretError("cannot be read: Permission denied")
