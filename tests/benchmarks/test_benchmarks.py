"""The measuring instrument itself: it measures. How quick anything is, no test says."""

from __future__ import annotations

import math
from contextlib import closing, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pysqlite3.dbapi2
import pytest

from tests.benchmarks.alerts import Lot, webhooks
from tests.benchmarks.contestants import ALERTMANAGER, FLOOR
from tests.benchmarks.effort import QUICK, Pace, Watching
from tests.benchmarks.figures import OURS, Figure, by_row, percentile, table
from tests.benchmarks.measures import MEASURES
from tests.benchmarks.measures.watched import DearError, judge
from tests.benchmarks.multiplied import multiply
from tests.benchmarks.peers import find_peers, machine, versions
from tests.benchmarks.report import BEGIN, END, Report, Section

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.benchmarks.peers import Peers

TINY = replace(
    QUICK,
    posts={1: 20, 100: 2},
    longest_run=0.2,
    paces=(Pace(100, 1, 0.1), Pace(10, 20, 0.2)),
    steady=Pace(50, 5, 0.2),
    called=3,
    storm=1_000,
    few_rules=3,
    rules=50,
    graded=20,
    few_incidents=100,
    incidents=1_000,
    incidents_in_memory=1_000,
    # How much processor time it takes, no test says.
    watching=Watching(incidents=60, queries=6, every=1.0, intervals=2, most_percent=math.inf),
    written={1: 20, 100: 2},
    large_post=500,
    large_senders=2,
    history=500,
    starts=1,
    idle_seconds=0.1,
    curve_sizes=(1, 100),
    curve_rules=(3,),
    curve_incidents=(100,),
)
INTAKE = [f"{kind}, {size} a POST" for size in TINY.posts for kind in ("new", "changed", "unchanged")]


@pytest.fixture(scope="module")
def peers() -> Iterator[Peers]:
    """Find whoever is there: a measure is to go without the others."""
    with find_peers() as found:
        yield found


@pytest.mark.parametrize("name", MEASURES)
async def test_a_measure_gives_figures(name: str, peers: Peers, tmp_path: Path) -> None:
    if name == "postgres" and not peers.ours_on_postgres:
        pytest.skip("NOT MEASURED: sevrouter on PostgreSQL")
    if name == "alerta" and peers.alerta is None:
        pytest.skip("NOT MEASURED: alerta is not here, see `make bench-peers`")
    figures = await MEASURES[name].measure(tmp_path, TINY, peers)
    assert figures
    if name == "intake":
        beside = [FLOOR] if peers.alertmanager is None else [FLOOR, ALERTMANAGER]
        assert [(each.name, each.peer) for each in figures] == [(kind, peer) for kind in INTAKE for peer in beside]
    if name == "watched":
        assert figures[0].value <= TINY.watching.queries
    assert len({(each.name, each.peer) for each in figures}) == len(figures)
    numbers = [each.value for each in figures] + [each.peer_value for each in figures if each.peer_value is not None]
    assert all(math.isfinite(each) for each in numbers)
    # What is counted in ticks, in pages or on a file system in memory can be nothing.
    assert all(each.value > 0 for each in figures if each.unit in ("alerts/s", "ms", "µs"))


@pytest.mark.parametrize("name", ["alerta", "postgres"])
async def test_without_its_peer_a_measure_is_left_out(name: str, peers: Peers, tmp_path: Path) -> None:
    alone = replace(peers, alertmanager=None, alerta=None, postgres=None, ours_on_postgres=False)
    assert await MEASURES[name].measure(tmp_path, TINY, alone) == []


@pytest.mark.parametrize(("queries", "percent", "is_dear"), [(50, 5, False), (50.5, 5, True), (50, 5.1, True)])
def test_what_costs_more_than_it_may_is_a_failure(queries: float, percent: float, is_dear: bool) -> None:
    figures = Figure("asked", queries, "queries an interval"), Figure("processor time", percent, "% of a core")
    with pytest.raises(DearError) if is_dear else nullcontext():
        judge(QUICK.watching, *figures)


def test_the_versions_of_all_who_take_part_are_named(peers: Peers, tmp_path: Path) -> None:
    assert {"sevrouter", "Python", "SQLite"} <= versions(peers).keys()
    assert ("Alertmanager" in versions(peers)) == (peers.alertmanager is not None)
    assert "CPUs" in machine(tmp_path)


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert (percentile(values, 50), percentile(values, 99), percentile([7.0], 99)) == (50, 99, 7)


def test_a_figure_without_a_peer_has_no_ratio() -> None:
    assert table([Figure("start", 1.5, "s"), Figure("memory", 90, "MiB", "peer", 0.0)]).splitlines() == [
        "| name   | sevrouter |      peer | ratio |",
        "|--------|----------:|----------:|------:|",
        "| start  |    1.50 s |           |       |",
        "| memory |  90.0 MiB | peer 0.00 |       |",
    ]


def test_figures_of_one_name_are_one_row() -> None:
    figures = [Figure("new", 1.0, "alerts/s", "a", 2.0), Figure("new", 1.0, "alerts/s", "b", 3.0)]
    assert by_row(figures) == {"new": {OURS: 1.0, "a": 2.0, "b": 3.0}}


def test_with_a_stride_every_alert_of_a_lot_is_sent_once() -> None:
    spread = Lot(name="spread", posts=3, size=4, stride=3)
    numbers = [number for post in range(spread.posts) for number in spread.numbers(post)]
    assert sorted(numbers) == [*range(12)]
    assert webhooks(spread) != webhooks(replace(spread, percent=2))


def test_a_multiplied_database_holds_together(tmp_path: Path) -> None:
    file = tmp_path / "some.db"
    with closing(pysqlite3.dbapi2.connect(str(file))) as connection:
        connection.executescript(
            "CREATE TABLE alerts (id INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE);"
            "CREATE TABLE history (id INTEGER PRIMARY KEY, alert_id BIGINT REFERENCES alerts (id), at BIGINT NOT NULL);"
            "CREATE INDEX history_at ON history (at);"
            "INSERT INTO alerts VALUES (1, randomblob(16)), (2, randomblob(16));"
            "INSERT INTO history VALUES (1, 1, 7), (2, 2, 8);"
        )
    multiply(file, 5)
    with closing(pysqlite3.dbapi2.connect(str(file))) as connection:
        rows = connection.execute("SELECT count(*), count(DISTINCT alert_id) FROM history").fetchall()
        assert rows == [(10, 10)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("SELECT name FROM sqlite_master WHERE name = 'history_at'").fetchall()


def report(*figures: Figure) -> Report:
    sections = [Section("Intake", figures, drawn=True), Section("Left out", [], drawn=True)]
    return Report(
        command="make bench", versions={"sevrouter": "1"}, machine="2 CPUs", sections=sections, missing=["alerta: gone"]
    )


def test_a_report_replaces_the_one_before_and_nothing_around_it(tmp_path: Path) -> None:
    document = tmp_path / "docs" / "performance.md"
    report(Figure("new", 1.0, "alerts/s", "floor", 2.0)).write(document)
    document.write_text(document.read_text().replace("# Performance\n", "# By hand\n") + "\nAfter it.\n")
    report(Figure("changed <&>", 1.0, "alerts/s", "floor", 1_000.0)).write(document)
    text = document.read_text()
    assert text.startswith("# By hand\n")
    assert text.endswith("\nAfter it.\n")
    assert (text.count(BEGIN), text.count(END), text.count("| new"), text.count("| changed")) == (1, 1, 0, 1)
    assert "![sevrouter beside its peers](performance.svg)" in text
    assert "alerta: gone" in text
    assert "Left out" not in text


def test_a_picture_has_a_dot_for_whoever_was_measured(tmp_path: Path) -> None:
    document = tmp_path / "performance.md"
    report(Figure("changed <&>", 1.0, "alerts/s", "floor", 1_000.0), Figure("start", 1.5, "s")).write(document)
    image = ET.fromstring(document.with_suffix(".svg").read_text())  # noqa: S314  it is our own
    dots = image.findall("{*}circle")
    # Each in the legend, and each in the only row that sets somebody beside us.
    assert len(dots) == 4
    assert "changed <&>" in {text.text for text in image.findall("{*}text")}
