"""The configurations that are shipped: the annotated example, the smallest, the demo."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pytest
import yaml

from sevrouter.config import (
    CallSettings,
    ConfigurationError,
    ConsoleSettings,
    PagerDutySettings,
    PostgresSettings,
    SqliteSettings,
    TlsSettings,
    load,
)
from sevrouter.config.schema import Root
from sevrouter.domain.alert import Alert
from sevrouter.domain.policy import LIMITS
from sevrouter.domain.sev import Sev

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = Path(__file__).parents[2] / "config"
ANNOTATED, MINIMAL, DEMO = (CONFIG / f"{name}.yaml" for name in ("sevrouter", "minimal", "demo"))

# A secret in the file itself is the one thing that the example must not show.
NOT_SHOWN = {
    "routing_key",
    "auth_token",
    "api_token",
    "app_token",
    "signing_secret",
    "webhook_secrets",
    "integration_url",
    "integration_token",
    "secrets",
    "urls",
    "token",
    "bearer_token",
    "bearer_tokens",
    "password",
    "passwords",
    "value",
    "number",
    "calendar",
}

SQLITE = "store: {url: 'sqlite:sevrouter.db'}"


def with_postgresql() -> str:
    """The annotated example with the store that is written in its comments."""
    before, _, after = ANNOTATED.read_text().partition(SQLITE)
    _, _, commented = after.partition("#\n")
    block, _, rest = commented.partition("\n\n")
    return before + "\n".join(line.removeprefix("# ") for line in block.splitlines()) + "\n\n" + rest


def alert(**labels: str) -> Alert:
    return Alert(labels=labels, starts_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))


def field_names(schema: Any) -> Iterator[str]:
    """Every key that any section of the schema knows."""
    for section in (schema, *schema["$defs"].values()):
        yield from section.get("properties", {})


def written_keys(tree: Any) -> Iterator[str]:
    if isinstance(tree, dict):
        for key, child in tree.items():
            yield key
            yield from written_keys(child)
    if isinstance(tree, list):
        for child in tree:
            yield from written_keys(child)


@pytest.mark.parametrize("path", [ANNOTATED, MINIMAL, DEMO], ids=lambda path: path.stem)
def test_it_loads_without_a_warning(path: Path) -> None:
    assert load(path).warnings == ()


def test_the_annotated_example_shows_every_key() -> None:
    keys = set(written_keys(yaml.safe_load(with_postgresql())))

    assert set(field_names(Root.model_json_schema())) - keys == NOT_SHOWN


def test_the_annotated_example_shows_the_defaults_that_it_claims() -> None:
    example, bare = load(ANNOTATED), load(MINIMAL)

    assert example.routing.incidents == bare.routing.incidents
    assert example.routing.grader.unmatched is bare.routing.grader.unmatched
    assert example.routing.give_up_after == bare.routing.give_up_after
    assert example.routing.deployment_window == bare.routing.deployment_window
    assert example.routing.stale_after == bare.routing.stale_after
    assert example.routing.horizon == bare.routing.horizon
    assert example.retention == bare.retention
    assert example.webhook.max_body == bare.webhook.max_body
    assert example.store == bare.store


def test_the_store_in_its_comments_can_be_used_and_has_the_defaults_that_it_claims(tmp_path: Path) -> None:
    path = tmp_path / "sevrouter.yaml"
    path.write_text(with_postgresql())
    example = load(path, secrets=False)
    path.write_text(MINIMAL.read_text() + "store: {url: 'postgresql://db/x'}\n")
    bare = load(path, secrets=False)

    assert example.warnings == ()
    assert isinstance(example.store, PostgresSettings)
    assert isinstance(bare.store, PostgresSettings)
    for name in ("connect_timeout", "statement_timeout", "lock_timeout"):
        assert getattr(example.store, name) == getattr(bare.store, name)
    assert (bare.store.password, bare.store.schema, bare.store.tls) == (None, None, TlsSettings(mode="verify-full"))
    assert example.store.tls is not None
    assert example.store.tls.mode == "verify-full"
    assert "password_file: secrets.example/store-password" in with_postgresql()
    assert (CONFIG / "secrets.example" / "store-password").read_text() == "replace-me\n"


def test_the_annotated_example_calls_through_everything_that_there_is() -> None:
    providers = load(ANNOTATED).providers

    assert {type(each) for each in providers.values()} == set(get_args(CallSettings))
    pagerduty = providers["pagerduty"]
    assert isinstance(pagerduty, PagerDutySettings)
    assert pagerduty.routing_key() == "replace-me"


def test_the_annotated_example_has_the_call_limits_that_it_claims() -> None:
    calling = load(ANNOTATED).routing.calling

    assert calling is not None
    assert tuple(calling.limits) == LIMITS


@pytest.mark.parametrize("line", [each for each in MINIMAL.read_text().splitlines() if each and each[0] != "#"])
def test_no_line_of_the_smallest_can_be_left_out(line: str, tmp_path: Path) -> None:
    shorter = tmp_path / "shorter.yaml"
    shorter.write_text(MINIMAL.read_text().replace(f"{line}\n", ""))

    with pytest.raises(ConfigurationError):
        load(shorter)


@pytest.mark.parametrize(
    ("severity", "sev"),
    [("critical", Sev.SEV_2), ("warning", Sev.SEV_4), ("info", Sev.SEV_5), ("none", None), ("CRITICAL", Sev.SEV_2)],
)
@pytest.mark.parametrize("path", [ANNOTATED, MINIMAL, DEMO], ids=lambda path: path.stem)
def test_the_severity_label_decides(path: Path, severity: str, sev: Sev | None) -> None:
    assert load(path).routing.grader.grade(alert(severity=severity)).sev is sev


def test_the_demo_calls_nobody() -> None:
    assert set(load(DEMO).integrations.values()) == {ConsoleSettings()}


def test_the_demo_files_a_ticket_with_an_assignee_for_a_bug_of_the_checkout() -> None:
    demo = load(DEMO)
    bug = alert(kind="bug", service="checkout", severity="info")
    owner = demo.routing.ownership.of(bug.labels).owner

    assert demo.routing.grader.grade(bug).sev is Sev.SEV_5
    assert demo.routing.responses[Sev.SEV_5] == ("jira",)
    assert owner is not None
    assert demo.teams[owner].jira_assignee == demo.people["ana"]


def test_the_demo_keeps_its_database_out_of_the_repository() -> None:
    assert load(DEMO).store == SqliteSettings(CONFIG.parent / ".data" / "demo.db")


def test_every_comment_that_says_default_is_near_a_key() -> None:
    assert len(re.findall(r"[Dd]efault", ANNOTATED.read_text())) > 15
