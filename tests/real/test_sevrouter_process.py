"""How a test follows sevrouter's process: shown with a pretender, so that only the harness can be wrong."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import pytest

from tests.real.process import ProcessFailedError
from tests.real.sevrouter import Sevrouter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PRETENDER = """
import json, os, signal, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

def log(event, **fields):
    sys.stderr.write(json.dumps({"event": event, **fields}) + "\\n")
    sys.stderr.flush()

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/metrics":
            lines = ["# TYPE pushed_total counter", 'pushed_total{code="200"} 3', 'pushed_total{code="503"} 1', ""]
            self.answer(200, "\\n".join(lines).encode())
        else:
            self.answer(200, b"ready")
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        log("received", size=len(body), secret=self.headers.get("Authorization"), text="ü" * 300_000)
        self.answer(200, body)
    def answer(self, status, body):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass

def end(*_):
    log("ended")
    sys.exit(3)

signal.signal(signal.SIGTERM, end)
signal.signal(signal.SIGHUP, lambda *_: log("reloaded"))
print("a banner, not a log line", flush=True)
log("started", colour=os.environ.get("COLOUR"), left_out=os.environ.get("LEFT_OUT"))
HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


class Pretender(Sevrouter):
    """Answers, logs and ends like a daemon."""

    def command(self) -> Sequence[str | Path]:
        return [sys.executable, "-c", PRETENDER, str(self.port)]


@pytest.fixture
def pretender(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pretender:
    monkeypatch.setenv("LEFT_OUT", "1")
    config = tmp_path / "sevrouter.yaml"
    return Pretender(config, directory=tmp_path, environ={"COLOUR": "red", "LEFT_OUT": None})


async def test_what_is_posted_is_answered_and_logged(pretender: Pretender) -> None:
    async with pretender as sevrouter:
        answer = await sevrouter.post({"alerts": []}, headers={"Authorization": "Bearer made-up"})
        record = await sevrouter.wait_for_log("received", secret="Bearer made-up")
        as_they_are = await sevrouter.post(b"\xff{")

    assert (answer.status, answer.json()) == (200, {"alerts": []})
    assert (record["size"], len(record["text"])) == (14, 300_000)
    assert as_they_are.status == 200
    assert [record["size"] for record in sevrouter.logs("received")] == [14, 2]


async def test_its_environment_is_that_of_the_tests_but_for_what_is_said(pretender: Pretender) -> None:
    async with pretender as sevrouter:
        started = await sevrouter.wait_for_log("started")
    assert (started["colour"], started["left_out"]) == ("red", None)


async def test_its_metrics_are_looked_up_by_name_and_labels(pretender: Pretender) -> None:
    async with pretender as sevrouter:
        metrics = await sevrouter.metrics()
        assert await sevrouter.metric("pushed_total", code="503") == 1
    assert metrics.metric("pushed_total", code="200") == 3
    assert metrics.total("pushed_total") == 4
    with pytest.raises(KeyError, match=r"of that name there are \[{'code': '200'}, {'code': '503'}\]"):
        metrics.metric("pushed_total", code="404")


async def test_a_restart_keeps_the_port_and_forgets_the_log(pretender: Pretender) -> None:
    async with pretender as sevrouter:
        port, pid = sevrouter.port, sevrouter.pid
        assert await sevrouter.restart() == 3
        assert (sevrouter.port, sevrouter.pid != pid) == (port, True)
        await sevrouter.wait_for_log("started")
        assert sevrouter.logs("ended") == []
        assert len([line for line in sevrouter.lines if "ended" in line]) == 1


async def test_signals_and_a_kill_reach_it(pretender: Pretender) -> None:
    async with pretender as sevrouter:
        sevrouter.send_signal(signal.SIGHUP)
        await sevrouter.wait_for_log("reloaded")
        assert sevrouter.resident_mib() > 1
        await sevrouter.kill9()
        assert sevrouter.logs("ended") == []
        await sevrouter.start()


async def test_a_log_line_that_never_comes_is_an_error_that_shows_the_others(pretender: Pretender) -> None:
    async with pretender as sevrouter:
        with pytest.raises(ProcessFailedError, match=r"did not print incident_opened[^$]*a banner"):
            await sevrouter.wait_for_log("incident_opened", within=0.05)


async def test_an_end_while_a_log_line_is_awaited_is_an_error_at_once(pretender: Pretender) -> None:
    async with pretender as sevrouter:
        sevrouter.send_signal(signal.SIGTERM)
        with pytest.raises(ProcessFailedError, match="ended without incident_opened"):
            await sevrouter.wait_for_log("incident_opened")
        assert await sevrouter.wait_ended() == 3
