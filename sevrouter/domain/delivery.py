"""A delivery: what one integration is told of one incident, what came of the attempt, and when it is void."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec import Struct, field

from sevrouter.domain.incident import Incident, IncidentState
from sevrouter.domain.sev import Sev

CALL, SLACK, JIRA = "call", "slack", "jira"
# What a configuration can ask for by name: a closed set, so that metrics can be. Beside them each paging service that
# is asked to call has deliveries of its own, by its name.
INTEGRATIONS = (CALL, SLACK, JIRA)


class NoticeKind(enum.Enum):
    """What an integration is told."""

    OPENED = "opened"
    ROSE = "rose"
    REOPENED = "reopened"
    RESOLVED = "resolved"
    LIKELY = "likely"
    READING_RETURNED = "reading_returned"
    SEV_SET = "sev_set"
    SUPPRESSED = "suppressed"
    UNSUPPRESSED = "unsuppressed"
    STALE = "stale"
    ACKNOWLEDGED = "acknowledged"
    ACK_ENDED = "ack_ended"
    UNANSWERED = "unanswered"


class Notice(Struct, frozen=True, kw_only=True, gc=False):
    """What there is to tell, as it was decided; everything in it is plain text that nobody has escaped.

    `previous_sev` is what the incident was, where a rise caused this. `title` is one clean line. `why` explains
    the SEV, the deciding rule first. `note` is one line on what is new, where the kind alone does not say it (what
    it is likely to become, who set its SEV). `foreseen` is the worst SEV that the note warns of, and `suppressed` why
    nobody is called for it just now. `deployments` say which ones it may come from, the newest first.
    `links` hold checked http(s) addresses by what they lead to. `key` is unique to this incident for ever, also where
    a database is new. `acknowledged_by` is who owns it, `told_by` the integration that this was heard from; `bridge`
    (an address) and `bridge_dial` are the standing conference.
    Another version may write a notice, or read ours: what is new here needs a default.
    """

    kind: NoticeKind
    key: str
    incident_id: int
    sev: Sev
    previous_sev: Sev | None = None
    unsure: bool
    title: str
    description: str = ""
    system: str | None
    owner: str | None
    why: tuple[str, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    deployments: tuple[str, ...] = ()
    note: str = ""
    foreseen: Sev | None = None
    suppressed: str | None = None
    acknowledged_by: str | None = None
    told_by: str | None = None
    bridge: str | None = None
    bridge_dial: str | None = None
    opened_at: datetime
    at: datetime
    firing: int
    config_hash: str


class DeliveryState(enum.Enum):
    """pending → sending → delivered | superseded | dead; a lease that ran out or a retry: pending again."""

    PENDING = "pending"
    SENDING = "sending"
    DELIVERED = "delivered"
    SUPERSEDED = "superseded"
    DEAD = "dead"
    SHADOWED = "shadowed"


class Delivery(Struct, frozen=True, kw_only=True, gc=False):
    """One row of the outbox.

    `attempts` counts those begun, this one included; `unknowns` those of which nobody knows whether they were
    done. `reference` is what the integration called this incident at an earlier delivery (an issue key, a
    message's time stamp). `received_at` is when the webhook came that caused it.
    """

    id: int
    integration: str
    notice: Notice
    attempts: int = 1
    unknowns: int = 0
    received_at: datetime
    expires_at: datetime
    reference: str | None = None
    lease: str = ""


class NewDelivery(Struct, frozen=True, kw_only=True, gc=False):
    """A delivery to be written to the outbox, due at once.

    With a `lease` it is being sent from the start, by who wrote it.
    """

    integration: str
    notice: Notice
    received_at: datetime
    expires_at: datetime
    lease: str | None = None
    lease_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneCounts:
    """How an integration's part of the outbox stands."""

    pending: int = 0
    oldest_pending_at: datetime | None = None
    dead: int = 0


class OutcomeReason(enum.Enum):
    """Why an attempt came to what it did."""

    ACCEPTED = "accepted"
    ELSEWHERE = "elsewhere"
    UNASSIGNED = "unassigned"
    INCOMPLETE = "incomplete"
    WONT_FIX = "wont_fix"
    UNREACHABLE = "unreachable"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    TIMED_OUT = "timed_out"
    CONNECTION_LOST = "connection_lost"
    UNREADABLE_ANSWER = "unreadable_answer"
    NOT_VISIBLE_YET = "not_visible_yet"
    UNAUTHORISED = "unauthorised"
    REFUSED = "refused"
    NOT_FOUND = "not_found"
    NOT_CONFIGURED = "not_configured"
    SECRET_UNREADABLE = "secret_unreadable"  # noqa: S105  a reason, not a secret
    LEASE_EXPIRED = "lease_expired"
    EXPIRED = "expired"
    INTERNAL_ERROR = "internal_error"


# Taken, but not as it was configured: not where it belongs, for nobody, or without something that was refused.
FALLBACKS = (OutcomeReason.ELSEWHERE, OutcomeReason.UNASSIGNED, OutcomeReason.INCOMPLETE)


@dataclass(frozen=True, slots=True)
class Delivered:
    """The provider took it: accepted, which is neither delivered to a person nor acknowledged by one."""

    reference: str | None = None
    reason: OutcomeReason = OutcomeReason.ACCEPTED
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Retry:
    """Known not to be done; `not_before` is what the provider asked for, if it did."""

    reason: OutcomeReason
    detail: str = ""
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """May be done: the request left, and its answer was lost or says nothing."""

    reason: OutcomeReason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Rejected:
    """Never will be done as it stands: a person has to look."""

    reason: OutcomeReason
    detail: str = ""


Outcome = Delivered | Retry | Unknown | Rejected


class Superseded(enum.Enum):
    """Why a delivery is void when its turn comes."""

    RESOLVE_QUEUED = "resolve_queued"
    ACKNOWLEDGED = "acknowledged"
    NOTHING_TO_FOLLOW_UP = "nothing_to_follow_up"
    SUPPRESSED = "suppressed"
    SEV_LOWERED = "sev_lowered"
    HEARD_FROM_THERE = "heard_from_there"


class Sibling(Struct, frozen=True, gc=False):
    """Another delivery of the same incident to the same integration, as far as a re-check needs it."""

    id: int
    kind: NoticeKind
    state: DeliveryState
    unknowns: int


def superseded(delivery: Delivery, incident: Incident, siblings: Sequence[Sibling]) -> Superseded | None:
    """Re-check a delivery right before it is sent: the reason why it is void, or None when it is not.

    Nobody is called for what is over, owned, suppressed, or no major incident any more because a person said so. A
    thread and a ticket still get the whole story. A rise rings again although the incident is owned, also where it is
    what asks for a call in the first place.
    """
    if delivery.notice.kind is NoticeKind.RESOLVED:
        return None if _was_told(delivery, siblings) else Superseded.NOTHING_TO_FOLLOW_UP
    if delivery.integration in (SLACK, JIRA):
        return None
    if delivery.notice.kind is NoticeKind.ACKNOWLEDGED:
        if delivery.notice.told_by == delivery.integration:
            return Superseded.HEARD_FROM_THERE
        # Whoever takes calls keeps books of them, told or not.
        is_needless = delivery.integration != CALL and not _was_told(delivery, siblings)
        return Superseded.NOTHING_TO_FOLLOW_UP if is_needless else None
    return _needless(delivery, incident, siblings)


def _was_told(delivery: Delivery, siblings: Sequence[Sibling]) -> bool:
    # A shadow shows the whole story: what it would have told counts as told.
    return any(
        each.id < delivery.id and (each.state in (DeliveryState.DELIVERED, DeliveryState.SHADOWED) or each.unknowns > 0)
        for each in siblings
    )


def _needless(delivery: Delivery, incident: Incident, siblings: Sequence[Sibling]) -> Superseded | None:
    """Why nobody need be called for this any more."""
    if any(each.id > delivery.id and each.kind is NoticeKind.RESOLVED for each in siblings):
        return Superseded.RESOLVE_QUEUED
    if incident.standing.set_sev is not None and delivery.notice.sev.is_major and not incident.sev.is_major:
        return Superseded.SEV_LOWERED
    is_rise = delivery.notice.kind is NoticeKind.ROSE or delivery.notice.previous_sev is not None
    if incident.state is IncidentState.ACKNOWLEDGED and not is_rise:
        return Superseded.ACKNOWLEDGED
    return None if incident.suppressed is None else Superseded.SUPPRESSED
