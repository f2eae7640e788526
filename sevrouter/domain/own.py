"""How bad the alerts are that sevrouter raises itself: no rule is asked about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sevrouter.domain.grading import Grade, GradeReason, Verdict

if TYPE_CHECKING:
    from sevrouter.domain.sev import Sev


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
