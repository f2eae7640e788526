"""What several Alertmanagers show, held against what is known here: what was missed, what vanished, what is suppressed.

In doubt it fires: an Alertmanager that does not answer decides nothing, and replicas that disagree count as firing.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from sevrouter.domain.incident import Fact, Fold
from sevrouter.domain.shown import Shown

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Set

# A webhook that is on its way is waited for this long; that covers a `firing` that comes late, too.
ON_ITS_WAY = timedelta(minutes=1)
# How long an Alertmanager that was just started may know nothing of what fires: Prometheus has to send it again.
SETTLED_AFTER = timedelta(minutes=5)
# How long what is suppressed is believed to be so while not every Alertmanager answers.
BELIEVED_FOR = timedelta(minutes=5)
# How long is remembered that an alert was ended because nobody showed it.
REMEMBERED_FOR = timedelta(days=1)


class Answer(Struct, frozen=True, gc=False):
    """What an Alertmanager shows, by digest. `unreadable` alerts of it are nobody knows which."""

    alerts: Mapping[bytes, Shown]
    unreadable: int = 0
    receivers: tuple[str, ...] = ()


class Unanswered(Struct, frozen=True, gc=False):
    """That an Alertmanager did not say what it was asked, and why, in words that hold no secret."""

    detail: str


class Judgement(enum.Enum):
    """What all of them together say of one alert; UNKNOWN changes nothing."""

    FIRING = "firing"
    SUPPRESSED = "suppressed"
    ABSENT = "absent"
    UNKNOWN = "unknown"


class Picture:
    """What all Alertmanagers that were asked show at one time."""

    def __init__(self, answers: Sequence[Answer | Unanswered]) -> None:
        self.asked = tuple(answers)
        self.answers = [each for each in answers if isinstance(each, Answer)]
        self.is_whole = bool(answers) and len(self.answers) == len(answers)
        # Of what cannot be read nobody knows that it is not there.
        self._tells_absence = self.is_whole and not any(each.unreadable for each in self.answers)

    def judge(self, digest: bytes) -> Judgement:
        """What they say of one alert."""
        is_shown = False
        for each in self.answers:
            shown = each.alerts.get(digest)
            if shown is not None:
                if not shown.is_suppressed:
                    return Judgement.FIRING
                is_shown = True
        if is_shown:
            return Judgement.SUPPRESSED if self.is_whole else Judgement.UNKNOWN
        return Judgement.ABSENT if self._tells_absence else Judgement.UNKNOWN

    def shown(self, digest: bytes) -> list[Shown]:
        """The alert, as each of them shows it that does."""
        return [found for each in self.answers if (found := each.alerts.get(digest)) is not None]

    def fires_by(self, answer: Answer, digest: bytes) -> Shown | None:
        """The alert as one of them shows it, where it fires by that, and we should have been told of it."""
        shown = answer.alerts.get(digest)
        return shown if shown is not None and not shown.is_suppressed and shown.is_for(answer.receivers) else None

    def began(self, digest: bytes, asked_at: datetime) -> datetime:
        """Since when an alert fires, as those say who show it; when they were asked where none says so."""
        return min((each.began(asked_at) for each in self.shown(digest)), default=asked_at)

    def firing_for_us(self, known: Set[bytes]) -> set[bytes]:
        """The alerts beside those known that fire, and that one of those who show it so should have told us of."""
        others = ((each, digest) for each in self.answers for digest in each.alerts.keys() - known)
        return {digest for each, digest in others if self.fires_by(each, digest) is not None}


class Held(Struct, frozen=True, gc=False):
    """An alert that fires as far as we know."""

    id: int
    digest: bytes
    incident_id: int | None
    version: int
    changed_at: datetime
    seen_there: bool


class Past(Struct, frozen=True, gc=False):
    """What earlier pictures showed: since when which alerts are absent, and which fire that we do not hold.

    `ended` are those that were ended for being absent, and when. `is_empty`: there was no picture before.
    """

    absent: Mapping[bytes, datetime] = {}
    missing: Mapping[bytes, datetime] = {}
    ended: Mapping[bytes, datetime] = {}
    is_empty: bool = True


class Comparison(Struct, frozen=True, gc=False):
    """What comes of a picture.

    `vanished` are over, since their time in `past.absent`; `missed` fire and never reached us, or came back.
    `newly_seen` are the ids of alerts that were never seen there before. `incidents` says what each incident's firing
    alerts come to: FIRING or SUPPRESSED where that is certain; those of which it is not are left out.
    """

    past: Past
    vanished: tuple[Held, ...]
    missed: tuple[bytes, ...]
    newly_seen: tuple[int, ...]
    incidents: Mapping[int, Judgement]


def compare(
    picture: Picture,
    held: Sequence[Held],
    past: Past,
    *,
    asked_at: datetime,
    every: timedelta,
    missed_after: timedelta,
    is_settled: bool,
) -> Comparison:
    """Hold a picture, asked for at a time, against the alerts that fire as far as we know.

    `is_settled` says that every Alertmanager has been up for so long that what it does not show is not there.
    `missed_after` of zero takes nothing in but what comes back.
    """
    judged = [(each, picture.judge(each.digest)) for each in held]
    absent: dict[bytes, datetime] = {}
    vanished: list[Held] = []
    for each, judgement in judged:
        if judgement is not Judgement.ABSENT or not is_settled or not each.seen_there:
            continue
        since = past.absent.get(each.digest)
        if since is None or each.changed_at >= since:
            # Whoever was heard of since then has to be absent anew.
            if each.changed_at < asked_at:
                absent[each.digest] = asked_at
            continue
        absent[each.digest] = since
        if asked_at - since >= every:
            vanished.append(each)
    known = {each.digest for each in held}
    ended = {
        **{digest: at for digest, at in past.ended.items() if digest not in known and asked_at - at < REMEMBERED_FOR},
        **{each.digest: asked_at for each in vanished},
    }
    # Who has just begun to look takes each alert's own word for how long it fires: a restart loses no time.
    seen = picture.began if past.is_empty else _just_now
    missing = {digest: past.missing.get(digest) or seen(digest, asked_at) for digest in picture.firing_for_us(known)}
    due = [
        digest
        for digest, since in missing.items()
        if digest in ended or (missed_after and asked_at - since >= missed_after)
    ]
    if not picture.is_whole:
        # Of what only those show who do not answer the time goes on.
        unseen = {digest: since for digest, since in past.missing.items() if not picture.shown(digest)}
        missing |= {digest: since for digest, since in unseen.items() if digest not in known}
    return Comparison(
        past=Past(absent, missing, ended, is_empty=False),
        vanished=tuple(vanished),
        missed=tuple(due),
        newly_seen=tuple(each.id for each, _ in judged if not each.seen_there and picture.shown(each.digest)),
        incidents=_by_incident(judged),
    )


def _just_now(_digest: bytes, asked_at: datetime) -> datetime:
    return asked_at


def has_absent(picture: Picture, held: Iterable[Held]) -> bool:
    """Whether something is absent that was seen there once, so that it matters for how long they have been up."""
    return any(each.seen_there and picture.judge(each.digest) is Judgement.ABSENT for each in held)


def _by_incident(judged: Iterable[tuple[Held, Judgement]]) -> dict[int, Judgement]:
    found: dict[int, Judgement] = {}
    for each, judgement in judged:
        number = each.incident_id
        if number is None:
            continue
        before = found.get(number, judgement)
        if before is judgement or before is Judgement.FIRING:
            found[number] = before
        else:
            found[number] = Judgement.FIRING if judgement is Judgement.FIRING else Judgement.UNKNOWN
    return {number: each for number, each in found.items() if each in (Judgement.FIRING, Judgement.SUPPRESSED)}


def all_suppressed(picture: Picture, digests: Collection[bytes]) -> bool:
    """Whether every one of an incident's firing alerts is suppressed, and there is one."""
    return bool(digests) and all(picture.judge(each) is Judgement.SUPPRESSED for each in digests)


def found_by_asking(folded: Fold) -> Fold:
    """A fold whose timeline says that nobody has sent what it is of."""
    facts = tuple(
        replace(each, details={**each.details, "by": "reconciliation"})
        if each.fact in (Fact.ALERTS_FIRED, Fact.ALERTS_RESOLVED)
        else each
        for each in folded.facts
    )
    return Fold(folded.incident, facts)
