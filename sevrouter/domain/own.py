"""The alerts that sevrouter raises itself: how they are told from others, and how bad they are. No rule is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sevrouter.domain.grading import Grade, GradeReason, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sevrouter.domain.sev import Sev

JOB = {"job": "sevrouter"}
UNREADABLE = {"alertname": "SevrouterWebhookUnreadable"} | JOB
CANNOT_MEASURE = {"alertname": "SevrouterCannotMeasure"} | JOB
HEARTBEAT_MISSING = {"alertname": "SevrouterHeartbeatMissing"} | JOB
# By name, because a Prometheus that watches us has alerts of the same kind, which are as good as any.
_NAMES = frozenset(each["alertname"] for each in (UNREADABLE, CANNOT_MEASURE, HEARTBEAT_MISSING))


def is_own(labels: Mapping[str, str]) -> bool:
    """Whether an alert is one that we raise ourselves: nobody else sends it, and nobody else ends it."""
    return labels.get("alertname") in _NAMES and labels.get("job") == JOB["job"]


def unreadable_webhook(unmatched: Sev, why: str) -> Verdict:
    """The verdict on a webhook that could not be read: nobody knows what was in it."""
    grade = Grade(
        rule="(unreadable webhook)",
        sev=unmatched,
        reason=GradeReason.UNREADABLE_WEBHOOK,
        why=why,
        unsure=True,
    )
    return Verdict(unmatched, unsure=True, grades=(grade,))


def cannot_measure(sev: Sev) -> Verdict:
    """The verdict on a Prometheus that answers nothing: what it would say may be as bad as this."""
    grade = Grade(
        rule="(cannot measure)", sev=sev, reason=GradeReason.NO_DATA, unsure=True,
        why=f"no query is answered: unsure, so the worst that one could say, {sev}",
    )  # fmt: skip
    return Verdict(sev, unsure=True, grades=(grade,))


def not_answered_yet() -> Verdict:
    """The verdict on a Prometheus that answers nothing, but may have stumbled only."""
    grade = Grade(rule="(cannot measure)", sev=None, reason=GradeReason.WATCHED, why="no query is answered just now")
    return Verdict(None, unsure=False, grades=(grade,))
