"""`explain` says how bad an alert is and why, and its exit code says whether that was expected."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from sevrouter.config import load
from tests.commands.conftest import CONFIG
from tests.real.payloads import alert, grafana_alert, webhook

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.commands.conftest import Ended

    Command = Callable[..., Ended]


@pytest.fixture
def payload(tmp_path: Path) -> Callable[[Any], str]:
    """Write a webhook's body to a file, and give its name."""

    def write(body: Any) -> str:
        path = tmp_path / "body.json"
        path.write_bytes(body if isinstance(body, bytes) else json.dumps(body).encode())
        return str(path)

    return write


def test_labels_are_explained_for_people(sevrouter: Command) -> None:
    ended = sevrouter("explain", "alertname=Down", "severity=critical", "service=checkout")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[0] == "SEV-2  checkout: Down"
    assert "SEV-2 by rule 'severity label': label severity is 'critical': SEV-2" in ended.out
    assert "response: call, slack" in ended.out
    assert "owner:    payments (system checkout)" in ended.out


def test_an_annotation_is_read(sevrouter: Command) -> None:
    ended = sevrouter("explain", "slo=availability", "severity=info", "-a", "users_affected_percent=30%")
    assert ended.out.startswith("SEV-1  ")
    assert "annotation users_affected_percent '30%' is >= 25" in ended.out


def test_what_happens_if_nobody_acts_is_told(sevrouter: Command, config: Path) -> None:
    timed = """\
  - name: breaking the SLA
    matchers: ['slo="latency"']
    measure: firing_for
    thresholds: {SEV-1: '>= 4h', SEV-2: '>= 30m'}
  - name: errors
    matchers: ['slo="latency"']
    measure: {query: 'errors{service="{{ service }}"}', unsure_after: 45s}
    thresholds: {SEV-1: '> 9'}
responses:"""
    config.write_text(CONFIG.replace("responses:", timed) + "prometheus: {url: 'http://prometheus:9090'}\n")
    ended = sevrouter("explain", "slo=latency", "severity=info", "service=checkout")
    assert (ended.code, ended.err) == (0, "")
    assert "none by rule 'breaking the SLA': firing for is watched (SEV-1 >= 4h, SEV-2 >= 30m)" in ended.out
    assert [line.strip() for line in ended.out.splitlines() if line.startswith(("  ahead:", "  asks:"))] == [
        "ahead:    in 45s  SEV-1 by rule 'errors' if its query gives nothing → call, slack",
        "ahead:    in 30m  SEV-2 by rule 'breaking the SLA' → call, slack",
        "ahead:    in 4h  SEV-1 by rule 'breaking the SLA' → call, slack",
        'asks:     errors{service="checkout"}',
    ]
    (explained,) = json.loads(sevrouter("explain", "--json", "slo=latency", "severity=info", "service=checkout").out)
    assert explained["ahead"][:2] == [
        {
            "after_seconds": 45.0, "sev": "SEV-1", "rule": "errors", "unless_answered": True,
            "responses": ["call", "slack"],
        },
        {
            "after_seconds": 1_800.0, "sev": "SEV-2", "rule": "breaking the SLA", "unless_answered": False,
            "responses": ["call", "slack"],
        },
    ]  # fmt: skip
    assert explained["asks"] == ['errors{service="checkout"}']
    unlabelled = sevrouter("explain", "slo=latency", "severity=info").out
    assert (
        "  ahead:    in 0s  SEV-1 by rule 'errors' as its query cannot be asked (the alert has no label 'service') → "
        "call, slack\n"
    ) in unlabelled


def nearly(ended: Ended) -> list[str]:
    """What nearly came of it."""
    assert (ended.code, ended.err) == (0, "")
    return [line.removeprefix("  nearly:   ") for line in ended.out.splitlines() if line.startswith("  nearly: ")]


def test_the_rules_that_nearly_said_something_else_are_told(sevrouter: Command) -> None:
    assert nearly(sevrouter("explain", "severity=info")) == [
        "rule 'customers affected' (up to SEV-1): slo=\"availability\" is not met, there is no label slo"
    ]
    assert nearly(sevrouter("explain", "severity=info", "slo=latency")) == [
        "rule 'customers affected' (up to SEV-1): slo=\"availability\" is not met, slo is 'latency'"
    ]
    affected = ("explain", "severity=info", "slo=availability", "-a")
    assert nearly(sevrouter(*affected, "users_affected_percent=4.9%")) == [
        "rule 'customers affected': 4.9% is not >= 5, which would be SEV-2"
    ]
    assert nearly(sevrouter(*affected, "users_affected_percent=25%")) == []


def with_rules(config: Path, count: int) -> None:
    rules = "".join(f"  - {{name: r{number}, matchers: ['pod=\"{number}\"'], sev: SEV-4}}\n" for number in range(count))
    config.write_text(CONFIG.replace("responses:", f"{rules}responses:", 1))


def test_of_ten_thousand_rules_the_nearest_are_told(sevrouter: Command, config: Path) -> None:
    with_rules(config, 10_000)
    ended = sevrouter("explain", "severity=info", "pod=" + "x" * 1_000_000)
    told = nearly(ended)
    assert (len(told), len(ended.out.splitlines())) == (4, 9)
    assert told[0].startswith("rule 'customers affected' (up to SEV-1)")
    assert told[3] == "and 9998 more (--all)"
    assert max(map(len, ended.out.splitlines())) < 600


def test_all_of_them_are_told_on_demand(sevrouter: Command, config: Path) -> None:
    with_rules(config, 50)
    assert len(nearly(sevrouter("explain", "--all", "severity=info", "pod=a"))) == 51


def test_json_names_every_rule_that_was_considered_and_stays_small(sevrouter: Command, config: Path) -> None:
    with_rules(config, 100)
    ended = sevrouter("explain", "--json", "severity=info", "pod=" + "x" * 100_000)
    (explained,) = json.loads(ended.out)
    assert [each["rule"] for each in explained["considered"]] == [
        "severity label", "customers affected", *(f"r{number}" for number in range(100)),
    ]  # fmt: skip
    assert len(ended.out) < 300_000, "the label itself, and what is cut of it"


def test_exactly_as_many_as_are_told_leave_no_more(sevrouter: Command, config: Path) -> None:
    with_rules(config, 2)
    assert [each.split("'")[1] for each in nearly(sevrouter("explain", "severity=info"))] == [
        "customers affected", "r0", "r1",
    ]  # fmt: skip


def test_a_heartbeat_says_that_it_has_to_keep_arriving(sevrouter: Command, config: Path) -> None:
    waited_for = "heartbeats: [{matchers: ['alertname=\"Watchdog\"'], every: 5m, missed: SEV-1}]\n"
    config.write_text(CONFIG + waited_for)
    ended = sevrouter("explain", "alertname=Watchdog", "severity=critical", "--expect", "none")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("none  ")
    assert "a heartbeat: it has to keep arriving, every 5m; missing for 1m more it is SEV-1" in ended.out
    assert "response: none" in ended.out
    (explained,) = json.loads(sevrouter("explain", "--json", "alertname=Watchdog").out)
    assert (explained["sev"], explained["heartbeats"]) == ("none", ['alertname="Watchdog"'])


def test_the_contract_of_json(sevrouter: Command, config: Path) -> None:
    ended = sevrouter(
        "explain", "--json", "severity=critical", "service=checkout", "slo=availability", "-a",
        "users_affected_percent=1=2",
    )  # fmt: skip
    assert ended.code == 0
    labels = {"severity": "critical", "service": "checkout", "slo": "availability"}
    (explained,) = json.loads(ended.out)
    assert explained == {
        "labels": labels,
        "sev": "SEV-1",
        "unsure": True,
        "reasons": [
            {
                "rule": "customers affected",
                "sev": "SEV-1",
                "why": "annotation users_affected_percent '1=2' is not a number: unsure, so the worst this rule knows,"
                " SEV-1",
                "reading": "1=2",
                "threshold": ">= 25",
            },
            {
                "rule": "severity label",
                "sev": "SEV-2",
                "why": "label severity is 'critical': SEV-2",
                "reading": "critical",
                "threshold": None,
            },
        ],
        "considered": [
            {"rule": "severity label", "sev": "SEV-2", "matches": True, "unmet": [], "not_crossed": None},
            {"rule": "customers affected", "sev": "SEV-1", "matches": True, "unmet": [], "not_crossed": None},
        ],
        "heartbeats": [],
        "ahead": [],
        "asks": [],
        "incident": load(config).routing.incidents.dedup_key(labels),
        "owner": "payments",
    }


def test_json_says_what_is_missing(sevrouter: Command) -> None:
    (explained,) = json.loads(sevrouter("explain", "--json", "severity=info", "slo=latency").out)
    unmet = {"matcher": 'slo="availability"', "label": "slo", "value": "latency"}
    assert explained["considered"][1] == {
        "rule": "customers affected", "sev": "SEV-1", "matches": False, "unmet": [unmet], "not_crossed": None,
    }  # fmt: skip
    (explained,) = json.loads(
        sevrouter("explain", "--json", "severity=info", "slo=availability", "-a", "users_affected_percent=4.9%").out
    )
    assert explained["considered"][1]["not_crossed"] == {"reading": "4.9%", "threshold": ">= 5", "sev": "SEV-2"}


def test_what_is_no_incident_is_none(sevrouter: Command) -> None:
    (explained,) = json.loads(sevrouter("explain", "--json", "severity=none").out)
    assert (explained["sev"], explained["unsure"], explained["owner"]) == ("none", False, None)
    assert explained["reasons"][0]["sev"] == "none"


def test_a_payload_is_explained_alert_by_alert(sevrouter: Command, payload: Callable[[Any], str]) -> None:
    body = webhook([alert({"severity": "critical"}), alert({"severity": "info"}, status="resolved")])
    ended = sevrouter("explain", "--payload", payload(body), "--json")
    assert ended.code == 0
    assert [each["sev"] for each in json.loads(ended.out)] == ["SEV-2", "SEV-5"]
    assert "it is resolved, and graded here as if it fired" in sevrouter("explain", "--payload", payload(body)).out


def test_a_payload_comes_from_standard_input(sevrouter: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    body = json.dumps(webhook([alert({"severity": "critical"})])).encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(body)))
    ended = sevrouter("explain", "--payload", "-", "--json")
    assert [each["sev"] for each in json.loads(ended.out)] == ["SEV-2"]


def test_a_value_of_grafanas_is_read(config: Path, sevrouter: Command, payload: Callable[[Any], str]) -> None:
    config.write_text(config.read_text().replace("annotation: users_affected_percent", "value: B"))
    labels = {"slo": "availability", "severity": "info"}
    body = webhook([grafana_alert(labels, values={"B": 7})])
    assert sevrouter("explain", "--payload", payload(body)).out.startswith("SEV-2")
    assert sevrouter("explain", "slo=availability", "severity=info", "-v", "B=26").out.startswith("SEV-1")


@pytest.mark.parametrize(("expected", "code"), [("SEV-2", 0), ("SEV-1", 1), ("SEV-3", 1), ("none", 1)])
def test_the_exit_code_says_whether_it_was_expected(sevrouter: Command, expected: str, code: int) -> None:
    ended = sevrouter("explain", "severity=critical", "--expect", expected)
    assert ended.code == code
    assert ended.err == ("" if code == 0 else f"expected {expected}, got SEV-2: severity=critical\n")


def test_every_alert_must_be_as_expected(sevrouter: Command, payload: Callable[[Any], str]) -> None:
    body = payload(webhook([alert({"severity": "critical"}), alert({"severity": "info"})]))
    assert sevrouter("explain", "--payload", body, "--expect", "SEV-2").code == 1
    assert sevrouter("explain", "--payload", payload(webhook([])), "--expect", "SEV-2").code == 1
    assert sevrouter("explain", "severity=none", "--expect", "none").code == 0


@pytest.mark.parametrize("expected", ["SEV-6", "sev-2", "critical", ""])
def test_what_is_no_sev_cannot_be_expected(sevrouter: Command, expected: str) -> None:
    ended = sevrouter("explain", "severity=critical", "--expect", expected)
    assert (ended.code, "is not a SEV" in ended.err) == (2, True)


@pytest.mark.parametrize("body", [b"", b"{", b'{"alerts":[null]}'])
def test_what_cannot_be_read_is_said_and_is_a_no(
    sevrouter: Command, payload: Callable[[Any], str], body: bytes
) -> None:
    ended = sevrouter("explain", "--payload", payload(body))
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("cannot be read, would be quarantined and answered as SEV-2: ")
    assert sevrouter("explain", "--payload", payload(body), "--expect", "SEV-2").code == 1


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "give labels"),
        (("severity",), "'severity' is not name=value"),
        (("severity=critical", "severity=info"), "'severity' is given twice"),
        (("=critical",), "is not name=value"),
        (("severity=critical", "-a", "x"), "'x' is not name=value"),
        (("--payload", "/nowhere/body.json"), "--payload /nowhere/body.json: No such file or directory"),
        (("--payload", "/tmp"), "Is a directory"),  # noqa: S108  it is only looked at
        (("severity=critical", "--payload", "-"), "not both"),
        (("severity=critical", "--no-such-option"), "unrecognized arguments"),
    ],
)
def test_a_wrong_usage_is_2(sevrouter: Command, arguments: tuple[str, ...], why: str) -> None:
    ended = sevrouter("explain", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert why in ended.err


def test_an_alert_cannot_print_what_a_terminal_obeys(sevrouter: Command) -> None:
    ended = sevrouter("explain", "alertname=a\x1b[31m\nfake\u202e", "severity=critical", "slo=a\x1b[31m\nfake\u202e")
    assert all(line.isprintable() for line in ended.out.splitlines())
    assert [line for line in ended.out.splitlines() if line.startswith("fake")] == []
    assert len(nearly(ended)) == 1


def test_bytes_that_are_no_text_are_no_error_of_ours(sevrouter: Command) -> None:
    ended = sevrouter("explain", "alertname=a\udcff", "severity=\udcfe", "--json")
    assert ended.code == 0
    assert json.loads(ended.out)[0]["labels"]["alertname"] == "a\ufffd"


def test_no_secret_is_needed(config: Path, sevrouter: Command) -> None:
    config.write_text(config.read_text().replace("slack: {type: console}", "slack: {token_file: nowhere, channel: C1}"))
    assert sevrouter("explain", "severity=critical").code == 0
