"""A person sets a SEV: it is recorded, and the floor from which the machine only raises it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sevrouter.domain.explanation import reasons
from sevrouter.domain.identity import IncidentPolicy
from sevrouter.domain.incident import Fact, Fold, Incident, IncidentState, fold
from sevrouter.domain.observation import Change
from sevrouter.domain.overruling import set_sev
from sevrouter.domain.sev import Sev
from tests.domain.building import CONFIG, OPENING, at, incident, observation, record_of, resolved


def said(about: Incident, sev: Sev, *, minute: float = 1) -> Incident:
    found = set_sev(about, sev, by="ana", reason="only staging", now=at(minute)).incident
    assert found is not None
    return found


def measured(about: Incident, sev: Sev, *, minute: float = 2) -> Fold:
    """The machine says something of it."""
    alert = about.evidence.alert
    seen = observation(Change.MEASURED, sev, alert=alert, record=record_of(alert))
    return fold(about, [seen], opening=OPENING, policy=IncidentPolicy(), config_hash=CONFIG, now=at(minute))


def test_it_is_recorded_and_explained() -> None:
    found = set_sev(incident(Sev.SEV_2, unsure=True), Sev.SEV_4, by="ana", reason="only staging", now=at(1))
    assert [each.fact for each in found.facts] == [Fact.SEV_SET]
    assert found.facts[0].details == {
        "from": "SEV-2", "sev": "SEV-4", "by": "ana", "reason": "only staging",
        "note": "SEV-4, set by ana: only staging",
    }  # fmt: skip
    assert found.incident is not None
    assert (found.incident.sev, found.incident.unsure) == (Sev.SEV_4, False)
    assert reasons(found.incident)[0] == "SEV-4 set by ana: only staging"


def test_what_the_machine_said_before_does_not_raise_it_again_and_what_is_worse_does() -> None:
    lowered = said(incident(Sev.SEV_2), Sev.SEV_4)
    for sev in (Sev.SEV_3, Sev.SEV_2):
        same = measured(lowered, sev).incident
        assert same is not None
        assert same.sev is Sev.SEV_4
    risen = measured(lowered, Sev.SEV_1)
    assert risen.has(Fact.ROSE)
    assert risen.incident is not None
    assert (risen.incident.sev, risen.incident.standing.set_sev) == (Sev.SEV_1, None)
    assert reasons(risen.incident) == ("SEV-1 by rule 'a rule': because",)


def test_something_worse_is_a_rise_and_the_floor() -> None:
    found = set_sev(incident(Sev.SEV_4), Sev.SEV_1, by="ana", reason="customers call", now=at(1))
    assert [each.fact for each in found.facts] == [Fact.SEV_SET, Fact.ROSE]
    assert found.incident is not None
    assert measured(found.incident, Sev.SEV_2).incident == found.incident


def test_what_is_set_twice_remembers_the_worst_that_the_machine_said() -> None:
    twice = said(said(incident(Sev.SEV_2), Sev.SEV_3), Sev.SEV_5)
    after = measured(twice, Sev.SEV_2).incident
    assert after is not None
    assert after.sev is Sev.SEV_5


def test_what_a_person_lowers_again_is_not_raised_by_what_was_known_when_it_was_lowered() -> None:
    raised = said(incident(Sev.SEV_4), Sev.SEV_2)
    agrees = measured(raised, Sev.SEV_2).incident
    assert agrees is not None
    lowered = said(agrees, Sev.SEV_5, minute=3)
    after = measured(lowered, Sev.SEV_2, minute=4).incident
    assert after is not None
    assert after.sev is Sev.SEV_5
    assert measured(lowered, Sev.SEV_1, minute=4).has(Fact.ROSE)


def test_what_is_over_is_not_set() -> None:
    over = incident(state=IncidentState.RESOLVED, resolved_at=at(0))
    assert set_sev(over, Sev.SEV_1, by="ana", reason="x", now=at(1)) == Fold(over)


def test_a_reason_is_one_clean_line() -> None:
    found = set_sev(incident(), Sev.SEV_4, by="a\nna", reason="x\n\x1b[31m\u2028" * 400, now=at(1))
    assert found.incident is not None
    assert found.incident.standing.set_sev is not None
    for text in (found.incident.standing.set_sev.by, found.incident.standing.set_sev.reason):
        assert text.isprintable()
        assert len(text) <= 500


@given(story=st.lists(st.tuples(st.booleans(), st.sampled_from([*Sev])), max_size=20))
def test_the_machine_never_lowers_and_a_person_always_gets_what_was_said(story: list[tuple[bool, Sev]]) -> None:
    about, is_first = incident(Sev.SEV_3), True
    for by_person, sev in story:
        before = about
        if by_person:
            about = said(about, sev)
            assert about.sev is sev
        else:
            found = measured(about, sev).incident
            assert found is not None
            about = found
            assert not before.sev.is_worse_than(about.sev)
        is_first = False
    assert is_first or about.is_open


@pytest.mark.parametrize("worse", [Sev.SEV_1, Sev.SEV_2])
def test_what_reopens_keeps_what_a_person_said(worse: Sev) -> None:
    lowered = said(incident(Sev.SEV_2), Sev.SEV_4)
    alert = lowered.evidence.alert
    policy = IncidentPolicy()
    ended = observation(Change.RESOLVED, None, alert=resolved(end=3), record=record_of(alert))
    quiet = fold(lowered, [ended], opening=OPENING, policy=policy, config_hash=CONFIG, now=at(3)).incident
    again = observation(Change.FIRED, worse, alert=alert)
    found = fold(quiet, [again], opening=OPENING, policy=policy, config_hash=CONFIG, now=at(30))
    assert found.has(Fact.RESOLVED)
    assert found.has(Fact.REOPENED)
    assert found.incident is not None
    assert found.incident.sev is (Sev.SEV_1 if worse is Sev.SEV_1 else Sev.SEV_4)
