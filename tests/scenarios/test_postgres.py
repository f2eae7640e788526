"""sevrouter as its users run it, on PostgreSQL."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest

from tests.real.sevrouter import Sevrouter

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """\
rules: [{{name: severity label, measure: {{label: severity}}, values: {{critical: SEV-2}}}}]
responses: {{SEV-2: [call]}}
integrations: {{call: {{type: console}}}}
store: {{url: '{url}', password_file: password, tls: {{mode: disable}}}}
"""
ALERT = {
    "version": "4",
    "groupKey": "{}:{}",
    "status": "firing",
    "receiver": "sevrouter",
    "groupLabels": {},
    "commonLabels": {},
    "commonAnnotations": {},
    "externalURL": "",
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "Down", "severity": "critical"},
            "annotations": {},
            "startsAt": "2026-03-01T12:00:00Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "",
            "fingerprint": "1",
        }
    ],
}


@pytest.fixture
def config(tmp_path: Path, postgres_database: str) -> Path:
    """A configuration that leads to a database with nothing in it."""
    parts = urlsplit(postgres_database)
    (tmp_path / "password").write_text(unquote(parts.password or ""))
    path = tmp_path / "sevrouter.yaml"
    path.write_text(CONFIG.format(url=f"postgresql://{parts.username}@{parts.hostname}:{parts.port}{parts.path}"))
    return path


async def test_two_replicas_take_one_alert_and_ring_once(config: Path, tmp_path: Path) -> None:
    first, second = (Sevrouter(config, directory=tmp_path / name) for name in ("first", "second"))
    async with first, second:
        answers = await asyncio.gather(*(each.post(ALERT) for each in (first, second, first, second)))
        assert [each.status for each in answers] == [200] * 4
        waiting = [asyncio.create_task(each.wait_for_log("delivered")) for each in (first, second)]
        done, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for each in pending:
            each.cancel()
        assert [each.result()["integration"] for each in done] == ["call"]
        # What is under way is finished before the end.
        assert [await each.terminate() for each in (first, second)] == [0, 0]
    assert len([*first.logs("incident_opened"), *second.logs("incident_opened")]) == 1
    assert len([*first.logs("delivered"), *second.logs("delivered")]) == 1
