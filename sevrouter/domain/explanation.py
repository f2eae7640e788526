"""What is said of an incident: a line that names it, lines that explain its SEV, links that are safe to give."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sevrouter.domain.sev import sev_name
from sevrouter.domain.text import one_line

if TYPE_CHECKING:
    from sevrouter.domain.alert import Alert
    from sevrouter.domain.grading import Grade, Verdict
    from sevrouter.domain.incident import Incident

_UNSAFE_IN_LINKS = frozenset(' "<>|\\^`{}')
_LINK_ANNOTATIONS = {"runbook_url": "Runbook", "dashboard_url": "Dashboard", "dashboardURL": "Dashboard"}
_HOST_NAME = re.compile(r"[a-z0-9_.-]+")
_METADATA_NAMES = {
    "metadata", "metadata.google.internal", "metadata.goog", "metadata.azure.com", "metadata.azure.internal",
    "metadata.tencentyun.com", "instance-data", "instance-data.ec2.internal",
}  # fmt: skip
_METADATA_ADDRESSES = {
    ipaddress.ip_address(text)
    for text in ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254")
}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def title_of(alert: Alert, system: str | None) -> str:
    """One line that names what is wrong: the system, the summary, the alert's name."""
    name = alert.labels.get("alertname", "")
    summaries = (alert.annotations.get(each, "") for each in ("summary", "title", "message", "description"))
    text = next((line for line in (one_line(each, 200) for each in summaries) if line), "")
    shown = one_line(name, 120)
    if not text:
        text = shown or one_line(", ".join(f"{key}={value}" for key, value in sorted(alert.labels.items())), 200)
    elif shown and shown not in text:
        text = f"{text} ({shown})"
    text = text or "an alert without labels"
    return f"{one_line(system, 60)}: {text}" if system else text


def headline(incident: Incident) -> str:
    """`[SEV-2, unsure] checkout: …`."""
    doubt = ", unsure" if incident.unsure else ""
    return f"[{incident.sev}{doubt}] {title_of(incident.evidence.alert, incident.system)}"


def why(verdict: Verdict) -> tuple[str, ...]:
    """The grades as lines, the deciding one first."""
    return tuple(_because(grade) for grade in verdict.grades)


def reasons(incident: Incident) -> tuple[str, ...]:
    """Why an incident is as bad as it is: what a person said, the grades, and what is read again by now."""
    said, returned = incident.standing.set_sev, incident.standing.returned
    by_person = () if said is None else (f"{said.sev} set by {said.by}: {said.reason}",)
    is_back = () if returned is None else (f"since then a reading is back: {returned}",)
    return (*by_person, *why(incident.evidence.verdict), *is_back)


def _because(grade: Grade) -> str:
    return one_line(f"{sev_name(grade.sev)} by rule {grade.rule!r}: {grade.why}", 500)


def safe_links(alert: Alert) -> dict[str, str]:
    """The addresses in an alert that a person may be given to click on, by what they lead to."""
    candidates = {"Source": alert.generator_url} | {
        name: alert.annotations[key] for key, name in _LINK_ANNOTATIONS.items() if key in alert.annotations
    }
    return {name: url for name, url in candidates.items() if is_safe_link(url)}


def is_safe_link(url: str) -> bool:
    """Whether an address is plain http(s) to a named host: no script, file, credential or metadata service."""
    if not url or len(url) > 2_000 or not url.isprintable() or not _UNSAFE_IN_LINKS.isdisjoint(url):
        return False
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc:
        return False
    return _is_safe_host(host.rstrip("."))


def _is_safe_host(host: str) -> bool:
    try:
        return _is_safe_address(ipaddress.ip_address(host))
    except ValueError:
        # Browsers decode percent signs in a host, and fold ⓜ into m and 。 into a dot.
        if _HOST_NAME.fullmatch(host) is None:
            return False
        # Browsers also read 2852039166, 0xa9fea9fe and 169.254.43518 as addresses.
        looks_numeric = re.fullmatch(r"\d*|0[xX][0-9a-fA-F]*", host.rsplit(".", 1)[-1]) is not None
        return not looks_numeric and host not in _METADATA_NAMES


def _is_safe_address(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return False
        embedded = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            embedded = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        address = embedded or address
    return not (address.is_link_local or address.is_multicast or address in _METADATA_ADDRESSES)
