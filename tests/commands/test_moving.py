"""`migrate --from … --to …` moves a busy team from its file to PostgreSQL, and nothing rings that has rung."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote, urlsplit

import pysqlite3.dbapi2
import pytest
from msgspec.structs import replace
from sqlalchemy import text

from sevrouter.domain.delivery import OutcomeReason, Rejected
from sevrouter.domain.heartbeat import beat
from sevrouter.store.migrate import all_migrations
from sevrouter.store.postgres import PostgresDatabase, PostgresStore
from sevrouter.store.sqlite import SqliteDatabase, SqliteStore
from tests.building import TABLES, counts, labelled, over
from tests.commands.conftest import CONFIG, Ended
from tests.engine.stage import OPENED, RESOLVED, Stage
from tests.store.moving import everything
from tests.stores import connector

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sevrouter.store.transaction import Transaction

    Command = Callable[..., Ended]

DOWN = labelled({"alertname": "Down", "severity": "critical", "service": "checkout"})
BUG = labelled({"alertname": "Bug", "severity": "info"})
SLOW = labelled({"alertname": "Slow", "severity": "critical"})
CALLED = (
    "INSERT INTO escalations VALUES (1, 'ringing', 1760000000000000, 0, '{}', 1)",
    "INSERT INTO rings VALUES (7, 'ana', '+4', 's', 't', false, 2, 1, 2, 'busy', '', '', 0, 2, NULL, NULL, NULL, NULL)",
    "INSERT INTO summons VALUES (1, 'ana', 2, 1760000000000000, 1760000000000000, 7)",
    "INSERT INTO drills VALUES ('ana', 's', 1760000000000000, 'busy', NULL, NULL)",
)
FULL = labelled({"alertname": "Full", "severity": "critical"})


@pytest.fixture(scope="session")
def busy_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database in the middle of everything; to be copied, not opened."""
    path = tmp_path_factory.mktemp("busy") / "sevrouter.db"
    asyncio.run(_be_busy(path))
    return path


async def _be_busy(path: Path) -> None:
    stage = Stage(SqliteStore.open(path))
    stage.open_lanes()
    stage.slack.answers(Rejected(OutcomeReason.REFUSED, "no such channel"))
    await stage.deployed("2.14.0")
    await stage.push(DOWN)
    await stage.push(BUG, quarantined=("no JSON", b"\0\xff"))
    await stage.push(over(BUG))
    await stage.forward(minutes=5)
    stage.call.expect(OPENED, OPENED)  # for what could not be read, too
    stage.slack.expect(OPENED, OPENED)
    stage.jira.expect(OPENED, RESOLVED)
    # From here on nobody delivers: one has not begun, the other was being sent when its worker was lost.
    await stage.dispatcher.stop()
    await stage.take(SLOW)
    await stage.take(FULL)

    def work(tx: Transaction) -> None:
        now = stage.clock()
        (full,) = (each for each in tx.outbox.heads("call", now=now, most=9) if "Full" in each.notice.title)
        tx.outbox.begin([replace(full, lease="lost")], until=now + timedelta(seconds=60))
        tx.watches.ensure(["00ff"], at=now + timedelta(hours=1))
        tx.heartbeats.put({"prometheus": beat(now)})
        for statement in CALLED:
            tx.alerts._connection.execute(text(statement))
        # As an older version wrote it.
        tx.alerts._connection.execute(text("UPDATE alerts SET generator_url = 'a' || char(0) || 'b' WHERE id = 1"))

    await stage.store.write(work)
    stage.store.close()


@pytest.fixture
def old(tmp_path: Path, busy_database: Path) -> Path:
    """The file that is to be moved."""
    path = tmp_path / "old.db"
    shutil.copyfile(busy_database, path)
    return path


@pytest.fixture
def url(config: Path, postgres_database: str) -> str:
    """The address of the new and empty database, to which the configuration leads."""
    parts = urlsplit(postgres_database)
    url = f"postgresql://{parts.username}@{parts.hostname}:{parts.port}{parts.path}"
    (config.parent / "password").write_text(unquote(parts.password or ""))
    store = f"store: {{url: '{url}', password_file: password, tls: {{mode: disable}}}}\n"
    config.write_text(CONFIG.replace("store: {url: 'sqlite:state/sevrouter.db'}\n", store))
    return url


async def test_a_sevrouter_goes_on_where_the_other_stopped_and_nothing_rings_again(
    old: Path, url: str, sevrouter: Command, postgres_database: str
) -> None:
    before = everything(SqliteDatabase(old))
    ended = await asyncio.to_thread(sevrouter, "migrate", "--from", f"sqlite:{old}", "--to", url)
    assert (ended.code, ended.err) == (0, "")

    store = await asyncio.to_thread(PostgresStore.open, connector(postgres_database))
    stage = Stage(cast("Any", store))
    stage.clock.forward(minutes=5)
    known = await counts(stage.store, "alerts", "history", "incidents")
    await stage.take(DOWN)  # Alertmanager says again what it has said before
    assert await stage.dispatcher.rescue() == 0, "whose lease is not over may be at work"
    stage.open_lanes()
    await stage.call.is_told()
    await stage.idle("slack", "jira")
    assert await counts(stage.store, "alerts", "history", "incidents") == known
    assert stage.call.expect_one(OPENED).notice.title == "[SEV-2] Slow"
    assert {each.notice.title for each in stage.slack.expect(OPENED, OPENED)} == {"[SEV-2] Slow", "[SEV-2] Full"}

    # Whether it rang nobody knows, and when its lease is over it is asked for once more.
    stage.clock.forward(seconds=61)
    assert await stage.dispatcher.rescue() == 1
    await stage.forward(seconds=15)
    assert stage.call.expect_one(OPENED).notice.title == "[SEV-2] Full"

    await stage.push(over(DOWN, minute=6))
    await stage.forward(minutes=6)
    assert stage.call.expect_one(RESOLVED).notice.title == "[SEV-2] checkout: Down"
    (down,) = [each for each in await stage.incidents() if "Down" in each.evidence.alert.labels.values()]
    assert (down.id, down.state.value) == (1, "resolved")

    await stage.push(labelled({"alertname": "New", "severity": "critical"}))
    assert stage.call.expect_one(OPENED).notice.incident_id == max(row["id"] for row in before["incidents"]) + 1
    stage.slack.expect(OPENED)
    stage.nothing_unexpected()
    await stage.dispatcher.stop()
    stage.store.close()


def test_everything_is_there_and_is_said(old: Path, url: str, sevrouter: Command, postgres_database: str) -> None:
    before = everything(SqliteDatabase(old))
    ended = sevrouter("migrate", "--from", f"sqlite:{old}", "--to", url)
    assert all(before.values())
    *lines, last = ended.out.splitlines()
    assert {line.split()[1]: int(line.split()[0]) for line in lines} == {name: len(before[name]) for name in TABLES}
    assert last.startswith(f"moved from sqlite:{old} to {url}; ")
    assert before["alerts"][0]["generator_url"] == "a\0b"
    before["alerts"][0]["generator_url"] = "a\ufffdb"
    assert everything(PostgresDatabase(connector(postgres_database))) == before


def test_what_was_moved_comes_back_as_it_was(old: Path, url: str, sevrouter: Command, tmp_path: Path) -> None:
    before = everything(SqliteDatabase(old))
    back = tmp_path / "back.db"
    assert sevrouter("migrate", "--from", f"sqlite:{old}").code == 0, "the store of the configuration is the default"
    assert sevrouter("migrate", "--from", url, "--to", f"sqlite:{back}").code == 0
    before["alerts"][0]["generator_url"] = "a\ufffdb"
    assert everything(SqliteDatabase(back)) == before


def test_a_file_that_a_daemon_has_is_not_moved(old: Path, url: str, sevrouter: Command) -> None:
    with closing(SqliteStore.open(old)):
        ended = sevrouter("migrate", "--from", f"sqlite:{old}", "--to", url)
    assert (ended.code, "another sevrouter is using" in ended.err) == (2, True)
    assert sevrouter("incidents").err.endswith('relation "incidents" does not exist\n'), "nothing was made"


def test_a_database_that_replicas_have_is_not_moved(
    url: str, sevrouter: Command, postgres_database: str, tmp_path: Path
) -> None:
    with closing(PostgresStore.open(connector(postgres_database))) as replica:
        asyncio.run(replica.write(lambda tx: tx.touch()))
        ended = sevrouter("migrate", "--from", url, "--to", f"sqlite:{tmp_path / 'new.db'}")
    assert (ended.code, "stop every replica" in ended.err) == (2, True)


def test_a_database_that_holds_something_is_not_moved_into(
    old: Path, url: str, sevrouter: Command, postgres_database: str
) -> None:
    with closing(PostgresStore.open(connector(postgres_database))) as replica:
        asyncio.run(replica.write(lambda tx: tx.quarantine.add(b"", reason="", at=over(DOWN).starts_at)))
    ended = sevrouter("migrate", "--from", f"sqlite:{old}", "--to", url)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == f"sevrouter: {url} is not empty: it holds 1 quarantine\n"
    assert sevrouter("incidents").out == "no open incidents\n"


@pytest.mark.parametrize("works_with", [None, all_migrations()[-1].version])
def test_a_newer_file_is_not_moved(old: Path, url: str, sevrouter: Command, works_with: int | None) -> None:
    # Also where this version could serve from it: what it does not know of it would be left behind.
    with closing(pysqlite3.dbapi2.connect(str(old))) as raw:
        raw.execute("INSERT INTO schema_migrations VALUES (999, 0, ?)", (works_with,))
        raw.commit()
    ended = sevrouter("migrate", "--from", f"sqlite:{old}", "--to", url)
    assert (ended.code, "the database has schema 999" in ended.err) == (2, True)


def test_an_address_that_is_not_the_configurations_is_not_moved_to(old: Path, url: str, sevrouter: Command) -> None:
    ended = sevrouter("migrate", "--from", f"sqlite:{old}", "--to", f"{url}_typo")
    assert (ended.code, f"keeps its incidents in {url}, not in {url}_typo" in ended.err) == (2, True)


@pytest.mark.usefixtures("config")
def test_a_configuration_of_another_store_is_said_what_to_write(old: Path, sevrouter: Command) -> None:
    ended = sevrouter("migrate", "--from", f"sqlite:{old}", "--to", "postgresql://sevrouter@db.example/sevrouter")
    assert (ended.code, "write that as its store.url, with password_file" in ended.err) == (2, True)


def test_another_configuration_names_a_store_too(
    old: Path, url: str, sevrouter: Command, bare: Command, config: Path
) -> None:
    before = config.with_name("before.yaml")
    before.write_text(CONFIG.replace("state/sevrouter.db", old.name))
    assert bare("migrate", "--from", str(before), "--to", str(config)).code == 0
    assert "checkout: Down" in sevrouter("incidents").out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--from", "sqlite:nowhere.db"), "there is no database at"),
        (("--from", "sqlite:old.db", "--to", "sqlite:new.db"), "are of one kind"),
        (("--from", "sqlite:old.db", "--shadow"), "a shadow is not moved"),
        (("--from", "sqlite:"), "the store names no file"),
        (("--to", "postgresql://me:hush@db/x"), "the store holds a password"),
        (("--from", "nowhere.yaml"), "nowhere.yaml: cannot be read"),
    ],
)
@pytest.mark.usefixtures("url", "old")
def test_what_cannot_be_moved_is_a_2(sevrouter: Command, arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    ended = sevrouter("migrate", *arguments)
    assert (ended.code, said in ended.err, "hush" in ended.err) == (2, True, False), ended.err
    assert not (tmp_path / "nowhere.db").exists()
