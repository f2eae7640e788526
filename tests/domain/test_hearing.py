"""An incident of which nothing is heard for too long is stale, and stays open."""

from __future__ import annotations

from datetime import timedelta

from msgspec.structs import replace

from sevrouter.domain.alert import Alert
from sevrouter.domain.hearing import heard, missed
from sevrouter.domain.identity import IncidentPolicy
from sevrouter.domain.incident import HEARD_EVERY, Fact, Fold, Incident, IncidentState, fold
from sevrouter.domain.observation import Change
from sevrouter.domain.own import CANNOT_MEASURE
from tests.domain.building import CONFIG, OPENING, at, firing, incident, observation, record_of

DAY = timedelta(days=1)
MINUTES = 24 * 60


def stale() -> Incident:
    found = missed(incident(), now=at(MINUTES), stale_after=DAY).incident
    assert found is not None
    return found


def seen(about: Incident, change: Change, *, minute: float, is_heard: bool = True) -> Fold:
    alert = firing()
    one = observation(change, alert=alert, record=record_of(alert))
    policy = IncidentPolicy()
    now = at(minute)
    return fold(about, [one], opening=OPENING, policy=policy, config_hash=CONFIG, now=now, is_heard=is_heard)


def test_silence_for_long_enough_is_said_once_and_resolves_nothing() -> None:
    assert missed(incident(), now=at(MINUTES - 1), stale_after=DAY) == Fold(incident())
    found = missed(incident(), now=at(MINUTES), stale_after=DAY)
    assert [each.fact for each in found.facts] == [Fact.STALE]
    assert found.facts[0].details["note"] == ("nothing was heard of it for 1d: its end may be lost, so look")
    assert found.incident is not None
    assert (found.incident.stale_since, found.incident.state) == (at(MINUTES), IncidentState.TRIGGERED)
    assert missed(found.incident, now=at(2 * MINUTES), stale_after=DAY) == Fold(found.incident)


def test_without_a_limit_nothing_is_stale() -> None:
    assert missed(incident(), now=at(100 * MINUTES), stale_after=timedelta(0)) == Fold(incident())


def test_what_is_over_is_not_stale() -> None:
    over = incident(state=IncidentState.RESOLVED, resolved_at=at(0))
    assert missed(over, now=at(MINUTES), stale_after=DAY) == Fold(over)
    assert heard(over, at(5), now=at(5)) == Fold(over)


def test_what_we_raised_ourselves_is_never_stale_and_what_only_looks_like_it_is() -> None:
    own = incident(alert=Alert(labels=CANNOT_MEASURE, starts_at=at(0)))
    later = missed(own, now=at(MINUTES), stale_after=DAY)
    assert later == Fold(replace(own, heard_at=at(MINUTES))), "so that nobody looks at it again and again"
    watched = incident(alert=Alert(labels={"alertname": "SevrouterDown", "job": "sevrouter"}, starts_at=at(0)))
    assert missed(watched, now=at(MINUTES), stale_after=DAY).has(Fact.STALE)


def test_what_is_heard_of_later_counts_from_then() -> None:
    found = heard(incident(), at(60), now=at(70)).incident
    assert found is not None
    assert missed(found, now=at(MINUTES + 59), stale_after=DAY) == Fold(found)
    assert missed(found, now=at(MINUTES + 60), stale_after=DAY).has(Fact.STALE)
    assert heard(found, at(50), now=at(71)) == Fold(found), "what is known to be later stands"


def test_a_stale_one_that_is_heard_of_again_is_stale_no_more() -> None:
    found = heard(stale(), at(MINUTES + 5), now=at(MINUTES + 6))
    assert [each.fact for each in found.facts] == [Fact.HEARD_AGAIN]
    assert found.incident is not None
    assert found.incident.stale_since is None


def test_a_webhook_that_changes_something_is_heard() -> None:
    about = replace(incident(), heard_at=at(0))
    late = HEARD_EVERY / timedelta(minutes=1)
    for minute, expected in ((late - 1, at(0)), (late, at(late))):
        found = seen(about, Change.CHANGED, minute=minute).incident
        assert found is not None
        assert found.heard_at == expected, "now and then, so that a storm does not write it again and again"
    again = seen(stale(), Change.CHANGED, minute=MINUTES + 1)
    assert again.has(Fact.HEARD_AGAIN)


def test_what_is_measured_is_not_heard() -> None:
    found = seen(stale(), Change.MEASURED, minute=MINUTES + 1, is_heard=False)
    assert not found.has(Fact.HEARD_AGAIN)
    assert found.incident is not None
    assert found.incident.stale_since == at(MINUTES)
