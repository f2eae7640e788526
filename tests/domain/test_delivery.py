"""The re-check right before a delivery is sent: nobody is called for what is over or owned."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sevrouter.domain.delivery import CALL, DeliveryState, NoticeKind, Sibling, Superseded, superseded
from sevrouter.domain.incident import IncidentState
from sevrouter.domain.overruling import set_sev
from sevrouter.domain.sev import Sev
from tests.domain.building import NOW, delivery, incident, sibling

OPENED, ROSE, REOPENED, RESOLVED = NoticeKind.OPENED, NoticeKind.ROSE, NoticeKind.REOPENED, NoticeKind.RESOLVED
ACKNOWLEDGED = incident(state=IncidentState.ACKNOWLEDGED)

siblings = st.lists(
    st.builds(
        Sibling, st.integers(1, 9), st.sampled_from(NoticeKind), st.sampled_from(DeliveryState), st.integers(0, 2)
    ),
    max_size=5,
)


@pytest.mark.parametrize("kind", [OPENED, ROSE, REOPENED])
def test_a_call_about_what_is_still_wrong_is_made(kind: NoticeKind) -> None:
    assert superseded(delivery(kind), incident(), []) is None


@pytest.mark.parametrize("kind", [OPENED, ROSE, REOPENED])
def test_nobody_is_called_for_what_is_over(kind: NoticeKind) -> None:
    queued = sibling(2, RESOLVED, DeliveryState.PENDING)
    assert superseded(delivery(kind), incident(), [queued]) is Superseded.RESOLVE_QUEUED


def test_what_reopened_after_the_resolve_is_called_about() -> None:
    before = [sibling(1, OPENED), sibling(2, RESOLVED, DeliveryState.PENDING)]
    assert superseded(delivery(REOPENED, number=3), incident(), before) is None


@pytest.mark.parametrize("kind", [OPENED, REOPENED])
def test_nobody_is_called_for_what_somebody_owns(kind: NoticeKind) -> None:
    assert superseded(delivery(kind), ACKNOWLEDGED, []) is Superseded.ACKNOWLEDGED


def test_a_rise_rings_although_somebody_owns_it() -> None:
    assert superseded(delivery(ROSE, previous_sev=Sev.SEV_2), ACKNOWLEDGED, []) is None


def test_a_rise_that_asks_for_the_first_call_rings_although_somebody_owns_it() -> None:
    assert superseded(delivery(OPENED, previous_sev=Sev.SEV_4), ACKNOWLEDGED, []) is None


@pytest.mark.parametrize("kind", [OPENED, ROSE, REOPENED])
@pytest.mark.parametrize("integration", ["slack", "jira"])
def test_a_thread_and_a_ticket_get_the_whole_story(kind: NoticeKind, integration: str) -> None:
    queued = sibling(2, RESOLVED, DeliveryState.PENDING)
    assert superseded(delivery(kind, integration=integration), ACKNOWLEDGED, [queued]) is None


@pytest.mark.parametrize("integration", [CALL, "slack", "jira"])
class TestAResolve:
    """Told to those who were told of the incident, and to nobody else."""

    def test_is_told_to_who_was_told_of_the_incident(self, integration: str) -> None:
        resolve = delivery(RESOLVED, number=2, integration=integration)
        assert superseded(resolve, incident(), [sibling(1)]) is None

    def test_is_told_to_who_may_have_been_told_of_the_incident(self, integration: str) -> None:
        resolve = delivery(RESOLVED, number=2, integration=integration)
        assert superseded(resolve, incident(), [sibling(1, state=DeliveryState.DEAD, unknowns=1)]) is None

    def test_is_shown_by_a_shadow_that_showed_the_incident(self, integration: str) -> None:
        resolve = delivery(RESOLVED, number=2, integration=integration)
        assert superseded(resolve, incident(), [sibling(1, state=DeliveryState.SHADOWED)]) is None

    @pytest.mark.parametrize(
        "state", [DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.SUPERSEDED, DeliveryState.DEAD]
    )
    def test_is_not_told_to_who_never_heard_of_the_incident(self, integration: str, state: DeliveryState) -> None:
        resolve = delivery(RESOLVED, number=2, integration=integration)
        assert superseded(resolve, incident(), [sibling(1, state=state)]) is Superseded.NOTHING_TO_FOLLOW_UP

    def test_does_not_count_what_was_told_after_it(self, integration: str) -> None:
        resolve = delivery(RESOLVED, number=2, integration=integration)
        assert superseded(resolve, incident(), [sibling(3, REOPENED)]) is Superseded.NOTHING_TO_FOLLOW_UP

    def test_is_told_of_an_owned_incident_too(self, integration: str) -> None:
        resolve = delivery(RESOLVED, number=2, integration=integration)
        assert superseded(resolve, ACKNOWLEDGED, [sibling(1)]) is None


@given(st.sampled_from([OPENED, ROSE, REOPENED]), st.sampled_from(IncidentState), siblings)
def test_only_a_call_is_ever_void_before_the_resolve(
    kind: NoticeKind, state: IncidentState, others: list[Sibling]
) -> None:
    about = replace(incident(), state=state)
    assert superseded(delivery(kind, integration="slack"), about, others) is None
    if state is IncidentState.TRIGGERED and not any(each.kind is RESOLVED for each in others):
        assert superseded(delivery(kind), about, others) is None


def test_nobody_is_called_for_what_a_person_made_milder_meanwhile() -> None:
    lowered = set_sev(incident(Sev.SEV_2), Sev.SEV_4, by="ana", reason="only staging", now=NOW).incident
    still_major = set_sev(incident(Sev.SEV_1), Sev.SEV_2, by="ana", reason="not all of them", now=NOW).incident
    assert lowered is not None
    assert still_major is not None
    assert superseded(delivery(), lowered, []) is Superseded.SEV_LOWERED
    assert superseded(delivery(ROSE, previous_sev=Sev.SEV_3), lowered, []) is Superseded.SEV_LOWERED
    assert superseded(delivery(), still_major, []) is None
    assert superseded(delivery(integration="slack"), lowered, []) is None
