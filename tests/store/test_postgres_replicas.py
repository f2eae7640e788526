"""Two replicas on one PostgreSQL: the database decides between them, and nobody outside hears of it."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, cast

import pytest
from msgspec.structs import replace
from sqlalchemy import text
from structlog.testing import capture_logs

from sevrouter.domain.alert import HistoryEntry
from sevrouter.domain.delivery import DeliveryState, OutcomeReason
from sevrouter.engine.intake import Unread, Webhook
from tests.building import labelled, over, select
from tests.domain.building import at, firing, record_of
from tests.engine.stage import OPENED, RESOLVED, Stage
from tests.store.postgres_faults import connected, opening
from tests.store.test_outbox import filled, new

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Container, Iterator

    from sevrouter.domain.delivery import Delivery
    from sevrouter.store.postgres import PostgresStore
    from sevrouter.store.transaction import Transaction

DOWN = replace(labelled({"alertname": "Down", "severity": "critical"}), sighting=b"as it was sent")


@pytest.fixture
async def first(postgres_copy: str) -> AsyncIterator[PostgresStore]:
    """One replica's store."""
    async with connected(postgres_copy) as store:
        yield store


@pytest.fixture
async def second(postgres_copy: str) -> AsyncIterator[PostgresStore]:
    """Another one's, on the same database."""
    async with connected(postgres_copy) as store:
        yield store


@pytest.fixture(autouse=True)
def quiet() -> Iterator[list[Any]]:
    """Nothing of all this is worth a word about the store."""
    with capture_logs() as lines:
        yield lines
    assert [line for line in lines if line["event"].startswith("store")] == []


class Meanwhile:
    """Lets another replica write in the middle of a work, when that runs for the first time; counts its runs."""

    def __init__(self, other: PostgresStore, work: Callable[[Transaction], Any]) -> None:
        self._loop = asyncio.get_running_loop()
        self._other = other
        self._work = work
        self.runs = 0

    def __call__(self) -> None:
        """Be in the middle of the work."""
        self.runs += 1
        if self.runs == 1:
            written = asyncio.run_coroutine_threadsafe(self._other.write(self._work), self._loop)
            written.result(10)


async def test_an_incident_that_both_open_is_opened_once(first: PostgresStore, second: PostgresStore) -> None:
    meanwhile = Meanwhile(second, opening("k"))

    def work(tx: Transaction) -> int:
        tx.incidents.last_by_key(["k"])
        meanwhile()
        return opening("k")(tx)

    number = await first.write(work)
    assert meanwhile.runs == 2
    assert await select(cast("Any", second), "SELECT id, dedup_key FROM incidents") == [
        {"id": number, "dedup_key": "k"}
    ]


async def test_an_alert_that_both_see_first_is_one(first: PostgresStore, second: PostgresStore) -> None:
    alert = firing()

    def save(tx: Transaction, before: Callable[[], object] = lambda: None) -> None:
        record = tx.alerts.records([alert.digest]).get(alert.digest) or record_of(alert)
        before()
        tx.alerts.save([HistoryEntry(record=record, alert=alert, at=at(0), reading=None, with_content=False)])

    meanwhile = Meanwhile(second, save)

    def work(tx: Transaction) -> None:
        save(tx, meanwhile)

    await first.write(work)
    assert meanwhile.runs == 2
    rows = await select(cast("Any", first), "SELECT alert_id, version FROM alert_states")
    assert [row["version"] for row in rows] == [2]
    history = await select(cast("Any", first), "SELECT alert_id FROM history")
    assert [row["alert_id"] for row in history] == [rows[0]["alert_id"]] * 2


async def test_of_two_changes_to_an_incident_none_is_lost(first: PostgresStore, second: PostgresStore) -> None:
    number = await first.write(opening("k"))

    def one_more(tx: Transaction) -> None:
        found = tx.incidents.by_id([number])[number]
        tx.incidents.save([replace(found, firing=found.firing + 1)])

    meanwhile = Meanwhile(second, one_more)

    def work(tx: Transaction) -> None:
        tx.incidents.by_id([number])
        meanwhile()
        one_more(tx)

    await first.write(work)
    assert meanwhile.runs == 2
    assert await select(cast("Any", first), "SELECT firing, version FROM incidents") == [{"firing": 3, "version": 3}]


def adding(number: int) -> Callable[[Transaction], Any]:
    """A work that counts one incident up, and takes its row for that."""
    statement = text("UPDATE incidents SET firing = firing + 1 WHERE id = :number")
    return lambda tx: tx.incidents._connection.execute(statement, {"number": number})


async def test_who_loses_a_deadlock_runs_again(first: PostgresStore, second: PostgresStore) -> None:
    one, other = await first.write(opening("1")), await first.write(opening("2"))
    both = threading.Barrier(2)
    runs = []

    def crosswise(*order: int) -> Callable[[Transaction], None]:
        def work(tx: Transaction) -> None:
            runs.append(order)
            adding(order[0])(tx)
            if len(runs) <= 2:
                both.wait(10)
            adding(order[1])(tx)

        return work

    await asyncio.gather(first.write(crosswise(one, other)), second.write(crosswise(other, one)))
    assert len(runs) == 3
    assert await select(cast("Any", first), "SELECT firing FROM incidents") == [{"firing": 3}] * 2


async def test_a_serialization_failure_runs_again(first: PostgresStore, second: PostgresStore) -> None:
    number = await first.write(opening("k"))
    meanwhile = Meanwhile(second, adding(number))

    def work(tx: Transaction) -> None:
        connection = tx.incidents._connection
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        connection.execute(text("SELECT * FROM incidents"))
        meanwhile()
        adding(number)(tx)

    await first.write(work)
    assert meanwhile.runs == 2
    assert await select(cast("Any", first), "SELECT firing FROM incidents") == [{"firing": 3}]


async def test_what_another_replica_resolved_is_no_repeat_of_what_one_remembers(
    first: PostgresStore, second: PostgresStore
) -> None:
    one, other = Stage(cast("Any", first)), Stage(cast("Any", second))
    reads = []

    def read(remembered: Container[bytes]) -> Webhook:
        is_known = DOWN.sighting in remembered
        reads.append(is_known)
        return Webhook((), repeats=(DOWN.sighting,)) if is_known else Webhook((DOWN,))

    repeat = Unread(read, (DOWN.sighting,), is_plain=True)
    await one.take(DOWN)
    await one.intake.take(repeat)
    assert (one.intake.remembers([DOWN.sighting]), reads) == ({DOWN.sighting}, [True])
    await other.take(over(DOWN))
    assert one.intake.remembers([DOWN.sighting]), "it cannot know better yet"
    await one.intake.take(repeat)
    assert reads == [True, True, False]


async def test_a_new_alert_of_an_incident_that_another_replica_resolved_opens_the_next(
    first: PostgresStore, second: PostgresStore
) -> None:
    one, other = Stage(cast("Any", first)), Stage(cast("Any", second))
    await one.take(DOWN)
    await other.take(over(DOWN))
    await other.forward(minutes=6)
    one.clock.forward(hours=9)
    await one.take(replace(labelled(dict(DOWN.labels), start=9 * 60), sighting=b"anew"))
    assert [(each.id != 1, each.state.value) for each in await other.incidents()] == [
        (False, "resolved"),
        (True, "triggered"),
    ]


def claiming(lease: str, *, most: int = 10) -> Callable[[Transaction], list[Delivery]]:
    """A work that takes what is due."""

    def work(tx: Transaction) -> list[Delivery]:
        found = tx.outbox.heads("slack", now=at(0), most=most)
        claimed = [replace(each, lease=lease) for each in found]
        tx.outbox.begin(claimed, until=at(1))
        return claimed

    return work


async def test_what_one_replica_is_claiming_another_passes_over(first: PostgresStore, second: PostgresStore) -> None:
    await filled(cast("Any", first), *(new(incident_id=number) for number in range(1, 6)), incidents=5)
    others: list[Delivery] = []
    meanwhile = Meanwhile(second, lambda tx: others.extend(claiming("second")(tx)))

    def work(tx: Transaction) -> list[Delivery]:
        found = claiming("first", most=2)(tx)
        meanwhile()
        return found

    mine = await first.write(work)
    assert (len(mine), len(others), meanwhile.runs) == (2, 3, 1)
    assert len({each.id for each in (*mine, *others)}) == 5


async def test_what_a_dead_replica_was_sending_another_one_sends(first: PostgresStore, second: PostgresStore) -> None:
    one, other = Stage(cast("Any", first)), Stage(cast("Any", second))
    await one.take(labelled({"alertname": "Slow", "severity": "warning"}))
    (taken,) = await first.write(claiming("first"))
    assert await other.dispatcher.rescue() == 0
    other.clock.forward(seconds=61)
    rescued = await asyncio.gather(other.dispatcher.rescue(), other.dispatcher.rescue())
    assert sorted(rescued) == [0, 1]
    reason, state = OutcomeReason.ACCEPTED, DeliveryState.DELIVERED
    assert not await first.write(lambda tx: tx.outbox.finish(taken, state, reason=reason, detail="", at=at(2)))
    other.open_lanes()
    await other.forward(seconds=15)
    other.slack.expect(OPENED)
    await other.dispatcher.stop()


async def test_a_resolve_that_reaches_another_replica_is_delivered_once(
    first: PostgresStore, second: PostgresStore
) -> None:
    one, other = Stage(cast("Any", first)), Stage(cast("Any", second))
    one.open_lanes()
    other.open_lanes()
    await one.take(DOWN)
    await other.idle()
    await one.idle()
    await other.take(over(DOWN))
    for each in (one, other):
        each.clock.forward(minutes=6)
    await asyncio.gather(one.watcher.settle_due(), other.watcher.settle_due())
    await one.idle()
    await other.idle()
    for name in ("call", "slack"):
        told = [each.notice.kind for stage in (one, other) for each in getattr(stage, name)._told]
        assert sorted(told, key=lambda kind: kind.value) == [OPENED, RESOLVED]
    for each in (one, other):
        await each.dispatcher.stop()
