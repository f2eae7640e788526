"""None of the alerts of a Kubernetes cluster goes ungraded or unexplained, with the smallest configuration there is."""

from __future__ import annotations

import collections
import json
from pathlib import Path

import pytest

from sevrouter.cli import main
from tests.real.payloads import alert, webhook
from tests.scenarios.kubernetes_alerts import BY_SEVERITY, ODD

CONFIGS = Path(__file__).parents[2] / "config"


def _explained(config: str, payload: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    with pytest.raises(SystemExit) as ended:
        main(["explain", "--config", str(CONFIGS / config), "--json", "--payload", str(payload)])
    assert ended.value.code == 0
    explained = json.loads(capsys.readouterr().out)
    assert isinstance(explained, list)
    return explained


@pytest.fixture
def payload(tmp_path: Path) -> Path:
    """All of them in one webhook."""
    labelled = [{"alertname": name, "severity": severity} for severity, names in BY_SEVERITY.items() for name in names]
    labelled += [{"alertname": name} | ({"severity": word} if word else {}) for name, word in ODD.items()]
    file = tmp_path / "webhook.json"
    file.write_text(json.dumps(webhook([alert(labels) for labels in labelled])))
    return file


@pytest.mark.parametrize("config", ["minimal.yaml", "demo.yaml", "sevrouter.yaml"])
def test_every_alert_is_graded_and_explained(config: str, payload: Path, capsys: pytest.CaptureFixture[str]) -> None:
    explained = _explained(config, payload, capsys)
    assert len(explained) == sum(map(len, BY_SEVERITY.values())) + len(ODD)
    for each in explained:
        assert each["reasons"], each
        assert each["sev"] != "none" or each["labels"]["severity"] == "none", each  # type: ignore[index]
    by_sev = collections.Counter(each["sev"] for each in explained if not each["unsure"])
    assert by_sev["SEV-2"] == len(BY_SEVERITY["critical"])
    assert by_sev["none"] == len(BY_SEVERITY["none"])


@pytest.mark.parametrize("config", ["minimal.yaml", "demo.yaml", "sevrouter.yaml"])
def test_an_unknown_severity_is_unsure_and_calls(
    config: str, payload: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = [each for each in _explained(config, payload, capsys) if each["unsure"]]
    assert [each["labels"]["alertname"] for each in odd] == list(ODD)  # type: ignore[index]
    assert {each["sev"] for each in odd} <= {"SEV-1", "SEV-2"}
