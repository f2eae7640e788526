"""A real Prometheus with rules to evaluate, targets to scrape and Alertmanagers to tell."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.real.process import RealProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Sample:
    """One series of an answer, at one moment."""

    labels: dict[str, str]
    value: float


def scrape(job: str, *urls: str) -> dict[str, Any]:
    """Configure a scrape of the `/metrics` of some URLs."""
    return {"job_name": job, "static_configs": [{"targets": [urlsplit(url).netloc for url in urls]}]}


class RealPrometheus(RealProcess):
    """A Prometheus that scrapes and evaluates a few times a second.

    `rules` are the rules of one group, or a whole rule file; `alertmanagers` are URLs.
    """

    def __init__(
        self,
        binary: Path,
        *,
        directory: Path,
        rules: Sequence[Mapping[str, Any]] | str = (),
        scrape_configs: Sequence[Mapping[str, Any]] = (),
        alertmanagers: Sequence[str] = (),
        interval: str = "200ms",
        external_labels: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__("prometheus", directory=directory)
        self._binary = binary
        self._rules = rules
        self._scrape_configs = scrape_configs
        self._alertmanagers = alertmanagers
        self._interval = interval
        self._external_labels = external_labels or {}

    def command(self) -> Sequence[str | Path]:
        """Run it with its own files, and on no port that a Prometheus takes by default."""
        rule_file = self.directory / "rules.yml"
        config_file = self.directory / "prometheus.yml"
        # JSON is YAML.
        rule_file.write_text(self._rules if isinstance(self._rules, str) else json.dumps(_one_group(self._rules)))
        config_file.write_text(json.dumps(self._config(rule_file)))
        return [
            self._binary,
            f"--config.file={config_file}",
            f"--storage.tsdb.path={self.directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            # By default an alert that fires in the first seconds is not sent again for a minute.
            "--rules.alert.resend-delay=1s",
        ]

    async def query(self, promql: str) -> list[Sample]:
        """Ask it now; a scalar is a sample without labels."""
        async with self.session.post(f"{self.url}/api/v1/query", data={"query": promql}) as answer:
            document = await answer.json()
        assert document["status"] == "success", document
        data = document["data"]
        if data["resultType"] == "scalar":
            return [Sample({}, float(data["result"][1]))]
        return [Sample(series["metric"], float(series["value"][1])) for series in data["result"]]

    async def wait_for(
        self, promql: str, holds: Callable[[list[Sample]], bool] = bool, *, within: float = 20.0
    ) -> list[Sample]:
        """Ask until the answer holds (by default: until there is one), and return it."""
        samples: list[Sample] = []

        async def asked() -> bool:
            samples[:] = await self.query(promql)
            return holds(samples)

        await self.poll(asked, f"did not answer {promql!r} as expected", within=within)
        return samples

    def _config(self, rule_file: Path) -> dict[str, Any]:
        targets = [urlsplit(url).netloc for url in self._alertmanagers]
        return {
            "global": {
                "scrape_interval": self._interval,
                "scrape_timeout": self._interval,
                "evaluation_interval": self._interval,
                "external_labels": dict(self._external_labels),
            },
            "rule_files": [str(rule_file)],
            "scrape_configs": list(self._scrape_configs),
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": targets}]}]} if targets else {},
        }


def _one_group(rules: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"groups": [{"name": "test", "rules": list(rules)}]}
