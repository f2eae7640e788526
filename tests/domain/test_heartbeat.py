"""A heartbeat is missing when it stays away for longer than it may, and somebody listened meanwhile."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sevrouter.domain.alert import Alert, AlertRecord, AlertStatus
from sevrouter.domain.grading import Grader, GradeReason, Rule, Verdict
from sevrouter.domain.heartbeat import UNHEARD, Pulse, beat, listened
from sevrouter.domain.missing import LISTEN_EVERY, Known, Look, labels_of, look
from sevrouter.domain.observation import observe
from sevrouter.domain.sev import Sev
from sevrouter.domain.timed import FiringFor
from tests.domain.building import NOW, at, firing, fixed, heartbeat, watched

WATCHDOG = heartbeat()
EVERYTHING = fixed("everything", Sev.SEV_1)


def grader(*rules: Rule) -> Grader:
    return Grader(rules, unmatched=Sev.SEV_2, heartbeats=[WATCHDOG])


@pytest.mark.parametrize(
    "rules",
    [(), (EVERYTHING,), (EVERYTHING, fixed("nothing", None)), (watched("age", FiringFor(), {Sev.SEV_1: "> 1m"}),)],
)
def test_a_beat_is_no_incident_and_that_is_sure_whatever_rules_say(rules: tuple[Rule, ...]) -> None:
    verdict = grader(*rules).grade(firing("Watchdog", severity="critical"))
    assert (verdict.sev, verdict.unsure, verdict.is_unmatched, verdict.watched) == (None, False, False, False)
    assert verdict.heartbeats == ("prometheus",)
    (grade,) = verdict.grades
    assert (grade.reason, grade.rule) == (GradeReason.HEARTBEAT, "(heartbeat prometheus)")
    assert grade.why == "a heartbeat: it has to keep arriving, every 5m; missing for 1m more it is SEV-1"


def test_what_is_no_beat_is_graded_as_ever() -> None:
    assert grader().grade(firing("Down")).is_unmatched
    assert grader(EVERYTHING).grade(firing("Down")).sev is Sev.SEV_1
    assert grader(EVERYTHING).grade(firing("Down")).heartbeats == ()


def test_no_timed_measure_is_read_of_a_beat() -> None:
    rule = watched("age", FiringFor(), {Sev.SEV_1: "> 1m"})
    assert grader(rule).watched(firing("Watchdog")) == []
    assert len(grader(rule).watched(firing("Down"))) == 1


def test_what_heartbeats_look_at_tells_alerts_apart() -> None:
    by_cluster = Grader(
        (), unmatched=Sev.SEV_2, heartbeats=[heartbeat("a", 'cluster="a"'), heartbeat("ab", 'cluster=~"a|b"')]
    )
    verdicts = [by_cluster.grade(firing("Watchdog", cluster=name)).heartbeats for name in ("a", "b", "c", "a")]
    assert verdicts == [("a", "ab"), ("ab",), (), ("a", "ab")]


def seen(pulse: Pulse | None, now: float, record: AlertRecord | None = None, *, configured: bool = True) -> Look:
    """A look at the Watchdog at that minute."""
    pulses = {} if pulse is None else {"prometheus": pulse}
    records = {} if record is None else {"prometheus": record}
    return look([WATCHDOG] if configured else [], Known(pulses, records), at(now))


def stored(alert: Alert, verdict: Verdict | None) -> AlertRecord:
    """What is remembered of an alert of our own."""
    fires = alert.status is AlertStatus.FIRING
    return AlertRecord(
        digest=alert.digest, status=alert.status, starts_at=alert.starts_at, changed_at=NOW, unsure=False,
        closed_until=None if fires else alert.ends_at, sev=verdict.sev if verdict else None, content=alert.content,
        incident_id=None,
    )  # fmt: skip


def test_one_that_nobody_knows_yet_is_waited_for_from_now_on() -> None:
    found = seen(None, 0)
    assert found.pulses == {"prometheus": Pulse(since=NOW, beat_at=None, listened_at=NOW)}
    assert (list(found.alerts), found.next_at) == ([], at(6))


def test_that_somebody_listens_is_written_down_only_every_now_and_then() -> None:
    assert listened(beat(NOW), at(0.05)).listened_at == at(0.05)
    often, seldom = seen(beat(NOW), 0.05), seen(beat(NOW), LISTEN_EVERY.total_seconds() / 60)
    assert (often.is_idle, seldom.is_idle) == (True, False)
    assert seldom.pulses["prometheus"].since == NOW


@pytest.mark.parametrize(("seconds", "since"), [(30, 0), (30.001, 30.001)])
def test_a_gap_in_which_nobody_listened_begins_the_wait_anew(seconds: float, since: float) -> None:
    pulse = listened(beat(NOW), NOW + timedelta(seconds=seconds))
    assert (pulse.since, pulse.beat_at) == (NOW + timedelta(seconds=since), NOW)


def test_it_is_missing_to_the_moment_and_raised_once() -> None:
    pulse = Pulse(since=NOW, beat_at=NOW, listened_at=at(5.9))
    assert (list(seen(pulse, 5.999).alerts), seen(pulse, 5.999).next_at) == ([], at(6))
    found = seen(pulse, 6)
    ((alert, verdict),) = found.alerts
    assert verdict is not None
    assert (verdict.sev, verdict.unsure, verdict.grades[0].reason) == (Sev.SEV_1, False, GradeReason.HEARTBEAT_MISSED)
    assert alert.labels == {"alertname": "SevrouterHeartbeatMissing", "heartbeat": "prometheus", "job": "sevrouter"}
    assert ({*found.missing}, found.next_at) == ({"prometheus"}, None)
    again = seen(pulse, 6, stored(alert, verdict))
    assert (list(again.alerts), {*again.missing}) == ([], {"prometheus"})


def test_after_a_gap_it_is_still_missing_until_it_comes() -> None:
    ((alert, verdict),) = seen(Pulse(since=NOW, beat_at=NOW, listened_at=at(5.9)), 6).alerts
    record = stored(alert, verdict)
    found = seen(Pulse(since=NOW, beat_at=NOW, listened_at=at(6)), 20, record)
    assert (list(found.alerts), {*found.missing}) == ([], {"prometheus"})
    ((over, none),) = seen(beat(at(21)), 21, record).alerts
    assert (over.status, over.ends_at, none) == (AlertStatus.RESOLVED, at(21), None)


def test_a_beat_that_a_slow_clock_dates_back_ends_it_too() -> None:
    ((alert, verdict),) = seen(Pulse(since=NOW, beat_at=NOW, listened_at=at(5.9)), 6).alerts
    late = Pulse(since=at(5.95), beat_at=at(5.95), listened_at=at(6.01))
    assert seen(late, 6.02, stored(alert, verdict)).alerts[0][0].status is AlertStatus.RESOLVED


def test_one_that_nobody_waits_for_is_forgotten_once_nobody_listens_for_it() -> None:
    ((alert, verdict),) = seen(Pulse(since=NOW, beat_at=None, listened_at=at(5.9)), 6).alerts
    record = stored(alert, verdict)
    pulse = Pulse(since=NOW, beat_at=None, listened_at=at(6))
    assert seen(pulse, 6.5, record, configured=False).is_idle
    found = seen(pulse, 6.51, record, configured=False)
    assert (found.gone, found.missing) == (("prometheus",), frozenset())
    assert [each.status for each, _ in found.alerts] == [AlertStatus.RESOLVED]
    assert seen(pulse, 6.51, configured=False).alerts == ()


STEPS = st.lists(
    st.tuples(st.sampled_from(["look", "beat", "silence"]), st.integers(1, 29), st.integers(31, 600)), max_size=120
)


@given(STEPS)
def test_it_is_missing_just_where_it_was_waited_for_and_did_not_come(steps: list[tuple[str, int, int]]) -> None:
    # A heartbeat of 60 s and 30 s more, with looks that are less than half a minute apart, but where nobody listens.
    heartbeats = [heartbeat(every=1, grace=0.5)]
    patience = timedelta(seconds=90)
    now, pulses, record = NOW, dict[str, Pulse](), None
    waiting_since, heard, listening = NOW, False, NOW
    is_missing = False
    for kind, short, long in [("look", 1, 31), *steps]:
        now += timedelta(seconds=long if kind == "silence" else short)
        if kind == "beat":
            pulses["prometheus"] = beat(now)
            waiting_since, heard, listening = now, True, now
            continue
        if not pulses or now - listening > UNHEARD:
            waiting_since = now
        listening = now
        found = look(heartbeats, Known(pulses, {} if record is None else {"prometheus": record}), now)
        pulses |= found.pulses
        for alert, verdict in found.alerts:
            change = observe(record, alert, verdict, received_at=now)
            assert change.moves, "whatever is raised or ended is news, however soon it follows"
            record = stored(alert, verdict)
        is_missing = (is_missing and not heard) or now - waiting_since >= patience
        heard = False
        assert found.missing == ({"prometheus"} if is_missing else set())
        fires = record is not None and record.status is AlertStatus.FIRING
        assert fires is is_missing


def test_the_labels_of_two_are_two() -> None:
    assert labels_of("a") != labels_of("b")
