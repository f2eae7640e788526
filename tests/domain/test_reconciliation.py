"""What several Alertmanagers show, held against what is known: in doubt it fires, and nothing is over."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sevrouter.domain.reconciliation import (
    ON_ITS_WAY,
    REMEMBERED_FOR,
    Answer,
    Comparison,
    Held,
    Judgement,
    Past,
    Picture,
    Unanswered,
    all_suppressed,
    compare,
    has_absent,
)
from tests.domain.building import NOW, at, firing, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sevrouter.domain.shown import Shown

FIRING, SUPPRESSED, ABSENT, UNKNOWN = (
    Judgement.FIRING,
    Judgement.SUPPRESSED,
    Judgement.ABSENT,
    Judgement.UNKNOWN,
)
EVERY, MISSED_AFTER = timedelta(seconds=30), timedelta(minutes=6)
AWAY, NEW = Unanswered("away"), Past()
ALERT = firing()
ACTIVE, SILENCED = shown(ALERT), shown(ALERT, silenced_by=("a",))
DIGESTS = [firing(str(number)).digest for number in range(4)]


def answering(member: Shown | None = None, *, unreadable: int = 0) -> Answer:
    return Answer({} if member is None else {ALERT.digest: member}, unreadable)


def held(digest: bytes = ALERT.digest, *, number: int = 1, changed: float = -60, seen: bool = True) -> Held:
    return Held(number, digest, 1, 1, at(changed), seen)


def compared(picture: Picture, *known: Held, past: Past = NEW, minute: float = 0, settled: bool = True) -> Comparison:
    return compare(
        picture, known, past, asked_at=at(minute), every=EVERY, missed_after=MISSED_AFTER, is_settled=settled
    )


def test_what_they_say_of_one_alert() -> None:
    table: Mapping[Judgement, list[list[Answer | Unanswered]]] = {
        FIRING: [
            [answering(ACTIVE)],
            [answering(ACTIVE), answering(SILENCED)],
            [answering(ACTIVE), AWAY],
            [answering(ACTIVE), answering()],
        ],
        SUPPRESSED: [[answering(SILENCED)], [answering(SILENCED), answering()]],
        ABSENT: [[answering()], [answering(), answering()]],
        UNKNOWN: [[], [AWAY], [answering(SILENCED), AWAY], [answering(), AWAY], [answering(), answering(unreadable=1)]],
    }
    for judgement, pictures in table.items():
        assert {Picture(each).judge(ALERT.digest) for each in pictures} == {judgement}, judgement


says = st.sampled_from([None, ACTIVE, SILENCED, AWAY])


def given_answers(said: list[Shown | Unanswered | None]) -> list[Answer | Unanswered]:
    return [each if isinstance(each, Unanswered) else answering(each) for each in said]


@given(st.lists(says, max_size=5), st.randoms())
def test_any_that_says_that_it_fires_is_right_whatever_the_others_say_and_in_whatever_order(
    said: list[Shown | Unanswered | None], random: object
) -> None:
    judgement = Picture(given_answers([*said, ACTIVE])).judge(ALERT.digest)
    assert judgement is FIRING
    assert Picture(given_answers([ACTIVE, *reversed(said)])).judge(ALERT.digest) is FIRING


@given(st.lists(says, max_size=5))
def test_one_that_does_not_answer_makes_nothing_vanish_and_nothing_suppressed(
    said: list[Shown | Unanswered | None],
) -> None:
    picture = Picture(given_answers([*said, AWAY]))
    assert picture.judge(ALERT.digest) in (FIRING, UNKNOWN)
    assert not all_suppressed(picture, [ALERT.digest])
    earlier = Past(absent={ALERT.digest: at(-60)})
    found = compared(picture, held(), past=earlier)
    assert found.vanished == ()
    assert SUPPRESSED not in found.incidents.values()
    assert found.past.absent == {}, "the two looks begin anew"


rounds = st.lists(
    st.tuples(st.lists(says, min_size=1, max_size=3), st.booleans(), st.sampled_from([0.5, 1.0, 3.0])), max_size=12
)


@given(rounds)
def test_what_vanished_was_shown_by_nobody_twice_in_a_row_by_all_of_them_and_they_were_settled(
    asked: list[tuple[list[Shown | Unanswered | None], bool, float]],
) -> None:
    past, minute, absent_in_a_row = Past(), 0.0, 0
    for said, settled, pause in asked:
        minute += pause
        found = compared(Picture(given_answers(said)), held(), past=past, minute=minute, settled=settled)
        is_absent = settled and all(each is None for each in said)
        absent_in_a_row = absent_in_a_row + 1 if is_absent else 0
        assert bool(found.vanished) == (absent_in_a_row >= 2)
        past = found.past


@given(rounds)
def test_what_is_missed_has_fired_there_for_as_long_as_was_said_in_every_picture(
    asked: list[tuple[list[Shown | Unanswered | None], bool, float]],
) -> None:
    past, minute = Past(), 0.0
    since: float | None = None
    for said, settled, pause in asked:
        minute += pause
        found = compared(Picture(given_answers(said)), past=past, minute=minute, settled=settled)
        fires = ACTIVE in said
        if fires and since is None:
            # Who begins to look takes the alert's own word for it.
            since = 0.0 if past.is_empty else minute
        elif not fires and (AWAY not in said or SILENCED in said):
            since = None
        assert bool(found.missed) == (fires and since is not None and minute - since >= 6)
        past = found.past


def test_what_was_never_seen_there_does_not_vanish_and_what_is_seen_is_marked_once() -> None:
    assert compared(Picture([answering()]), held(seen=False), past=Past(absent={ALERT.digest: at(-5)})).vanished == ()
    assert compared(Picture([answering(ACTIVE)]), held(seen=False)).newly_seen == (1,)
    assert compared(Picture([answering(SILENCED), AWAY]), held(seen=False)).newly_seen == (1,)
    assert compared(Picture([answering(ACTIVE)]), held()).newly_seen == ()
    assert not has_absent(Picture([answering()]), [held(seen=False)])
    assert has_absent(Picture([answering()]), [held()])


def test_who_was_heard_of_since_the_first_look_has_to_be_absent_anew() -> None:
    picture, earlier = Picture([answering()]), Past(absent={ALERT.digest: at(-1)})
    assert [each.id for each in compared(picture, held(changed=-2), past=earlier).vanished] == [1]
    heard = compared(picture, held(changed=-0.5), past=earlier)
    assert (heard.vanished, heard.past.absent) == ((), {ALERT.digest: NOW})
    sent_after_they_were_asked = compared(picture, held(changed=0), past=earlier)
    assert (sent_after_they_were_asked.vanished, sent_after_they_were_asked.past.absent) == ((), {})


def test_two_looks_that_are_closer_than_they_should_be_are_one() -> None:
    earlier = Past(absent={ALERT.digest: at(-0.4)})
    found = compared(Picture([answering()]), held(), past=earlier)
    assert (found.vanished, found.past.absent) == ((), earlier.absent)


def test_what_was_ended_and_fires_again_is_due_at_once_for_a_day() -> None:
    picture = Picture([answering(ACTIVE)])
    ended = Past(ended={ALERT.digest: at(-1)})
    assert compared(picture, past=ended).missed == (ALERT.digest,)
    assert compared(picture, held(), past=ended).past.ended == {}, "it fires again"
    long_ago = Past(ended={ALERT.digest: NOW - REMEMBERED_FOR})
    assert compared(picture, past=long_ago).missed == ()
    assert timedelta(seconds=45) < ON_ITS_WAY, "a firing that comes late would be taken for stale"


@given(st.lists(st.tuples(st.integers(1, 3), st.sampled_from(DIGESTS), says), max_size=8))
def test_an_incident_is_suppressed_only_if_all_that_fires_of_it_is(
    told: list[tuple[int, bytes, Shown | Unanswered | None]],
) -> None:
    members = {digest: said for _, digest, said in told}
    alerts = {digest: said for digest, said in members.items() if said is not None and not isinstance(said, Unanswered)}
    known = [
        replace(held(digest, number=place), incident_id=incident) for place, (incident, digest, _) in enumerate(told)
    ]
    found = compared(Picture([Answer(alerts)]), *known)
    for incident in (1, 2, 3):
        mine = [alerts.get(each.digest) for each in known if each.incident_id == incident]
        fires = any(each is ACTIVE for each in mine)
        all_silenced = bool(mine) and all(each is SILENCED for each in mine)
        assert found.incidents.get(incident) is (FIRING if fires else SUPPRESSED if all_silenced else None)
