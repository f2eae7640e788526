"""Several replicas on one PostgreSQL: each story is one thing that goes wrong between them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from sevrouter.store.migrate import all_migrations
from tests.chaos import records
from tests.chaos.campaign import workers_of
from tests.chaos.hurried import LEASE, RESCUE_EVERY
from tests.chaos.ledger import Ledger, check
from tests.chaos.senders import Group, Senders
from tests.chaos.stage import query
from tests.real.payloads import webhook

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.chaos.stage import Replica, Stage

# Seconds; what has not happened by then never will.
PATIENCE = 45.0
# Commits that are lost in one story: some of them are those of a webhook.
LOSSES = 12


async def started(stage: Stage, count: int) -> Sequence[Replica]:
    """So many replicas, ready; they start in the same moment."""
    replicas = stage.replicas[:count]
    for replica in replicas:
        await stage.open(replica, until_ready=False)
    await asyncio.gather(*(replica.wait_ready() for replica in replicas))
    return replicas


def critical(number: int) -> Group:
    """A group with one alert that is a SEV-2."""
    group = Group(f"service-{number}")
    group.fire(["critical"])
    return group


async def post(replica: Replica, group: Group) -> int:
    """Send a group once, and return the status."""
    answer = await replica.post(webhook(group.alerts, group_by=("service",)))
    if answer.status == 200:
        group.acked.add("pod-0")
        group.statuses["pod-0"] = "firing"
    return answer.status


async def settle(stage: Stage, groups: Sequence[Group]) -> Ledger:
    """Wait until everything was delivered, and check every promise."""
    assert await records.settled(stage.postgres, within=PATIENCE)
    ledger = Ledger()
    check(ledger, records.read(stage.postgres), groups, stage.vendors, workers_of(stage))
    assert not ledger.violations, str(ledger)
    return ledger


async def test_a_new_alert_that_reaches_three_replicas_at_once_rings_once(stage: Stage) -> None:
    replicas = await started(stage, 3)
    groups = [critical(number) for number in range(50)]
    answers = await asyncio.gather(*(post(replica, group) for group in groups for replica in replicas))
    assert answers == [200] * 150
    ledger = await settle(stage, groups)
    assert (ledger.figures["incidents"], ledger.figures["calls accepted"]) == (50, 50)


@pytest.mark.parametrize("forwarded", [False, True], ids=["a COMMIT that is lost", "a COMMIT whose answer is lost"])
async def test_nothing_is_lost_or_done_twice_by(stage: Stage, *, forwarded: bool) -> None:
    (replica,) = await started(stage, 1)
    groups = [critical(number) for number in range(LOSSES)]
    losses = []
    for group in groups:
        proxy = replica.proxy
        losses.append(proxy.lose_answer(b"COMMIT", answer=b"COMMIT\0") if forwarded else proxy.lose_request(b"COMMIT"))
        assert await post(replica, group) in (200, 503)
        # Another Alertmanager has the same to say.
        while await post(replica, group) != 200:
            pass
    assert sum(loss.happened for loss in losses) > LOSSES // 2
    await replica.proxy.heal()
    ledger = await settle(stage, groups)
    assert (ledger.figures["incidents"], ledger.figures["calls accepted"]) == (LOSSES, LOSSES)


async def test_while_postgresql_is_away_a_replica_says_so_and_comes_back_with_it(stage: Stage) -> None:
    (replica,) = await started(stage, 1)
    group, pid = critical(1), replica.pid
    await asyncio.to_thread(stage.postgres.kill)
    assert await post(replica, group) == 503
    assert (await replica.get("/-/ready")).status == 503
    assert (await replica.get("/-/healthy")).status == 200
    await asyncio.to_thread(stage.postgres.start)
    await replica.wait_ready()
    assert await post(replica, group) == 200
    assert (await settle(stage, [group])).figures["calls accepted"] == 1
    assert replica.pid == pid


async def test_a_rolling_restart_under_load_loses_nothing_and_rings_once(stage: Stage) -> None:
    replicas = await started(stage, 3)
    senders = Senders([each.webhook_url for each in replicas], stage.vendors.pagerduty, "rolling", born_every=0.1)
    sending = asyncio.create_task(senders.run())
    for replica in replicas:
        assert await replica.restart() == 0
    senders.stop()
    await asyncio.wait([sending], timeout=PATIENCE)
    assert sending.done(), senders.waiting
    ledger = await settle(stage, senders.groups)
    assert ledger.figures["calls that were repeated"] == 0
    assert senders.tally.wrong == []
    assert len(senders.groups) > 10


async def test_of_two_replicas_that_start_on_an_empty_database_one_migrates_and_both_serve(stage: Stage) -> None:
    replicas = await started(stage, 2)
    versions = query(stage.postgres, "SELECT version FROM schema_migrations ORDER BY version")
    assert versions == [(each.version,) for each in all_migrations()]
    groups = [critical(number) for number in range(2)]
    assert [await post(replica, group) for replica, group in zip(replicas, groups, strict=True)] == [200, 200]
    await settle(stage, groups)
    assert not [line for replica in replicas for line in replica.logs() if line.get("level") == "error"]


@pytest.mark.timeout(180)
async def test_a_call_whose_replica_is_killed_is_rescued_by_another_one(stage: Stage) -> None:
    replicas = await started(stage, 2)
    held, group = stage.vendors.pagerduty.hold_next(), critical(1)
    assert await post(replicas[0], group) == 200
    async with asyncio.timeout(PATIENCE):
        worker = await held
    (killed,) = (each for each in replicas if each.worker == worker)
    (other,) = (each for each in replicas if each is not killed)
    await killed.kill()
    within = LEASE + RESCUE_EVERY + PATIENCE
    await other.wait_for_log("delivery_rescued", integration="call", within=within)
    await other.wait_for_log("delivered", integration="call", within=within)
    assert (await settle(stage, [group])).figures["calls accepted"] == 1
    assert stage.vendors.pagerduty.calls[0].worker == other.worker


async def test_a_newer_schema_that_works_with_this_one_is_no_reason_to_stop(stage: Stage) -> None:
    (replica,) = await started(stage, 1)
    newest = all_migrations()[-1].version
    insert = "INSERT INTO schema_migrations (version, applied_at, works_with) VALUES ($1, 0, $2)"
    query(stage.postgres, insert, newest + 1, newest)
    assert await replica.restart() == 0
    group = critical(1)
    assert await post(replica, group) == 200
    await settle(stage, [group])


async def test_a_newer_schema_that_does_not_work_with_this_one_is_refused(stage: Stage) -> None:
    (replica,) = await started(stage, 1)
    newest = all_migrations()[-1].version
    insert = "INSERT INTO schema_migrations (version, applied_at, works_with) VALUES ($1, 0, $2)"
    query(stage.postgres, insert, newest + 1, newest + 1)
    await replica.terminate()
    await replica.start(until_ready=False)
    assert await replica.wait_ended() == 2
    said = f"sevrouter: the database has schema {newest + 1}, this version knows up to {newest}: run the newer version"
    assert said in replica.lines
