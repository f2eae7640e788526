"""A configuration, a database that has seen something, and the command line run on them."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from sevrouter.cli import main
from sevrouter.domain.delivery import OutcomeReason, Rejected
from sevrouter.store.sqlite import SqliteStore
from tests.building import labelled, over
from tests.engine.stage import OPENED, Stage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONFIG = """\
rules:
  - {name: severity label, measure: {label: severity}, values: {critical: SEV-2, info: SEV-5, none: none}}
  - name: customers affected
    matchers: ['slo="availability"']
    measure: {annotation: users_affected_percent}
    thresholds: {SEV-1: '>= 25', SEV-2: '>= 5'}
responses: {SEV-1: [call, slack], SEV-2: [call, slack], SEV-5: [jira]}
systems: [{name: checkout, matchers: ['service="checkout"'], owner: payments}]
teams: {payments: {}}
integrations: {call: {type: console}, slack: {type: console}, jira: {type: console}}
store: {url: 'sqlite:state/sevrouter.db'}
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, and what it printed."""

    code: object
    out: str
    err: str


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration, which no command finds by itself."""
    monkeypatch.delenv("SEVROUTER_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "team.yaml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def bare(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Run a command as it is given."""

    def run(*arguments: str) -> Ended:
        capsys.readouterr()  # what was printed to make the database
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        printed = capsys.readouterr()
        return Ended(ended.value.code, printed.out, printed.err)

    return run


@pytest.fixture
def sevrouter(config: Path, bare: Callable[..., Ended]) -> Callable[..., Ended]:
    """Run a command with the configuration."""
    return lambda command, *arguments: bare(command, "--config", str(config), *arguments)


@pytest.fixture(scope="session")
def filled_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database: two open incidents, one that ended, and two dead letters; to be copied, not opened."""
    path = tmp_path_factory.mktemp("filled") / "sevrouter.db"
    asyncio.run(_fill(path))
    return path


@pytest.fixture
def database(config: Path, filled_database: Path) -> Path:
    """Such a database where the configuration says."""
    path = config.parent / "state" / "sevrouter.db"
    path.parent.mkdir()
    shutil.copyfile(filled_database, path)
    return path


async def _fill(path: Path) -> None:
    stage = Stage(SqliteStore.open(path))
    stage.open_lanes()
    stage.jira.answers(Rejected(OutcomeReason.NOT_FOUND, "no such project"))
    stage.slack.answers(Rejected(OutcomeReason.REFUSED, "no such channel"))
    bug = labelled({"alertname": "Bug", "severity": "info"})
    await stage.push(bug)
    await stage.push(labelled({"alertname": "Down", "severity": "critical", "service": "checkout"}))
    await stage.push(labelled({"alertname": "Slow", "severity": "critical", "service": "search"}))
    stage.clock.forward(minutes=1)
    await stage.push(over(bug))
    await stage.forward(minutes=5)
    stage.jira.expect(OPENED)
    stage.call.expect(OPENED, OPENED)
    stage.slack.expect(OPENED, OPENED)
    await stage.dispatcher.stop()
    stage.store.close()
