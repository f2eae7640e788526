"""A real Alertmanager, alone or as one of a cluster."""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import PIPE, STDOUT
from typing import TYPE_CHECKING, Any

from tests.real.binaries import require_real
from tests.real.ports import free_port
from tests.real.process import RealProcess

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def webhook_config(
    url: str,
    *,
    group_by: Sequence[str] = ("alertname",),
    group_wait: str = "0s",
    group_interval: str = "1s",
    repeat_interval: str = "1h",
    http_config: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Configure an Alertmanager that sends every alert to one webhook, without the waits of production."""
    webhook = {"url": url, "send_resolved": True, **({"http_config": http_config} if http_config else {})}
    return {
        "route": {
            "receiver": "sevrouter",
            "group_by": list(group_by),
            "group_wait": group_wait,
            "group_interval": group_interval,
            "repeat_interval": repeat_interval,
        },
        "receivers": [{"name": "sevrouter", "webhook_configs": [webhook]}],
    }


class RealAlertmanager(RealProcess):
    """An Alertmanager with a configuration (a mapping, or YAML) and data of its own.

    `cluster_peers` are the `cluster_address` of others; the first of a cluster has an empty sequence, and an
    Alertmanager alone has None.
    """

    def __init__(
        self,
        binary: Path,
        config: Mapping[str, Any] | str,
        *,
        directory: Path,
        cluster_peers: Sequence[str] | None = None,
    ) -> None:
        super().__init__("alertmanager", directory=directory)
        self._binary = binary
        self._config = config
        self._peers = cluster_peers
        self.cluster_address = "" if cluster_peers is None else f"127.0.0.1:{free_port()}"

    def command(self) -> Sequence[str | Path]:
        """Run it with its own files, and on no port that an Alertmanager takes by default."""
        config_file = self.directory / "alertmanager.yml"
        # JSON is YAML.
        config_file.write_text(self._config if isinstance(self._config, str) else json.dumps(self._config))
        return [
            self._binary,
            f"--config.file={config_file}",
            f"--storage.path={self.directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            f"--cluster.listen-address={self.cluster_address}",
            *self._cluster(),
        ]

    async def push(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        """Post alerts as Prometheus does: `labels`, and perhaps `annotations`, `startsAt`, `endsAt`, `generatorURL`."""
        async with self.session.post(f"{self.url}/api/v2/alerts", json=list(alerts)) as answer:
            assert answer.status == 200, await answer.text()

    async def alerts(self) -> list[dict[str, Any]]:
        """List the alerts that it holds, silenced ones included."""
        async with self.session.get(f"{self.url}/api/v2/alerts") as answer:
            assert answer.status == 200, await answer.text()
            held: list[dict[str, Any]] = await answer.json()
            return held

    async def amtool(self, *arguments: str) -> str:
        """Run the real `amtool` on it, and return what it printed."""
        command = [str(require_real("amtool")), f"--alertmanager.url={self.url}", *arguments]
        process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=STDOUT)
        printed, _ = await process.communicate()
        assert process.returncode == 0, printed.decode()
        return printed.decode().strip()

    async def silence(self, *matchers: str, comment: str = "maintenance", author: str = "ana") -> str:
        """Silence what these match, and return the id of the silence."""
        return await self.amtool("silence", "add", *matchers, "--comment", comment, "--author", author)

    async def wait_for_peers(self, count: int, *, within: float = 20.0) -> None:
        """Wait until it knows that many members of its cluster, itself included."""

        async def complete() -> bool:
            async with self.session.get(f"{self.url}/api/v2/status") as answer:
                status = await answer.json()
            return len(status["cluster"].get("peers", ())) >= count

        await self.poll(complete, f"did not find {count} peers", within=within)

    def _cluster(self) -> list[str]:
        if self._peers is None:
            return []
        # Faster than the defaults for real networks, so that a cluster settles within a second.
        quick = ["--cluster.settle-timeout=1s", "--cluster.gossip-interval=50ms", "--cluster.pushpull-interval=1s"]
        return [
            f"--cluster.advertise-address={self.cluster_address}",
            *quick,
            *(f"--cluster.peer={peer}" for peer in self._peers),
        ]
