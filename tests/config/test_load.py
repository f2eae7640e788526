"""A file is read and checked whole: everything that is wrong comes at once, whatever is in it."""

from __future__ import annotations

import hashlib
import os
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sevrouter.config import ConfigurationError, PagerDutySettings, SecretError, SqliteSettings, load

Write = Callable[..., Path]

SMALLEST = """\
rules: [{name: critical, sev: SEV-2}]
responses: {SEV-1: [call], SEV-2: [call]}
integrations: {call: {type: console}}
"""

ANNOTATED = Path(__file__).parents[2] / "config" / "sevrouter.yaml"
EXAMPLE = yaml.load(ANNOTATED.read_text(), Loader=yaml.BaseLoader)  # noqa: S506  it makes nothing but text
POSTGRES = {
    "url": "postgresql://me@db/incidents?application_name=a",
    "password_file": "password",
    "schema": "alerts",
    "tls": {"mode": "verify-full", "ca_file": "ca", "cert_file": "cert", "key_file": "key"},
    "connect_timeout": "5s",
    "statement_timeout": "30s",
    "lock_timeout": "10s",
}


def with_call(call: str) -> str:
    return SMALLEST.replace("{type: console}", call)


def refusal(path: Path, *, secrets: bool = True) -> list[str]:
    with pytest.raises(ConfigurationError) as refused:
        load(path, secrets=secrets)
    return str(refused.value).replace(f"{path}:", "").splitlines()


def test_mistakes_of_every_kind_are_reported_at_once_and_in_order(write: Write) -> None:
    path = write(
        """\
unmatched: SEV-9
rules:
  - name: critical
    matchers: ['severity=~"("']
    sev: SEV-2
  - {name: critical, sev: SEV-6, colour: red}
  - {name: nothing}
responses:
  SEV-1: [call, slack, jira]
  SEV-1: [call]
systems:
  - {name: checkout, matchers: ['service="checkout"'], owner: paymnts}
teams:
  payments: {jira: {assignee: anna}}
people:
  ana: {phone: '123'}
integrations:
  call: {type: pagerduty, routing_key_file: nowhere}
  slack: {token: xoxb-hunter2, channel: C0INC}
incidents: {group_by: [severity], resolve_after: 5}
retention: 35d
store: {url: 'postgresql://me:hunter2@db/x'}
default_owner:
"""
    )

    refused = refusal(path)

    assert [line.split(": ")[1] for line in refused] == [
        "unmatched",
        "rules[0].matchers[0]",
        "rules[1].name",
        "rules[1].sev",
        "rules[1].colour",
        "rules[2]",
        "responses.SEV-1[2]",
        "responses.SEV-1",
        "systems[0].owner",
        "teams.payments.jira.assignee",
        "people.ana.phone",
        "integrations.call.routing_key_file",
        "integrations.slack.token",
        "incidents.group_by",
        "incidents.resolve_after",
        "retention",
        "store.url",
        "default_owner",
    ]
    assert "hunter2" not in "".join(refused)


def test_warnings_are_reported_with_errors_where_the_rest_can_be_understood(write: Write, smallest: str) -> None:
    path = write(smallest.replace("""'severity="critical"'""", """'a="b"', 'a="c"'""") + "default_owner: nobody\n")

    refused = refusal(path)

    assert len(refused) == 2
    assert "warning: rules[0].matchers: can never match" in refused[0]
    assert "the team 'nobody' is not defined" in refused[1]


def test_the_hash_is_that_of_the_bytes_of_the_file(write: Write, smallest: str) -> None:
    path = write(smallest)
    configuration = load(path)

    assert configuration.hash == hashlib.sha256(smallest.encode()).hexdigest()[:12]
    assert configuration.routing.config_hash == configuration.hash
    write(smallest + "# a comment\n")
    assert load(path).hash != configuration.hash


def test_a_byte_order_mark_is_no_mistake(write: Write, smallest: str) -> None:
    assert load(write(b"\xef\xbb\xbf" + smallest.encode())).warnings == ()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"rules:\n  - \xff\xfe", "2:5: is not text in UTF-8"),
        ("rules: []\n".encode("utf-16"), "1:1: is not text in UTF-8"),
        (b"\x7fELF\x02\x01\x01\x00", "1:1: not YAML: a control character"),
        (b"a: \x00", "1:4: not YAML: a control character"),
        (b"#" * (10 * 2**20 + 1), " is larger than 10 MiB"),
    ],
)
def test_what_is_no_text_is_refused(write: Write, content: bytes, words: str) -> None:
    assert refusal(write(content)) == [words]


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nowhere.yaml") == [" cannot be read: No such file or directory"]


def test_a_directory_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path) == [" cannot be read: Is a directory"]


def test_an_impossible_name_is_refused() -> None:
    assert "not a file name" in refusal(Path("a\0b"))[0]


def test_the_store_is_relative_to_the_directory_of_the_configuration(
    write: Write, smallest: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(smallest + "store: {url: 'sqlite:data/a b.db'}\n", "conf/sevrouter.yaml")
    monkeypatch.chdir(tmp_path)

    configuration = load(Path("conf/sevrouter.yaml"))

    assert configuration.store == SqliteSettings(tmp_path / "conf" / "data" / "a b.db")


def test_a_store_elsewhere_stays_there(write: Write, smallest: str) -> None:
    store = load(write(smallest + "store: {url: 'sqlite:/var/lib/x.db'}\n")).store

    assert store == SqliteSettings(Path("/var/lib/x.db"))


def test_secrets_are_relative_to_the_directory_of_the_configuration_even_after_it_changes(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("R0UT1NG\n", "conf/secrets/key")
    write(with_call("{type: pagerduty, routing_key_file: secrets/key}"), "conf/sevrouter.yaml")
    monkeypatch.chdir(tmp_path)
    call = load(Path("conf/sevrouter.yaml")).integrations["call"]
    monkeypatch.chdir("/")
    write("R0TAT3D!\n", "conf/secrets/key")

    assert isinstance(call, PagerDutySettings)
    assert call.routing_key() == "R0TAT3D!"


def test_without_secrets_their_files_are_not_looked_at(write: Write) -> None:
    path = write(with_call("{type: pagerduty, routing_key_file: nowhere}"))

    call = load(path, secrets=False).integrations["call"]

    assert isinstance(call, PagerDutySettings)
    with pytest.raises(SecretError, match="loaded without its secrets"):
        call.routing_key()


def test_a_secret_in_place_of_the_name_of_its_file_is_not_printed(write: Write) -> None:
    refused = refusal(write(with_call("{type: pagerduty, routing_key_file: R0UT1NGhunter2}")))

    assert "cannot be read: No such file or directory" in refused[0]
    assert "hunter2" not in refused[0]


def test_a_secret_that_may_not_be_read_is_refused(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(with_call("{type: pagerduty, routing_key_file: key}"))
    key = write("x", "key")
    opened = Path.open

    def denied(self: Path, *args: Any, **options: Any) -> Any:
        if self == key:
            raise PermissionError(13, "Permission denied")
        return opened(self, *args, **options)

    # Not by its mode: root reads every file.
    monkeypatch.setattr(Path, "open", denied)

    assert "Permission denied" in refusal(path)[0]


def test_a_pipe_in_place_of_a_secret_is_refused_and_not_waited_for(write: Write, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "key")

    assert "is not a regular file" in refusal(write(with_call("{type: pagerduty, routing_key_file: key}")))[0]


def test_two_fields_may_name_one_file(write: Write, smallest: str) -> None:
    write("hunter2\n", "key")
    auth = "webhook: {auth: {bearer_token_files: [key], basic: {username: a, password_files: [key, key]}}}\n"

    webhook = load(write(smallest + auth)).webhook.auth

    assert [secret() for secret in (*webhook.bearer_tokens, *webhook.basic_passwords)] == ["hunter2"] * 3


@pytest.mark.parametrize(
    ("within", "beyond", "words"),
    [
        ("history: {retention: 1d}", "history: {retention: 23h59m}", "is shorter than a day (1d)"),
        ("delivery: {give_up_after: 1m}", "delivery: {give_up_after: 59s}", "is shorter than a minute (1m)"),
        ("deployments: {window: 1d}", "deployments: {window: 24h1s}", "is longer than a day (1d)"),
        ("webhook: {max_body: 64KiB}", "webhook: {max_body: 65535}", "is not between 64KiB and 4GiB"),
        ("webhook: {max_body: 4GiB}", "webhook: {max_body: 5GiB}", "is not between 64KiB and 4GiB"),
        ("people: {a: {phone: '+1234567'}}", "people: {a: {phone: '+123456'}}", "is not a phone number"),
        (
            "people: {a: {phone: '+123456789012345'}}",
            "people: {a: {phone: '+1234567890123456'}}",
            "is not a phone number",
        ),
        ("incidents: {resolve_after: 0s}", "incidents: {resolve_after: 3651d}", "is longer than 3650d"),
    ],
)
def test_a_limit_is_where_it_is_said_to_be(write: Write, within: str, beyond: str, words: str) -> None:
    assert load(write(f"{SMALLEST}{within}\n")).warnings == ()
    assert words in refusal(write(f"{SMALLEST}{beyond}\n"))[0]


def mutated(tree: Any, junk: Any) -> st.SearchStrategy[Any]:
    """The tree with one of its values replaced by something else."""
    places: list[tuple[Any, ...]] = []

    def walk(node: Any, path: tuple[Any, ...]) -> None:
        places.append(path)
        children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, child in children:
            walk(child, (*path, key))

    def replaced(node: Any, path: tuple[Any, ...], new: Any) -> Any:
        if not path:
            return new
        if isinstance(node, dict):
            return {**node, path[0]: replaced(node[path[0]], path[1:], new)}
        return [replaced(child, path[1:], new) if index == path[0] else child for index, child in enumerate(node)]

    walk(tree, ())
    return st.builds(lambda path, new: replaced(tree, path, new), st.sampled_from(places), junk)


WORDS = st.text(string.ascii_letters + string.digits + " -=~!{}()'\"><", max_size=12)
JUNK = st.recursive(
    WORDS | st.none() | st.sampled_from(["none", "SEV-1", "console", "slack", "5m", "-1", "1e999", "true", "*"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=4,
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(tree=mutated(EXAMPLE, JUNK) | mutated(POSTGRES, JUNK).map(lambda store: {**EXAMPLE, "store": store}))
def test_whatever_stands_in_place_of_a_value_it_loads_or_is_refused_in_plain_words(write: Write, tree: Any) -> None:
    path = write(yaml.safe_dump(tree, allow_unicode=True, sort_keys=False))

    try:
        load(path, secrets=False)
    except ConfigurationError as refused:
        for problem in refused.problems:
            assert problem.message
            assert "pydantic" not in str(problem)
            assert "cannot be used" not in problem.message
            assert problem.line >= 1 or problem.message == "the file is empty"
