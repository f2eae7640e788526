"""Many webhooks in one transaction, and alerts that come just as they came before: counted, and read where in doubt."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from sevrouter.domain.incident import IncidentState
from sevrouter.domain.sev import Sev
from sevrouter.engine.intake import Unread, Webhook
from sevrouter.store.errors import StoreUnavailableError
from tests.building import RULES, counts, labelled, over, routing, select
from tests.domain.building import at, by_word, firing
from tests.engine.stage import OPENED, PATIENCE, RESOLVED, ROSE, Stage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Container

    from sevrouter.domain.alert import Alert
    from sevrouter.store.postgres import PostgresStore
    from sevrouter.store.sqlite import SqliteStore
    from sevrouter.store.transaction import Transaction

WORSE = (by_word("severity label", {"critical": Sev.SEV_1, "warning": Sev.SEV_3}, 'severity=~".+"'), *RULES[1:])


def down(name: str = "Down", severity: str = "warning", **labels: str) -> Alert:
    """An alert of the checkout service, sent in a way of its own."""
    return sent(labelled({"alertname": name, "severity": severity, "service": "checkout"} | labels))


def up(name: str = "Down", *, end: float = 1, **labels: str) -> Alert:
    """The end of it."""
    return sent(over(down(name, **labels), minute=end))


def sent(alert: Alert) -> Alert:
    """An alert with a sighting, as one that was read has it."""
    return replace(alert, sighting=hashlib.sha256(repr(replace(alert, sighting=b"")).encode()).digest())


class Sender:
    """Makes webhooks as the door does, and notes what was read of them."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.reads: list[Webhook] = []

    def webhook(self, *alerts: Alert, truncated: bool = False) -> Unread:
        """A webhook of which only that is read which is not remembered then."""

        def read(remembered: Container[bytes]) -> Webhook:
            repeats = [each.sighting for each in alerts if each.sighting in remembered]
            news = [each for each in alerts if each.sighting not in remembered]
            self.reads.append(webhook := Webhook(news, truncated, repeats=repeats))
            return webhook

        return Unread(read, [each.sighting for each in alerts], is_plain=not truncated)

    async def send(self, *alerts: Alert, truncated: bool = False) -> list[tuple[int, int]]:
        """Send one and let everything happen; how many alerts were read, and left unread, each time it was opened."""
        self.reads.clear()
        await self._stage.intake.take(self.webhook(*alerts, truncated=truncated))
        await self._stage.idle()
        return [(len(each.alerts), len(each.repeats)) for each in self.reads]


@pytest.fixture
def sender(stage: Stage) -> Sender:
    """Who sends to the stage."""
    return Sender(stage)


class Hold:
    """Holds the writer, so that what is sent meanwhile is one transaction."""

    def __init__(self, store: SqliteStore | PostgresStore) -> None:
        self._store = store
        self._begun, self._go = threading.Event(), threading.Event()

    def __call__(self, _tx: Transaction) -> None:
        self._begun.set()
        assert self._go.wait(PATIENCE)

    async def together(self, *works: Awaitable[Any]) -> None:
        """Let these be one transaction."""
        held = asyncio.create_task(self._store.write(self))
        await asyncio.to_thread(self._begun.wait, PATIENCE)
        waiting = [asyncio.ensure_future(work) for work in works]
        await asyncio.sleep(0)
        assert self._store._writer._waiting.qsize() == len(works)
        self._go.set()
        await asyncio.gather(held, *waiting)


async def together(stage: Stage, *webhooks: Unread) -> None:
    """Take webhooks in one transaction."""
    await Hold(stage.store).together(*(stage.intake.take(each) for each in webhooks))
    await stage.idle()


def counted(stage: Stage) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every counter on alerts as it stands."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in stage.metrics.registry.collect()
        if family.type == "counter" and family.name.startswith("sevrouter_") and "deliver" not in family.name
        for sample in family.samples
        if sample.name.endswith("_total")
    }


async def growth(stage: Stage, webhook: Unread) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """How the counters grow with a webhook."""
    before = counted(stage)
    await stage.intake.take(webhook)
    await stage.idle()
    return {key: value - before.get(key, 0) for key, value in counted(stage).items() if value != before.get(key, 0)}


async def states(stage: Stage) -> list[tuple[str, int]]:
    """The state of each alert, and how often it was written."""
    rows = await select(stage.store, "SELECT status, version FROM alert_states ORDER BY alert_id")
    return [(row["status"], row["version"]) for row in rows]


async def test_the_same_new_alert_in_two_webhooks_of_one_transaction_is_one(stage: Stage, sender: Sender) -> None:
    await together(stage, sender.webhook(down()), sender.webhook(down()))
    stage.slack.expect_one(OPENED)
    assert (await stage.incident()).firing == 1
    assert await counts(stage.store, "alerts", "alert_states", "history") == {
        "alerts": 1,
        "alert_states": 1,
        "history": 1,
    }
    assert stage.metric("alerts_total", status="firing") == 2
    assert stage.metric("duplicate_alerts_total") == 1
    assert stage.intake.remembers([down().sighting])


async def test_an_alert_that_fires_and_ends_in_one_transaction_is_both_in_that_order(
    stage: Stage, sender: Sender
) -> None:
    await together(stage, sender.webhook(down()), sender.webhook(up()))
    assert await states(stage) == [("resolved", 1)]
    assert [row["status"] for row in await select(stage.store, "SELECT status FROM history ORDER BY id")] == [
        "firing",
        "resolved",
    ]
    incident = await stage.incident()
    assert (incident.firing, incident.due_at) == (0, at(5))
    await stage.forward(minutes=5)
    stage.slack.expect(*[OPENED, RESOLVED])
    assert stage.intake.remembers([down().sighting, up().sighting]) == {up().sighting}


async def test_the_webhooks_of_one_transaction_share_an_incident_and_its_rise(stage: Stage, sender: Sender) -> None:
    webhooks = [sender.webhook(down(pod=str(number))) for number in range(9)]
    await together(stage, *webhooks, sender.webhook(down(severity="critical")))
    (incident,) = await stage.incidents()
    assert (incident.firing, incident.sev) == (10, Sev.SEV_2)
    assert (await stage.facts()).count("opened") == 1
    assert (await stage.facts()).count("alerts_fired") == 10
    stage.call.expect_one(OPENED, Sev.SEV_2)
    stage.slack.expect(OPENED, ROSE)


async def test_a_repeat_is_counted_and_neither_read_nor_written(stage: Stage, sender: Sender) -> None:
    await sender.send(down(), down("Other", severity="none"))
    stage.slack.expect_one(OPENED)
    before = await select(stage.store, "SELECT * FROM alert_states ORDER BY alert_id")
    assert await sender.send(down(), down("Other", severity="none")) in NOT_READ
    assert stage.metric("alerts_total", status="firing") == 4
    assert await select(stage.store, "SELECT * FROM alert_states ORDER BY alert_id") == before
    assert await counts(stage.store, "history") == {"history": 2}


async def test_a_repeat_of_what_is_over_is_counted(stage: Stage, sender: Sender) -> None:
    await sender.send(down())
    await sender.send(up())
    stage.slack.expect_one(OPENED)
    assert await sender.send(up()) in NOT_READ
    assert stage.metric("alerts_total", status="resolved") == 2
    assert await states(stage) == [("resolved", 2)]
    assert (await stage.incident()).due_at == at(5), "its quiet time does not begin anew"
    # Also after a reload: it is not graded.
    stage.routing = routing(rules=WORSE, config_hash="another")
    assert stage.intake.remembers([up().sighting])


# Counted by what is remembered, in the store's transaction where others write too.
NOT_READ: tuple[list[tuple[int, int]], ...] = ([], [(0, 1)], [(0, 2)])


def whole(*alerts: Alert) -> Unread:
    """A webhook that is read, whatever is remembered."""
    return Unread(lambda _: Webhook(alerts))


ALL_KINDS = (
    down("A"),
    down("B", severity="none"),
    down("C", severity="unheard of"),
    sent(firing("D", team="nobody")),
    sent(firing("E", service="checkout", slo="availability", annotations={"users_affected_percent": "odd"})),
    up("F"),
)


@pytest.mark.parametrize("neighbours", [(), (replace(down("new"), sighting=b""),)], ids=["alone", "beside a new one"])
async def test_repeats_are_counted_as_if_they_had_been_read(
    stage: Stage, sender: Sender, neighbours: tuple[Alert, ...]
) -> None:
    await sender.send(*ALL_KINDS, down("new"))
    for each in stage.recipients:
        each._told.clear()
    read = await growth(stage, whole(*ALL_KINDS, *neighbours))
    sender.reads.clear()
    assert await growth(stage, sender.webhook(*ALL_KINDS, *neighbours)) == read
    assert all(len(each.repeats) == 6 for each in sender.reads)
    assert sum(value for (name, _), value in read.items() if name == "sevrouter_alerts_total") == 6 + len(neighbours)


async def test_what_one_webhook_repeats_twice_is_counted_as_if_it_had_been_read(stage: Stage, sender: Sender) -> None:
    await sender.send(down())
    stage.slack.expect_one(OPENED)
    read = await growth(stage, whole(down(), down()))
    sender.reads.clear()
    assert await growth(stage, sender.webhook(down(), down())) == read
    assert all(not each.alerts for each in sender.reads)


async def test_a_repeat_after_a_change_in_the_same_transaction_is_read(stage: Stage, sender: Sender) -> None:
    await sender.send(down())
    stage.slack.expect_one(OPENED)
    sender.reads.clear()
    await together(stage, sender.webhook(up()), sender.webhook(down(), down("New", service="search")))
    stage.slack.expect_one(OPENED)
    assert [(len(each.alerts), len(each.repeats)) for each in sender.reads] == [(1, 0), (1, 1), (2, 0)]
    assert stage.metric("stale_alerts_total") == 1
    assert await states(stage) == [("resolved", 2), ("firing", 1)]
    assert stage.metric("alerts_total", status="firing") == 3, "what is read whole is counted once"


async def test_a_repeat_that_contradicts_another_member_is_read(stage: Stage, sender: Sender) -> None:
    await sender.send(down())
    stage.slack.expect_one(OPENED)
    assert await sender.send(up(), down()) == [(1, 1), (2, 0)]
    assert await states(stage) == [("firing", 1)], "where a sender contradicts itself, it fires"
    assert (await stage.incident()).due_at is None


async def test_after_a_reload_what_repeats_is_graded_anew(stage: Stage, sender: Sender) -> None:
    await sender.send(down(severity="critical"))
    stage.call.expect_one(OPENED, Sev.SEV_2)
    stage.slack.expect_one(OPENED)
    stage.routing = routing(rules=WORSE, config_hash="another")
    assert await sender.send(down(severity="critical")) == [(1, 0)]
    assert (await stage.incident()).sev is Sev.SEV_1
    stage.call.expect_one(ROSE, Sev.SEV_1)
    stage.slack.expect_one(ROSE)
    assert stage.intake.remembers([down(severity="critical").sighting])


async def test_what_is_taken_while_the_configuration_changes_is_taken_by_the_old_one(
    stage: Stage, sender: Sender
) -> None:
    await sender.send(down(severity="critical"))
    stage.call.expect_one(OPENED, Sev.SEV_2)
    stage.slack.expect_one(OPENED)
    webhook = sender.webhook(down(severity="critical"))

    def read(remembered: Container[bytes]) -> Webhook:
        stage.routing = routing(rules=WORSE, config_hash="another")
        return webhook.read(remembered)

    await stage.intake.take(Unread(read, webhook.sightings))
    await stage.idle()
    stage.call.expect()
    assert await sender.send(down(severity="critical")) == [(1, 0)], "the next one is graded anew"
    stage.call.expect_one(ROSE, Sev.SEV_1)
    stage.slack.expect_one(ROSE)


async def test_a_reload_that_changes_nothing_of_an_alert_lets_it_be_repeated_again(
    stage: Stage, sender: Sender
) -> None:
    await sender.send(down())
    stage.slack.expect_one(OPENED)
    stage.routing = routing(config_hash="another")
    assert await sender.send(down()) == [(1, 0)]
    assert await sender.send(down()) in NOT_READ
    assert await states(stage) == [("firing", 1)]


async def test_while_alerts_may_have_been_left_out_a_repeat_is_looked_at(stage: Stage, sender: Sender) -> None:
    await sender.send(down(), truncated=True)
    stage.slack.expect_one(OPENED)
    assert (await stage.incident()).truncated
    assert await sender.send(down()) == [(0, 1), (1, 0)]
    assert not (await stage.incident()).truncated, "all of it came, so nothing is left out any more"
    await sender.send(up())
    await stage.forward(minutes=5)
    stage.slack.expect_one(RESOLVED)


async def test_once_nothing_is_left_out_any_more_repeats_are_counted_again(stage: Stage, sender: Sender) -> None:
    await sender.send(down(), truncated=True)
    stage.slack.expect_one(OPENED)
    for _ in range(3):
        await sender.send(down())
    assert await sender.send(down()) in NOT_READ


async def test_a_truncated_webhook_of_repeats_is_read(stage: Stage, sender: Sender) -> None:
    await sender.send(down())
    stage.slack.expect_one(OPENED)
    assert await sender.send(down(), truncated=True) == [(0, 1), (1, 0)]
    assert (await stage.incident()).truncated


async def test_an_alert_that_was_forgotten_since_it_was_recognised_is_read(stage: Stage, sender: Sender) -> None:
    await sender.send(down())
    stage.slack.expect_one(OPENED)
    sender.reads.clear()
    webhook = sender.webhook(down())

    def read(remembered: Container[bytes]) -> Webhook:
        stage.store._memory.clear()
        return webhook.read(remembered)

    await stage.intake.take(Unread(read, webhook.sightings))
    assert [(len(each.alerts), len(each.repeats)) for each in sender.reads] == [(0, 1), (1, 0)]
    assert stage.metric("duplicate_alerts_total") == 1
    assert stage.intake.remembers([down().sighting]), "and is recognised the next time"


async def test_a_memory_that_is_wrong_costs_nothing_but_time(stage: Stage, sender: Sender) -> None:
    await sender.send(down())
    stage.slack.expect_one(OPENED)
    memory = stage.store._memory
    memory.learn_records([replace(memory.records[down().digest], version=9)])
    await sender.send(up())
    assert await states(stage) == [("resolved", 2)]
    assert await counts(stage.store, "history") == {"history": 2}
    assert stage.metric("alerts_total", status="resolved") == 1
    assert (await stage.facts()).count("alerts_resolved") == 1


async def test_the_next_incident_is_found_whatever_was_read_of_the_one_before(stage: Stage, sender: Sender) -> None:
    await sender.send(down())
    await sender.send(up())
    await stage.forward(minutes=5)
    stage.clock.forward(hours=5)
    await sender.send(sent(replace(down(pod="1"), starts_at=stage.clock())))
    stage.slack.expect(OPENED, RESOLVED, OPENED)
    assert [each.state for each in await stage.incidents()] == [IncidentState.RESOLVED, IncidentState.TRIGGERED]
    # As after a command that wrote beside the daemon, and a lane that then delivers something of the first one.
    stage.store._memory.clear()
    await stage.store.write(lambda tx: tx.incidents.by_id([1]))
    await sender.send(sent(replace(down(pod="2"), starts_at=stage.clock())))
    assert [each.firing for each in await stage.incidents()] == [0, 2]


async def test_what_says_nothing_new_is_no_write_where_nobody_else_writes(
    sqlite_store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(sqlite_store)
    sender = Sender(stage)
    await stage.intake.take(sender.webhook(down()))
    written: list[object] = []

    async def write(work: Any, *, ahead: Any = None) -> Any:
        written.append((work, ahead))
        raise StoreUnavailableError("nobody should have asked")

    monkeypatch.setattr(sqlite_store, "write", write)
    await stage.intake.take(sender.webhook(down()))
    assert written == []
    assert stage.metric("duplicate_alerts_total") == 1
    for news in (sender.webhook(down("New")), sender.webhook(down(), truncated=True), sender.webhook(up())):
        with pytest.raises(StoreUnavailableError):
            await stage.intake.take(news)
    assert len(written) == 3


async def test_while_the_store_fails_nothing_is_taken_for_a_repeat(sqlite_store: SqliteStore) -> None:
    stage = Stage(sqlite_store)
    sender = Sender(stage)
    await stage.intake.take(sender.webhook(down()))
    repeat = sender.webhook(down())
    lock = sqlite_store.path.with_name(sqlite_store.path.name + ".lock")
    lock.rename(lock.with_suffix(".away"))
    with pytest.raises(StoreUnavailableError):
        await stage.intake.take(sender.webhook(down("New")))
    with pytest.raises(StoreUnavailableError):
        await stage.intake.take(repeat)
    assert not stage.intake.remembers([down().sighting])
    assert stage.metric("duplicate_alerts_total") == 0
