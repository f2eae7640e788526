"""An incident as a row, and a row as an incident."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from sevrouter.domain.incident import Evidence, Incident, IncidentState
from sevrouter.domain.sev import Sev
from sevrouter.domain.standing import NOTHING, Standing
from sevrouter.store.tables import incidents, microseconds, moment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NAMES = [column.name for column in incidents.c]
as_microseconds = lru_cache(maxsize=1_024)(microseconds)
encode = msgspec.json.Encoder().encode


def row_of(incident: Incident) -> tuple[Any, ...]:
    return (
        incident.id,
        incident.state.value,
        incident.sev.rank,
        incident.unsure,
        None if incident.resolved_at is None else as_microseconds(incident.resolved_at),
        None if incident.due_at is None else as_microseconds(incident.due_at),
        incident.system,
        incident.owner,
        incident.firing,
        incident.truncated,
        ",".join(incident.asked),
        None if incident.standing is NOTHING or incident.standing == NOTHING else encode(incident.standing).decode(),
        incident.suppressed,
        None if incident.heard_at is None else as_microseconds(incident.heard_at),
        None if incident.stale_since is None else as_microseconds(incident.stale_since),
    )


def once_of(incident: Incident) -> tuple[Any, ...]:
    return incident.dedup_key, as_microseconds(incident.opened_at), evidence_of(incident)


def evidence_of(incident: Incident) -> str:
    return encode(incident.evidence).decode()


def typed(row: Sequence[Any]) -> Mapping[str, Any]:
    """A row as it comes from the driver, with the types that its table gives it."""
    values = dict(zip(NAMES, row, strict=True))
    for name in ("opened_at", "resolved_at", "due_at", "heard_at", "stale_since"):
        values[name] = None if values[name] is None else moment(values[name])
    for name in ("unsure", "truncated"):
        values[name] = bool(values[name])
    values["sev"] = Sev(values["sev"])
    return values


def incident_of(row: Mapping[str, Any]) -> Incident:
    return Incident(
        id=row["id"],
        dedup_key=row["dedup_key"],
        state=IncidentState(row["state"]),
        sev=row["sev"],
        unsure=row["unsure"],
        opened_at=row["opened_at"],
        resolved_at=row["resolved_at"],
        due_at=row["due_at"],
        system=row["system"],
        owner=row["owner"],
        firing=row["firing"],
        truncated=row["truncated"],
        asked=tuple(filter(None, row["asked"].split(","))),
        evidence=msgspec.json.decode(row["evidence"], type=Evidence),
        version=row["version"],
        standing=NOTHING if row["standing"] is None else msgspec.json.decode(row["standing"], type=Standing),
        suppressed=row["suppressed"],
        heard_at=row["heard_at"],
        stale_since=row["stale_since"],
    )
