"""The alerts of the stories."""

from __future__ import annotations

from typing import Any

from tests.real.payloads import alert, webhook

CHECKOUT = {"alertname": "CheckoutErrors", "service": "checkout"}
TYPO = {"alertname": "TypoOnThePage", "service": "checkout", "severity": "info"}
SUMMARY = {"summary": "Checkout fails for some customers"}


def critical(**changes: Any) -> dict[str, Any]:
    """An alert that is a SEV-2."""
    return alert(CHECKOUT | {"severity": "critical"}, SUMMARY, **changes)


def warning(**changes: Any) -> dict[str, Any]:
    """The same thing while it is a SEV-4."""
    return alert(CHECKOUT | {"severity": "warning"}, SUMMARY, **changes)


def affected(percent: str, *, service: str = "checkout", **changes: Any) -> dict[str, Any]:
    """An alert that says how many customers are affected."""
    labels = {"alertname": "Availability", "service": service, "slo": "availability", "severity": "warning"}
    return alert(labels, {"summary": "Customers are affected", "users_affected_percent": percent}, **changes)


def bug(**changes: Any) -> dict[str, Any]:
    """An alert that is a SEV-5."""
    return alert(TYPO, {"summary": "A typo on the page"}, **changes)


def one(member: dict[str, Any], **overrides: Any) -> dict[str, Any]:
    """A webhook of one alert."""
    return webhook([member], **overrides)
