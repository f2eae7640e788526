"""Each SEV asks for responses; a rise adds what is new, once, and who was told is told how it goes on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sevrouter.domain.delivery import NoticeKind
from sevrouter.domain.incident import Fact, Fold, Incident, IncidentState, TimelineEntry
from sevrouter.domain.plan import Planned, incident_key, notice, plan
from sevrouter.domain.sev import Sev
from tests.domain.building import CONFIG, NOW, at, firing, incident

RESPONSES = {
    Sev.SEV_1: ["call", "slack"],
    Sev.SEV_2: ["call", "slack"],
    Sev.SEV_3: ["slack"],
    Sev.SEV_5: ["jira"],
}
OPENED, ROSE, REOPENED, RESOLVED = NoticeKind.OPENED, NoticeKind.ROSE, NoticeKind.REOPENED, NoticeKind.RESOLVED


def folded(about: Incident | None, *facts: Fact) -> Fold:
    return Fold(about, tuple(TimelineEntry(fact, NOW) for fact in facts))


def test_what_never_opened_asks_for_nothing() -> None:
    assert plan(folded(None), RESPONSES) == (None, ())


@pytest.mark.parametrize(
    ("sev", "integrations"), [(Sev.SEV_2, ("call", "slack")), (Sev.SEV_4, ()), (Sev.SEV_5, ("jira",))]
)
def test_a_new_incident_asks_for_what_its_sev_asks_for(sev: Sev, integrations: tuple[str, ...]) -> None:
    after, planned = plan(folded(incident(sev), Fact.OPENED), RESPONSES)
    assert planned == tuple(Planned(name, OPENED) for name in integrations)
    assert after is not None
    assert after.asked == integrations


def test_a_rise_tells_those_who_know_and_asks_for_what_is_new() -> None:
    after, planned = plan(folded(incident(Sev.SEV_2, asked=("slack",)), Fact.ROSE), RESPONSES)
    assert planned == (Planned("slack", ROSE), Planned("call", OPENED))
    assert after is not None
    assert after.asked == ("slack", "call")


def test_a_second_rise_calls_again() -> None:
    _, planned = plan(folded(incident(Sev.SEV_1, asked=("call", "slack")), Fact.ROSE), RESPONSES)
    assert planned == (Planned("call", ROSE), Planned("slack", ROSE))


def test_a_ticket_of_a_bug_that_became_an_outage_is_told_so() -> None:
    _, planned = plan(folded(incident(Sev.SEV_2, asked=("jira",)), Fact.ROSE), RESPONSES)
    assert planned == (Planned("jira", ROSE), Planned("call", OPENED), Planned("slack", OPENED))


def test_what_reopens_goes_to_those_who_knew_of_it() -> None:
    _, planned = plan(folded(incident(Sev.SEV_3, asked=("slack",)), Fact.REOPENED), RESPONSES)
    assert planned == (Planned("slack", REOPENED),)


def test_what_reopens_worse_is_told_once_to_each() -> None:
    _, planned = plan(folded(incident(Sev.SEV_2, asked=("slack",)), Fact.REOPENED, Fact.ROSE), RESPONSES)
    assert planned == (Planned("slack", REOPENED), Planned("call", OPENED))


def test_a_resolve_goes_to_all_who_were_ever_told() -> None:
    over = incident(Sev.SEV_2, state=IncidentState.RESOLVED, asked=("jira", "call", "slack"))
    _, planned = plan(folded(over, Fact.RESOLVED), RESPONSES)
    assert planned == (Planned("jira", RESOLVED), Planned("call", RESOLVED), Planned("slack", RESOLVED))


def test_what_was_over_before_it_opened_again_is_told_in_that_order() -> None:
    again = incident(Sev.SEV_2, asked=("slack",))
    _, planned = plan(folded(again, Fact.RESOLVED, Fact.REOPENED), RESPONSES)
    assert planned == (Planned("slack", RESOLVED), Planned("slack", REOPENED), Planned("call", OPENED))


def test_what_opened_and_is_over_at_once_is_told_in_that_order() -> None:
    over = incident(Sev.SEV_3, state=IncidentState.RESOLVED)
    _, planned = plan(folded(over, Fact.OPENED, Fact.RESOLVED), RESPONSES)
    assert planned == (Planned("slack", OPENED), Planned("slack", RESOLVED))


@pytest.mark.parametrize("fact", [Fact.ALERTS_FIRED, Fact.ALERTS_RESOLVED, Fact.QUIET, Fact.TRUNCATED])
def test_nobody_is_told_of_what_asks_nothing_of_anybody(fact: Fact) -> None:
    before = incident(Sev.SEV_2, asked=("slack",))
    assert plan(folded(before, fact), RESPONSES) == (before, ())


@given(
    st.sampled_from(Sev),
    st.lists(st.sampled_from(["call", "slack", "jira"]), unique=True),
    st.lists(st.sampled_from([Fact.OPENED, Fact.ROSE, Fact.REOPENED, Fact.QUIET]), max_size=3),
)
def test_nobody_is_told_twice_of_one_fold_and_nobody_is_forgotten(
    sev: Sev, asked: list[str], facts: list[Fact]
) -> None:
    before = incident(sev, asked=tuple(asked))
    after, planned = plan(folded(before, *facts), RESPONSES)
    assert after is not None
    names = [each.integration for each in planned]
    assert len(names) == len(set(names))
    assert after.asked[: len(asked)] == tuple(asked)
    assert len(after.asked) == len(set(after.asked))
    if names:
        assert set(names) == set(after.asked) >= set(RESPONSES.get(sev, []))


def test_a_notice_tells_what_was_decided() -> None:
    alert = firing(annotations={"summary": "No answer", "description": "one\ntwo"}, generator_url="http://p:9090/g")
    told = notice(None, incident(Sev.SEV_2, alert=alert), Planned("slack", OPENED), now=at(1))
    assert told.title == "[SEV-2] checkout: No answer (Down)"
    assert told.description == "one\ntwo"
    assert told.why == ("SEV-2 by rule 'a rule': because",)
    assert told.labels == {"alertname": "Down"}
    assert told.links == {"Source": "http://p:9090/g"}
    assert (told.owner, told.config_hash, told.at, told.opened_at, told.firing) == ("payments", CONFIG, at(1), NOW, 1)


@pytest.mark.parametrize("kind", [ROSE, OPENED])
def test_a_notice_of_a_rise_says_what_it_was_before(kind: NoticeKind) -> None:
    assert notice(incident(Sev.SEV_4), incident(Sev.SEV_2), Planned("slack", kind), now=NOW).previous_sev is Sev.SEV_4


@pytest.mark.parametrize(
    "before",
    [None, incident(Sev.SEV_2), incident(Sev.SEV_4, state=IncidentState.RESOLVED)],
    ids=["new", "as bad", "another that is over"],
)
def test_a_notice_of_no_rise_says_nothing_of_before(before: Incident | None) -> None:
    assert notice(before, incident(Sev.SEV_2), Planned("slack", OPENED), now=NOW).previous_sev is None


def test_an_incident_has_one_key_for_ever_and_the_next_of_its_identity_another() -> None:
    one = incident()
    assert incident_key(one) == incident_key(replace(one, sev=Sev.SEV_1, id=9, state=IncidentState.RESOLVED))
    assert incident_key(one) != incident_key(replace(one, opened_at=at(1)))
    assert incident_key(one) != incident_key(replace(one, dedup_key="00fe"))


def told_by(about: Incident, *facts: TimelineEntry) -> tuple[Incident | None, tuple[Planned, ...]]:
    return plan(Fold(about, facts), RESPONSES)


@pytest.mark.parametrize(
    ("fact", "kind"),
    [
        (Fact.READING_RETURNED, NoticeKind.READING_RETURNED),
        (Fact.SEV_SET, NoticeKind.SEV_SET),
        (Fact.SUPPRESSED, NoticeKind.SUPPRESSED),
        (Fact.UNSUPPRESSED, NoticeKind.UNSUPPRESSED),
        (Fact.STALE, NoticeKind.STALE),
    ],
)
def test_news_goes_to_those_who_know_and_rings_nobody_up(fact: Fact, kind: NoticeKind) -> None:
    about = incident(Sev.SEV_2, asked=("call", "slack", "jira"))
    news = TimelineEntry(fact, NOW, {"note": "so it is"})
    assert told_by(about, news)[1] == (Planned("slack", kind, "so it is"), Planned("jira", kind, "so it is"))


def test_what_only_the_timeline_needs_is_told_to_nobody() -> None:
    about = incident(Sev.SEV_2, asked=("call", "slack", "jira"))
    assert told_by(about, *(TimelineEntry(fact, NOW) for fact in (Fact.MILDER, Fact.HEARD_AGAIN)))[1] == ()


def test_a_rise_that_a_person_wants_is_told_once_and_as_a_rise() -> None:
    about = incident(Sev.SEV_2, asked=("slack",))
    facts = (TimelineEntry(Fact.SEV_SET, NOW, {"note": "by ana"}), TimelineEntry(Fact.ROSE, NOW))
    assert told_by(about, *facts)[1] == (Planned("slack", ROSE, "by ana"), Planned("call", OPENED, "by ana"))


def likely(sev: Sev) -> TimelineEntry:
    return TimelineEntry(Fact.LIKELY, NOW, {"sev": str(sev), "note": "errors: 3.8"})


def test_what_is_likely_is_mentioned_where_people_talk_and_nowhere_else() -> None:
    about = incident(Sev.SEV_3, asked=("slack", "jira", "call"))
    warning = Planned("slack", NoticeKind.LIKELY, "errors: 3.8", Sev.SEV_2)
    assert told_by(about, likely(Sev.SEV_2)) == (about, (warning,))


def test_what_is_likely_is_mentioned_also_where_only_a_ticket_was_asked_for() -> None:
    after, planned = told_by(incident(Sev.SEV_5, asked=("jira",)), likely(Sev.SEV_2))
    assert planned == (Planned("slack", NoticeKind.LIKELY, "errors: 3.8", Sev.SEV_2),)
    assert after is not None
    assert after.asked == ("jira", "slack"), "who was warned hears how it goes on"


def test_where_nobody_would_talk_of_it_nobody_is_warned() -> None:
    about = incident(Sev.SEV_5, asked=("jira",))
    assert plan(Fold(about, (likely(Sev.SEV_2),)), {Sev.SEV_2: ("call",)}) == (about, ())


def test_a_warning_says_what_of_and_what_is_foreseen() -> None:
    warning = Planned("slack", NoticeKind.LIKELY, "errors: 3.8", Sev.SEV_2)
    told = notice(incident(Sev.SEV_3), incident(Sev.SEV_3), warning, now=NOW)
    assert (told.note, told.foreseen, told.sev) == ("errors: 3.8", Sev.SEV_2, Sev.SEV_3)
