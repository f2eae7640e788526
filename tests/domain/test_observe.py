"""What one alert means against what is remembered of it: repeated, late and unordered deliveries included."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sevrouter.domain.grading import Verdict
from sevrouter.domain.observation import Change, closed_until, observe
from sevrouter.domain.sev import Sev
from tests.domain.building import NOW, at, firing, record_of, resolved

if TYPE_CHECKING:
    from sevrouter.domain.alert import Alert, AlertRecord

YEAR_1 = datetime.min.replace(tzinfo=UTC)
YEAR_9999 = datetime.max.replace(tzinfo=UTC)
times = st.sampled_from([YEAR_1, YEAR_9999, *(at(minute) for minute in range(0, 40, 5))])


def closed(*, start: float = 0, end: float = 10, received: float = 11) -> AlertRecord:
    return record_of(resolved(start=start, end=end), received=received, closed_until=at(end))


def test_an_alert_that_was_never_seen_fired() -> None:
    assert observe(None, firing(), received_at=NOW) is Change.FIRED


def test_a_resolve_of_what_was_never_seen_never_fired() -> None:
    assert observe(None, resolved(end=1), received_at=at(1)) is Change.NEVER_FIRED


def test_the_same_alert_again_is_a_duplicate() -> None:
    assert observe(record_of(firing()), firing(), received_at=at(60)) is Change.DUPLICATE


def test_the_same_alert_of_a_replica_that_saw_it_sooner_is_a_duplicate() -> None:
    assert observe(record_of(firing(start=1)), firing(start=0), received_at=at(2)) is Change.DUPLICATE


def test_an_alert_with_a_later_start_changed() -> None:
    assert observe(record_of(firing()), firing(start=5), received_at=at(6)) is Change.CHANGED


OTHER_CONTENT = pytest.mark.parametrize(
    "again", [firing(annotations={"value": "2"}), firing(values={"B": "2"})], ids=["annotation", "value"]
)


@OTHER_CONTENT
def test_another_value_that_is_graded_as_before_is_other_content(again: Alert) -> None:
    verdict = Verdict(Sev.SEV_2, unsure=False, grades=())
    assert observe(record_of(firing()), again, verdict, received_at=at(6)) is Change.CONTENT


@OTHER_CONTENT
@pytest.mark.parametrize(("sev", "unsure"), [(Sev.SEV_1, False), (Sev.SEV_3, False), (None, False), (Sev.SEV_2, True)])
def test_another_value_that_is_graded_otherwise_changed(again: Alert, sev: Sev | None, *, unsure: bool) -> None:
    verdict = Verdict(sev, unsure=unsure, grades=())
    assert observe(record_of(firing()), again, verdict, received_at=at(6)) is Change.CHANGED


def test_the_same_alert_that_is_graded_otherwise_changed() -> None:
    verdict = Verdict(Sev.SEV_1, unsure=False, grades=())
    assert observe(record_of(firing()), firing(), verdict, received_at=at(6)) is Change.CHANGED


@OTHER_CONTENT
def test_another_value_of_what_belongs_to_no_incident_though_it_should_changed(again: Alert) -> None:
    verdict = Verdict(Sev.SEV_2, unsure=False, grades=())
    assert observe(record_of(firing(), incident_id=None), again, verdict, received_at=at(6)) is Change.CHANGED


def test_a_firing_alert_that_is_over_is_resolved() -> None:
    assert observe(record_of(firing()), resolved(end=5), received_at=at(5)) is Change.RESOLVED


def test_a_resolve_whose_end_cannot_be_read_is_believed() -> None:
    assert observe(record_of(firing()), resolved(end=None), received_at=at(5)) is Change.RESOLVED


def test_a_second_resolve_is_a_duplicate() -> None:
    assert observe(closed(), resolved(end=10), received_at=at(12)) is Change.DUPLICATE


def test_a_resolve_of_a_later_episode_that_was_never_seen_firing_is_remembered() -> None:
    assert observe(closed(end=10), resolved(start=20, end=30), received_at=at(31)) is Change.NEVER_FIRED


def test_a_late_resolve_of_an_older_episode_resolves_nothing() -> None:
    record = record_of(firing(start=20))
    assert observe(record, resolved(start=0, end=10), received_at=at(21)) is Change.STALE_RESOLVED
    assert observe(record, resolved(start=0, end=20), received_at=at(21)) is Change.STALE_RESOLVED
    assert observe(record, resolved(start=0, end=None), received_at=at(21)) is Change.STALE_RESOLVED


def test_a_resolve_of_a_replica_that_saw_the_start_sooner_is_believed() -> None:
    assert observe(record_of(firing(start=1)), resolved(start=0, end=10), received_at=at(10)) is Change.RESOLVED


@pytest.mark.parametrize("start", [0, 5, 10])
@pytest.mark.parametrize("received", [10.1, 11.7])
def test_a_firing_that_began_before_the_end_is_stale_for_three_quarters_of_a_minute(
    start: float, received: float
) -> None:
    assert observe(closed(), firing(start=start), received_at=at(received)) is Change.STALE_FIRING


def test_a_firing_with_the_old_start_is_believed_after_that() -> None:
    assert observe(closed(), firing(start=0), received_at=at(11.8)) is Change.FIRED


def test_a_firing_that_began_after_the_end_fired_again() -> None:
    assert observe(closed(), firing(start=10.01), received_at=at(11)) is Change.FIRED


def test_a_firing_after_a_resolve_whose_end_is_unknown_fired_again() -> None:
    record = replace(closed(), closed_until=None)
    assert observe(record, firing(start=0), received_at=at(12)) is Change.FIRED


def test_a_clock_that_was_set_back_makes_nothing_new_of_a_stale_firing() -> None:
    assert observe(closed(), firing(start=0), received_at=at(-60)) is Change.STALE_FIRING


def test_an_episode_is_closed_until_its_end() -> None:
    assert closed_until(resolved(start=0, end=10), received_at=at(11)) == at(10)


def test_an_end_that_cannot_be_read_closes_no_more_than_the_start() -> None:
    assert closed_until(resolved(start=3), received_at=at(11)) == at(3)


def test_an_end_in_the_future_closes_no_more_than_now() -> None:
    assert closed_until(resolved(start=0, end=600), received_at=at(11)) == at(11)


def test_an_end_before_the_start_closes_the_start() -> None:
    assert closed_until(resolved(start=3, end=1), received_at=at(11)) == at(3)


@given(times, st.one_of(st.none(), times), times, times, st.booleans(), st.booleans())
def test_any_times_can_be_observed(
    starts_at: datetime,
    ends_at: datetime | None,
    remembered: datetime,
    received_at: datetime,
    fires: bool,
    fired: bool,
) -> None:
    alert = replace(firing() if fires else resolved(), starts_at=starts_at, ends_at=ends_at)
    record = replace(
        record_of(firing() if fired else resolved(), closed_until=None if fired else remembered), starts_at=remembered
    )
    assert observe(record, alert, received_at=received_at) in Change
    assert closed_until(alert, received_at=received_at) >= starts_at
