"""The alerts of the measurements, and the requests that carry them: made before any clock runs.

An alert has 9 labels and 4 annotations, two of which hold a measured value. The alerts of one POST are one group, as
Alertmanager sends them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

STARTED = "2025-03-02T09:52:26.739Z"
ENDED = "2025-03-02T10:07:26.739Z"
NO_END = "0001-01-01T00:00:00Z"
GENERATOR = "http://prometheus.example:9090/graph?g0.expr=kube_pod_status_ready&g0.tab=1"
GROUP_BY = ("cluster", "service", "alertname")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """So many POSTs of so many alerts. No other lot's alerts have its labels but those of one with the same `name`.

    `percent` is the measured value, its whole part. The alerts of one POST belong to one incident, those of all to at
    most `services`; or, with `apart`, each alert to one of its own. With a `stride` the alerts of one POST are so many
    numbers apart, and not neighbours.
    """

    name: str
    posts: int
    size: int
    percent: int = 1
    services: int = 50
    severity: str = "warning"
    resolved: bool = False
    apart: bool = False
    stride: int | None = None

    def instance(self, number: int) -> str:
        """Say by which label an alert of it is known again."""
        return f"{self.name}-{number:07d}:8080"

    def members(self, post: int) -> list[dict[str, Any]]:
        """Make the labels and annotations of one POST."""
        return [self._member(number, number if self.apart else post % self.services) for number in self.numbers(post)]

    def numbers(self, post: int) -> range:
        """Number the alerts of one POST."""
        if self.stride is None:
            return range(post * self.size, (post + 1) * self.size)
        return range(post, post + self.size * self.stride, self.stride)

    def _member(self, number: int, service_number: int) -> dict[str, Any]:
        service = f"service-{service_number}"
        pod, percent = f"{service}-{number:07d}", f"{self.percent}.{number % 100:02d}"
        return {
            "labels": {
                "alertname": "PodNotReady",
                "cluster": self.name,
                "container": "app",
                "instance": self.instance(number),
                "namespace": f"team-{number % 10}",
                "pod": pod,
                "prometheus": "monitoring/k8s",
                "service": service,
                "severity": self.severity,
            },
            "annotations": {
                "summary": f"Pod {pod} is not ready.",
                "description": f"Pod {pod} of {service} is not ready: {percent} % of its users are affected.",
                "runbook_url": "https://runbooks.example/kubernetes/podnotready",
                "users_affected_percent": percent,
            },
        }


def webhooks(lot: Lot, path: str = "/webhook") -> list[bytes]:
    """Make the requests in which Alertmanager sends a lot."""
    return [_request(path, _webhook(lot.members(post), resolved=lot.resolved)) for post in range(lot.posts)]


def posts(lot: Lot) -> list[bytes]:
    """Make the requests in which Prometheus sends a lot to Alertmanager."""
    return [_request("/api/v2/alerts", _posted(lot.members(post))) for post in range(lot.posts)]


def _webhook(members: list[dict[str, Any]], *, resolved: bool) -> dict[str, Any]:
    group = {name: members[0]["labels"][name] for name in GROUP_BY}
    status, end = ("resolved", ENDED) if resolved else ("firing", NO_END)
    times = {"status": status, "startsAt": STARTED, "endsAt": end, "generatorURL": GENERATOR}
    return {
        "receiver": "sevrouter",
        "status": status,
        "alerts": [times | member | {"fingerprint": f"{number:016x}"} for number, member in enumerate(members)],
        "groupLabels": group,
        "commonLabels": group,
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example:9093",
        "version": "4",
        "groupKey": "{}:{" + ", ".join(f'{name}="{value}"' for name, value in group.items()) + "}",
        "truncatedAlerts": 0,
    }


def _posted(members: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [member | {"startsAt": STARTED, "generatorURL": GENERATOR} for member in members]


def _request(path: str, document: object) -> bytes:
    body = msgspec.json.encode(document)
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body
