"""An incident of which nothing is heard any more is marked, said so once, and stays open."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec.structs import replace

from sevrouter.domain.incident import IncidentState
from sevrouter.engine.intake import Unread, Webhook
from tests.building import over, routing
from tests.engine.stage import OPENED, RESOLVED, ROSE, STALE, critical, warning

if TYPE_CHECKING:
    from tests.engine.stage import Stage


async def hour_by_hour(stage: Stage, hours: int) -> None:
    for _ in range(hours):
        await stage.forward(hours=1)


async def test_an_incident_that_nothing_speaks_of_is_stale_after_a_day_and_said_so_once(stage: Stage) -> None:
    await stage.push(warning())
    stage.slack.expect(OPENED)
    await hour_by_hour(stage, 24)
    stage.slack.expect()
    await hour_by_hour(stage, 2)
    told = stage.slack.expect_one(STALE)
    assert told.notice.note.startswith("nothing was heard of it for 1d 1h")
    await hour_by_hour(stage, 3)
    stage.slack.expect()
    assert (await stage.incident()).state is IncidentState.TRIGGERED


async def test_a_stale_major_incident_rings_nobody_up(stage: Stage) -> None:
    await stage.push(critical())
    await hour_by_hour(stage, 26)
    stage.call.expect(OPENED)
    stage.slack.expect(OPENED, STALE)


async def test_repeats_keep_it_fresh_although_they_write_nothing(stage: Stage) -> None:
    alert = replace(warning(), sighting=b"s" * 32)
    await stage.push(alert)
    stage.slack.expect(OPENED)
    for _ in range(8):
        await hour_by_hour(stage, 4)
        await stage.push(alert)
    stage.slack.expect()
    assert (await stage.incident()).stale_since is None


async def test_repeats_that_are_never_read_keep_it_fresh_too(stage: Stage) -> None:
    sighting = b"s" * 32
    await stage.push(replace(warning(), sighting=sighting))
    stage.slack.expect(OPENED)
    for _ in range(8):
        await hour_by_hour(stage, 4)
        await stage.intake.take(Unread(lambda _: Webhook((), repeats=(sighting,)), (sighting,), is_plain=True))
    await stage.forward(hours=1)
    stage.slack.expect()


async def test_what_was_heard_just_before_a_restart_counts(stage: Stage) -> None:
    alert = warning()
    await stage.push(alert)
    stage.slack.expect(OPENED)
    await hour_by_hour(stage, 20)
    await stage.push(alert)
    await stage.forward(hours=1)
    stage.restart()
    await hour_by_hour(stage, 20)
    stage.slack.expect()
    await hour_by_hour(stage, 6)
    stage.slack.expect(STALE)


async def test_a_stale_incident_that_is_heard_of_again_is_stale_no_more(stage: Stage) -> None:
    alert = warning()
    await stage.push(alert)
    await hour_by_hour(stage, 26)
    stage.slack.expect(OPENED, STALE)
    await stage.push(alert)
    await stage.forward(hours=1)
    assert (await stage.incident()).stale_since is None
    assert (await stage.facts())[-1] == "heard_again"
    await stage.push(critical(), alert)
    assert (await stage.incident()).stale_since is None
    stage.call.expect(OPENED)
    stage.slack.expect(ROSE)


async def test_what_is_graded_anew_by_a_reload_was_not_heard(stage: Stage) -> None:
    await stage.push(warning())
    stage.slack.expect(OPENED)
    await hour_by_hour(stage, 20)
    await stage.reload(routing(config_hash="new"))
    await hour_by_hour(stage, 6)
    stage.slack.expect(STALE)


async def test_a_stale_incident_still_ends(stage: Stage) -> None:
    alert = warning()
    await stage.push(alert)
    await hour_by_hour(stage, 26)
    await stage.push(over(alert, minute=27 * 60))
    await stage.forward(minutes=5)
    stage.slack.expect(OPENED, STALE, RESOLVED)
    assert (await stage.incident()).stale_since is None


async def test_it_can_be_turned_off_and_shortened(stage: Stage) -> None:
    stage.routing = routing(stale_after=timedelta(0))
    await stage.push(warning())
    await stage.forward(hours=60)
    stage.slack.expect(OPENED)
    stage.routing = routing(stale_after=timedelta(seconds=10))
    await stage.forward(seconds=1)
    stage.slack.expect(STALE)


async def test_many_are_marked_without_end(stage: Stage) -> None:
    await stage.push(*(warning(f"Down{number}") for number in range(210)))
    stage.slack.expect(*[OPENED] * 210)
    await hour_by_hour(stage, 26)
    stage.slack.expect(*[STALE] * 210)
