"""`test`: a configuration that says what it expects of itself."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from sevrouter.config import load
from tests.commands.conftest import CONFIG
from tests.real.payloads import STARTED, alert, grafana_alert, grafana_webhook, webhook

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.commands.conftest import Ended

    Command = Callable[..., Ended]

TIMED = """\
  - name: breaking the SLA
    matchers: ['slo="latency"']
    measure: firing_for
    thresholds: {SEV-1: '>= 4h', SEV-2: '>= 30m'}
  - name: errors
    matchers: ['service="checkout"', 'asked="yes"']
    measure: {query: 'errors{service="{{ service }}"}', unsure_after: 5m}
    thresholds: {SEV-1: '>= 25', SEV-2: '>= 5'}
  - name: instances
    matchers: ['alertname="InstanceDown"']
    measure: {count: {label: instance}}
    thresholds: {SEV-1: '>= 3'}
responses:"""
CHECKOUT = "service: checkout, severity: info, asked: 'yes'"


def expecting(config: Path, *tests: str) -> None:
    """Write the configuration with these tests."""
    lines = "".join(f"  - {{{each}}}\n" for each in tests)
    prometheus = "prometheus: {url: 'http://prometheus:9090'}\n"
    config.write_text(CONFIG.replace("responses:", TIMED, 1) + prometheus + f"tests:\n{lines}")


@pytest.mark.parametrize(
    "test",
    [
        "alert: {severity: critical}, expect: SEV-2, unsure: false, responses: [call, slack]",
        "alert: {severity: none}, expect: none, responses: []",
        "alert: {severity: info, service: checkout}, expect: SEV-5, owner: payments",
        "alert: {severity: odd}, expect: SEV-2, unsure: true",
        "alert: {slo: availability}, annotations: {users_affected_percent: '30 %'}, expect: SEV-1",
        "alert: {slo: latency, severity: none}, expect: none",
        "alert: {slo: latency, severity: info}, after: 29m59s, expect: SEV-5",
        "alert: {slo: latency, severity: info}, after: 30m, expect: SEV-2",
        "alert: {slo: latency}, after: 4h, expect: SEV-1, responses: [call, slack]",
        f"alert: {{{CHECKOUT}}}, expect: SEV-5",
        f"alert: {{{CHECKOUT}}}, readings: {{errors: 4.9}}, expect: SEV-5",
        f"alert: {{{CHECKOUT}}}, readings: {{errors: 5}}, expect: SEV-2, unsure: false",
        f"alert: {{{CHECKOUT}}}, readings: {{errors: none}}, expect: SEV-1, unsure: true",
    ],
)
def test_what_comes_as_expected_passes(test: str, sevrouter: Command, config: Path) -> None:
    expecting(config, test)
    ended = sevrouter("test")
    assert (ended.code, ended.out, ended.err) == (0, f"{config}: 1 passed, 0 failed\n", "")


def test_what_comes_otherwise_fails_and_says_why(sevrouter: Command, config: Path) -> None:
    expecting(
        config,
        "alert: {severity: critical}, expect: SEV-2",
        "alert: {severity: critical, service: checkout}, expect: SEV-1, unsure: true, responses: [jira]",
        "name: the night, alert: {severity: info}, expect: SEV-5, owner: payments",
    )
    ended = sevrouter("test", str(config))
    assert (ended.code, ended.out) == (1, f"{config}: 1 passed, 2 failed\n")
    assert ended.err.splitlines() == [
        (
            "test 2 (severity=critical, service=checkout): expected SEV-1, got SEV-2; expected to be unsure, is sure; "
            "expected responses jira, got call, slack"
        ),
        "  SEV-2 by rule 'severity label': label severity is 'critical': SEV-2",
        "test 3 (the night): expected owner payments, got nobody",
        "  SEV-5 by rule 'severity label': label severity is 'info': SEV-5",
    ]


def test_a_configuration_without_tests_passes_none(sevrouter: Command, config: Path) -> None:
    ended = sevrouter("test")
    assert (ended.code, ended.err) == (1, f"{config}: has no tests\n")


def test_a_configuration_that_is_refused_is_not_tested(sevrouter: Command, config: Path) -> None:
    expecting(config, "alert: {severity: critical}, expect: SEV-9")
    ended = sevrouter("test")
    assert (ended.code, "tests[0].expect" in ended.err) == (2, True)


@pytest.fixture
def payload(config: Path) -> Callable[..., None]:
    """Write a webhook beside the configuration, and have it expect something of it."""

    def write(body: Any, *expected: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        (config.parent / "webhook.json").write_bytes(content)
        expecting(config, *(f"payload: webhook.json, {each}" for each in expected))

    return write


BUG = {"alertname": "Typo", "severity": "info", "service": "search"}
DOWN = {"alertname": "Down", "severity": "critical", "service": "checkout"}


def down(instance: str, **overrides: Any) -> dict[str, Any]:
    return alert({"alertname": "InstanceDown", "severity": "info", "instance": instance}, **overrides)


@pytest.mark.parametrize(
    ("alerts", "expected"),
    [
        ([alert(BUG), alert(DOWN)], "expect: SEV-2, owner: payments, responses: [call, slack], incidents: 2"),
        ([alert(BUG)], "expect: SEV-5, responses: [jira], incidents: 1, unsure: false"),
        ([alert(BUG), alert(DOWN, status="resolved")], "expect: SEV-5, incidents: 1"),
        ([alert(DOWN, status="resolved")], "expect: none, incidents: 0, responses: [], unsure: false"),
        ([alert({"severity": "none"}), alert(BUG)], "expect: SEV-5, incidents: 1"),
        ([alert({"severity": "none"})], "expect: none, incidents: 0"),
        ([alert(DOWN), alert(DOWN | {"pod": "another"})], "expect: SEV-2, incidents: 1"),
        ([down("a"), down("b")], "expect: SEV-5, incidents: 1"),
        ([down("a"), down("b"), down("c")], "expect: SEV-1, incidents: 1"),
        ([down("a"), down("b"), down("c", status="resolved")], "expect: SEV-5"),
        ([down("a"), down("b"), down("b")], "expect: SEV-5"),
        ([alert({"slo": "availability"}, {"users_affected_percent": "30%"})], "expect: SEV-1, unsure: false"),
    ],
)
def test_all_that_fires_in_a_payload_is_played_together_and_the_worst_counts(
    sevrouter: Command, payload: Callable[..., None], alerts: list[dict[str, Any]], expected: str
) -> None:
    payload(webhook(alerts), expected)
    ended = sevrouter("test")
    assert (ended.code, ended.err) == (0, "")


def test_what_is_sure_speaks_for_a_sev_before_what_is_not(sevrouter: Command, payload: Callable[..., None]) -> None:
    payload(webhook([alert({"severity": "odd"}), alert(DOWN)]), "expect: SEV-2, unsure: false, owner: payments")
    assert sevrouter("test").code == 0


def test_a_payload_is_played_from_the_start_of_its_last_alert(sevrouter: Command, payload: Callable[..., None]) -> None:
    slow = {"slo": "latency", "severity": "info", "service": "search"}
    last = alert(BUG, starts_at=STARTED + timedelta(minutes=20))
    payload(
        webhook([alert(slow), last, alert(BUG | {"pod": "a"}, startsAt="nobody knows")]),
        "expect: SEV-5",
        "after: 9m59s, expect: SEV-5",
        "after: 10m, expect: SEV-2",
        "after: 3h40m, expect: SEV-1",
    )
    ended = sevrouter("test")
    assert (ended.code, ended.err) == (0, "")


def test_what_never_says_when_it_began_is_played_all_the_same(sevrouter: Command, payload: Callable[..., None]) -> None:
    slow = alert({"slo": "latency", "severity": "info"}, startsAt=None)
    payload(webhook([slow]), "expect: SEV-5", "after: 30m, expect: SEV-2")
    assert sevrouter("test").code == 0


def test_the_readings_of_a_payload_are_made_up(sevrouter: Command, payload: Callable[..., None]) -> None:
    asked = alert({"service": "checkout", "severity": "info", "asked": "yes"})
    payload(
        webhook([asked, alert(BUG)]),
        "expect: SEV-5",
        "readings: {errors: 5}, expect: SEV-2",
        "readings: {errors: none}, expect: SEV-1, unsure: true",
    )
    assert sevrouter("test").code == 0


def test_what_grafana_sends_is_played_with_its_values(
    sevrouter: Command, payload: Callable[..., None], config: Path
) -> None:
    labels = {"slo": "availability", "severity": "info"}
    payload(grafana_webhook([grafana_alert(labels, values={"B": 7})]), "expect: SEV-2, unsure: false")
    config.write_text(config.read_text().replace("annotation: users_affected_percent", "value: B"))
    ended = sevrouter("test")
    assert (ended.code, ended.err) == (0, "")


def test_a_payload_of_which_something_else_comes_says_which_alert_decided(
    sevrouter: Command, payload: Callable[..., None], config: Path
) -> None:
    payload(
        webhook([alert(BUG), alert(DOWN | {"pod": "a\x1b[31m"})]),
        "expect: SEV-5, incidents: 1, name: a typo",
        "expect: SEV-1",
    )
    ended = sevrouter("test")
    assert (ended.code, ended.out) == (1, f"{config}: 0 passed, 2 failed\n")
    reasons = [
        "  decided by alertname=Down, pod=a [31m, service=checkout, severity=critical",
        "  SEV-2 by rule 'severity label': label severity is 'critical': SEV-2",
    ]
    assert ended.err.splitlines() == [
        "test 1 (a typo): expected SEV-5, got SEV-2; expected incidents: 1, got 2",
        *reasons,
        "test 2 (webhook.json): expected SEV-1, got SEV-2",
        *reasons,
    ]


def test_a_payload_in_which_nothing_fires_says_so(sevrouter: Command, payload: Callable[..., None]) -> None:
    payload(webhook([alert(DOWN, status="resolved")]), "expect: SEV-2")
    ended = sevrouter("test")
    assert ended.err.splitlines() == [
        "test 1 (webhook.json): expected SEV-2, got none",
        "  no alert in it fires",
    ]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "cannot be read: empty"),
        (b"{", "cannot be read: not valid JSON at line 1"),
        (b"[]", "cannot be read: no list of alerts in it"),
        (b'{"alerts": 3}', "cannot be read: no list of alerts in it"),
        (b'{"alerts": []}', "has no alerts"),
        (b'{"alerts": [{"labels": 3}]}', "cannot be read: labels "),
        (json.dumps({"alerts": [alert(DOWN), {"labels": 3}, 4]}).encode(), ": 2 of its alerts cannot be read: "),
    ],
)
def test_a_payload_that_cannot_be_read_fails_and_says_why(
    sevrouter: Command, payload: Callable[..., None], config: Path, body: bytes, why: str
) -> None:
    payload(body, "expect: SEV-2")
    ended = sevrouter("test")
    assert (ended.code, ended.out) == (1, f"{config}: 0 passed, 1 failed\n")
    (line,) = ended.err.splitlines()
    assert line.startswith("test 1 (webhook.json): ")
    assert f"webhook.json{why if why[0] == ':' else f' {why}'}" in line


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nowhere.json", "No such file or directory"),
        (".", "Is a directory"),
        (r'"a\0b"', "not a file name"),
    ],
)
def test_a_payload_that_is_not_there_fails_the_test_and_the_check(
    sevrouter: Command, config: Path, name: str, why: str
) -> None:
    expecting(config, f"payload: {name}, expect: SEV-2", "alert: {severity: critical}, expect: SEV-2")
    ended = sevrouter("test")
    assert (ended.code, ended.out) == (1, f"{config}: 1 passed, 1 failed\n")
    assert f"cannot be read: {why}" in ended.err
    checked = sevrouter("check", "--no-secrets")
    assert checked.code == 2
    assert ": tests[0].payload: the file named here " in checked.err
    line = next(n for n, text in enumerate(config.read_text().splitlines(), start=1) if "payload:" in text)
    assert checked.err.startswith(f"{config}:{line}:15: ")


def test_a_payload_that_is_there_passes_the_check_and_a_daemon_needs_none(
    sevrouter: Command, payload: Callable[..., None], config: Path
) -> None:
    payload(webhook([alert(DOWN)]), "expect: SEV-2")
    assert sevrouter("check").code == 0
    (config.parent / "webhook.json").unlink()
    assert sevrouter("check").code == 2
    assert load(config).tests[0].payload == config.parent / "webhook.json"
