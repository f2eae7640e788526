"""What is stored of calls: who is wanted, whose call it is, and how an incident's call stands."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from sevrouter.domain.drill import Drill
from sevrouter.domain.escalation import Escalation, EscalationState, Page
from sevrouter.domain.ringing import Ring, RingEnd, Wanted
from sevrouter.domain.sev import Sev
from sevrouter.store.errors import ConflictError
from tests.domain.building import NOW, at, incident

if TYPE_CHECKING:
    from datetime import datetime

    from sevrouter.store.sqlite import SqliteStore
    from sevrouter.store.transaction import Transaction

DUE = Escalation(
    incident_id=1, state=EscalationState.RINGING, policy="default", sev=Sev.SEV_1, due_at=at(1), received_at=NOW
)
RING = Ring(id=0, person="ana", number="+49301", provider="sip", token="t", sev=Sev.SEV_1, began_at=NOW, lease="mine")


@pytest.fixture(autouse=True)
async def incidents(store: SqliteStore) -> None:
    """Ten incidents, numbered from 1."""
    new = [replace(incident(), dedup_key=f"{number:04x}", id=None) for number in range(10)]
    await store.write(lambda tx: tx.incidents.add(new))


def wanted(number: int, person: str = "ana", sev: Sev = Sev.SEV_2, *, minute: float = 0) -> Wanted:
    return Wanted(number, person, sev, at(minute))


async def want(store: SqliteStore, *all_wanted: Wanted, minute: float = 0) -> None:
    await store.write(lambda tx: tx.rings.want(all_wanted, not_before=at(minute)))


async def begun(store: SqliteStore, ring: Ring = RING, *, minute: float = 0) -> Ring:
    """A call that is under way, about all that its person is wanted for."""

    def work(tx: Transaction) -> Ring:
        new = tx.rings.begin(ring, until=at(minute + 1))
        assert new is not None
        tx.rings.adopt(new, now=at(minute))
        return new

    return await store.write(work)


async def over(store: SqliteStore, ring: Ring, end: RingEnd = RingEnd.NO_ANSWER, *, minute: float = 1) -> bool:
    return await store.write(lambda tx: tx.rings.finish(replace(ring, end=end, ended_at=at(minute))))


async def told(store: SqliteStore, ring: Ring) -> list[int]:
    return [each.incident_id for each in await store.read(lambda tx: tx.rings.told(ring.id, most=99))]


async def waiting(store: SqliteStore, person: str = "ana", *, minute: float = 0) -> list[int]:
    found = await store.read(lambda tx: tx.rings.of_person(person, now=at(minute), most=99))
    return [each.incident_id for each in found]


async def test_an_escalation_comes_back_as_it_was_written_and_when_it_is_due(store: SqliteStore) -> None:
    page = replace(
        DUE, incident_id=2, due_at=at(4), page=Page("pagerduty", 7, NOW, at(1.5)), paged=("pagerduty",), run_out=1
    )
    await store.write(lambda tx: tx.escalations.save([page, DUE]))
    found = await store.read(lambda tx: tx.escalations.by_incident([1, 2, 3]))
    assert found == {1: replace(DUE, version=1), 2: replace(page, version=1)}
    assert await store.read(lambda tx: tx.escalations.next_due_at()) == at(1)
    assert await store.read(lambda tx: tx.escalations.due(at(0.9), most=9)) == []
    assert [each.incident_id for each in await store.read(lambda tx: tx.escalations.due(at(2), most=9))] == [1, 2]
    assert await store.read(lambda tx: tx.escalations.unanswered()) == 1
    await store.write(lambda tx: tx.escalations.save([replace(found[2], due_at=None, page=None, run_out=0)]))
    assert [each.incident_id for each in await store.read(lambda tx: tx.escalations.due(at(2), most=9))] == [1]
    assert await store.read(lambda tx: tx.escalations.unanswered()) == 0


async def test_an_escalation_that_another_wrote_meanwhile_is_not_overwritten(store: SqliteStore) -> None:
    await store.write(lambda tx: tx.escalations.save([DUE]))
    stale = replace(DUE, version=1)
    await store.write(lambda tx: tx.escalations.save([replace(stale, step=1)]))

    def work(tx: Transaction) -> bool:
        with pytest.raises(ConflictError):
            tx.escalations.save([replace(stale, step=2)])
        return True

    assert await store.read(work)
    assert (await store.read(lambda tx: tx.escalations.by_incident([1])))[1].step == 1


async def test_who_is_wanted_for_the_worst_comes_first(store: SqliteStore) -> None:
    await want(store, wanted(1, "ben"), wanted(2, "ana"), wanted(3, "ana", Sev.SEV_1))
    await want(store, wanted(4, "eve", Sev.SEV_1), minute=5)
    assert await store.read(lambda tx: tx.rings.waiting(now=NOW, most=9)) == ["ana", "ben"]
    assert await store.read(lambda tx: tx.rings.next_waiting_at(after=NOW)) == at(5)
    assert await store.read(lambda tx: tx.rings.waiting(now=at(5), most=1)) == ["ana"]
    assert await waiting(store) == [3, 2]
    assert await store.read(lambda tx: tx.rings.next_waiting_at(after=at(5))) is None


async def test_a_person_is_called_once_at_a_time_for_all_that_there_is(store: SqliteStore) -> None:
    await want(store, wanted(1), wanted(2, sev=Sev.SEV_1))
    ring = await begun(store)
    assert await store.write(lambda tx: tx.rings.begin(replace(RING, lease="another"), until=at(1))) is None
    assert await told(store, ring) == [2, 1]
    assert await store.read(lambda tx: tx.rings.waiting(now=at(9), most=9)) == []
    assert await store.read(lambda tx: tx.rings.under_way(["ana", "ben"])) == {"ana": ring}
    await want(store, wanted(1), wanted(3))  # the first is being told just now
    assert await waiting(store) == [3]
    assert await store.write(lambda tx: tx.rings.adopt(ring, now=NOW)) == 3
    assert await over(store, ring)
    assert not await over(store, ring), "it is over already"
    await want(store, wanted(1))
    assert await waiting(store) == [1], "what was told in a call that is over can be wanted again"


async def test_what_nobody_is_wanted_for_any_more_is_not_told(store: SqliteStore) -> None:
    await want(store, wanted(1), wanted(2), wanted(3, "ben"))
    ring = await begun(store)
    await store.write(lambda tx: tx.rings.drop([1, 3]))
    assert await told(store, ring) == [2]
    assert await store.read(lambda tx: tx.rings.waiting(now=at(9), most=9)) == []


async def test_a_call_is_known_by_what_its_provider_calls_it_first(store: SqliteStore) -> None:
    ring = await begun(store)
    assert await store.write(lambda tx: tx.rings.place(ring, "CA1"))
    assert await store.write(lambda tx: tx.rings.place(ring, "CA2"))
    found = await store.read(lambda tx: tx.rings.find(ring.id))
    assert found is not None
    assert found.reference == "CA1"
    await over(store, ring)
    assert not await store.write(lambda tx: tx.rings.place(ring, "CA3"))
    ended = await store.read(lambda tx: tx.rings.find(ring.id))
    assert ended == replace(ring, end=RingEnd.NO_ANSWER, ended_at=at(1), reference="CA1", lease="")
    assert await store.read(lambda tx: tx.rings.find(99)) is None


async def test_calls_that_were_not_placed_do_not_count(store: SqliteStore) -> None:
    for minute, end in enumerate((RingEnd.BUSY, RingEnd.NOT_PLACED, RingEnd.NO_KEY)):
        await over(store, await begun(store, replace(RING, began_at=at(minute))), end, minute=minute)
    await begun(store, replace(RING, began_at=at(3)))
    rung = await store.read(lambda tx: tx.rings.recent("ana", since=at(0)))
    assert sorted(rung) == [at(2), at(3)]
    assert await store.read(lambda tx: tx.rings.recent("ben", since=at(-9))) == []


async def test_a_call_whose_worker_was_lost_is_taken_over_once(store: SqliteStore) -> None:
    ring = await begun(store)

    def rescue(tx: Transaction) -> list[Ring]:
        return tx.rings.rescue(at(1), "yours", until=at(3), most=9)

    assert await store.write(rescue) == [], "its lease is not over"
    assert await store.write(lambda tx: tx.rings.extend([ring], until=at(0.5))) == []
    assert await store.write(rescue) == [replace(ring, lease="yours")]
    assert await store.write(rescue) == []
    assert await store.write(lambda tx: tx.rings.extend([ring], until=at(9))) == [ring.id], "it is not ours any more"
    assert not await over(store, ring)
    everybody = await store.write(lambda tx: tx.rings.rescue(None, "all", until=at(9), most=9))
    assert everybody == [replace(ring, lease="all")]


async def test_a_call_that_was_not_placed_is_wanted_again_later(store: SqliteStore) -> None:
    await want(store, wanted(1), wanted(2))
    ring = await begun(store)
    assert sorted(await store.write(lambda tx: tx.rings.release(ring.id, not_before=at(2)))) == [1, 2]
    assert await waiting(store, minute=1) == []
    assert await waiting(store, minute=2) == [1, 2]


async def test_what_a_call_was_about_is_dealt_with_part_by_part(store: SqliteStore) -> None:
    await want(store, wanted(1), wanted(2), wanted(3))
    ring = await begun(store)
    assert await store.read(lambda tx: tx.rings.unsettled(most=9)) == []
    await store.write(lambda tx: tx.rings.acknowledge(ring.id, at=at(0.5), dial="+49309"))
    await store.write(lambda tx: tx.rings.acknowledge(ring.id, at=at(0.7), dial=None))
    (pressed,) = await store.read(lambda tx: tx.rings.unsettled(most=9))
    assert pressed == replace(ring, acknowledged_at=at(0.5), heard=RingEnd.ACKNOWLEDGED, dial="+49309")
    await store.write(lambda tx: tx.rings.settle([1, 3], ring.id))
    assert await told(store, ring) == [2]
    await store.write(lambda tx: tx.rings.settle([2], ring.id))
    assert await store.read(lambda tx: tx.rings.unsettled(most=9)) == []
    await want(store, wanted(4))
    silent = await begun(store, replace(RING, person="ben"))
    await want(store, wanted(4, "ben"))
    await store.write(lambda tx: tx.rings.adopt(silent, now=NOW))
    await over(store, silent)
    assert [each.id for each in await store.read(lambda tx: tx.rings.unsettled(most=9))] == [silent.id]


async def test_a_drill_is_known_by_person_and_provider_and_its_success_stays(store: SqliteStore) -> None:
    async def put(minute: float, success: datetime | None) -> None:
        end = RingEnd.BUSY if success is None else RingEnd.ACKNOWLEDGED
        await store.write(lambda tx: tx.drills.put("ana", "sip", drilled_at=at(minute), end=end, succeeded_at=success))

    async def known() -> Drill:
        (found,) = (await store.read(lambda tx: tx.drills.known())).items()
        assert found[0] == ("ana", "sip")
        return found[1]

    await store.write(lambda tx: tx.drills.ask("ana", "sip", at=at(0.5)))
    assert await known() == Drill(asked_at=at(0.5))
    await put(1, at(1.5))
    await put(2, None)
    assert await known() == Drill(asked_at=at(0.5), drilled_at=at(2), end=RingEnd.BUSY, succeeded_at=at(1.5))
    await put(3, at(4))
    await store.write(lambda tx: tx.drills.ask("ana", "sip", at=at(5)))
    assert await known() == Drill(asked_at=at(5), drilled_at=at(3), end=RingEnd.ACKNOWLEDGED, succeeded_at=at(4))


async def test_old_calls_are_forgotten_and_those_under_way_are_not(store: SqliteStore) -> None:
    await over(store, await begun(store))
    under_way = await begun(store)
    assert await store.write(lambda tx: tx.retention.forget(at(1) + timedelta(seconds=1), most=9)) == 1
    assert await store.read(lambda tx: tx.rings.under_way(["ana"])) == {"ana": under_way}
