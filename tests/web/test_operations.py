"""Healthy, ready, reload and metrics: what probes, operators and Prometheus get to see."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pysqlite3.dbapi2
import pytest

from sevrouter import app as app_module
from sevrouter.ingest.authentication import Credentials
from sevrouter.store.errors import StoreBusyError, StoreUnavailableError
from tests.domain.building import firing, resolved

if TYPE_CHECKING:
    from tests.web.conftest import Operated


async def test_a_process_that_answers_is_healthy(operated: Operated) -> None:
    assert await operated.ask("/-/healthy") == (200, "sevrouter is healthy.\n")
    operated.draining.set()
    assert (await operated.ask("/-/healthy"))[0] == 200, "who drains is not to be killed for it"


async def test_ready_is_who_can_write(operated: Operated) -> None:
    assert await operated.ask("/-/ready") == (200, "sevrouter is ready.\n")


async def test_not_ready_while_draining(operated: Operated) -> None:
    operated.draining.set()
    assert await operated.ask("/-/ready") == (503, "not ready: draining\n")


@pytest.mark.parametrize("fault", [StoreUnavailableError("disk I/O error"), StoreBusyError(10_000)])
async def test_not_ready_while_the_store_cannot_be_written(
    operated: Operated, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    store = operated.door.store
    write = store.write

    async def away(_work: Any) -> Any:
        raise fault

    monkeypatch.setattr(store, "write", away)
    assert await operated.ask("/-/ready") == (503, f"not ready: {fault}\n")
    monkeypatch.setattr(store, "write", write)
    assert (await operated.ask("/-/ready"))[0] == 200


async def test_not_ready_while_the_database_is_locked(operated: Operated) -> None:
    store = operated.door.store
    await store.write(lambda tx: tx.alerts._connection.exec_driver_sql("PRAGMA busy_timeout = 20").close())
    other = pysqlite3.dbapi2.connect(str(store.path), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    status, text = await operated.ask("/-/ready")
    assert (status, "database is locked" in text) == (503, True)
    other.execute("ROLLBACK")
    other.close()
    assert (await operated.ask("/-/ready"))[0] == 200


async def test_not_ready_while_the_store_does_not_answer(operated: Operated, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(_work: Any) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(app_module, "PROBE", 0.05)
    monkeypatch.setattr(operated.door.store, "write", hang)
    assert await operated.ask("/-/ready") == (503, "not ready: the store did not answer within 0.05 s\n")


async def test_a_probe_reaches_the_disk(operated: Operated) -> None:
    log = operated.door.store.path.with_name("sevrouter.db-wal")
    # The log is made with the first write.
    await operated.ask("/-/ready")
    before = log.stat().st_size
    await operated.ask("/-/ready")
    assert log.stat().st_size > before


async def test_a_reload_takes_up_what_changed(operated: Operated) -> None:
    before = operated.keeper.configuration.hash
    operated.config.write_text(operated.config.read_text() + "# changed\n")
    assert await operated.ask("/-/reload", "POST") == (200, "reloaded\n")
    assert operated.keeper.configuration.hash != before
    assert operated.door.stage.metric("config_last_reload_successful") == 1


async def test_a_bad_configuration_is_refused_and_the_old_one_stays(operated: Operated) -> None:
    before = operated.keeper.configuration
    operated.config.write_text("rules: [")
    status, text = await operated.ask("/-/reload", "POST")
    assert (status, "the running one stays" in text) == (422, True)
    assert operated.keeper.configuration is before
    assert operated.door.stage.metric("config_last_reload_successful") == 0


async def test_a_reload_needs_the_secret_of_the_webhook(operated: Operated) -> None:
    operated.door.handler.credentials = Credentials(bearer_tokens=(lambda: "s3cret",))
    operated.config.write_text("rules: [")
    assert await operated.ask("/-/reload", "POST") == (401, "authorization is missing\n")
    assert await operated.ask("/-/reload", "POST", Authorization="Bearer no") == (401, "authorization is wrong\n")
    assert operated.keeper.last_reload_successful, "nothing was read"
    assert (await operated.ask("/-/reload", "POST", Authorization="Bearer s3cret"))[0] == 422


@pytest.mark.parametrize(("path", "method"), [("/-/reload", "GET"), ("/-/ready", "POST"), ("/metrics", "POST")])
async def test_a_wrong_method_is_refused(operated: Operated, path: str, method: str) -> None:
    assert (await operated.ask(path, method))[0] == 405


@pytest.mark.parametrize("path", ["/-/healthy", "/-/ready", "/metrics"])
async def test_who_only_looks_needs_no_secret(operated: Operated, path: str) -> None:
    operated.door.handler.credentials = Credentials(bearer_tokens=(lambda: "s3cret",))
    assert (await operated.ask(path))[0] == 200


async def test_metrics_show_how_things_stand(operated: Operated) -> None:
    stage = operated.door.stage
    stage.clock.now = app_module.utc_now()
    await stage.take(firing("A", severity="critical"), firing("B", severity="info"))
    await stage.take(resolved("B", severity="info"))
    (dead,) = await stage.store.read(lambda tx: tx.outbox.heads("slack", now=stage.clock(), most=1))
    from sevrouter.domain.delivery import DeliveryState  # noqa: PLC0415

    await stage.store.write(lambda tx: tx.outbox.void(dead, DeliveryState.DEAD, reason="x", at=stage.clock()))
    _, text = await operated.ask("/metrics")
    lines = text.splitlines()
    assert 'sevrouter_incidents{sev="SEV-2",state="triggered"} 1.0' in lines
    assert 'sevrouter_incidents{sev="SEV-5",state="triggered"} 1.0' in lines
    assert 'sevrouter_outbox_pending{integration="call"} 1.0' in lines
    assert 'sevrouter_outbox_pending{integration="slack"} 0.0' in lines
    assert 'sevrouter_dead_letters{integration="slack"} 1.0' in lines
    age = next(line for line in lines if line.startswith('sevrouter_outbox_oldest_pending_seconds{integration="call"}'))
    assert 0 < float(age.split()[-1]) < 60


async def test_metrics_are_shown_while_the_store_is_away(operated: Operated, monkeypatch: pytest.MonkeyPatch) -> None:
    await operated.door.stage.take(firing(severity="critical"))
    await operated.ask("/metrics")

    async def away(_work: Any) -> Any:
        raise StoreUnavailableError("locked")

    monkeypatch.setattr(operated.door.store, "read", away)
    status, text = await operated.ask("/metrics")
    assert status == 200
    assert 'sevrouter_incidents{sev="SEV-2",state="triggered"} 1.0' in text.splitlines(), "as it last was"
    assert "process_resident_memory_bytes" in text


async def test_prometheus_is_told_what_it_reads(operated: Operated) -> None:
    url = f"http://127.0.0.1:{operated.port}/metrics"
    async with operated.session.get(url) as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


async def test_ready_in_the_middle_of_a_large_webhook(operated: Operated, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, gate = threading.Event(), threading.Event()

    def large(_tx: object) -> None:
        begun.set()
        gate.wait(10)

    monkeypatch.setattr(app_module, "PROBE", 0.05)
    writing = asyncio.create_task(operated.door.store.write(large))
    await asyncio.to_thread(begun.wait, 10)
    assert (await operated.ask("/-/ready"))[0] == 200
    gate.set()
    await writing
