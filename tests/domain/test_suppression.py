"""An incident that is silenced or inhibited is shown and not called for; the call is made up for, once."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sevrouter.domain.delivery import CALL, NoticeKind, Superseded, superseded
from sevrouter.domain.incident import Fact, Fold, IncidentState, TimelineEntry, settle
from sevrouter.domain.observation import Change
from sevrouter.domain.plan import Planned, plan
from sevrouter.domain.sev import Sev
from sevrouter.domain.standing import Standing
from sevrouter.domain.suppression import Silence, lifted_by, reason_of, suppress, unsuppress
from sevrouter.domain.text import one_line
from tests.domain.building import NOW, at, delivery, firing, incident, observation, shown
from tests.domain.test_plan import RESPONSES

OPENED, ROSE, REOPENED, RESOLVED = NoticeKind.OPENED, NoticeKind.ROSE, NoticeKind.REOPENED, NoticeKind.RESOLVED
HUSHED = replace(incident(asked=("slack",)), suppressed="silenced")
OWED = replace(incident(asked=("slack",)), standing=Standing(withheld=True))


def with_fact(fact: Fact) -> tuple[TimelineEntry, ...]:
    return (TimelineEntry(fact, NOW),)


def test_it_is_suppressed_once_and_lifted_once_and_says_why() -> None:
    hushed = suppress(incident(), "silenced", now=NOW)
    assert hushed.incident is not None
    assert (hushed.incident.suppressed, hushed.facts[0].details["note"]) == ("silenced", "silenced")
    assert suppress(hushed.incident, "again", now=NOW) == Fold(hushed.incident)
    loud = unsuppress(hushed.incident, "it fires", now=NOW)
    assert loud.incident == incident()
    assert loud.facts[0].details == {"was": "silenced", "note": "it fires"}
    assert unsuppress(incident(), "again", now=NOW) == Fold(incident())


def test_what_is_over_is_not_suppressed() -> None:
    over = incident(state=IncidentState.RESOLVED)
    assert suppress(over, "silenced", now=NOW) == Fold(over)
    ended = settle(replace(HUSHED, due_at=NOW), now=NOW).incident
    assert ended is not None
    assert ended.suppressed is None


@pytest.mark.parametrize("fact", [Fact.OPENED, Fact.ROSE, Fact.REOPENED])
@pytest.mark.parametrize("asked", [("slack",), (CALL, "slack")])
def test_no_call_is_planned_while_it_is_suppressed_and_that_is_remembered(fact: Fact, asked: tuple[str, ...]) -> None:
    after, planned = plan(Fold(replace(HUSHED, asked=asked), with_fact(fact)), RESPONSES)
    assert [each.integration for each in planned] == ["slack"]
    assert after is not None
    assert after.standing.withheld
    assert after.asked == asked, "who was not called was not asked"


def test_a_rise_that_asks_for_no_call_withholds_none() -> None:
    after, _ = plan(Fold(replace(HUSHED, sev=Sev.SEV_3), with_fact(Fact.ROSE)), RESPONSES)
    assert after is not None
    assert not after.standing.withheld


def test_a_call_is_told_of_the_end_of_what_is_suppressed() -> None:
    asked = replace(HUSHED, asked=(CALL,), due_at=NOW)
    _, planned = plan(settle(asked, now=NOW), RESPONSES)
    assert planned == (Planned(CALL, RESOLVED),)


@pytest.mark.parametrize(("asked", "kind"), [(("slack",), OPENED), ((CALL, "slack"), ROSE)])
def test_the_call_that_was_withheld_is_made_once_nothing_suppresses_it(
    asked: tuple[str, ...], kind: NoticeKind
) -> None:
    hushed = replace(OWED, suppressed="silenced", asked=asked)
    lifted = unsuppress(hushed, "it fires", now=NOW)
    after, planned = plan(lifted, RESPONSES)
    assert [each for each in planned if each.integration == CALL] == [Planned(CALL, kind)]
    assert after is not None
    assert CALL in after.asked
    assert not after.standing.withheld
    _, again = plan(Fold(after, with_fact(Fact.QUIET)), RESPONSES)
    assert again == ()


@pytest.mark.parametrize(
    "about", [replace(OWED, sev=Sev.SEV_3), replace(OWED, state=IncidentState.RESOLVED)], ids=["asks for none", "over"]
)
def test_a_call_that_nothing_asks_for_any_more_is_not_made_up_for(about: object) -> None:
    after, planned = plan(Fold(about, ()), RESPONSES)  # type: ignore[arg-type]
    assert (after is not None and after.standing.withheld, planned) == (False, ())


def test_what_rises_as_it_is_lifted_is_called_for_once() -> None:
    risen = Fold(replace(OWED, asked=(CALL, "slack")), (*with_fact(Fact.ROSE), *with_fact(Fact.UNSUPPRESSED)))
    _, planned = plan(risen, RESPONSES)
    assert [each for each in planned if each.integration == CALL] == [Planned(CALL, ROSE)]


@given(st.sampled_from(Sev), st.booleans(), st.booleans(), st.lists(st.sampled_from(Fact), max_size=4))
def test_while_it_is_suppressed_a_call_hears_of_nothing_but_the_end(
    sev: Sev, was_called: bool, withheld: bool, facts: list[Fact]
) -> None:
    asked = (CALL, "slack") if was_called else ("slack",)
    about = replace(HUSHED, sev=sev, asked=asked, standing=Standing(withheld=withheld))
    after, planned = plan(Fold(about, tuple(TimelineEntry(each, NOW, {"sev": "SEV-1"}) for each in facts)), RESPONSES)
    assert {each.kind for each in planned if each.integration == CALL} <= {RESOLVED}
    assert after is not None
    assert after.standing.withheld >= withheld


@pytest.mark.parametrize("kind", [OPENED, ROSE, REOPENED])
def test_a_call_that_waits_is_void_while_it_is_suppressed(kind: NoticeKind) -> None:
    assert superseded(delivery(kind), HUSHED, []) is Superseded.SUPPRESSED
    assert superseded(delivery(kind, integration="slack"), HUSHED, []) is None
    owned = replace(HUSHED, state=IncidentState.ACKNOWLEDGED)
    expected = Superseded.SUPPRESSED if kind is ROSE else Superseded.ACKNOWLEDGED
    assert superseded(delivery(kind), owned, []) is expected, "what somebody owns is not made up for"


@pytest.mark.parametrize(
    ("change", "lifts"),
    [(Change.FIRED, True), (Change.CHANGED, True), (Change.EVENT, True), (Change.MEASURED, False),
     (Change.RESOLVED, False), (Change.DUPLICATE, False), (Change.STALE_FIRING, False)],
)  # fmt: skip
def test_what_was_sent_and_fires_is_not_suppressed(change: Change, lifts: bool) -> None:
    folded = lifted_by(Fold(HUSHED), [observation(change)], now=NOW)
    assert folded.has(Fact.UNSUPPRESSED) is lifts
    assert folded.incident is not None
    assert (folded.incident.suppressed is None) is lifts


ENDS_AT = datetime(2026, 3, 1, 14, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("silence", "words"),
    [
        (Silence("ana", "maintenance", ENDS_AT), " (by ana: maintenance, until 14:00 UTC)"),
        (Silence("ana", "", ENDS_AT.replace(day=2)), " (by ana, until 2026-03-02 14:00 UTC)"),
        (Silence("", "\u202eevil\n"), " (by nobody: evil)"),
        (None, ""),
    ],
)
def test_a_silence_says_who_and_why_and_until_when(silence: Silence | None, words: str) -> None:
    silences = {} if silence is None else {"b": silence}
    hushed = shown(firing(), silenced_by=("a", "b"))
    assert reason_of(hushed, silences, {}, now=at(0)) == "silenced in Alertmanager" + words


@given(st.text(max_size=2_000), st.text(max_size=2_000), st.text(max_size=300))
def test_whatever_strangers_write_a_reason_is_one_line_that_fits(author: str, comment: str, name: str) -> None:
    silences = {"a": Silence(author, comment, ENDS_AT)}
    for hushed in (shown(firing(), silenced_by=("a",)), shown(firing(), inhibited_by=("f",))):
        reason = reason_of(hushed, silences, {"f": name}, now=NOW)
        assert one_line(reason, 400) == reason
        assert len(reason) < 260
        assert "in Alertmanager" in reason
