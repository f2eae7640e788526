"""What every integration says of a notice, in the same words. Plain text; each escapes it for itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sevrouter.domain.delivery import NoticeKind

if TYPE_CHECKING:
    from datetime import datetime

    from sevrouter.domain.delivery import Notice


# What the deployments that it may come from are listed under.
DEPLOYED = "Deployed recently"


_STATES = {
    NoticeKind.OPENED: "opened",
    NoticeKind.ROSE: "rose",
    NoticeKind.REOPENED: "reopened",
    NoticeKind.RESOLVED: "resolved",
    NoticeKind.LIKELY: "likely to get worse",
    NoticeKind.READING_RETURNED: "a reading is back",
    NoticeKind.SEV_SET: "its SEV was set by a person",
    NoticeKind.SUPPRESSED: "suppressed",
    NoticeKind.UNSUPPRESSED: "no longer suppressed",
    NoticeKind.STALE: "stale: nothing is heard of it",
    NoticeKind.ACKNOWLEDGED: "acknowledged",
    NoticeKind.ACK_ENDED: "nobody owns it any more",
    NoticeKind.UNANSWERED: "nobody answers",
}


def state_of(notice: Notice) -> str:
    """What happened, in a few words."""
    is_rise = notice.kind is NoticeKind.ROSE and notice.previous_sev is not None
    return f"rose from {notice.previous_sev}" if is_rise else _STATES[notice.kind]


def standing_of(notice: Notice) -> str:
    """How it stands now, whatever happened last."""
    if notice.kind in (NoticeKind.RESOLVED, NoticeKind.STALE, NoticeKind.UNANSWERED):
        return _STATES[notice.kind]
    if notice.suppressed is not None:
        return _STATES[NoticeKind.SUPPRESSED]
    return "open, and nobody owns it yet" if notice.acknowledged_by is None else _STATES[NoticeKind.ACKNOWLEDGED]


def facts(notice: Notice) -> dict[str, str]:
    """The incident in a few named words."""
    told = {
        "SEV": f"{notice.sev}, unsure" if notice.unsure else str(notice.sev),
        "State": state_of(notice),
        "System": notice.system or "unknown",
        "Owner": notice.owner or "nobody",
        "Since": instant(notice.opened_at),
        "Firing": str(notice.firing),
    }
    if notice.acknowledged_by is not None:
        told["Owned by"] = notice.acknowledged_by
    return told if notice.suppressed is None else told | {"Suppressed": notice.suppressed}


def bridge_of(notice: Notice) -> str:
    """Where people meet: an address, what to dial, or both; empty where there is no bridge."""
    dial = f"dial {notice.bridge_dial}" if notice.bridge_dial else None
    return " or ".join(filter(None, (notice.bridge, dial)))


def origin(notice: Notice) -> str:
    """Where a reader finds this incident again, and what it was decided by."""
    return f"{notice.key} · configuration {notice.config_hash}"


def instant(moment: datetime) -> str:
    """`2026-01-31 09:05:00 UTC`."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
