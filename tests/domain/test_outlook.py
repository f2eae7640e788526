"""What a review says beside what makes an incident worse: mentions, proposals, readings that are back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sevrouter.domain.foresight import Foreseen
from sevrouter.domain.incident import Fact, Fold, Incident, IncidentState
from sevrouter.domain.outlook import PROPOSED_AFTER, Outlook, look
from sevrouter.domain.sev import Sev
from sevrouter.domain.standing import Milder
from tests.domain.building import at, incident

HOUR = timedelta(hours=1)
PROPOSED = PROPOSED_AFTER / timedelta(minutes=1)


def after(
    about: Incident,
    *,
    minute: float,
    would_be: Sev | None = Sev.SEV_3,
    foreseen: tuple[Foreseen, ...] = (),
    **changes: object,
) -> Fold:
    """A look at an incident at that minute, of which nothing else has changed."""
    outlook = replace(Outlook(would_be=would_be, why="because", foreseen=foreseen), **changes)
    return look(Fold(about), outlook, now=at(minute), horizon=HOUR)


def ahead(sev: Sev, minutes: float, text: str = "it may come") -> Foreseen:
    return Foreseen(sev, timedelta(minutes=minutes), HOUR, text)


def words(folded: Fold) -> list[str]:
    return [each.fact.value for each in folded.facts]


def test_what_is_likely_is_a_fact_once_and_not_one_each_tick() -> None:
    first = after(incident(Sev.SEV_3), minute=0, foreseen=(ahead(Sev.SEV_2, 12, "errors: 3.8"),))
    assert words(first) == ["likely"]
    assert first.facts[0].details == {"sev": "SEV-2", "note": "errors: 3.8", "in_seconds": 720}
    assert first.incident is not None
    again = after(first.incident, minute=1, foreseen=(ahead(Sev.SEV_2, 11),))
    assert again == Fold(first.incident)


def test_what_is_no_worse_than_what_is_there_is_no_news() -> None:
    about = incident(Sev.SEV_2)
    assert after(about, minute=0, would_be=Sev.SEV_2, foreseen=(ahead(Sev.SEV_2, 1), ahead(Sev.SEV_3, 1))) == Fold(
        about
    )


def test_of_several_the_worst_is_named_and_all_are_told() -> None:
    found = after(incident(Sev.SEV_3), minute=0, foreseen=(ahead(Sev.SEV_2, 10, "b"), ahead(Sev.SEV_1, 50, "a")))
    assert found.facts[0].details == {"sev": "SEV-1", "note": "a; b", "in_seconds": 600}


def test_something_milder_is_kept_beside_and_proposed_once_it_lasts() -> None:
    first = after(incident(Sev.SEV_2), minute=0, would_be=Sev.SEV_4)
    assert first.incident is not None
    assert (words(first), first.incident.sev) == ([], Sev.SEV_2)
    assert first.incident.standing.milder == Milder(Sev.SEV_4, at(0))
    second = after(first.incident, minute=PROPOSED - 0.1, would_be=Sev.SEV_4)
    assert second == Fold(first.incident)
    third = after(first.incident, minute=PROPOSED, would_be=Sev.SEV_4)
    assert third.facts[0].details == {"from": "SEV-2", "to": "SEV-4", "since": at(0).isoformat(), "why": "because"}
    assert third.incident is not None
    assert third.incident.sev is Sev.SEV_2, "it is for people to lower it"
    assert after(third.incident, minute=60, would_be=Sev.SEV_4) == Fold(third.incident), "once"


def test_that_it_would_be_no_incident_is_milder_too() -> None:
    found = after(incident(Sev.SEV_5), minute=0, would_be=None)
    assert found.incident is not None
    assert found.incident.standing.milder == Milder(None, at(0))


def test_what_changes_before_it_is_proposed_begins_anew() -> None:
    first = after(incident(Sev.SEV_2), minute=0, would_be=Sev.SEV_4).incident
    assert first is not None
    bad_again = after(first, minute=1, would_be=Sev.SEV_2).incident
    assert bad_again is not None
    assert bad_again.standing.milder is None
    assert words(after(bad_again, minute=PROPOSED, would_be=Sev.SEV_4)) == []


def test_of_an_incident_that_was_not_looked_at_whole_nobody_knows_what_it_would_be() -> None:
    about = incident(Sev.SEV_2)
    assert after(about, minute=0, would_be=None, is_whole=False) == Fold(about)


def test_a_reading_that_is_back_is_a_fact_and_explains_itself() -> None:
    found = after(incident(Sev.SEV_1, unsure=True), minute=0, would_be=Sev.SEV_1, returned=("errors gives 0.2 again",))
    assert [(each.fact, each.details) for each in found.facts] == [
        (Fact.READING_RETURNED, {"note": "errors gives 0.2 again"})
    ]
    assert found.incident is not None
    assert found.incident.standing.returned == "errors gives 0.2 again"


def test_what_is_over_is_not_looked_at() -> None:
    over = incident(state=IncidentState.RESOLVED, resolved_at=at(0))
    assert after(over, minute=1, foreseen=(ahead(Sev.SEV_1, 1),)) == Fold(over)
    assert look(Fold(None), Outlook(would_be=None), now=at(0), horizon=HOUR) == Fold(None)


@given(
    story=st.lists(
        st.tuples(st.sampled_from([*Sev, None]), st.sampled_from([*Sev]), st.floats(0, 60), st.booleans()), max_size=40
    )
)
def test_whatever_is_seen_ahead_or_behind_the_sev_stays_as_it_is(
    story: list[tuple[Sev | None, Sev, float, bool]],
) -> None:
    about = incident(Sev.SEV_3)
    for minute, (would_be, foreseen, minutes, is_whole) in enumerate(story):
        folded = after(about, minute=minute, would_be=would_be, foreseen=(ahead(foreseen, minutes),), is_whole=is_whole)
        assert folded.incident is not None
        about = folded.incident
        assert (about.sev, about.state) == (Sev.SEV_3, IncidentState.TRIGGERED)


@pytest.mark.parametrize("level", [Sev.SEV_1, Sev.SEV_2])
def test_mentions_of_what_has_come_are_forgotten(level: Sev) -> None:
    mentioned = after(incident(Sev.SEV_3), minute=0, foreseen=(ahead(Sev.SEV_2, 10), ahead(Sev.SEV_1, 20))).incident
    assert mentioned is not None
    risen = replace(mentioned, sev=level)
    looked = after(risen, minute=1, would_be=level, foreseen=(ahead(Sev.SEV_1, 19),)).incident
    assert looked is not None
    assert {*looked.standing.mentions} == {Sev.SEV_1} - {level}
