"""Webhook payloads as Alertmanager (version 4) and Grafana send them, and alerts as Prometheus posts them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

STARTED = datetime(2025, 3, 2, 9, 52, 26, 739_266, tzinfo=UTC)
# Go's zero time: an alert that fires has no end yet.
NO_END = "0001-01-01T00:00:00Z"


def alert(
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    status: str = "firing",
    starts_at: datetime | str = STARTED,
    ends_at: datetime | str | None = None,
    **overrides: Any,
) -> dict[str, Any]:
    """Make one alert of a webhook; a resolved one ends when it started unless told otherwise."""
    labels = dict(labels) if labels is not None else {"alertname": "HighErrorRate", "severity": "critical"}
    if ends_at is None:
        ends_at = NO_END if status == "firing" else starts_at
    return {
        "status": status,
        "labels": labels,
        "annotations": dict(annotations or {}),
        "startsAt": moment(starts_at),
        "endsAt": moment(ends_at),
        "generatorURL": f"http://prometheus.example:9090/graph?g0.expr={quote(labels.get('alertname', ''))}",
        "fingerprint": fingerprint(labels),
        **overrides,
    }


def webhook(
    alerts: Sequence[Mapping[str, Any]], *, group_by: Sequence[str] = ("alertname",), **overrides: Any
) -> dict[str, Any]:
    """Make a webhook of alerts, which share the labels they are grouped by."""
    members = [dict(member) for member in alerts]
    group_labels = {name: value for name, value in _common(members, "labels").items() if name in group_by}
    group = ", ".join(f'{name}="{value}"' for name, value in sorted(group_labels.items()))
    return {
        "receiver": "sevrouter",
        "status": "firing" if any(member.get("status") == "firing" for member in members) else "resolved",
        "alerts": members,
        "groupLabels": group_labels,
        "commonLabels": _common(members, "labels"),
        "commonAnnotations": _common(members, "annotations"),
        "externalURL": "http://alertmanager.example:9093",
        "version": "4",
        "groupKey": f"{{}}:{{{group}}}",
        "truncatedAlerts": 0,
        **overrides,
    }


def grafana_alert(
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    status: str = "firing",
    *,
    values: Mapping[str, float | None] | None = None,
    **overrides: Any,
) -> dict[str, Any]:
    """Make one alert as Grafana sends it: with the numbers that it measured, by the name of their query."""
    return {
        **alert(labels, annotations, status),
        "generatorURL": "https://grafana.example/alerting/grafana/1afz29v7z/view?orgId=1",
        "silenceURL": "https://grafana.example/alerting/silence/new?alertmanager=grafana&orgId=1",
        "dashboardURL": "https://grafana.example/d/dashboard?orgId=1",
        "panelURL": "https://grafana.example/d/dashboard?orgId=1&viewPanel=1",
        "values": None if values is None else dict(values),
        "valueString": ", ".join(
            f"[ var='{name}' labels={{}} value={value} ]" for name, value in (values or {}).items()
        ),
        **overrides,
    }


def grafana_webhook(alerts: Sequence[Mapping[str, Any]], **overrides: Any) -> dict[str, Any]:
    """Make a webhook as Grafana sends it: its own version, a title and a message."""
    group = webhook(alerts)
    firing = group["status"] == "firing"
    return {
        **group,
        "externalURL": "https://grafana.example/",
        "version": "1",
        "orgId": 1,
        "title": f"[{group['status'].upper()}:{len(alerts)}] {group['groupLabels'].get('alertname', '')}",
        "state": "alerting" if firing else "ok",
        "message": f"**{'Firing' if firing else 'Resolved'}**\n",
        **overrides,
    }


def distinct_alerts(count: int, **labels: str) -> Iterator[dict[str, Any]]:
    """Make alerts of 9 labels and 4 annotations, no two of which have the same labels."""
    for number in range(count):
        service, pod = f"service-{number % 50}", f"service-{number % 50}-{number:07d}"
        yield alert(
            {
                "alertname": "PodNotReady",
                "cluster": "eu-1",
                "container": "app",
                "instance": f"10.0.{number // 250 % 250}.{number % 250}:8080",
                "namespace": f"team-{number % 10}",
                "pod": pod,
                "prometheus": "monitoring/k8s",
                "service": service,
                "severity": "warning",
                **labels,
            },
            {
                "summary": f"Pod {pod} is not ready.",
                "description": f"Pod {pod} of {service} has been in a non-ready state for longer than 15 minutes.",
                "runbook_url": "https://runbooks.example/kubernetes/podnotready",
                "dashboard": f"https://grafana.example/d/pods?var-pod={pod}",
            },
        )


def posted(
    labels: Mapping[str, str],
    annotations: Mapping[str, str] | None = None,
    *,
    starts_at: datetime | str | None = None,
    ends_at: datetime | str | None = None,
) -> dict[str, Any]:
    """Make an alert as Prometheus posts it to Alertmanager; one that has ended is resolved."""
    times = {name: moment(value) for name, value in (("startsAt", starts_at), ("endsAt", ends_at)) if value is not None}
    return {"labels": dict(labels), "annotations": dict(annotations or {}), **times}


def moment(value: datetime | str) -> str:
    """Write a moment as Go does: UTC, no zeros at the end of the fraction."""
    if isinstance(value, str):
        return value
    text = value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
    return text.rstrip("0").rstrip(".") + "Z"


def fingerprint(labels: Mapping[str, str]) -> str:
    """Hash a label set as Alertmanager does: FNV-1a, 64 bits, each name and value followed by a byte 255."""
    digest = 14695981039346656037
    for name, value in sorted(labels.items()):
        for byte in b"%b\xff%b\xff" % (name.encode(), value.encode()):
            digest = (digest ^ byte) * 1099511628211 % 2**64
    return f"{digest:016x}"


def _common(alerts: Sequence[Mapping[str, Any]], kind: str) -> dict[str, str]:
    if not alerts:
        return {}
    first, *others = (member[kind] for member in alerts)
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}
