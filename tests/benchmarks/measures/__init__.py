"""What is measured, a module each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.effort import Effort
from tests.benchmarks.figures import Figure
from tests.benchmarks.measures.alerta import measure_alerta
from tests.benchmarks.measures.called import measure_called
from tests.benchmarks.measures.curves import measure_curves
from tests.benchmarks.measures.disk import measure_disk
from tests.benchmarks.measures.footprint import measure_footprint
from tests.benchmarks.measures.history import measure_history
from tests.benchmarks.measures.intake import measure_intake
from tests.benchmarks.measures.large_post import measure_large_post
from tests.benchmarks.measures.latency import measure_latency
from tests.benchmarks.measures.memory import measure_memory
from tests.benchmarks.measures.open_incidents import measure_open_incidents
from tests.benchmarks.measures.postgres import measure_postgres
from tests.benchmarks.measures.rules import measure_rules
from tests.benchmarks.measures.steady import measure_steady
from tests.benchmarks.measures.watched import measure_watched
from tests.benchmarks.peers import Peers


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A title, and how it is measured; `drawn` in the picture, and `by_itself` only where it is asked for."""

    title: str
    measure: Callable[[Path, Effort, Peers], Awaitable[list[Figure]]]
    drawn: bool = False
    by_itself: bool = False


MEASURES = {
    "intake": Measure(title="Intake", measure=measure_intake, drawn=True),
    "postgres": Measure(title="Intake on PostgreSQL", measure=measure_postgres, drawn=True),
    "alerta": Measure(title="Intake beside alerta", measure=measure_alerta, drawn=True),
    "latency": Measure(title="From a webhook to the call", measure=measure_latency, drawn=True),
    "called": Measure(title="From a webhook to the call, by a policy", measure=measure_called),
    "steady": Measure(title="Answers at a steady rate", measure=measure_steady, drawn=True),
    "rules": Measure(title="Many rules", measure=measure_rules),
    "open-incidents": Measure(title="Many open incidents", measure=measure_open_incidents),
    "watched": Measure(title="Many incidents that ask Prometheus", measure=measure_watched),
    "disk": Measure(title="Bytes on the disk", measure=measure_disk),
    "large-post": Measure(title="Very large POSTs", measure=measure_large_post),
    "memory": Measure(title="Memory of an open incident", measure=measure_memory),
    "history": Measure(title="Start with a long history", measure=measure_history),
    "footprint": Measure(title="Footprint", measure=measure_footprint),
    "curves": Measure(title="Curves", measure=measure_curves, by_itself=True),
}
