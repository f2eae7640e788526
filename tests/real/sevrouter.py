"""sevrouter as its users run it: a process, asked over HTTP, followed by its log."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.real.metrics import Metrics
from tests.real.process import RealProcess

if TYPE_CHECKING:
    import signal
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Answer:
    """What an HTTP request came back with."""

    status: int
    body: str
    headers: Mapping[str, str]

    def json(self) -> Any:
        """Read the body as JSON."""
        return json.loads(self.body)


class Sevrouter(RealProcess):
    """`python -m sevrouter serve` with a configuration file; relative paths in it start at the file's folder.

    `environ` is laid over the environment of the tests, where None takes a variable away; `arguments` follow those
    of the command.
    """

    def __init__(
        self,
        config: Path,
        *,
        directory: Path,
        environ: Mapping[str, str | None] | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        super().__init__("sevrouter", directory=directory)
        self.config = config.resolve()
        self._environ = environ or {}
        self._arguments = arguments
        self._first_line = 0

    def command(self) -> Sequence[str | Path]:
        """Run it with the Python of the tests."""
        serve = ["serve", "--config", str(self.config), "--listen", f"127.0.0.1:{self.port}"]
        return [sys.executable, "-m", "sevrouter", *serve, *self._arguments]

    def environment(self) -> Mapping[str, str]:
        """Lay its own variables over those of the tests."""
        laid = {**os.environ, "PYTHONUNBUFFERED": "1", **self._environ}
        return {name: value for name, value in laid.items() if value is not None}

    @property
    def webhook_url(self) -> str:
        """Say what an Alertmanager has to be given."""
        return f"{self.url}/webhook"

    async def start(self, *, until_ready: bool = True) -> None:
        """Start it; what it logged before is no longer looked at."""
        self._first_line = len(self.lines)
        await super().start(until_ready=until_ready)

    async def restart(self) -> int:
        """End it in good order and start it again, on the same port and files; return the exit code of the end."""
        code = await self.terminate()
        await self.start()
        return code

    async def terminate(self) -> int:
        """Send SIGTERM and return the exit code."""
        return await self.stop()

    async def kill9(self) -> None:
        """Kill it, with no time to clean up."""
        await self.kill()

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, SIGHUP say."""
        os.kill(self.pid, number)

    async def get(self, path: str, *, headers: Mapping[str, str] | None = None) -> Answer:
        """Ask for a path."""
        return await self._ask("GET", path, None, headers or {})

    async def post(
        self, payload: Mapping[str, Any] | bytes, *, headers: Mapping[str, str] | None = None, path: str = "/webhook"
    ) -> Answer:
        """Post a payload as Alertmanager does, or bytes as they are."""
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        return await self._ask("POST", path, body, {"Content-Type": "application/json", **(headers or {})})

    async def metrics(self) -> Metrics:
        """Read its metrics."""
        page = await self.get("/metrics")
        assert page.status == 200, page
        return Metrics(page.body)

    async def metric(self, name: str, **labels: str) -> float:
        """Read one metric by its exact labels."""
        return (await self.metrics()).metric(name, **labels)

    def logs(self, event: str | None = None, **fields: Any) -> list[dict[str, Any]]:
        """List what it logged since its last start, perhaps only one event, or only lines with these fields."""
        records = (_record(line) for line in self.lines[self._first_line :])
        return [record for record in records if _fits(record, event, fields)]

    async def wait_for_log(self, event: str, *, since: int = 0, within: float = 15.0, **fields: Any) -> dict[str, Any]:
        """Wait until it logs an event with these fields; what it logged since its last start counts.

        `since` is a length of `lines`: only what comes after it counts.
        """
        what = f"{event} {fields or ''}".strip()
        line = await self.wait_for_line(
            lambda line: _fits(_record(line), event, fields),
            since=max(since, self._first_line),
            within=within,
            what=what,
        )
        return _record(line)

    def resident_mib(self) -> float:
        """Measure its resident memory (Linux)."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        message = "no VmRSS"
        raise OSError(message)

    async def _ask(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        # A file-like body is sent in parts, so that a large one does not hold up the loop of the tests.
        data = None if body is None else io.BytesIO(body)
        async with self.session.request(method, self.url + path, data=data, headers=headers) as answer:
            return Answer(answer.status, await answer.text(errors="replace"), dict(answer.headers))


def _record(line: str) -> dict[str, Any]:
    """Read a line of the log; one that is not JSON (a banner, a traceback) is a record without an event."""
    try:
        record = json.loads(line)
    except ValueError:
        return {"line": line}
    return record if isinstance(record, dict) else {"line": line}


def _fits(record: Mapping[str, Any], event: str | None, fields: Mapping[str, Any]) -> bool:
    if event is not None and record.get("event") != event:
        return False
    return all(name in record and record[name] == value for name, value in fields.items())
