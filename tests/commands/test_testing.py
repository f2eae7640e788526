"""`test`: a configuration that says what it expects of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.commands.conftest import CONFIG

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
