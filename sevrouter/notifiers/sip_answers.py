"""What a SIP server's last word before anybody answered says of a call: the status as data, not as branches.

Pure. The meanings are those of RFC 3261, and of RFC 3398 where a telephone network is behind the server.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sevrouter.domain.delivery import OutcomeReason, Rejected, Retry
from sevrouter.domain.ringing import Rang, RingEnd
from sevrouter.domain.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sevrouter.notifiers.sip_words import Over

ENDS: Mapping[int, RingEnd] = {
    404: RingEnd.BAD_NUMBER,
    408: RingEnd.NO_ANSWER,
    410: RingEnd.BAD_NUMBER,
    480: RingEnd.NO_ANSWER,
    484: RingEnd.BAD_NUMBER,
    485: RingEnd.BAD_NUMBER,
    486: RingEnd.BUSY,
    487: RingEnd.NO_ANSWER,
    600: RingEnd.BUSY,
    603: RingEnd.DECLINED,
    604: RingEnd.BAD_NUMBER,
    607: RingEnd.DECLINED,
    608: RingEnd.DECLINED,
}

# Of a telephone network (Q.850), where it says more than the status: a 403 is either our fault or a person's wish.
CAUSES: Mapping[int, RingEnd] = {
    1: RingEnd.BAD_NUMBER,
    17: RingEnd.BUSY,
    18: RingEnd.NO_ANSWER,
    19: RingEnd.NO_ANSWER,
    20: RingEnd.NO_ANSWER,
    21: RingEnd.DECLINED,
    22: RingEnd.BAD_NUMBER,
    28: RingEnd.BAD_NUMBER,
}

_CAUSE = re.compile(r"\bQ\.850\b.*?\bcause\s*=\s*(\d{1,3})", re.IGNORECASE)
# What the library says where it could not agree on TLS with the server.
_NO_TLS = "Protocol error"
_UNAUTHORISED = frozenset({401, 403, 407})


def judge(over: Over, *, has_rung: bool, heard: bool) -> Rang | Retry | Rejected:
    """What a call has come to that nobody answered, and that we did not end.

    `heard`: the server had said that it sees to it; `has_rung`: that it rings.
    """
    detail, cause = _detail(over.text), _CAUSE.search(over.text)
    end = CAUSES.get(int(cause[1]) if cause is not None else 0) or ENDS.get(over.status or 0)
    if end is not None:
        return Rang(end, detail)
    if has_rung:
        return Rang(RingEnd.NO_ANSWER, f"it rang, and then: {detail}")
    if over.status is None:
        # A server that had taken it, and was lost, may still be ringing.
        return Rang(RingEnd.LOST, detail) if heard else Retry(OutcomeReason.UNREACHABLE, detail)
    return _refused(over.status, detail)


def _refused(status: int, detail: str) -> Rang | Retry | Rejected:
    if status in _UNAUTHORISED:
        return Rejected(OutcomeReason.UNAUTHORISED, detail)
    match status // 100:
        case 3:
            # Whoever forwards their phone to elsewhere is not followed there: nobody has said that it is theirs.
            return Rang(RingEnd.NO_ANSWER, f"forwarded: {detail}")
        case 5:
            return Retry(OutcomeReason.SERVER_ERROR, detail)
        case _ if status == 429:
            return Retry(OutcomeReason.RATE_LIMITED, detail)
        case _:
            return Rejected(OutcomeReason.REFUSED, detail)


def _detail(text: str) -> str:
    said = one_line(text, 160) or "no reason given"
    return f"SIP: {said}: is its certificate trusted here?" if said.startswith(_NO_TLS) else f"SIP: {said}"
